"""Observability: what dashboards, lineage and people are told of a run."""
