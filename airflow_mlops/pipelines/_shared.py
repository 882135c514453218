"""What every pipeline shares: its YAML file, what each task gets, and settings that are no templates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from airflow_mlops.errors import SpecError
from airflow_mlops.specs._base import Spec

__all__ = ["as_written", "dag_arguments", "parse_yaml"]

S = TypeVar("S", bound=Spec)


def parse_yaml(spec: type[S], path: str | os.PathLike[str]) -> S:
    """Build a spec from a YAML file.

    :raises SpecError: when the file can't be read, or a setting can't be used; the message has its path.
    """
    import yaml

    try:
        document = yaml.safe_load(Path(path).read_bytes())  # bytes, so that what is no UTF-8 is an error of YAML
    except OSError as error:
        raise SpecError(f"{path}: can't be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: is not YAML: {error}") from error
    try:
        return spec.parse(document)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error


def dag_arguments(mlflow_conn_id: str, wanted: Mapping[str, Any], **ours: Any) -> dict[str, Any]:
    """Return the arguments of a DAG: one run at a time, an outage is retried twice, unless it is wanted otherwise.

    :param wanted: what a user asks for, which wins.
    :param ours: what this DAG is.
    """
    tasks = {"retries": 2, "retry_delay": timedelta(seconds=30), "mlflow_conn_id": mlflow_conn_id}
    tasks |= wanted.get("default_args") or {}
    return {"catchup": False, "max_active_runs": 1, **ours, **wanted, "default_args": tasks}


def as_written(document: Any) -> Any:
    """Keep Jinja from reading a document: the regular expression ``[a-z]{{2}}`` is no template."""
    if isinstance(document, str):
        is_read = any(mark in document for mark in ("{{", "{%", "{#"))
        return f"{{% raw %}}{document}{{% endraw %}}" if is_read else document
    if isinstance(document, Mapping):
        return {key: as_written(value) for key, value in document.items()}
    return [as_written(value) for value in document] if isinstance(document, list) else document
