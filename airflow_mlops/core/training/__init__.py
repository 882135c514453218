"""Training: what is fitted, what comes of it, and the search for hyperparameters."""
