"""What people read: values become words, tables and pictures."""
