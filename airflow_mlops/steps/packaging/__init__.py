"""Packaging: the model is served for a trial, converted, and handed to whoever embeds it."""
