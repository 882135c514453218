"""Training: a model is tuned and fitted, and what it can be traced by is logged."""
