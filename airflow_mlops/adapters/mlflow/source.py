"""Where a dataset lies, in MLflow's words."""

from __future__ import annotations

from typing import Any

from mlflow.data.filesystem_dataset_source import FileSystemDatasetSource

__all__ = ["FileSource"]


class FileSource(FileSystemDatasetSource):  # type: ignore[misc]  # MLflow's class is untyped
    """Where a dataset lies, as MLflow records it."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @property
    def uri(self) -> str:
        """Return the path."""
        return self._uri

    @staticmethod
    def _get_source_type() -> str:
        return "airflow_mlops_snapshot"

    def load(self, dst_path: str | None = None) -> str:
        """Return the path; the data is not copied."""
        return self._uri

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:  # noqa: ARG004  # MLflow's interface
        return False

    @classmethod
    def _resolve(cls, raw_source: Any) -> FileSource:
        return cls(raw_source)

    def to_dict(self) -> dict[Any, Any]:
        """Return the record."""
        return {"uri": self._uri}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> FileSource:
        """Read the record."""
        return cls(source_dict["uri"])
