"""Windows that depend on the time: resolved once for a run, so that each of its tries sees the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.data.snapshot import Window, resolve_window
from airflow_mlops.core.values import PipelineRun, Value, digest_of
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.steps.platform import folder_name, short

__all__ = ["ResolvedWindow", "resolve_for_run"]

_SETTINGS = {"timestamp", "window_start", "window_end", "trailing", "since_last_snapshot"}


@dataclass(frozen=True, kw_only=True)
class ResolvedWindow(Value):
    """The window of a dataset as a run found it.

    :param start: first time that belongs to it, in UTC; ``None``: no lower bound.
    :param end: first time that does not belong any more; ``None``: no upper bound.
    :param since: the latest time that had been accepted then, where only later rows are wanted.
    :param resolved_at: the time that it was counted from.
    :param resolved_for: the pipeline and the run.
    """

    start: datetime | None = None
    end: datetime | None = None
    since: datetime | None = None
    resolved_at: datetime
    resolved_for: str = ""

    @property
    def window(self) -> Window:
        """The window itself."""
        return Window(start=self.start, end=self.end)


def resolve_for_run(
    data: DatasetSpec,
    *,
    dataset: str,
    storage: Storage,
    run: PipelineRun | None,
    now: datetime,
    accepted_until: Callable[[], datetime | None],
) -> ResolvedWindow:
    """Return the window that a spec means, and keep it for the run's later tries before anything is read.

    It is kept by what it depends on: other settings of the dataset may be fixed between two tries.

    :param run: whose window it is; ``None``: nobody's, and it is not kept.
    :param accepted_until: tells the latest time that was accepted so far; it is asked where the spec needs it.
    :raises IntegrityError: when the note of an earlier try is damaged.
    """
    place = _place(data, dataset, run)
    if place and storage.exists(*place):
        return ResolvedWindow.from_dict(storage.read_json(*place))
    since = accepted_until() if data.since_last_snapshot else None
    window = resolve_window(data, now=now, since=since)
    resolved = ResolvedWindow(
        start=window.start,
        end=window.end,
        since=since,
        resolved_at=now,
        resolved_for=f"{run.pipeline} {run.run_id}" if run else "",
    )
    if place and not storage.create_json(resolved.to_dict(), *place):  # another try was quicker
        return ResolvedWindow.from_dict(storage.read_json(*place))
    return resolved


def _place(data: DatasetSpec, dataset: str, run: PipelineRun | None) -> tuple[str, str, str] | None:
    """Return where a run's window is kept; ``None`` where every try resolves it to the same anyway."""
    if run is None or not (data.since_last_snapshot or (data.trailing and not data.window_end)):
        return None
    settings = digest_of(data.model_dump(mode="json", include=_SETTINGS))
    return "windows", folder_name(dataset), f"{short(run.step_key('snapshot', dataset, settings))}.json"
