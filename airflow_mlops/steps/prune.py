"""Pruning: old snapshots that nothing needs any more make room."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from airflow_mlops.adapters.storage import Storage
from airflow_mlops.core.data import DatasetSnapshot
from airflow_mlops.core.promote import champion_of
from airflow_mlops.errors import IntegrityError, SpecError, UnavailableError, bounded
from airflow_mlops.specs.data import in_utc
from airflow_mlops.steps._platform import Platform, folder_name, short
from airflow_mlops.steps.data import list_snapshots
from airflow_mlops.steps.promote import read_journal

__all__ = ["needed_snapshots", "prune_snapshots"]

log = logging.getLogger(__name__)


def needed_snapshots(*, platform: Platform) -> frozenset[str]:
    """Return the digests of all snapshots that a run or a version in MLflow refers to.

    :raises IntegrityError: when MLflow refers to no snapshot at all, or a champion of the journals is not among its
        versions: then this is another registry, or it has lost versions, and nobody knows what is needed.
    :raises UnavailableError: when MLflow does not answer.
    """
    digests, versions = platform.mlflow.snapshot_digests()
    if not digests:
        raise IntegrityError(
            f"MLflow at {platform.mlflow.shown_uri} refers to no snapshot at all, so it may be another one than this "
            f"storage's. Nothing was pruned. Give the registry that belongs to this storage."
        )
    for model in platform.storage.names("journals"):
        for name in {entry["model_name"] for entry in platform.storage.log("journals", model).entries()}:
            champion = champion_of(read_journal(name, storage=platform.storage))
            if champion is not None and (name, champion) not in versions:
                raise IntegrityError(
                    f"The journal says that {name} v{champion} is champion, MLflow at {platform.mlflow.shown_uri} has "
                    f"no such version. Nothing was pruned. Give the registry that belongs to this storage."
                )
    return digests


def prune_snapshots(
    dataset: str,
    *,
    storage: Storage,
    keep: Collection[str],
    older_than: timedelta,
    now: datetime,
    dry_run: bool = False,
) -> tuple[DatasetSnapshot, ...]:
    """Remove the snapshots of a dataset that are old and that nothing needs, and the splits that were made of them.

    The newest snapshot stays in any case.

    :param keep: digests of the snapshots that are needed, from :func:`needed_snapshots`.
    :param older_than: how long ago a snapshot has to have been made.
    :param dry_run: remove nothing.
    :returns: what was removed, or would be.
    :raises SpecError: when ``older_than`` is not positive: a snapshot of a run that is under way could go.
    :raises IntegrityError: when a manifest can't be read; nothing was removed.
    """
    if older_than <= timedelta(0):
        raise SpecError(f"{dataset}: older_than is {older_than}, it has to be positive. Nothing was pruned.")
    snapshots = list_snapshots(storage, dataset)
    limit = in_utc(now) - older_than
    old = [s for s in snapshots[:-1] if s.digest not in keep and in_utc(s.created_at) < limit]
    left = {short(s.digest) for s in snapshots} - {short(s.digest) for s in old}
    orphans = _splits_without_snapshot(storage, dataset, left)
    if not dry_run:
        for name in orphans:
            _remove(storage.path("splits", folder_name(dataset), name))
        for snapshot in old:
            _remove(storage.path("snapshots", folder_name(dataset), short(snapshot.digest)))
    log.info(
        "prune: dataset=%s n_snapshots=%d n_pruned=%d n_splits_pruned=%d dry_run=%s snapshots=%s",
        dataset, len(snapshots), len(old), len(orphans), dry_run, bounded(short(s.digest) for s in old),
    )  # fmt: skip
    return tuple(old)


def _splits_without_snapshot(storage: Storage, dataset: str, left: Collection[str]) -> list[str]:
    folder = ("splits", folder_name(dataset))
    names = [name for name in storage.names(*folder) if not name.startswith(".")]
    made_of = {name: storage.read_json(*folder, name, "split.json")["snapshot_digest"] for name in names}
    return [name for name, digest in made_of.items() if short(digest) not in left]


def _remove(folder: Path) -> None:
    """Remove a folder: it disappears at once under its name, and then from the disk."""
    hidden = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.pruned")
    try:
        folder.rename(hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        raise UnavailableError(f"{folder} can't be removed: {error}. What was not reached stays; try again.") from error
