"""Packaging: whether a model answers elsewhere as it does here."""
