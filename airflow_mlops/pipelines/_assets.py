"""What starts a DAG when data arrives."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.triggers.data import NewFilesTrigger, NewRowsTrigger

__all__ = ["WatchedAsset", "watched_data"]


class WatchedAsset(Asset):
    """An asset whose hash is that of its name.

    Airflow hashes a DAG, and what starts it, for every relation between two tasks. An asset's own hash writes it out
    as JSON each time, its watchers too, which was a third of what it took to build the DAG.
    """

    def __hash__(self) -> int:
        return hash((self.name, self.uri))


def watched_data(name: str, data: DatasetSpec, *, poll_interval_s: float) -> WatchedAsset:
    """Return the asset that stands for new data, watched in the triggerer.

    :param name: of the asset, and of the note of what was handled.
    :param data: where it comes from: a path, or a query with a timestamp.
    """
    watch: NewFilesTrigger | NewRowsTrigger
    if data.query:
        watch = NewRowsTrigger(
            query=data.query,
            timestamp=data.timestamp or "",
            conn_id=data.conn_id or "",
            watermark=name,
            poll_interval_s=poll_interval_s,
        )
    else:
        watch = NewFilesTrigger(
            path=data.path or "",
            conn_id=data.conn_id,
            recursive=data.partitioned,
            watermark=name,
            poll_interval_s=poll_interval_s,
        )
    return WatchedAsset(name, watchers=[AssetWatcher(name=f"{name}_watcher", trigger=watch)])
