"""Backtesting: what a retrain policy would have done."""
