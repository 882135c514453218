"""Waiting, in the triggerer: an asynchronous loop around a decision of the core."""
