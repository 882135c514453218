"""What is noted of a snapshot after it was made: how it was validated, and when it was used."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_mlops.adapters.duckdb_engine.joins.moments import latest_moment
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.specs.data import in_utc
from airflow_mlops.steps.platform import folder_name, short

__all__ = ["accepted_marks", "last_used", "note_use", "note_verdict", "snapshot_folder", "snapshot_names"]

_VERDICT = "verdict.json"


def snapshot_folder(dataset: str, digest: str) -> tuple[str, str, str]:
    """Return the storage path of a snapshot's folder."""
    return "snapshots", folder_name(dataset), short(digest)


def snapshot_names(storage: Storage, dataset: str) -> list[str]:
    """Return the names of the folders of a dataset's snapshots."""
    return [name for name in storage.names("snapshots", folder_name(dataset)) if not name.startswith(".")]


def note_verdict(storage: Storage, snapshot: DatasetSnapshot, *, is_accepted: bool, report_uri: str) -> None:
    """Note how a snapshot was last validated. Only what was accepted counts for ``since_last_snapshot``.

    :param report_uri: where to read why.
    """
    until = _reached(snapshot) if is_accepted else None
    note = {
        "is_accepted": is_accepted,
        "report_uri": report_uri,
        "timestamp": snapshot.timestamp,
        "accepted_until": until and until.isoformat(),
    }
    storage.write_json(note, *snapshot_folder(snapshot.dataset, snapshot.digest), _VERDICT)


def accepted_marks(storage: Storage, dataset: str) -> dict[str, tuple[datetime, str]]:
    """Return up to which time a validation accepted rows, by the timestamp column that they were taken by.

    :returns: the latest such time, and the name of the folder of the snapshot that reaches it.
    :raises IntegrityError: when a note is damaged.
    """
    marks: dict[str, tuple[datetime, str]] = {}
    for name in snapshot_names(storage, dataset):
        place = ("snapshots", folder_name(dataset), name, _VERDICT)
        note = storage.read_json(*place) if storage.exists(*place) else {}
        if note.get("is_accepted") and note.get("accepted_until"):
            mark = datetime.fromisoformat(note["accepted_until"]), name
            marks[note["timestamp"]] = max(mark, marks.get(note["timestamp"], mark))
    return marks


def note_use(storage: Storage, dataset: str, digest: str) -> None:
    """Note that a run is about to be given this snapshot, whether it is there or is made now."""
    storage.write_json({"used_at": datetime.now(UTC).isoformat()}, *_note_of_use(dataset, digest))


def last_used(storage: Storage, snapshot: DatasetSnapshot) -> datetime:
    """Return when a snapshot was made, or was last given to a run that had the same rows; in UTC."""
    place = _note_of_use(snapshot.dataset, snapshot.digest)
    made = in_utc(snapshot.created_at)
    return max(made, datetime.fromisoformat(storage.read_json(*place)["used_at"])) if storage.exists(*place) else made


def _reached(snapshot: DatasetSnapshot) -> datetime | None:
    """Return the latest time of the rows, but for those that lay in the future when they were taken.

    One row of the year 2204 does not make old what is delivered until then.
    """
    if snapshot.timestamp is None or snapshot.window_end is None:
        return None
    latest, taken_at = in_utc(snapshot.window_end), in_utc(snapshot.created_at)
    if latest <= taken_at:
        return latest
    earlier = latest_moment(snapshot.data_uri, snapshot.timestamp, until=taken_at)
    return earlier and in_utc(earlier)


def _note_of_use(dataset: str, digest: str) -> tuple[str, str, str]:
    # It lies apart from the snapshot's folder, which writing it would make again after the folder was pruned.
    return "uses", folder_name(dataset), f"{short(digest)}.json"
