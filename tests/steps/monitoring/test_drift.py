"""Drift as a step: of a dataset and of the inference log, whole and broken."""

from __future__ import annotations

import html
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from airflow_mlops.core.monitoring.drift import DOMAIN_LIMIT
from airflow_mlops.core.monitoring.drift_report import ColumnKind, DriftReport, DriftStatus
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.errors import DataError, IntegrityError, MissingExtraError, SpecError, UnavailableError
from airflow_mlops.specs import DatasetSpec, MonitoringSpec
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.monitoring.drift import check_drift, check_log_drift
from tests.core.reasons import only
from tests.steps.cases import Bench, run_named, small_frame
from tests.steps.conftest import make_bench
from tests.steps.drift_cases import END, Log, asked


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Bench:
    """Version 1 is champion: it learnt ``y`` of 1599 days, and 401 were held out. No test changes it."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        bench = make_bench(folder, mlflow_database)
        bench.deliver(small_frame(2000))
        assert bench.run("first").promotion is not None
        yield bench


def drift_of(bench: Bench, frame: pd.DataFrame, **monitoring: Any) -> DriftReport:
    bench.deliver(frame)
    spec = bench.spec()
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=bench.platform.storage)
    return check_drift(
        snapshot,
        MonitoringSpec(**monitoring),
        model_name="small",
        platform=bench.platform,
        run=run_named("second"),
        draw=False,
    )


def later(n_rows: int = 300, **settings: Any) -> pd.DataFrame:
    return small_frame(n_rows, start="2030-01-01", seed=1, **settings)


@pytest.fixture
def log(served: Bench) -> Log:
    shutil.rmtree(served.platform.storage.path("inference"), ignore_errors=True)
    return Log(served)


def test_without_a_column_of_the_champion_the_others_are_measured_and_that_is_not_stable(served: Bench):
    report = drift_of(served, later().drop(columns="x"))
    assert (report.status, report.n_reference, report.n_current) == (DriftStatus.INCOMPLETE, 2000, 300)
    assert [column.name for column in report.columns] == ["y"]
    last = report.reasons[-1]
    assert (last.rule, last.facts["missing"], last.facts["retyped"]) == ("columns_not_measured", ["x"], [])


def test_a_number_that_became_text_is_a_gap_and_not_drift(served: Bench):
    report = drift_of(served, later().assign(x="high"))
    assert report.status is DriftStatus.INCOMPLETE
    assert report.reasons[-1].facts == {"missing": [], "n_missing": 0, "retyped": ["x"], "n_retyped": 1}


def test_without_any_column_of_the_champion_there_is_no_drift_to_measure(served: Bench):
    with pytest.raises(DataError, match=r"missing \('x'\) or are of another type \('y'\), and no other is left"):
        drift_of(served, later().assign(y="high").drop(columns="x"))


def test_a_column_that_is_gone_may_have_a_limit_and_a_typo_may_not(served: Bench):
    frame = later().drop(columns="x")
    assert drift_of(served, frame, features={"x": {"psi": 0.1}}).status is DriftStatus.INCOMPLETE
    with pytest.raises(SpecError, match=r"'xx' is not among the columns that are compared. Did you mean 'x'"):
        drift_of(served, frame, features={"xx": {"psi": 0.1}})


def test_a_column_that_is_new_changes_nothing(served: Bench):
    assert drift_of(served, later().assign(z=1.0)).status is DriftStatus.STABLE


def test_the_target_is_told_from_the_features_and_decides_alone(served: Bench):
    report = drift_of(served, later(slope=6.0))
    assert report.status is DriftStatus.DRIFTED
    assert {column.name: (column.kind, column.is_drifted) for column in report.columns} == {
        "x": (ColumnKind.FEATURE, False),
        "y": (ColumnKind.TARGET, True),
    }
    assert {column.name: column.importance for column in report.columns} == {"x": 1.0, "y": 0.0}


def test_a_feature_that_is_null_in_every_row_has_drifted(served: Bench):
    frame = later()
    report = drift_of(served, frame.assign(x=frame["x"].where(frame.index < 0)))
    assert report.status is DriftStatus.DRIFTED


def test_rows_that_the_champion_learnt_from_are_not_new(served: Bench):
    report = drift_of(served, small_frame(2000))
    assert (report.status, report.n_current) == (DriftStatus.TOO_FEW_ROWS, 0)
    (reason,) = report.reasons
    assert (reason.rule, reason.subject, reason.observed, reason.required) == ("min_rows", "window", 0, 200)


def test_a_column_that_is_ignored_is_not_compared(served: Bench):
    assert [each.name for each in drift_of(served, later(slope=6.0), ignore=["y"]).columns] == ["x"]


def test_a_column_that_is_ignored_and_that_nobody_knows_is_refused(served: Bench):
    with pytest.raises(
        SpecError, match=r"monitoring\.ignore: there is no column 'dya'\. Did you mean 'day'\? Known: .*'y'"
    ):
        drift_of(served, later(), ignore=["y", "dya", "mlops_prediction"])


def test_a_season_before_is_compared_with_in_place_of_what_the_champion_learnt_from(served: Bench):
    """Every second half of a year lies higher, so that these rows have drifted against all rows, and not in season."""
    frame = pd.concat([small_frame(2000), small_frame(250, start="2025-06-23", seed=1)])
    is_high = frame["day"].between("2024-06-20", "2025-03-10") | (frame["day"] > "2025-06-22")
    frame["x"] += 2.0 * is_high
    assert drift_of(served, frame, ignore=["y"]).status is DriftStatus.DRIFTED
    report = drift_of(served, frame, ignore=["y"], reference="seasonal", seasonal_period="P365D")
    assert (report.status, report.n_reference, report.n_current) == (DriftStatus.STABLE, 250, 250)
    season = {"reference": "seasonal", "seasonal_period": "P365D", "domain_classifier": True}
    told = drift_of(served, frame, ignore=["y"], **season)
    assert told.status is DriftStatus.STABLE, "the classifier has the rows of the season too"
    assert told.domain_score is not None
    assert told.domain_score < DOMAIN_LIMIT


@pytest.mark.parametrize(("shift", "status"), [(0.0, DriftStatus.STABLE), (1.0, DriftStatus.DRIFTED)])
def test_what_is_asked_and_what_is_said_is_compared_with_what_was_learnt_and_evaluated(log: Log, shift, status):
    log.write(asked(shift=shift), 2 * asked(shift=shift)["x"])
    report = log.check()
    assert report.status is status
    assert {column.name: (column.kind, column.is_drifted) for column in report.columns} == {
        "x": (ColumnKind.FEATURE, shift > 0),
        "mlops_prediction": (ColumnKind.PREDICTION, shift > 0),
    }
    assert (report.n_reference, report.n_current) == (1599, 600)
    assert (report.window_start, report.window_end) == (END - timedelta(days=1), END)


def test_predictions_that_move_alone_are_drift(log: Log):
    log.write(asked(), 2 * asked()["x"] + 3)
    report = log.check()
    assert report.status is DriftStatus.DRIFTED
    reason = report.reasons[1]
    assert (reason.subject, reason.facts["kind"]) == ("mlops_prediction", ColumnKind.PREDICTION)
    assert reason.because[0].rule == "psi"
    assert sentence_of(reason).startswith("Prediction mlops_prediction: PSI ")


def test_failures_show_as_predictions_that_are_missing(log: Log):
    log.write(asked(300), 2 * asked(300)["x"])
    log.write(asked(300, seed=6), error="it failed")
    (prediction,) = (each for each in log.check().columns if each.kind is ColumnKind.PREDICTION)
    assert only(prediction.reasons, "missing_change").facts == {"current": 0.5, "reference": 0.0}


def test_only_what_the_champion_answered_in_the_window_counts(log: Log):
    log.write(asked(), 2 * asked()["x"])
    for other in (
        {"role": Role.SHADOW},
        {"model_version": 2},
        {"at": END - timedelta(days=1)},
        {"at": END + timedelta(microseconds=1)},
    ):
        log.write(asked(900, shift=5.0), 2 * asked(900)["x"], **other)
    assert (log.check().status, log.check().n_current) == (DriftStatus.STABLE, 600)
    log.write(asked(100), 2 * asked(100)["x"], at=END, role=Role.BATCH)
    assert log.check().n_current == 700


def test_an_empty_log_and_one_of_few_rows_say_so(log: Log):
    report = log.check()
    assert (report.status, report.n_current) == (DriftStatus.TOO_FEW_ROWS, 0)
    log.write(asked(1), [0.5])
    (reason,) = log.check().reasons
    assert (reason.rule, reason.observed, reason.required) == ("min_rows", 1, 200)


def test_a_feature_that_is_redacted_is_a_drift_unless_it_is_ignored(log: Log):
    log.write(asked(), 2 * asked()["x"], redact=("x",))
    assert only(log.check().columns[0].reasons, "missing_change").facts["current"] == 1.0
    assert log.check(ignore=["x"]).status is DriftStatus.STABLE


def test_a_column_that_is_ignored_and_that_the_log_never_has_is_told(log: Log, caplog: pytest.LogCaptureFixture):
    log.write(asked(), 2 * asked()["x"])
    assert log.check(ignore=["xx", "mlops_prediction"]).status is DriftStatus.STABLE
    assert "monitoring.ignore: there is no column 'xx'. Did you mean" in caplog.text


def test_features_of_another_type_are_a_gap(log: Log):
    log.write(asked().assign(x="much"), 2 * asked()["x"])
    report = log.check()
    assert (report.status, report.reasons[-1].facts["retyped"]) == (DriftStatus.INCOMPLETE, ["x"])


def test_the_same_hours_of_the_week_before_are_compared_with_in_a_season(log: Log):
    for days, shift in ((0, 2.0), (7, 2.0)):
        log.write(asked(shift=shift, seed=days), 2 * asked(shift=shift, seed=days)["x"], at=END - timedelta(days=days))
    assert log.check().status is DriftStatus.DRIFTED
    report = log.check(reference="seasonal")
    assert (report.status, report.n_reference) == (DriftStatus.STABLE, 600)
    assert log.check(reference="seasonal", seasonal_period="P6D").status is DriftStatus.TOO_FEW_ROWS


def test_rows_of_the_minutes_after_midnight_count_though_they_are_in_the_file_of_the_day_before(log: Log):
    midnight = END.replace(hour=0)
    log.write(asked(), 2 * asked()["x"], at=midnight + timedelta(minutes=1), filed=midnight - timedelta(minutes=1))
    assert log.check(trailing="PT12H").n_current == 600


def test_a_window_longer_than_a_season_is_compared_with_one_that_it_does_not_overlap(log: Log):
    log.write(asked(), 2 * asked()["x"])
    log.write(asked(seed=1), 2 * asked(seed=1)["x"], at=END - timedelta(days=20))
    report = log.check(reference="seasonal", seasonal_period="P7D", trailing="P9D")
    assert (report.status, report.n_reference, report.n_current) == (DriftStatus.STABLE, 600, 600)


def test_a_snapshot_whose_rows_were_changed_decides_nothing(served: Bench):
    data = DatasetSpec(path=str(served.deliver(small_frame(start="2031-01-01"))))
    snapshot = snapshot_dataset(data, dataset="small", storage=served.platform.storage)
    rows = pd.read_parquet(snapshot.data_uri)
    rows.assign(x=rows["x"] + 3).to_parquet(snapshot.data_uri)
    with pytest.raises(IntegrityError):
        check_drift(
            snapshot,
            MonitoringSpec(),
            model_name="small",
            platform=served.platform,
            run=run_named("second"),
            draw=False,
        )


def test_a_season_without_a_timestamp_is_an_error(served: Bench):
    data = DatasetSpec(path=str(served.deliver(later())))
    snapshot = snapshot_dataset(data, dataset="small", storage=served.platform.storage)
    with pytest.raises(SpecError, match="seasonal needs a window: a dataset with a timestamp"):
        check_drift(
            snapshot,
            MonitoringSpec(reference="seasonal"),
            model_name="small",
            platform=served.platform,
            run=run_named("second"),
        )


def test_evidently_decides_where_it_is_chosen_and_draws_its_page(log: Log):
    log.write(asked(shift=1.0), 2 * asked(shift=1.0)["x"])
    report = log.check(engine="evidently")
    assert report.status is DriftStatus.DRIFTED
    found = {column.name: list(column.statistics) for column in report.columns}
    assert found["x"] == ["Wasserstein distance (normed)"]
    assert found["mlops_prediction"][0] == "psi"
    assert report.reasons[-1].rule == "decided_by_evidently"
    names = log.bench.platform.storage.names("reports", "small", "watch")
    assert names == ["drift.html", "drift.json", "drift_evidently.html"]


def test_without_evidently_the_report_has_no_picture_and_says_how_to_get_it(log: Log, monkeypatch: pytest.MonkeyPatch):
    log.write(asked(shift=1.0), 2 * asked(shift=1.0)["x"])
    monkeypatch.setitem(sys.modules, "evidently", None)  # what Python itself does for a module that is not to be found
    storage = log.bench.platform.storage
    shutil.rmtree(storage.path("reports", "small", "watch"), ignore_errors=True)
    report = log.check()
    assert report.status is DriftStatus.DRIFTED
    assert storage.names("reports", "small", "watch") == ["drift.html", "drift.json"]
    page = html.unescape(storage.path("reports", "small", "watch", "drift.html").read_text())
    assert "none: Evidently is not installed (pip install 'airflow-mlops[drift-reports]')" in page


def test_without_evidently_it_decides_nothing_where_it_was_chosen(log: Log, monkeypatch: pytest.MonkeyPatch):
    log.write(asked(), 2 * asked()["x"])
    monkeypatch.setitem(sys.modules, "evidently", None)
    with pytest.raises(MissingExtraError, match=r"^monitoring.engine: evidently needs 'evidently', .*reports\]'$"):
        log.check(engine="evidently")


def test_the_classifiers_score_stands_in_the_report(log: Log):
    log.write(asked(), 2 * asked()["x"])
    report = log.check(domain_classifier=True)
    assert report.domain_score == pytest.approx(0.5, abs=0.08)
    last = report.reasons[-1]
    assert (last.rule, last.observed, last.required) == ("domain_classifier", report.domain_score, 0.6)


def test_a_reference_that_is_gone_or_of_other_rows_decides_nothing(log: Log):
    log.write(asked(), 2 * asked()["x"])
    (path,) = log.bench.platform.storage.root.glob("splits/*/*/train_profile.json")
    text = path.read_text()
    try:
        path.write_text(text.replace("sha256:", "sha256:0", 1))
        with pytest.raises(IntegrityError, match=r"is of other rows than the split's. Nothing was decided."):
            log.check()
        path.unlink()
        with pytest.raises(
            IntegrityError,
            match=r"is missing: the profile of the rows .*Nothing was decided. Clear the task `split` of",
        ):
            log.check()
    finally:
        path.write_text(text)


def test_a_profile_of_a_newer_schema_is_refused(log: Log):
    log.write(asked(), 2 * asked()["x"])
    (path,) = log.bench.platform.storage.root.glob("splits/*/*/train_profile.json")
    text = path.read_text()
    try:
        path.write_text(text.replace('"schema_version": 1', '"schema_version": 9'))
        with pytest.raises(
            IntegrityError, match=r"train_profile.json can't be used: .*schema version 9.* Clear the task `split`"
        ):
            log.check()
    finally:
        path.write_text(text)


def test_a_file_of_the_log_that_is_damaged_is_an_error_and_one_that_is_gone_an_outage(log: Log, monkeypatch):
    path = log.write(asked(), 2 * asked()["x"])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="a file is damaged"):
        log.check()
    from airflow_mlops.steps.monitoring import _reference_profile

    monkeypatch.setattr(_reference_profile, "files_of_window", lambda *_: (f"{path}.gone",))
    with pytest.raises(UnavailableError, match="That says nothing about the data"):
        log.check()


def test_without_a_champion_there_is_nothing_to_compare_with(bench: Bench):
    report = check_log_drift(
        MonitoringSpec(), model_name="small", window_end=END, platform=bench.platform, run=run_named("watch")
    )
    assert report.status is DriftStatus.NO_REFERENCE
