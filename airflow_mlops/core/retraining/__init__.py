"""Retraining: whether a run trains, and why."""
