"""Evaluation: everybody predicts the same held-out rows, and every difference gets an interval."""
