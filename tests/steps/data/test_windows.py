"""Windows that depend on the time: what counts as taken, and what each try of a run sees."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from airflow_mlops.cli import main
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.validation.findings import Verdict
from airflow_mlops.errors import DataError, IntegrityError, NoRowsError, NothingNewError, SpecError
from airflow_mlops.specs import DatasetSpec, ValidationSpec
from airflow_mlops.steps.data.snapshot import list_snapshots, note_verdict, snapshot_dataset
from airflow_mlops.steps.validation.validate import validate_dataset
from tests.steps.cases import Bench, run_named, small_frame, small_settings

NOON = datetime(2020, 1, 9, 12, tzinfo=UTC)
NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}}


def _deliver(bench: Bench, start: str, name: str, n_rows: int = 10) -> None:
    bench.deliver(small_frame(n_rows, start=start), name)


def _since(bench: Bench, **settings: Any) -> DatasetSpec:
    return DatasetSpec(**{"path": str(bench.inbox), "timestamp": "day", "since_last_snapshot": True} | settings)


def _take(bench: Bench, run_id: str, data: DatasetSpec | None = None, **options: Any) -> DatasetSnapshot:
    return snapshot_dataset(
        data or _since(bench), dataset="small", storage=bench.platform.storage, run=run_named(run_id), **options
    )


def _accept(bench: Bench, snapshot: DatasetSnapshot, *, is_accepted: bool = True) -> DatasetSnapshot:
    note_verdict(bench.platform.storage, snapshot, is_accepted=is_accepted, report_uri="reports/small/validation.html")
    return snapshot


def _days(snapshot: DatasetSnapshot) -> list[str]:
    return [str(day) for day in pq.read_table(snapshot.data_uri, columns=["day"]).column(0).to_pylist()]


def test_since_the_last_snapshot_only_new_rows_are_taken(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    first = _accept(bench, _take(bench, "first"))
    _deliver(bench, "2020-01-06", "b.csv")
    second = _take(bench, "second")
    assert (first.n_rows, second.n_rows) == (10, 5)
    assert second.window_start == datetime.fromisoformat("2020-01-11")
    assert second.source["window"] == ["2020-01-10T00:00:00.000001+00:00", None]


def test_nothing_new_is_no_pass_and_says_that_it_may_be_well(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    first = _accept(bench, _take(bench, "first"))
    with pytest.raises(NothingNewError) as caught:
        _take(bench, "second")
    message = str(caught.value)
    assert (
        "hold no row that is later than 2020-01-10T00:00:00+00:00, the last one that a validation accepted" in message
    )
    assert "Nothing was kept and the champion stays. That is well if nothing was to be delivered since" in message
    assert list_snapshots(bench.platform.storage, "small") == [first]


def test_what_was_halted_and_what_never_came_to_a_validation_is_taken_again(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    _accept(bench, _take(bench, "halted"), is_accepted=False)
    _deliver(bench, "2020-01-11", "b.csv")
    assert _take(bench, "given up before its validation").n_rows == 20
    assert _take(bench, "third").n_rows == 20


def test_what_was_accepted_once_and_is_halted_later_is_taken_again(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    first = _accept(bench, _take(bench, "first"))
    _accept(bench, first, is_accepted=False)
    assert _take(bench, "second") == first


def test_a_validation_that_could_not_be_made_accepts_nothing(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    first = _take(bench, "first")
    mistyped = ValidationSpec(expectations=[NOT_NULL | {"type": "expect_column_values_to_not_be_nul"}])
    with pytest.raises(SpecError):
        validate_dataset(first, mistyped, platform=bench.platform, run=run_named("first"))
    again = _take(bench, "second")
    assert again == first
    mended = ValidationSpec(expectations=[NOT_NULL])
    assert validate_dataset(again, mended, platform=bench.platform, run=run_named("second")).verdict is Verdict.PROCEED
    with pytest.raises(NothingNewError):
        _take(bench, "third")


def test_a_suite_that_is_inferred_from_the_command_line_accepts_nothing_and_is_of_all_rows(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    settings = small_settings(bench.inbox)
    settings["data"]["since_last_snapshot"] = True
    (bench.inbox.parent / "small.yaml").write_text(yaml.safe_dump(settings))
    out = bench.inbox.parent / "suite.json"
    root = str(bench.platform.storage.root)
    infer = ["suite", str(bench.inbox.parent / "small.yaml"), "--storage-root", root, "--out", str(out)]
    assert main(infer) == 0
    first = _accept(bench, _take(bench, "first"))
    assert first.n_rows == 10
    suite = out.read_text()
    assert main(infer) == 0
    assert out.read_text() == suite
    with pytest.raises(NothingNewError):
        _take(bench, "second")


def test_a_retry_takes_its_rows_again_after_they_were_accepted(bench: Bench):
    """The rows are a snapshot that an earlier run had made, and that had been halted."""
    _deliver(bench, "2020-01-01", "a.csv")
    _accept(bench, _take(bench, "first"), is_accepted=False)
    second = _accept(bench, _take(bench, "second"))
    assert (second.created_in, _take(bench, "second")) == ("small first", second)
    with pytest.raises(NothingNewError):
        _take(bench, "third")


def test_two_runs_at_once_each_take_the_same_rows_on_each_try(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    one, other = _take(bench, "one"), _take(bench, "other")
    assert one == other
    _accept(bench, one)
    assert _take(bench, "one") == _take(bench, "other") == one


def test_a_run_that_is_cleared_after_a_later_one_sees_its_own_window(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    first = _accept(bench, _take(bench, "first"))
    _deliver(bench, "2020-01-11", "b.csv")
    second = _accept(bench, _take(bench, "second"))
    assert _take(bench, "first").source["window"] == [None, None]
    assert _take(bench, "second") == second
    (bench.inbox / "b.csv").unlink()
    assert _take(bench, "first") == first


def test_a_trailing_window_is_counted_from_the_first_try(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    data = DatasetSpec(path=str(bench.inbox), timestamp="day", trailing="P3D")
    first = _take(bench, "first", data, now=NOON)
    assert _days(first) == ["2020-01-07", "2020-01-08", "2020-01-09"]
    assert _take(bench, "first", data, now=NOON + timedelta(days=1)) == first
    assert _days(_take(bench, "second", data, now=NOON + timedelta(days=1)))[-1] == "2020-01-10"


def test_the_window_stays_when_the_first_try_could_not_read_and_the_settings_were_mended(bench: Bench):
    small_frame(10, start="2020-01-01").to_csv(bench.inbox / "a.csv", index=False, sep=";")
    settings = {"path": str(bench.inbox), "timestamp": "day", "trailing": "P3D"}
    with pytest.raises(DataError):
        _take(bench, "first", DatasetSpec(**settings, csv={"delimiter": ","}), now=NOON)
    mended = DatasetSpec(**settings, csv={"delimiter": ";"})
    retried = _take(bench, "first", mended, now=NOON + timedelta(days=1))
    assert retried.source["window"] == ["2020-01-06T12:00:00+00:00", "2020-01-09T12:00:00+00:00"]
    other = _take(bench, "first", DatasetSpec(**settings | {"trailing": "P1D"}), now=NOON + timedelta(days=1))
    assert other.source["window"][1] == "2020-01-10T12:00:00+00:00"


def test_tries_at_once_agree_on_one_window(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    data = DatasetSpec(path=str(bench.inbox), timestamp="day", trailing="P3D")
    windows, start = [], threading.Barrier(4)

    def run(hours: int) -> None:
        start.wait()
        windows.append(_take(bench, "first", data, now=NOON + timedelta(hours=hours)).source["window"])

    threads = [threading.Thread(target=run, args=(hours,)) for hours in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(windows) == 4
    assert len({tuple(window) for window in windows}) == 1


def test_a_window_that_does_not_depend_on_the_moment_leaves_no_note(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    for window in ({}, {"window_start": "2020-01-03"}, {"trailing": "P3D", "window_end": "2020-01-05"}):
        _take(bench, "first", DatasetSpec(path=str(bench.inbox), timestamp="day", **window))
    snapshot_dataset(_since(bench), dataset="small", storage=bench.platform.storage)
    assert bench.platform.storage.names("windows") == []


def test_a_damaged_note_of_a_window_is_not_taken_for_none(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    _take(bench, "first")
    (note,) = bench.platform.storage.path("windows", "small").iterdir()
    note.write_text("{")
    with pytest.raises(IntegrityError, match="is damaged"):
        _take(bench, "first")


@pytest.mark.parametrize("absurd", ["2204-01-01 00:00:00", "9999-12-31 23:59:59.999999"])
def test_one_absurd_timestamp_hides_no_later_delivery(bench: Bench, absurd: str):
    frame = small_frame(10, start="2020-01-01").astype({"day": str})
    frame.loc[9, "day"] = absurd
    bench.deliver(frame, "a.csv")
    _accept(bench, _take(bench, "first"))
    _deliver(bench, "2020-01-10", "b.csv", n_rows=3)
    second = _take(bench, "second")
    expected = ["2020-01-10", "2020-01-11", "2020-01-12", absurd[:10]]
    assert sorted(day[:10] for day in _days(second)) == expected


def test_rows_that_are_all_of_the_future_count_for_nothing_yet(bench: Bench):
    _deliver(bench, "2100-01-01", "a.csv")
    first = _accept(bench, _take(bench, "first"))
    assert _take(bench, "second") == first


def test_rows_that_were_taken_by_another_timestamp_count_for_nothing(bench: Bench):
    frame = small_frame(10, start="2020-01-01")
    bench.deliver(frame.assign(seen=frame["day"] + pd.Timedelta(days=100)), "a.csv")
    _accept(bench, _take(bench, "first"))
    assert _take(bench, "second", _since(bench, timestamp="seen")).n_rows == 10
    _accept(bench, _take(bench, "second", _since(bench, timestamp="seen")))
    with pytest.raises(NothingNewError):
        _take(bench, "third", _since(bench, timestamp="seen"))


def test_rows_without_a_timestamp_are_taken_each_time_so_that_a_new_one_is_seen(bench: Bench):
    frame = small_frame(10, start="2020-01-01").astype({"day": str})
    frame.loc[3, "day"] = None
    bench.deliver(frame, "a.csv")
    lenient = ValidationSpec(expectations=[NOT_NULL], policy={"rules": {"timestamp_null": "PROCEED"}})
    first = _take(bench, "first")
    assert validate_dataset(first, lenient, platform=bench.platform, run=run_named("first")).verdict is Verdict.PROCEED
    bench.deliver(frame.assign(day=["2020-02-01", *[None] * 9]), "b.csv")
    second = _take(bench, "second")
    assert (second.n_rows, _days(second).count("None")) == (11, 10)
    strict = ValidationSpec(expectations=[NOT_NULL])
    assert validate_dataset(second, strict, platform=bench.platform, run=run_named("second")).verdict is Verdict.HALT


def test_a_window_without_a_row_is_another_error_than_nothing_new(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    data = DatasetSpec(path=str(bench.inbox), timestamp="day", window_start="2021-01-01")
    with pytest.raises(NoRowsError) as caught:
        _take(bench, "first", data)
    assert not isinstance(caught.value, NothingNewError)


def test_the_note_of_a_window_says_what_was_resolved_and_for_whom(bench: Bench):
    _deliver(bench, "2020-01-01", "a.csv")
    _accept(bench, _take(bench, "first"))
    _deliver(bench, "2020-01-11", "b.csv")
    _take(bench, "second", now=NOON)
    folder = bench.platform.storage.path("windows", "small")
    notes = [bench.platform.storage.read_json("windows", "small", path.name) for path in Path(folder).iterdir()]
    (note,) = [note for note in notes if note["resolved_for"] == "small second"]
    assert (note["since"], note["start"]) == ("2020-01-10T00:00:00Z", "2020-01-10T00:00:00.000001Z")
    assert (note["end"], note["resolved_at"]) == (None, "2020-01-09T12:00:00Z")
