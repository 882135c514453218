"""Retraining: the decision whether to train, which is recorded, yes or no."""
