from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.adapters.storage.inference_window import count_new_rows, files_of_window
from airflow_mlops.core.scoring.inference_log import InferenceColumn, Role
from airflow_mlops.errors import UnavailableError

AT = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
FEATURES = pa.table({"age": [31, 52], "name": ["Ada", "Bo"]})


def rows(*, features=FEATURES, **settings):
    known = {"ids": ["a", "b"], "request_id": "r1", "at": AT, "model_version": 3, "model_digest": "sha256:d"}
    return log_table(features, **{**known, "role": Role.CHAMPION, "predictions": [0.5, 0.7], **settings})


def test_a_row_of_the_log_holds_its_own_columns_and_then_the_features():
    table = rows(latency_ms=1.5)
    assert table.column_names == [*InferenceColumn, "age", "name"]
    assert table.to_pylist()[1] == {
        "mlops_id": "b",
        "mlops_request_id": "r1",
        "mlops_at": AT,
        "mlops_model_version": 3,
        "mlops_model_digest": "sha256:d",
        "mlops_role": "champion",
        "mlops_prediction": 0.7,
        "mlops_score": None,
        "mlops_latency_ms": 1.5,
        "mlops_error": None,
        "age": 52,
        "name": "Bo",
    }


def test_a_failed_request_has_no_prediction_and_says_why():
    row = rows(predictions=None, error="the column 'age' is missing").to_pylist()[0]
    assert (row["mlops_prediction"], row["mlops_error"]) == (None, "the column 'age' is missing")


def test_a_redacted_column_keeps_its_type_and_no_value():
    table = rows(redact=("name",))
    assert table.column("name").to_pylist() == [None, None]
    assert table.schema.field("name").type == pa.string()


def test_a_file_lies_in_the_day_of_its_rows_in_utc(tmp_path):
    late = datetime(2026, 2, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    path = InferenceLog(tmp_path, writer="w").write(rows(), at=late)
    assert path == tmp_path / "date=2026-01-31" / "w-000001.parquet"


def test_a_file_gives_back_values_and_types(tmp_path):
    features = pa.table(
        {
            "short": pa.array([0.5, None], pa.float32()),
            "half": pa.array([0.5, 2], pa.float16()),
            "zone": pa.array([AT, None], pa.timestamp("ns", "Europe/Berlin")),
            "kind": pa.array(["a", None]).dictionary_encode(),
            "nothing": pa.nulls(2),
            "nested": pa.array([{"x": 0.5}, None]),
        }
    )
    table = rows(features=features, latency_ms=1.5)
    path = InferenceLog(tmp_path).write(table, at=AT)
    kept = pq.read_table(path, partitioning=None)
    assert kept.to_pylist() == table.to_pylist()
    assert kept.select(features.column_names).schema == features.schema
    own = kept.schema.field(InferenceColumn.MODEL_DIGEST), kept.schema.field(InferenceColumn.ROLE)
    assert [column.type for column in own] == [pa.string(), pa.string()]
    assert duckdb.read_parquet(str(path)).fetchall()[1][:2] == ("b", "r1")


def test_files_of_one_request_and_of_several_are_read_together(tmp_path):
    log = InferenceLog(tmp_path, writer="w")
    log.write(rows(), at=AT)
    log.write(rows(request_id=["r2", "r3"]), at=AT)
    found = ds.dataset(tmp_path, partitioning="hive").to_table()
    assert found["mlops_request_id"].to_pylist() == ["r1", "r1", "r2", "r3"]


def test_a_writer_of_the_same_name_replaces_what_it_wrote_before(tmp_path):
    for _ in range(2):
        InferenceLog(tmp_path, writer="batch-1").write(rows(), at=AT)
    assert ds.dataset(tmp_path, partitioning="hive").count_rows() == 2
    for _ in range(2):
        InferenceLog(tmp_path).write(rows(), at=AT)
    assert ds.dataset(tmp_path, partitioning="hive").count_rows() == 6


def test_the_oldest_files_go_when_the_log_is_too_large_and_the_newest_stays(tmp_path):
    log = InferenceLog(tmp_path, writer="w")
    sizes = [log.write(rows(), at=AT + timedelta(days=day)).stat().st_size for day in (0, 1, 1)]
    assert log.trim(sum(sizes)) == []
    assert log.trim(sum(sizes) - 1) == ["date=2026-01-31/w-000001.parquet"]
    assert log.trim(1) == ["date=2026-02-01/w-000002.parquet"]
    assert log.trim(1) == []
    assert os.listdir(tmp_path) == ["date=2026-02-01"]


def test_rows_of_several_requests_keep_what_is_theirs():
    table = rows(request_id=["r1", "r2"], at=[AT, AT + timedelta(seconds=1)], latency_ms=[1.5, None])
    assert table.column("mlops_request_id").to_pylist() == ["r1", "r2"]
    assert table.column("mlops_at").to_pylist() == [AT, AT + timedelta(seconds=1)]
    assert table.column("mlops_latency_ms").to_pylist() == [1.5, None]


def test_a_storage_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "log").write_text("no folder")
    with pytest.raises(UnavailableError, match=r"The inference log at .* can't be written"):
        InferenceLog(tmp_path / "log").write(rows(), at=AT)
    assert os.listdir(tmp_path) == ["log"]


def test_a_log_takes_in_another_one_file_by_file_and_does_so_once(tmp_path):
    staged, log = InferenceLog(tmp_path / "staged", writer="batch"), InferenceLog(tmp_path / "log")
    for _ in range(2):
        staged.write(rows(), at=AT)
    assert log.adopt(staged.folder) == 2
    assert log.adopt(staged.folder) == 0
    assert log.adopt(tmp_path / "nowhere") == 0
    assert ds.dataset(log.folder, partitioning="hive").count_rows() == 4


def test_what_is_moved_into_a_log_counts_as_written_then(tmp_path):
    log, staged = InferenceLog(tmp_path / "log"), InferenceLog(tmp_path / "staged")
    os.utime(staged.write(rows(), at=AT), (100.0, 100.0))
    last_look = time.time() - 1  # clocks of file systems are coarse
    log.adopt(staged.folder)
    assert count_new_rows(files_of_window(log.folder), since=last_look) == 2


def test_a_log_that_can_not_be_written_leaves_the_other_where_it_is(tmp_path):
    staged = InferenceLog(tmp_path / "staged")
    path = staged.write(rows(), at=AT)
    (tmp_path / "log").write_text("no folder")
    with pytest.raises(UnavailableError, match=r"The inference log at .* can't be written"):
        InferenceLog(tmp_path / "log").adopt(staged.folder)
    assert path.exists()
