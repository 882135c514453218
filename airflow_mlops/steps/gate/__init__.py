"""The gate: it judges what the evaluation found, and records its verdict."""
