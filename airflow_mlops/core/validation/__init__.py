"""Validation: checks, findings, and what follows from them."""
