"""The split: which rows are trained on, tuned on and held out."""
