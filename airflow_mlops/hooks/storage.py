"""The storage, with journals that may lie elsewhere. Airflow is asked only where a connection is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlops.extras import importing, is_found

if TYPE_CHECKING:
    from airflow_mlops.adapters.storage.store import Storage

__all__ = ["open_storage"]


def open_storage(root: str, journal_root: str = "", journal_conn_id: str = "") -> Storage:
    """Return a storage whose journals and ledgers may lie elsewhere.

    :param journal_root: a folder, or ``s3://bucket/folder``; empty: the root.
    :param journal_conn_id: the Airflow connection of type ``aws`` to reach it with; empty: ``aws_default``, or what
        the machine has, as where there is no Airflow.
    :raises MissingExtraError: when what reaches S3 is not installed.
    """
    from airflow_mlops.adapters.storage.store import Storage

    if not journal_root.startswith("s3://"):
        return Storage(root, Storage(journal_root) if journal_root else None)
    with importing("amazon", asked_by=f"[mlops] journal_root = {journal_root}", modules=("boto3",)):
        from airflow_mlops.adapters.s3.objects import S3Access
        from airflow_mlops.adapters.s3.store import S3Place
    from airflow_mlops.hooks.sources import AirflowConnections
    from airflow_mlops.steps.data.settings import settings_at

    if not journal_conn_id and not is_found("airflow"):  # nobody to ask for aws_default: what the machine has
        return Storage(root, S3Place(S3Access(), journal_root))
    with settings_at("[mlops] journal_", "conn_id"):
        access = AirflowConnections().s3(journal_conn_id or None)
    return Storage(root, S3Place(access, journal_root))
