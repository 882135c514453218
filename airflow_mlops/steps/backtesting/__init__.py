"""Backtesting: history is replayed through the real pipeline."""
