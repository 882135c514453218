"""What starts a DAG when files arrive."""

from __future__ import annotations

from airflow.sdk import Asset

__all__ = ["WatchedAsset"]


class WatchedAsset(Asset):
    """An asset whose hash is that of its name.

    Airflow hashes a DAG, and what starts it, for every relation between two tasks. An asset's own hash writes it out
    as JSON each time, its watchers too, which was a third of what it took to build the DAG.
    """

    def __hash__(self) -> int:
        return hash((self.name, self.uri))
