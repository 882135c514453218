from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_mlops import ContinuousTraining
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.errors import DataError, DataHaltedError, NoRowsError, SpecError, UnavailableError
from airflow_mlops.steps import Platform
from airflow_mlops.steps.registry.ledger import read_decisions
from tests.steps.cases import NOTHING_LEFT, Bench, left_by, runs_by_status, small_frame


def _refused(bench: Bench, error: type[Exception], spec: object = None, **options: object) -> str:
    """Run, and return the message that it was refused with, nothing having come of it."""
    with pytest.raises(error) as caught:
        bench.run("refused", spec, **options)
    assert type(caught.value) is error
    assert left_by(bench.platform) == NOTHING_LEFT
    assert "FINISHED" not in runs_by_status(bench.platform)
    return str(caught.value)


def _staged_files(bench: Bench) -> list[Path]:
    return list(bench.platform.storage.root.rglob("*.tmp")) if bench.platform.storage.root.exists() else []


def test_an_unknown_key_in_yaml_is_refused_with_file_path_and_a_guess(tmp_path: Path):
    file = tmp_path / "small.yaml"
    file.write_text(
        "model_name: small\n"
        "data: {path: inbox, timestmap: day}\n"
        "validation: {expectations: [{type: expect_column_to_exist, kwargs: {column: y}}]}\n"
        "training: {target: y, estimator: sklearn.linear_model.Ridge}\n"
        "gate: {metrics: {mean_absolute_error: {value_treshold: 1.0}}}\n"
    )
    with pytest.raises(SpecError) as caught:
        ContinuousTraining.from_yaml(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ContinuousTraining: 2 setting(s) can't be used.")
    assert "data.timestmap: unknown key. Did you mean 'timestamp'? Known: athena, conn_id, csv" in message
    assert "gate.metrics.mean_absolute_error.value_treshold: unknown key. Did you mean 'value_threshold'?" in message


def test_a_target_that_is_not_in_the_data_is_refused_with_a_guess(delivered: Bench):
    spec = delivered.spec(training={"target": "yy"})
    message = _refused(delivered, SpecError, spec)
    assert "training.target 'yy' is not in the data. Columns: 'day', 'x', 'y'. Did you mean 'y'?" in message


def test_a_feature_that_is_not_in_the_data_is_refused(delivered: Bench):
    message = _refused(delivered, SpecError, delivered.spec(training={"features": ("x", "z")}))
    assert "training.feature 'z' is not in the data. Columns: 'day', 'x', 'y'." in message


def test_a_hyperparameter_that_the_pipeline_does_not_have_is_refused(delivered: Bench):
    message = _refused(delivered, SpecError, params={"alhpa": 1.0})
    assert message.startswith("Hyperparameter 'alhpa' is not one of this pipeline's ('alpha'). Did you mean 'alpha'?")
    assert "Nothing was trained" in message


def test_a_timestamp_that_is_not_in_the_data_is_refused(delivered: Bench):
    message = _refused(delivered, DataError, delivered.spec(data={"timestamp": "dya"}))
    assert "the timestamp column 'dya' is not in the data. Columns: 'day', 'x', 'y'. Did you mean 'day'?" in message


def test_no_file_at_all_is_refused(bench: Bench):
    message = _refused(bench, NoRowsError)
    assert message == (
        f"No file matches {str(bench.inbox)!r}. Nothing was read. Deliver the data there, or fix data.path."
    )


def test_an_empty_file_is_named_and_nothing_is_kept(delivered: Bench):
    (delivered.inbox / "part-2.csv").touch()
    message = _refused(delivered, DataError)
    assert "1 of 2 file(s)" in message
    assert "are empty (0 bytes): 'part-2.csv'. Nothing was read and the champion stays." in message
    assert "Deliver them again, or remove them." in message
    assert delivered.platform.storage.names("snapshots", "small") == []


def test_a_file_with_a_header_and_no_row_is_refused(bench: Bench):
    bench.deliver(small_frame().head(0))
    message = _refused(bench, NoRowsError)
    assert "1 file(s) at" in message
    assert "hold no row. Nothing was kept and the champion stays. Check the window and the delivery." in message
    assert bench.platform.storage.names("snapshots", "small") == []
    assert _staged_files(bench) == []


def test_a_window_with_no_row_in_it_is_refused_and_named(delivered: Bench):
    spec = delivered.spec(data={"window_start": "2030-01-01"})
    message = _refused(delivered, NoRowsError, spec)
    assert "hold no row from 2030-01-01 00:00:00 UTC on. Nothing was kept" in message
    assert delivered.platform.storage.names("snapshots", "small") == []


def test_a_file_that_is_no_csv_is_refused_with_what_the_engine_says(bench: Bench):
    (bench.inbox / "part-1.parquet").write_bytes(b"PAR1 but not really PAR1")
    message = _refused(bench, DataError)
    assert f"The files at {str(bench.inbox)!r} can't be read:" in message


def test_a_query_for_features_that_fails_is_refused_by_its_setting(delivered: Bench):
    spec = delivered.spec(data={"features": "SELECT day, x, yy AS y FROM dataset"})
    message = _refused(delivered, DataError, spec)
    assert message.startswith("data.features can't be read: ")
    assert '"yy"' in message
    assert delivered.platform.storage.names("splits", "small") == []


def test_too_few_rows_to_hold_some_back_are_refused(bench: Bench):
    bench.deliver(small_frame(1))
    message = _refused(bench, DataError)
    assert re.search(r"leaves \d rows to train on and \d to evaluate. Both need some; nothing was trained", message)


def test_a_target_with_gaps_is_refused_with_their_number(bench: Bench):
    frame = small_frame()
    frame.loc[3:7, "y"] = None
    bench.deliver(frame)
    spec = bench.spec(validation={"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "y"}}]})
    message = _refused(bench, DataError, spec)
    assert "The target 'y' is null in 5 of 239 training rows. Nothing was trained." in message


def test_text_in_the_timestamp_halts_with_examples(bench: Bench):
    frame = small_frame().astype({"day": str})
    frame.loc[5, "day"] = "yesterday"
    bench.deliver(frame)
    message = _refused(bench, DataHaltedError)
    assert "day: timestamp_type: found type string, expected a date or a timestamp (for example 'yesterday')" in message
    assert "Nothing was trained and the champion stays." in message
    assert read_decisions("small", storage=bench.platform.storage) == []


def test_a_suite_that_checks_a_column_which_is_not_there_halts(delivered: Bench):
    checks = [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "z"}}]
    message = _refused(delivered, DataHaltedError, delivered.spec(validation={"expectations": checks}))
    assert "z: column_missing: found no such column, expected the column that the suite checks" in message


def test_an_expectation_that_does_not_exist_is_a_mistake_in_the_spec(delivered: Bench):
    checks = [{"type": "expect_column_values_to_be_nice", "kwargs": {"column": "y"}}]
    message = _refused(delivered, SpecError, delivered.spec(validation={"expectations": checks}))
    assert message.startswith("validation: 1 thing(s) in the suite can't be used.")
    assert "expectations[0] is of the type 'expect_column_values_to_be_nice', which Great Expect" in message
    assert "Did you mean 'expect_column_values_to_be_unique'?" in message


def test_a_storage_that_can_not_be_written_is_an_outage_and_nothing_was_changed(delivered: Bench):
    blocked = delivered.platform.storage.root.parent / "a file"
    blocked.write_text("not a folder")
    full = Bench(Platform(Storage(str(blocked / "storage")), delivered.platform.mlflow), delivered.inbox)
    with pytest.raises(UnavailableError) as caught:
        full.run("refused")
    message = str(caught.value)
    assert message.startswith(f"The storage at {blocked}/storage")
    assert "can't be used: Not a directory. Nothing was changed." in message
    assert "Check [mlops] storage_root, its permissions and its free space, then retry." in message
    assert runs_by_status(delivered.platform) == {}
    assert left_by(delivered.platform) == NOTHING_LEFT
