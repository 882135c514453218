"""Point-in-time correctness: a row knows what was known at its timestamp, and nothing later."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops.adapters.duckdb_engine.joins.point_in_time import FeatureFile, rows_with_features
from airflow_mlops.errors import DataError
from airflow_mlops.specs.data import FeatureTable

NOON = datetime.fromisoformat("2026-01-01T12:00")
HOUR = timedelta(hours=1)


def _table(**settings: Any) -> FeatureTable:
    source = {"path": "unused", "timestamp": "at", **settings.pop("source", {})}
    return FeatureTable(**{"name": "w", "source": source, "key": ("k",), "prefix": "", **settings})


def _joined(rows: Any, features: Any, table: FeatureTable | None = None, more: Sequence[Any] = ()) -> pa.Table:
    """Join Arrow tables as the engine does it with Parquet files."""
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(rows, f"{folder}/rows.parquet")
        files = []
        for place, (spec, content) in enumerate([(table or _table(), features), *more]):
            pq.write_table(content, f"{folder}/{place}.parquet")
            files.append(FeatureFile(table=spec, parquet=f"{folder}/{place}.parquet"))
        with rows_with_features(f"{folder}/rows.parquet", "t", files) as reader:
            return reader.read_all()


def _rows(*moments: datetime | None, keys: Sequence[str | None] | None = None) -> pa.Table:
    return pa.table(
        {"k": pa.array(keys or ["a"] * len(moments), pa.string()), "t": pa.array(moments, pa.timestamp("us"))}
    )


def _features(values: dict[datetime, float]) -> pa.Table:
    return pa.table({"k": ["a"] * len(values), "at": pa.array(values, pa.timestamp("us")), "v": list(values.values())})


def test_a_row_gets_the_latest_value_of_its_moment_and_never_a_later_one():
    rows = _rows(NOON - HOUR, NOON, NOON + HOUR / 2, NOON + HOUR, NOON + 9 * HOUR)
    found = _joined(rows, _features({NOON + HOUR: 2.0, NOON: 1.0}))
    assert found["v"].to_pylist() == [None, 1.0, 1.0, 2.0, 2.0]


def test_a_value_is_known_exactly_at_its_moment_and_not_a_microsecond_before():
    tick = timedelta(microseconds=1)
    found = _joined(_rows(NOON - tick, NOON, NOON + tick), _features({NOON: 1.0}))
    assert found["v"].to_pylist() == [None, 1.0, 1.0]


def test_a_value_is_not_known_a_nanosecond_before_its_moment():
    moments = pa.array([1_000_000_000_000_000_100, 1_000_000_000_000_000_200], pa.timestamp("ns"))
    features = pa.table({"k": ["a"], "at": moments[1:], "v": [1.0]})
    assert _joined(pa.table({"k": ["a", "a"], "t": moments}), features)["v"].to_pylist() == [None, 1.0]


def test_a_value_that_becomes_known_late_is_used_only_then():
    rows = _rows(NOON, NOON + 2 * HOUR - timedelta(microseconds=1), NOON + 2 * HOUR, NOON + 4 * HOUR)
    table = _table(available_after=2 * HOUR)
    found = _joined(rows, _features({NOON: 1.0, NOON + HOUR: 2.0}), table)
    assert found["v"].to_pylist() == [None, None, 1.0, 2.0]


def test_a_value_that_is_too_old_is_not_used_and_an_older_one_neither():
    rows = _rows(NOON + HOUR, NOON + HOUR + timedelta(microseconds=1), NOON + 9 * HOUR)
    found = _joined(rows, _features({NOON - HOUR: 1.0, NOON: 2.0}), _table(max_age=HOUR))
    assert found["v"].to_pylist() == [2.0, None, None]


def test_a_null_is_what_was_known_and_is_not_filled_with_an_older_value():
    found = _joined(_rows(NOON + HOUR), _features({NOON - HOUR: 1.0, NOON: None}))
    assert found["v"].to_pylist() == [None]


def test_time_zones_are_the_same_moments():
    zoned = pa.array([NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=UTC) + HOUR], pa.timestamp("us", "Europe/Berlin"))
    rows = pa.table({"k": ["a", "a"], "t": pa.array([NOON, NOON + HOUR / 2], pa.timestamp("us"))})
    found = _joined(rows, pa.table({"k": ["a", "a"], "at": zoned, "v": [1.0, 2.0]}))
    assert found["v"].to_pylist() == [1.0, 1.0]
    berlin = timezone(HOUR)
    rows = pa.table(
        {"k": ["a"], "t": pa.array([datetime(2026, 1, 1, 13, tzinfo=berlin)], pa.timestamp("us", "+01:00"))}
    )
    assert _joined(rows, _features({NOON: 1.0, NOON + HOUR: 2.0}))["v"].to_pylist() == [1.0]


def test_a_figure_that_is_dated_by_its_day_is_known_when_the_day_is_over():
    days = pa.table({"k": ["a", "a"], "at": [date(2026, 1, 1), date(2026, 1, 2)], "v": [1.0, 2.0]})
    rows = _rows(NOON, NOON + 12 * HOUR, NOON + 36 * HOUR)
    assert _joined(rows, days, _table(available_after=timedelta(days=1)))["v"].to_pylist() == [None, 1.0, 2.0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_every_unit_are_compared_as_moments(unit):
    features = pa.table({"k": ["a"], "at": pa.array([NOON], pa.timestamp(unit)), "v": [1.0]})
    assert _joined(_rows(NOON - HOUR, NOON), features)["v"].to_pylist() == [None, 1.0]


def test_rows_without_a_key_or_a_moment_get_nulls_and_stay():
    rows = _rows(NOON, None, NOON, keys=[None, "a", "a"])
    features = pa.table({"k": [None, "a"], "at": pa.array([NOON, NOON], pa.timestamp("us")), "v": [9.0, 1.0]})
    assert _joined(rows, features)["v"].to_pylist() == [None, None, 1.0]


def test_rows_keep_their_order_and_their_columns():
    rows = _rows(NOON + 3 * HOUR, NOON, NOON + HOUR, NOON).append_column("n", pa.array([3, 1, 2, 1]))
    found = _joined(rows, _features({NOON: 1.0, NOON + 2 * HOUR: 2.0}))
    assert found.column_names == ["k", "t", "n", "v"]
    assert found.select(rows.column_names).to_pylist() == rows.to_pylist()
    assert found["v"].to_pylist() == [2.0, 1.0, 1.0, 1.0]


def test_several_tables_are_joined_by_their_own_keys_and_clocks():
    rows = pa.table({"k": ["a", "b"], "shop": [1, 2], "t": pa.array([NOON, NOON], pa.timestamp("us"))})
    weather = _features({NOON: 1.0})
    prices = pa.table({"shop": [1, 2, 2], "at": [date(2025, 1, 1), date(2025, 1, 1), date(2026, 2, 1)], "v": [5, 6, 7]})
    index = pa.table({"at": [date(2025, 6, 1)], "v": [100]})
    by_shop, for_all = _table(name="prices", key=("shop",), prefix="p_"), _table(name="index", key=(), prefix=None)
    more = [(by_shop, prices), (for_all, index)]
    found = _joined(rows, weather, _table(name="weather", prefix=None), more)
    assert found.drop_columns(["t"]).to_pylist() == [
        {"k": "a", "shop": 1, "weather_v": 1.0, "p_v": 5, "index_v": 100},
        {"k": "b", "shop": 2, "weather_v": None, "p_v": 6, "index_v": 100},
    ]


def test_the_features_query_of_a_table_is_run_before_the_join():
    query = 'SELECT k, "at", 2 * v AS twice FROM dataset WHERE "at" IS NOT NULL -- only those'
    source = {"features": query}
    features = pa.table({"k": ["a", "a"], "at": pa.array([NOON, None], pa.timestamp("us")), "v": [1.0, 5.0]})
    assert _joined(_rows(NOON), features, _table(source=source))["twice"].to_pylist() == [2.0]


def test_names_with_quotes_are_names():
    rows = pa.table({'k "1"': ["a"], "t": pa.array([NOON], pa.timestamp("us"))})
    features = pa.table({'k "1"': ["a"], "at": pa.array([NOON], pa.timestamp("us")), "it's": [1.0]})
    assert _joined(rows, features, _table(key=('k "1"',)))["it's"].to_pylist() == [1.0]


@pytest.mark.parametrize(
    "column",
    ["bin", "n", "rows", "dataset", "features", "hash", "value", "position", "moment", "first", "d", "f", "f0", "row"],
)
def test_a_column_may_have_any_name_that_the_engine_has_a_use_for(column):
    moments = pa.array([NOON, NOON + HOUR], pa.timestamp("us"))
    rows = pa.table({column: ["a", "b"], "t": moments, "x": [1, 2]})
    features = pa.table({column: ["a", "b"], "at": moments, "v": [1.0, 2.0]})
    assert _joined(rows, features, _table(key=(column,)))["v"].to_pylist() == [1.0, 2.0]
    features = pa.table({"k": ["a"], "at": moments[:1], column: [1.0]})
    assert _joined(_rows(NOON), features)[column].to_pylist() == [1.0]
    rows = pa.table({"k": ["a"], "t": moments[:1], column: [7]})
    assert _joined(rows, _features({NOON: 1.0})).drop_columns("t").to_pylist() == [{"k": "a", column: 7, "v": 1.0}]


def test_two_values_of_one_key_and_moment_are_refused_with_examples():
    features = pa.table({"k": ["b", "a", "b"], "at": pa.array([NOON] * 3, pa.timestamp("us")), "v": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError) as caught:
        _joined(_rows(NOON), features)
    message = str(caught.value)
    assert message.startswith("Feature table 'w': several rows of one key ('k',) have the same 'at', one is required: ")
    assert "{'k': 'b', 'at': '2026-01-01 12:00:00', 'number of rows': 2}" in message
    assert "Nothing was joined." in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": ["z"]}, "no row of the dataset finds a value .* keys such as 'a'; the table has .* keys such as 'z'"),
        ({"at": pa.array([NOON + HOUR], pa.timestamp("us"))}, "no row of the dataset finds a value that was known"),
        ({"at": pa.array([None], pa.timestamp("us"))}, "'at' is null in 1 rows"),
        ({"at": ["2026-01-01"]}, "the timestamp column 'at' is VARCHAR, a date or a timestamp is required"),
        ({"k": [7]}, "the key 'k' is BIGINT, in the dataset it is VARCHAR"),
        ({"t": [1.0]}, "there is a column 't' already. Nothing was joined. Set another `prefix`"),
    ],
)
def test_a_table_that_can_not_be_joined_is_refused(change, words):
    features = {"k": ["a"], "at": pa.array([NOON], pa.timestamp("us")), "v": [1.0]} | change
    with pytest.raises(DataError, match=f"Feature table 'w': {words}"):
        _joined(_rows(NOON), pa.table(features))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"key": ("kk",)}, "The dataset: the key column 'kk' is not there.* Did you mean 'k'"),
        ({"columns": ("w",)}, "Feature table 'w': the feature column 'w' is not there"),
        ({"source": {"timestamp": "att"}}, "Feature table 'w': the timestamp column 'att' .* Did you mean 'at'"),
        (
            {"source": {"features": "SELECT nope FROM dataset"}},
            "(?s)(?!.*read_parquet)Feature table 'w' can't be read: .*nope",
        ),
    ],
)
def test_a_column_that_is_not_there_is_named_with_its_table(settings, words):
    with pytest.raises(DataError, match=words):
        _joined(_rows(NOON), _features({NOON: 1.0}), _table(**settings))


MOMENTS = st.integers(0, 12).map(lambda hours: NOON + hours * HOUR / 2)
KEYS = st.sampled_from(["a", "b", None])
ROWS = st.lists(st.tuples(KEYS, st.one_of(st.none(), MOMENTS)), min_size=1, max_size=12)
FEATURES = st.lists(st.tuples(KEYS, MOMENTS, st.one_of(st.none(), st.floats(-9, 9))), min_size=1, max_size=12)
AGES = st.one_of(st.none(), st.integers(4, 8).map(lambda hours: hours * HOUR / 2))
DELAYS = st.integers(0, 4).map(lambda hours: hours * HOUR / 2)


def _naive(row: Any, features: list[Any], max_age: timedelta | None, delay: timedelta) -> float | None:
    key, moment = row
    known = [] if key is None or moment is None else [f for f in features if f[0] == key and f[1] + delay <= moment]
    if not known:
        return None
    _, at, value = max(known, key=lambda feature: feature[1])
    return value if max_age is None or moment - at <= max_age else None


@settings(max_examples=80)
@given(rows=ROWS, features=FEATURES, max_age=AGES, delay=DELAYS)
def test_the_join_does_what_a_loop_over_all_values_does(rows, features, max_age, delay):
    features = list({(key, at): (key, at, value) for key, at, value in features if key}.values()) or [("a", NOON, 1.0)]
    expected = [_naive(row, features, max_age, delay) for row in rows]
    stamp = pa.timestamp("us")
    given_rows = pa.table(
        {"k": pa.array([k for k, _ in rows], pa.string()), "t": pa.array([t for _, t in rows], stamp)}
    )
    columns = list(zip(*features, strict=True))
    table = pa.table({"k": columns[0], "at": pa.array(columns[1], stamp), "v": pa.array(columns[2], pa.float64())})
    joining = {"max_age": max_age, "available_after": delay}
    if all(_naive(row, [(key, at, 1.0) for key, at, _ in features], None, delay) is None for row in rows):
        with pytest.raises(DataError, match="no row of the dataset finds a value"):
            _joined(given_rows, table, _table(**joining))
    else:
        assert _joined(given_rows, table, _table(**joining))["v"].to_pylist() == expected
