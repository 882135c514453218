from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.storage.inference_log import InferenceLog
from airflow_mlops.adapters.storage.inference_window import count_new_rows, files_of_window
from airflow_mlops.errors import UnavailableError

AT = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


def test_the_files_of_a_window_are_those_of_its_days_in_utc(tmp_path):
    log = InferenceLog(tmp_path)
    paths = [str(log.write(pa.table({"x": [1]}), at=AT + timedelta(days=day))) for day in range(4)]
    (tmp_path / "date=2026-02-01" / ".half.parquet").write_text("")
    east = timezone(timedelta(hours=2))
    start = datetime(2026, 2, 1, 1, 45, tzinfo=east)  # still January in UTC
    assert files_of_window(tmp_path, start, AT + timedelta(days=2)) == tuple(paths[:3])
    assert files_of_window(tmp_path, AT + timedelta(days=3)) == tuple(paths[3:])
    assert files_of_window(tmp_path, end=AT) == tuple(paths[:1])
    assert files_of_window(tmp_path) == tuple(paths)
    assert files_of_window(tmp_path / "nobody", start, AT) == ()


def test_a_log_that_can_not_be_listed_is_not_an_empty_one(tmp_path):
    (tmp_path / "log").write_text("no folder")
    with pytest.raises(UnavailableError, match=r"log can't be used: Not a directory.*then retry"):
        files_of_window(tmp_path / "log")


def test_only_files_that_are_new_and_whole_are_counted(tmp_path):
    log = InferenceLog(tmp_path)
    old, new, broken = (log.write(pa.table({"x": [1] * n}), at=AT) for n in (5, 7, 9))
    os.utime(old, (100.0, 100.0))
    broken.write_bytes(b"half")
    files = (str(old), str(new), str(broken), str(tmp_path / "gone.parquet"))
    assert count_new_rows(files, since=100.0) == 7
    assert count_new_rows(files, since=99.0) == 12


WIDE = pa.table({f"column {n}": [n] for n in range(40)})
NESTED = pa.table({"deep": [[{"a": 1.5, "b": [True, False]}]], "at": [AT], "text": ["x" * 300], "no": pa.nulls(1)})


@pytest.mark.parametrize("version", ["1.0", "2.4", "2.6"])
@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 8192, 300_000])
@pytest.mark.parametrize("row", [pa.table({"x": [1]}), WIDE, NESTED], ids=["narrow", "wide", "nested"])
def test_as_many_rows_are_counted_as_arrow_finds(tmp_path, row: pa.Table, n_rows: int, version: str):
    path = tmp_path / "a.parquet"
    table = row.take(pa.array([0] * min(n_rows, 9000), pa.int64()))
    with pq.ParquetWriter(path, table.schema, version=version, store_schema=n_rows % 2 == 0) as writer:
        for start in range(0, n_rows, 9000):
            writer.write_table(table.slice(0, min(9000, n_rows - start)))
    assert pq.read_metadata(path).num_rows == n_rows
    assert count_new_rows((str(path),), since=0.0) == n_rows


@pytest.mark.parametrize(
    "end", [b"", b"PAR1", b"\x00\x00\x00\x00PAR1", b"\xff\xff\xff\x7fPAR1", b"\x19\xfc\x02\x00\x00\x00PAR1"]
)
def test_what_only_ends_like_a_parquet_file_has_no_row(tmp_path, end: bytes):
    path = tmp_path / "a.parquet"
    path.write_bytes(end)
    assert count_new_rows((str(path),), since=0.0) == 0


def test_the_footer_of_a_file_that_is_known_is_not_read_again_unless_the_file_is_another_one(tmp_path):
    path = InferenceLog(tmp_path).write(pa.table({"x": [1] * 5}), at=AT)
    known = {str(path): (path.stat().st_mtime, 500)}
    assert count_new_rows((str(path),), since=0.0, known=known) == 500
    os.utime(path, (5.0, 5.0))
    assert count_new_rows((str(path),), since=0.0, known=known) == 5
    assert known == {str(path): (5.0, 5)}
    assert count_new_rows((), since=0.0, known=known) == 0
    assert known == {}
