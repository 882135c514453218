"""Pruning: old snapshots that nothing needs any more make room."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.registry.journal import champion_of
from airflow_mlops.errors import IntegrityError, SpecError, bounded
from airflow_mlops.specs.data import in_utc
from airflow_mlops.steps.data.snapshot import list_snapshots
from airflow_mlops.steps.data.snapshot_notes import accepted_marks, last_used, snapshot_folder
from airflow_mlops.steps.maintenance._orphans import derived_folders, find_orphans, hide, last_touched, remove, unhide
from airflow_mlops.steps.platform import Platform, short
from airflow_mlops.steps.registry.journal import read_journal

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
    for model in platform.storage.journals.names("journals"):
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
    """Remove the snapshots of a dataset that are old and that nothing needs, and what is left over from them.

    The newest snapshot stays in any case, and so do the one that ``since_last_snapshot`` counts from and those that
    a younger split was made of. Left over are splits and quarantined rows of snapshots that are gone, the notes of old
    runs' windows, and what killed processes left half written.

    :param keep: digests of the snapshots that are needed, from :func:`needed_snapshots`.
    :param older_than: how long ago a snapshot has to have been made, and to have been given to a run.
    :param dry_run: remove nothing.
    :returns: the snapshots that were removed, or would be.
    :raises SpecError: when ``older_than`` is not positive: a snapshot of a run that is under way could go.
    :raises IntegrityError: when a manifest can't be read; nothing was removed.
    :raises UnavailableError: when the storage does not let something be looked at or removed.
    """
    if older_than <= timedelta(0):
        raise SpecError(f"{dataset}: older_than is {older_than}, it has to be positive. Nothing was pruned.")
    limit = in_utc(now) - older_than
    made = derived_folders(storage, dataset)  # before the snapshots, or one's that is made meanwhile were an orphan
    snapshots = list_snapshots(storage, dataset)
    kept = {short(digest) for digest in keep} | {name for _, name in accepted_marks(storage, dataset).values()}
    kept |= {short(each.digest) for each in made if each.is_split and last_touched(each.path) >= limit}
    old = [s for s in snapshots[:-1] if short(s.digest) not in kept and last_used(storage, s) < limit]
    pruned = old if dry_run else [snapshot for snapshot in old if _remove_unless_used(storage, snapshot, limit)]
    gone = {snapshot.digest for snapshot in pruned}
    orphans = find_orphans(
        storage, dataset, made, left=[s for s in snapshots if s.digest not in gone], limit=limit, now=in_utc(now)
    )
    if not dry_run:
        for path in orphans:
            remove(path)
    log.info(
        "prune: dataset=%s n_snapshots=%d n_pruned=%d n_leftovers_pruned=%d dry_run=%s snapshots=%s orphans=%s",
        dataset, len(snapshots), len(pruned), len(orphans), dry_run, bounded(short(s.digest) for s in pruned),
        bounded(path.relative_to(storage.root) for path in orphans),
    )  # fmt: skip
    return tuple(pruned)


def _remove_unless_used(storage: Storage, snapshot: DatasetSnapshot, limit: datetime) -> bool:
    """Remove a snapshot, unless a run was given it since one looked.

    A run notes the use before it looks for the folder, and here the folder is hidden before the note is read: so
    either the use is seen here, or the run finds no folder and makes it anew.
    """
    folder = storage.path(*snapshot_folder(snapshot.dataset, snapshot.digest))
    hidden = hide(folder)
    if last_used(storage, snapshot) < limit:
        remove(hidden)
        return True
    unhide(hidden, folder)
    return False
