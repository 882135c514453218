"""Measured ratios against the plain way of doing the same work, side by side in one run."""
