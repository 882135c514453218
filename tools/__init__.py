"""What developers run in the repository; it is not part of the package."""
