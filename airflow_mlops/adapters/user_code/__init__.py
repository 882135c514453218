"""The user's code: found, called, traced to its commit and environment."""
