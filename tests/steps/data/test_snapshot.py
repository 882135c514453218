from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from airflow_mlops._version import __version__
from airflow_mlops.adapters.arrow import check_rows
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.errors import DataError, IntegrityError
from airflow_mlops.specs import DatasetSpec, SplitSpec
from airflow_mlops.steps.data.snapshot import (
    check_snapshot,
    list_snapshots,
    load_profile,
    load_snapshot,
    note_verdict,
    snapshot_dataset,
    store_rows,
)
from airflow_mlops.steps.data.snapshot_notes import accepted_marks
from airflow_mlops.steps.splitting.split import split_dataset
from tests.steps.cases import run_named, small_frame


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def _deliver(inbox: Path, start: str, name: str, n_rows: int = 10) -> None:
    small_frame(n_rows, start=start).to_csv(inbox / name, index=False)


def _take(inbox: Path, storage: Storage, run_id: str) -> DatasetSnapshot:
    return snapshot_dataset(
        DatasetSpec(path=str(inbox), timestamp="day"), dataset="small", storage=storage, run=run_named(run_id)
    )


def test_a_manifest_says_where_the_rows_come_from_who_took_them_and_when(inbox, storage):
    _deliver(inbox, "2020-01-01", "a.csv")
    data = DatasetSpec(path=str(inbox), timestamp="day", window_start="2020-01-03")
    taken = snapshot_dataset(data, dataset="small", storage=storage, run=run_named("nightly"))
    stored = load_snapshot(storage, "small", taken.digest)
    assert stored == taken
    assert (stored.n_rows, stored.created_by, stored.created_in) == (8, "ada", "small nightly")
    assert stored.package_version == __version__
    assert stored.source["window"] == ["2020-01-03T00:00:00+00:00", None]
    assert stored.source["path"] == str(inbox)
    assert stored.window_start == datetime.fromisoformat("2020-01-03")


def test_a_profile_of_all_rows_is_stored_with_the_snapshot(inbox, storage):
    _deliver(inbox, "2020-01-01", "a.csv", n_rows=300)
    taken = _take(inbox, storage, "first")
    profile = load_profile(storage, "small", taken.digest)
    columns = {column.name: column for column in profile.columns}
    frame = small_frame(300)
    assert (profile.n_rows, set(columns)) == (300, {"day", "x", "y"})
    assert columns["x"].mean == pytest.approx(frame["x"].mean())
    assert columns["x"].minimum == frame["x"].min()
    assert columns["day"].is_ordered


def test_a_snapshot_that_is_pruned_while_they_are_listed_is_left_out_and_a_damaged_one_is_not(inbox, storage):
    class Late(Storage):
        def names(self, *parts: str) -> list[str]:
            return [*super().names(*parts), "pruned since"]

    _deliver(inbox, "2020-01-01", "a.csv")
    taken = _take(inbox, storage, "first")
    assert list_snapshots(Late(str(storage.root)), "small") == [taken]
    (Path(taken.uri) / "manifest.json").unlink()
    with pytest.raises(IntegrityError, match=r"manifest.json is missing"):
        list_snapshots(storage, "small")


def test_a_trailing_window_is_counted_from_the_moment_that_is_given(inbox, storage):
    _deliver(inbox, "2020-01-01", "a.csv")
    data = DatasetSpec(path=str(inbox), timestamp="day", trailing="P3D")
    taken = snapshot_dataset(data, dataset="small", storage=storage, now=datetime(2020, 1, 9, tzinfo=UTC))
    assert (taken.n_rows, taken.source["window"][1]) == (3, "2020-01-09T00:00:00+00:00")


def test_a_file_of_a_snapshot_is_checked_by_its_bytes_and_without_their_digest_by_its_rows(inbox, storage):
    from dataclasses import replace

    _deliver(inbox, "2020-01-01", "a.csv")
    taken = _take(inbox, storage, "first")
    check_snapshot(taken)
    check_rows(taken.data_uri, taken.digest)
    check_snapshot(replace(taken, file_digest=""))
    with Path(taken.data_uri).open("ab") as file:
        file.write(b"x")
    for vouched in (taken, replace(taken, file_digest="")):
        with pytest.raises(IntegrityError):
            check_snapshot(vouched)


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"x"), lambda file: file.write_bytes(b"")])
def test_a_snapshot_whose_file_was_harmed_is_made_anew_with_what_was_noted_of_it(inbox, storage, harm):
    _deliver(inbox, "2020-01-01", "a.csv")
    taken = _take(inbox, storage, "first")
    note_verdict(storage, taken, is_accepted=True, report_uri="reports/1.html")
    harm(Path(taken.data_uri))
    assert _take(inbox, storage, "second") == taken
    check_snapshot(taken)
    assert list(accepted_marks(storage, "small")) == ["day"]


def test_a_time_in_nanoseconds_with_a_zone_is_cut_split_and_counted_as_any_other(inbox, storage):
    frame = small_frame(10, start="2026-01-01")
    frame.assign(day=frame["day"].dt.tz_localize("UTC").dt.as_unit("ns")).to_parquet(inbox / "a.parquet")
    data = DatasetSpec(path=str(inbox), timestamp="day", window_start="2026-01-05", window_end="2026-01-08")
    taken = snapshot_dataset(data, dataset="small", storage=storage)
    assert (taken.n_rows, taken.window_end) == (3, datetime.fromisoformat("2026-01-07"))
    parts = split_dataset(taken, data, SplitSpec(test_fraction=0.3), storage=storage)
    assert parts.train.n_rows == 2


def test_rows_that_were_made_of_a_snapshot_are_kept_as_one(inbox, storage):
    rows = pa.Table.from_pandas(pd.DataFrame({"day": pd.to_datetime(["2020-01-02", "2020-01-01"]), "x": [1.0, 2.0]}))
    kept = store_rows(
        rows.to_reader(), dataset="small", storage=storage, timestamp="day", source={"rest_of": "d"}, run=run_named("r")
    )
    assert load_snapshot(storage, "small", kept.digest) == kept
    assert (kept.n_rows, kept.source, kept.window_end) == (2, {"rest_of": "d"}, datetime.fromisoformat("2020-01-02"))
    with pytest.raises(DataError, match="no row is left to keep"):
        store_rows(rows.slice(0, 0).to_reader(), dataset="small", storage=storage, source={}, run=None)
    assert list_snapshots(storage, "small") == [kept]
