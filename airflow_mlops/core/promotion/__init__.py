"""Promotion: what a person is shown and answers."""
