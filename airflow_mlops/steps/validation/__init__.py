"""Validation: is the data what it should be, and what happens to rows that are not."""
