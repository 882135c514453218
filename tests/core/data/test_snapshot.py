from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.data.snapshot import Window, arrived_files, resolve_window
from airflow_mlops.errors import DataError, SpecError
from airflow_mlops.specs.data import DatasetSpec
from tests.core.value_cases import SNAPSHOT


def test_a_file_counts_once_it_has_not_changed_between_two_looks():
    assert arrived_files(now={"a": "1"}, before={}, handled={}) == ()
    assert arrived_files(now={"a": "2"}, before={"a": "1"}, handled={}) == ()
    assert arrived_files(now={"a": "2"}, before={"a": "2"}, handled={}) == ("a",)


def test_a_file_that_was_handled_counts_again_only_when_it_changed():
    assert arrived_files(now={"a": "1"}, before={"a": "1"}, handled={"a": "1"}) == ()
    assert arrived_files(now={"a": "2"}, before={"a": "2"}, handled={"a": "1"}) == ("a",)


def test_a_file_that_was_taken_away_does_not_count():
    assert arrived_files(now={}, before={"a": "1"}, handled={}) == ()


@given(st.dictionaries(st.text(), st.text()))
def test_whoever_handles_what_arrived_is_told_of_nothing_the_next_time(stamps):
    arrived = arrived_files(now=stamps, before=stamps, handled={})
    assert arrived == tuple(sorted(stamps))
    assert arrived_files(now=stamps, before=stamps, handled={name: stamps[name] for name in arrived}) == ()


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JANUARY, FEBRUARY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("settings", "since", "window"),
    [
        ({}, None, Window()),
        ({"window_start": "2026-01-01"}, None, Window(start=JANUARY)),
        (
            {"window_start": "2026-01-01T01:00:00+01:00", "window_end": FEBRUARY},
            None,
            Window(start=JANUARY, end=FEBRUARY),
        ),
        ({"trailing": "P1D"}, None, Window(start=NOW - timedelta(days=1), end=NOW)),
        ({"trailing": "P31D", "window_end": "2026-02-01"}, None, Window(start=JANUARY, end=FEBRUARY)),
        ({"since_last_snapshot": True}, None, Window()),
        ({"since_last_snapshot": True}, JANUARY, Window(start=JANUARY + timedelta(microseconds=1))),
        (
            {"since_last_snapshot": True},
            JANUARY.replace(tzinfo=None),
            Window(start=JANUARY + timedelta(microseconds=1)),
        ),
        ({"window_end": FEBRUARY}, JANUARY, Window(end=FEBRUARY)),
    ],
)
def test_a_window_is_what_the_spec_means_at_this_moment(settings, since, window):
    assert resolve_window(DatasetSpec(path="x", timestamp="at", **settings), now=NOW, since=since) == window


def test_windows_that_follow_one_another_share_no_moment_and_leave_out_none():
    latest = datetime(2026, 1, 1, 10, 0, 0, 5, tzinfo=UTC)
    spec = DatasetSpec(path="x", timestamp="at", since_last_snapshot=True)
    start = resolve_window(spec, now=NOW, since=latest).start
    assert start is not None
    assert start - latest == timedelta.resolution


def test_a_window_says_what_it_is():
    assert str(Window(start=JANUARY)) == "from 2026-01-01 00:00:00 UTC on"
    assert str(Window(end=JANUARY)) == "before 2026-01-01 00:00:00 UTC"
    february = JANUARY.replace(month=2)
    assert str(Window(start=JANUARY, end=february)) == (
        "from 2026-01-01 00:00:00 UTC until before 2026-02-01 00:00:00 UTC"
    )
    assert Window().is_open
    assert not Window(end=NOW).is_open


def test_a_trailing_window_from_before_the_calendar_is_the_specs_fault():
    data = DatasetSpec(path="x", timestamp="t", trailing="P1000000D")
    with pytest.raises(SpecError, match=r"outside of the years 1 to 9999 in UTC\. Nothing was read"):
        resolve_window(data, now=NOW)


@pytest.mark.parametrize("zone", [None, UTC])
def test_after_the_last_moment_that_there_is_nothing_is_later(zone):
    data = DatasetSpec(path="x", timestamp="t", since_last_snapshot=True)
    with pytest.raises(DataError, match=r"hold the timestamp 9999-12-31 .*the last one that there is"):
        resolve_window(data, now=NOW, since=datetime.max.replace(tzinfo=zone))


def test_the_rows_of_a_snapshot_are_beside_what_is_known_of_them():
    assert SNAPSHOT.data_uri == "/store/snapshots/co2/1/data.parquet"
