"""Data: sources are opened, and their rows are copied once into snapshots."""
