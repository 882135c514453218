"""SQL databases: a query's rows as a stream of Arrow batches, and rows that are written by key.

What a name needs is imported when it is first used: who only asks for the latest rows does not wait for Arrow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_mlops.adapters.sql.stream import stream_query
    from airflow_mlops.adapters.sql.upsert import require_upsert, upsert_rows
    from airflow_mlops.adapters.sql.window import athena_query

__all__ = ["athena_query", "require_upsert", "stream_query", "upsert_rows"]

_MODULES = {
    "athena_query": "window",
    "require_upsert": "upsert",
    "stream_query": "stream",
    "upsert_rows": "upsert",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
