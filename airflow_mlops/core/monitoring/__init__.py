"""Monitoring: drift of the data, and the performance that late labels tell."""
