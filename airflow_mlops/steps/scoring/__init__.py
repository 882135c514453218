"""Batch scoring: a snapshot's rows are scored once, into a file and a table."""
