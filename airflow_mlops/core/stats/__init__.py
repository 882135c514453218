"""Statistics that several stages share: metrics, intervals, curves, distances between histograms."""
