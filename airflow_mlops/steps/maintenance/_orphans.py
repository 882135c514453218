"""What is left over in the storage when a snapshot is gone, or when a process was killed."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.errors import UnavailableError
from airflow_mlops.steps.platform import folder_name, short

__all__ = ["DerivedFolder", "derived_folders", "find_orphans", "hide", "last_touched", "remove", "unhide"]

_DOCUMENTS = {"splits": "split.json", "quarantine": "quarantine.json"}
_HIDDEN = (".tmp", ".pruned")
_HALF_WRITTEN_FOR = timedelta(days=1)  # a process may wait long for its source before it writes on


@dataclass(frozen=True, kw_only=True)
class DerivedFolder:
    """A folder with rows that were made of a snapshot's.

    :param digest: the snapshot's.
    """

    path: Path
    digest: str
    is_split: bool


def derived_folders(storage: Storage, dataset: str) -> list[DerivedFolder]:
    """Return a dataset's splits and quarantined rows, as far as they say what they were made of.

    :raises IntegrityError: when a document is damaged.
    """
    found = []
    for kind, document in _DOCUMENTS.items():
        for path in _entries(storage, kind, dataset):
            place = (kind, folder_name(dataset), path.name, document)
            if not path.name.startswith(".") and storage.exists(*place):
                digest = storage.read_json(*place)["snapshot_digest"]
                found.append(DerivedFolder(path=path, digest=digest, is_split=kind == "splits"))
    return found


def find_orphans(
    storage: Storage,
    dataset: str,
    derived: Sequence[DerivedFolder],
    *,
    left: Sequence[DatasetSnapshot],
    limit: datetime,
    now: datetime,
) -> list[Path]:
    """Return what nothing needs any more and was not touched since the limit.

    :param derived: what was made of snapshots, from :func:`derived_folders`.
    :param left: the snapshots that stay. What was set aside of one stays as long as the rest of its rows does.
    """
    digests = {snapshot.digest for snapshot in left}
    whole = {str(snapshot.source["rest_of"]) for snapshot in left if "rest_of" in snapshot.source}
    orphans = [each.path for each in derived if each.digest not in (digests if each.is_split else digests | whole)]
    used = {f"{short(digest)}.json" for digest in digests}
    notes = [path for path in _entries(storage, "uses", dataset) if path.name not in used]
    notes += _entries(storage, "windows", dataset)
    kinds = ("snapshots", "uses", "windows", "predictions", *_DOCUMENTS)
    hidden = [path for kind in kinds for path in _entries(storage, kind, dataset) if _is_hidden(path)]
    seen = [path for path in (*orphans, *notes) if not path.name.startswith(".") and last_touched(path) < limit]
    return seen + [path for path in hidden if last_touched(path) < min(limit, now - _HALF_WRITTEN_FOR)]


def last_touched(path: Path) -> datetime:
    """Return when a file, or anything in a folder, was last written; in UTC.

    :raises UnavailableError: when the storage does not let one look.
    """
    try:
        return datetime.fromtimestamp(max(each.stat().st_mtime for each in (path, *path.rglob("*"))), UTC)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)  # somebody is at work there
    except OSError as error:
        raise UnavailableError(f"{path} can't be looked at: {error}. Nothing was removed; try again.") from error


def hide(path: Path) -> Path:
    """Take a file or a folder from its name, all of it at once, and return where it is now.

    :raises UnavailableError: when the storage does not let it.
    """
    hidden = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.pruned")
    try:
        return path.rename(hidden)
    except OSError as error:
        raise _stays(path, error) from error


def unhide(hidden: Path, path: Path) -> None:
    """Give a folder its name back, unless one of the same content was made there meanwhile.

    :raises UnavailableError: when the storage does not let it.
    """
    try:
        hidden.rename(path)
    except OSError as error:
        if not path.exists():
            raise UnavailableError(f"{path} is needed, and is now {hidden}: {error}. Rename it.") from error
        remove(hidden)


def remove(path: Path) -> None:
    """Remove a file or a folder; it disappears at once under its name, and then from the disk.

    :raises UnavailableError: when the storage does not let it.
    """
    try:
        hidden = path if path.name.startswith(".") else hide(path)
        if hidden.is_dir():
            shutil.rmtree(hidden)
        else:
            hidden.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, UnavailableError):
            raise
        raise _stays(path, error) from error


def _entries(storage: Storage, kind: str, dataset: str) -> list[Path]:
    return [storage.path(kind, folder_name(dataset), name) for name in storage.names(kind, folder_name(dataset))]


def _is_hidden(path: Path) -> bool:
    """Return whether it is being written or removed, or was when its process was killed."""
    return path.name.startswith(".") and path.name.endswith(_HIDDEN)


def _stays(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(f"{path} can't be removed: {error}. What was not reached stays; try again.")
