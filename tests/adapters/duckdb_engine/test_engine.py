from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.duckdb_engine import (
    examples_that_are_not,
    feature_rows,
    time_range,
)
from airflow_mlops.adapters.duckdb_engine._engine import connect, stored
from airflow_mlops.errors import DataError, IntegrityError, UnavailableError
from airflow_mlops.specs import DatasetSpec


def _features(parquet: str, query: str | None, timestamp: str | None = None) -> list[dict[str, Any]]:
    with feature_rows(parquet, DatasetSpec(path="x", features=query, timestamp=timestamp)) as reader:
        return reader.read_all().to_pylist()


def _parquet(tmp_path: Path, columns: dict[str, Any]) -> str:
    pq.write_table(pa.table(columns), tmp_path / "snapshot.parquet")
    return str(tmp_path / "snapshot.parquet")


def test_examples_are_few_short_and_different(tmp_path):
    parquet = _parquet(tmp_path, {"v": ["x" * 200, "b", "b", "c", "d", None, "1"]})
    assert examples_that_are_not(parquet, "v", "double") == ("b", "c", "d")
    assert [len(text) for text in examples_that_are_not(parquet, "v", "double", limit=9)] == [1, 1, 1, 80]


def test_examples_that_are_no_timestamps_are_found(tmp_path):
    parquet = _parquet(tmp_path, {"at": ["2026-01-01", "yesterday", "2026-01-01 10:00:00", None]})
    assert examples_that_are_not(parquet, "at", "timestamp[us]") == ("yesterday",)
    assert examples_that_are_not(parquet, "at", "date32[day]") == ("yesterday",)


def test_without_a_query_the_features_are_the_rows_of_the_snapshot_in_their_order(tmp_path):
    parquet = _parquet(tmp_path, {"n": [3, 1, 2]})
    assert _features(parquet, None) == [{"n": 3}, {"n": 1}, {"n": 2}]


def test_feature_rows_come_in_the_same_order_however_the_query_gives_them(tmp_path):
    parquet = _parquet(
        tmp_path,
        {"z": [1, 2, 1, 3], "at": [date(2026, 1, 2), date(2026, 1, 1), date(2026, 1, 2), None], "a": [9, 8, 7, 6]},
    )
    orders = ("", "ORDER BY a", "ORDER BY a DESC", "ORDER BY random()")
    found = [_features(parquet, f"SELECT * FROM dataset {order}", "at") for order in orders]
    assert [row["a"] for row in found[0]] == [8, 7, 9, 6]
    assert all(rows == found[0] for rows in found)


def test_a_query_makes_lags_and_may_end_with_a_semicolon_or_a_comment(tmp_path):
    parquet = _parquet(tmp_path, {"n": [1, 2]})
    query = "SELECT n, lag(n) OVER (ORDER BY n) AS before FROM dataset"
    expected = [{"n": 1, "before": None}, {"n": 2, "before": 1}]
    for end in ("", ";", " ;\n", "\n-- the last line"):
        assert _features(parquet, query + end) == expected


@pytest.mark.parametrize(
    "query", ["SELECT nope FROM dataset", "SELEC", "SELECT * FROM other", "SELECT 'x'::INT FROM dataset"]
)
def test_a_query_that_fails_is_named_as_what_the_user_wrote(tmp_path, query):
    with pytest.raises(DataError, match=r"data\.features can't be read: "):
        _features(_parquet(tmp_path, {"n": [1]}), query)


def test_features_have_to_keep_the_timestamp(tmp_path):
    parquet = _parquet(tmp_path, {"n": [1], "at": [date(2026, 1, 1)]})
    with pytest.raises(DataError, match=r"data\.features: the timestamp column 'at' is not in the data. Columns: 'n'"):
        _features(parquet, "SELECT n FROM dataset", "at")


def test_the_time_range_leaves_out_what_is_no_timestamp(tmp_path):
    parquet = _parquet(tmp_path, {"at": ["2026-01-02", "soon", None, "2026-01-01 10:00:00"], "n": ["x", None, "", "y"]})
    assert time_range(parquet, "at") == (
        datetime.fromisoformat("2026-01-01T10:00"),
        datetime.fromisoformat("2026-01-02"),
    )
    assert time_range(parquet, "n") == (None, None)


