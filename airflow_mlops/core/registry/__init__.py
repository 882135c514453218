"""The registry: what a model was trained from, and which version was champion when."""
