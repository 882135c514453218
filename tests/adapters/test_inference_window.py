from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa

from airflow_mlops.adapters.inference_log import InferenceLog
from airflow_mlops.adapters.inference_window import count_new_rows, files_of_window

AT = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


def test_the_files_of_a_window_are_those_of_its_days_in_utc(tmp_path):
    log = InferenceLog(tmp_path)
    paths = [str(log.write(pa.table({"x": [1]}), at=AT + timedelta(days=day))) for day in range(4)]
    (tmp_path / "date=2026-02-01" / ".half.parquet").write_text("")
    east = timezone(timedelta(hours=2))
    start = datetime(2026, 2, 1, 1, 45, tzinfo=east)  # still January in UTC
    assert files_of_window(tmp_path, start, AT + timedelta(days=2)) == tuple(paths[:3])
    assert files_of_window(tmp_path / "nobody", start, AT) == ()


def test_only_files_that_are_new_and_whole_are_counted(tmp_path):
    log = InferenceLog(tmp_path)
    old, new, broken = (log.write(pa.table({"x": [1] * n}), at=AT) for n in (5, 7, 9))
    os.utime(old, (100.0, 100.0))
    broken.write_bytes(b"half")
    files = (str(old), str(new), str(broken), str(tmp_path / "gone.parquet"))
    assert count_new_rows(files, since=100.0) == 7
    assert count_new_rows(files, since=99.0) == 12
