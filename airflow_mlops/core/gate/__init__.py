"""The gate: whether a challenger is blessed, and how many rows that takes to tell."""
