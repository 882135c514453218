"""Evaluation: challenger, champion and baseline on the same rows, as a whole and in slices."""
