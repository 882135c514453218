"""Batch scoring: whether rows fit a model, and what is kept of its predictions."""
