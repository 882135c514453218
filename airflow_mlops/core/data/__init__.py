"""Snapshots of the data: what is known of them, and how their values are distributed."""