def test_a_snapshot_that_is_gone_is_lost_and_no_bad_data(tmp_path):
    with pytest.raises(UnavailableError, match=r"(?s)The snapshot .* can't be read now: .*nothing about the data"):
        time_range(str(tmp_path / "gone.parquet"), "at")


def _fails(parquet: str, query: str, timestamp: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        _features(parquet, query, timestamp)
    return str(caught.value)


@pytest.mark.parametrize("query", ["SELECT nope FROM dataset", "SELEC 1", "SELECT n::INT FROM dataset"])
def test_a_query_that_fails_is_shown_as_it_was_written_with_what_to_do(tmp_path, query):
    message = _fails(_parquet(tmp_path, {"n": ["x"]}), query)
    assert "read_parquet" not in message
    assert "COLUMNS" not in message
    assert message.endswith("\nNothing was split. Fix the query, which reads the table dataset.")


@pytest.mark.parametrize("query", ["SELECT n, n FROM dataset", "SELECT n, n AS N FROM dataset"])
def test_a_query_that_gives_a_name_twice_is_refused(tmp_path, query):
    assert "data.features gives columns of the same name: " in _fails(_parquet(tmp_path, {"n": [1]}), query)


@pytest.mark.parametrize("query", ["SELECT 1 AS n; SELECT 2 AS n", "CREATE TABLE t AS SELECT 1 AS n", "-- nothing"])
def test_features_are_a_single_select(tmp_path, query):
    assert "a single SELECT over the table dataset is required" in _fails(_parquet(tmp_path, {"n": [1]}), query)


def _sum_of_a_snapshot_damaged_at(tmp_path: Path, first: int, length: int) -> None:
    parquet = Path(_parquet(tmp_path, {"n": list(range(50_000)), "s": [f"v{i % 97}" for i in range(50_000)]}))
    content = bytearray(parquet.read_bytes())
    place = first % len(content)
    content[place : place + length] = random.Random(first).randbytes(length)
    parquet.write_bytes(content)
    with connect("The snapshot") as engine:
        engine.execute(f"SELECT sum(n), min(s) FROM {stored(str(parquet))}").fetchall()


@pytest.mark.parametrize(("first", "length"), [(4, 56), (4, 8), (1_000, 40), (-400, 100), (-8, 4), (-4, 4), (-40, 32)])
def test_a_snapshot_that_is_damaged_is_told_from_bad_data_and_from_an_outage(tmp_path, first, length):
    with pytest.raises(IntegrityError, match="a file is damaged: "):
        _sum_of_a_snapshot_damaged_at(tmp_path, first, length)


def test_a_damage_that_shows_while_the_rows_are_streamed_is_one_too(tmp_path):
    n = 400_000
    parquet = Path(_parquet(tmp_path, {"n": list(range(n))}))
    content = bytearray(parquet.read_bytes())
    half = len(content) // 2
    content[half : half + 200_000] = random.Random(1).randbytes(200_000)
    parquet.write_bytes(content)
    with pytest.raises(IntegrityError, match="a file is damaged: "):
        _features(str(parquet), None)


SPILLING = """
import resource, signal, sys
from airflow_mlops.adapters.duckdb_engine import _engine
from airflow_mlops.errors import UnavailableError

_engine._MEMORY_LIMIT = "60MB"
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # no file may grow larger, as on a full disk
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
query = "SELECT md5(i::VARCHAR) AS h, md5((i + 1)::VARCHAR) AS g FROM range(3_000_000) r(i) ORDER BY h"
try:
    with _engine.stream(query, subject="data.features") as rows:
        for _ in rows:
            pass
except UnavailableError as error:
    sys.exit(0 if "That says nothing about the data" in str(error) else 3)
sys.exit(4)
"""


def test_a_disk_that_is_full_is_no_bad_data():
    ran = subprocess.run([sys.executable, "-c", SPILLING], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_folder_for_temporary_files_that_is_gone_is_no_bad_data(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(UnavailableError, match="data can't be read now"), connect("The data"):
        pass


def test_an_error_of_whoever_uses_the_connection_is_theirs():
    for error in (OSError(28, "No space left on device"), OSError("of the user's own"), ValueError("x")):
        with pytest.raises(type(error)) as caught, connect("The data"):
            raise error
        assert caught.value is error
