"""Source files: CSV, JSON Lines and Parquet, read without losing a value."""
