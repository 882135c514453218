"""Joins: features as of their time, keys, splits, outcomes of predictions."""
