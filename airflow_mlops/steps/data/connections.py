"""What a step is given to reach a source with: connections, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from airflow_mlops.errors import SpecError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from airflow_mlops.adapters.s3.objects import S3Access
    from airflow_mlops.specs.data import DatasetSpec

__all__ = ["Connections", "NoConnections"]


class Connections(Protocol):
    """Opens the connections that a spec names. Airflow's are in :mod:`airflow_mlops.hooks.sources`."""

    def database(self, conn_id: str) -> Engine:
        """Return an engine for a SQL database; the caller disposes of it."""

    def s3(self, conn_id: str | None) -> S3Access:
        """Return what S3 is reached with; ``None`` stands for Airflow's ``aws_default``."""

    def unload(self, data: DatasetSpec, query: str) -> str:
        """Run a query on Athena, wait for it, and return the ``s3://`` folder of Parquet files that it wrote.

        :param data: names the connection and where Athena runs.
        :param query: the ``SELECT``, with the window in it.
        """


class NoConnections:
    """No connections: what needs one is refused."""

    def database(self, conn_id: str) -> Engine:
        """Refuse."""
        raise self._refused(conn_id)

    def s3(self, conn_id: str | None) -> S3Access:
        """Refuse."""
        raise self._refused(conn_id or "aws_default")

    def unload(self, data: DatasetSpec, query: str) -> str:
        """Refuse."""
        raise self._refused(data.conn_id or "aws_default")

    def _refused(self, conn_id: str) -> SpecError:
        return SpecError(
            f"The connection {conn_id!r} can't be opened here: this step was given no connections. Pass "
            f"`connections=`, such as airflow_mlops.hooks.sources.AirflowConnections()."
        )
