"""Files of models: without pickle, or with it where spec and platform both allow it."""
