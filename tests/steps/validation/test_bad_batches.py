"""Every way in which a batch goes bad: caused, found, named, and nothing that was trusted is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from airflow_mlops.core.validation.findings import ValidationReport, Verdict
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.errors import DataError, DataHaltedError
from airflow_mlops.specs import DatasetSpec, PipelineSpec, ValidationSpec
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.validation.validate import validate_dataset
from tests.steps.cases import Bench, left_by, run_named
from tests.steps.conftest import make_bench

CITIES = ("Bonn", "Oslo", "Rome")


def good_frame(n_rows: int = 400, *, first: int = 0) -> pd.DataFrame:
    """Return customers: a key, a time, numbers, a category, and what is to be predicted."""
    rng = np.random.default_rng(first)
    age = rng.integers(18, 90, n_rows)
    return pd.DataFrame(
        {
            "id": np.arange(first, first + n_rows),
            "at": pd.date_range("2026-01-01", periods=n_rows, freq="h").strftime("%Y-%m-%d %H:%M:%S"),
            "age": age,
            "income": rng.normal(3000, 500, n_rows).round(2),
            "city": rng.choice(CITIES, n_rows),
            "spent": (age * 2 + rng.normal(0, 5, n_rows)).round(2),
            "rooms": rng.integers(1, 6, n_rows),
            "is_known": True,
        }
    )


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[Bench]:
    """A champion that learnt from good customers. No test changes it, which the last one sees to."""
    folder = tmp_path_factory.mktemp("batches")
    before = Path.cwd()
    os.chdir(folder)  # where MLflow keeps models when it has no server
    bench = make_bench(folder, mlflow_database)
    good_frame().to_csv(bench.inbox / "good.csv", index=False)
    assert bench.run("first", spec(bench)).promotion is not None
    yield bench
    os.chdir(before)


def spec(bench: Bench) -> PipelineSpec:
    return PipelineSpec.parse(
        {
            "model_name": "small",
            "data": {"path": str(bench.inbox), "timestamp": "at"},
            "validation": {"inferred": True},
            "split": {"method": "random"},
            "training": {"target": "spent", "features": ("age",), "estimator": "sklearn.linear_model.Ridge"},
            "serving_check": None,
            "gate": {"metrics": {"mean_absolute_error": {"value_threshold": 10.0}}, "cold_start": True},
        }
    )


def look(bench: Bench, batch: Path, validation: ValidationSpec | None = None) -> ValidationReport:
    """Snapshot and validate a batch, as the pipeline does."""
    validation = validation or spec(bench).validation
    settings = DatasetSpec.parse({"path": str(batch), "timestamp": "at"})
    run = run_named(batch.name)
    snapshot = snapshot_dataset(settings, dataset="small", storage=bench.platform.storage, run=run)
    return validate_dataset(snapshot, validation, model_name="small", platform=bench.platform, run=run)


def batch_of(frame: pd.DataFrame, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    frame.to_csv(folder / "batch.csv", index=False)
    return folder


def test_a_good_batch_proceeds(serving: Bench, tmp_path: Path):
    report = look(serving, batch_of(good_frame(first=1000), tmp_path / "good"))
    assert report.findings == ()
    assert report.verdict is Verdict.PROCEED
    assert report.accepted is not None
    assert len(report.checks) > 10
    assert report.reference_digest


def test_a_small_batch_of_new_rows_is_as_good_as_the_spec_says(serving: Bench, tmp_path: Path):
    assert look(serving, batch_of(good_frame(30, first=1000), tmp_path / "small")).verdict is Verdict.PROCEED


def _vanish(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="income")


def _appear(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(incoem=1.0)


def _retype(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(age=frame["age"].astype(object).where(frame.index != 7, "unknown"))


def _all_null(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(income=None)


def _negative(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(age=frame["age"].where(frame.index != 3, -44))


def _absurd(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(income=frame["income"].where(frame.index != 3, 1e12))


def _many_new_categories(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(city=frame["city"] + ".")


def _duplicated_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.tail(5)])


def _duplicated_keys(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(id=frame["id"].where(frame.index != 9, frame["id"].iloc[8]))


def _out_of_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(at=frame["at"].iloc[::-1].to_numpy())


def _two_formats(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(at=frame["at"].where(frame.index != 11, "31/01/2026 04:00"))


def _two_zones(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(at=frame["at"].where(frame.index % 2 == 0, frame["at"] + "+05:00"))


def _too_large(frame: pd.DataFrame) -> pd.DataFrame:
    return good_frame(400_000)


def _too_small(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.head(3)


def _nulls(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(spent=frame["spent"].where(frame.index % 10 != 0, None))


HALTED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, str]] = {
    "a column vanishes": (_vanish, "income: column_missing", "no such column"),
    "a column appears": (_appear, "incoem: column_new", "type double"),
    "a column changes its type": (_retype, "age: column_retyped", "'unknown'"),
    "a column is all null": (_all_null, "income: column_empty", "all 400 values missing"),
    "values are negative": (_negative, "age: expect_column_values_to_be_between", "'-44'"),
    "values are absurd": (_absurd, "income: expect_column_values_to_be_between", "1000000000000"),
    "all categories are new": (_many_new_categories, "city: category_new", "Rome."),
    "rows are duplicated": (_duplicated_rows, "id: expect_column_values_to_be_unique", "10 of 405"),
    "keys are duplicated": (_duplicated_keys, "id: expect_column_values_to_be_unique", "'1008'"),
    "timestamps are out of order": (_out_of_order, "at: timestamp_order", "in order"),
    "timestamps are in two formats": (_two_formats, "at: timestamp_type", "31/01/2026"),
    "the batch is a thousand times larger": (_too_large, "row_count", "400000"),
    "the batch is a hundred times smaller": (_too_small, "row_count", "3"),
    "values are missing that never were": (_nulls, "spent: expect_column_values_to_not_be_null", "40 of 400"),
}


@pytest.mark.parametrize("fault", HALTED)
def test_a_batch_in_which(fault: str, serving: Bench, tmp_path: Path):
    change, where, shown = HALTED[fault]
    trusted = left_by(serving.platform)
    report = look(serving, batch_of(change(good_frame(first=1000)), tmp_path / fault.replace(" ", "-")))
    assert report.verdict is Verdict.HALT
    assert report.accepted is None
    assert report.retrain_reasons == ()
    with pytest.raises(DataHaltedError) as caught:
        report.require_accepted()
    message = str(caught.value)
    (line, *_) = [line for line in message.splitlines() if where in line]
    assert shown in line
    assert ", expected " in line
    assert "Nothing was trained and the champion stays." in message
    assert left_by(serving.platform) == trusted
    page = serving.platform.storage.path(*report.report_uri.split("/")).read_text()
    assert "HALT" in page


def test_timestamps_in_two_time_zones_do_not_get_through(serving: Bench, tmp_path: Path):
    batch = batch_of(_two_zones(good_frame(first=1000)), tmp_path / "zones")
    with pytest.raises((DataError, DataHaltedError), match="at") as caught:
        look(serving, batch).require_accepted()
    assert "without one, so it is not known which times those mean" in str(caught.value)


def test_an_empty_batch_does_not_get_through(serving: Bench, tmp_path: Path):
    with pytest.raises(DataError, match="hold no row") as caught:
        look(serving, batch_of(good_frame().head(0), tmp_path / "empty"))
    assert "the champion stays" in str(caught.value)


def test_a_category_that_was_never_seen_is_a_reason_to_retrain(serving: Bench, tmp_path: Path):
    frame = good_frame(first=1000)
    frame.loc[5, "city"] = "Cork"
    report = look(serving, batch_of(frame, tmp_path / "category"))
    (finding,) = report.findings
    assert (finding.rule, finding.column, finding.examples) == ("category_new", "city", ("Cork",))
    assert (finding.found.facts["n_rows"], finding.found.n) == (1, 400)
    assert finding.found.facts["known"] == ["Rome", "Oslo", "Bonn"]
    assert report.verdict is Verdict.RETRAIN
    assert report.retrain_reasons == (finding.reason,)
    assert report.accepted is not None


UNSEEN: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "negative": (_negative, "age: value_range: found 1 of 400 rows (0.25%) below 0 or above 160"),
    "absurd": (_absurd, "income: value_range: found 1 of 400 rows (0.25%) below "),
    "another code": (lambda frame: frame.assign(rooms=7), "rooms: category_new: found 400 of 400 rows"),
}


@pytest.mark.parametrize("fault", UNSEEN)
def test_values_that_no_rule_is_about_are_held_against_those_of_the_champion(
    fault: str, serving: Bench, tmp_path: Path
):
    change, text = UNSEEN[fault]
    rule = {"type": "expect_column_to_exist", "kwargs": {"column": "id"}}
    batch = batch_of(change(good_frame(first=1000)), tmp_path / fault)
    report = look(serving, batch, ValidationSpec(expectations=(rule,)))
    assert report.verdict is Verdict.RETRAIN
    (reason,) = report.retrain_reasons
    assert sentence_of(reason).startswith(text)


def _another_answer(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(is_known=frame.index != 4)


QUARANTINED = {
    "a number": (_absurd, "value_range"),
    "a code": (lambda frame: frame.assign(rooms=frame["rooms"].where(frame.index != 4, 7)), "category_new"),
    "a text": (lambda frame: frame.assign(city=frame["city"].where(frame.index != 4, "Cork")), "category_new"),
    "a truth": (_another_answer, "category_new"),
}


@pytest.mark.parametrize("fault", QUARANTINED)
def test_rows_with_values_that_the_champion_never_saw_can_be_set_aside(fault: str, serving: Bench, tmp_path: Path):
    change, rule = QUARANTINED[fault]
    exists = {"type": "expect_column_to_exist", "kwargs": {"column": "id"}}
    validation = ValidationSpec(expectations=(exists,), policy={"rules": {rule: "QUARANTINE"}})
    report = look(serving, batch_of(change(good_frame(first=1000)), tmp_path / fault), validation)
    assert (report.verdict, report.require_accepted().n_rows) == (Verdict.QUARANTINE, 399)


def test_a_column_that_is_gone_may_be_let_through_by_name(serving: Bench, tmp_path: Path):
    validation = ValidationSpec(inferred=True, policy={"rules": {"column_missing:income": "PROCEED"}})
    report = look(serving, batch_of(_vanish(good_frame(first=1000)), tmp_path / "gone"), validation)
    assert [str(f.action) for f in report.findings if f.rule == "column_missing"] == ["PROCEED"]


def test_the_champion_and_its_data_are_as_they_were(serving: Bench):
    assert left_by(serving.platform).alias == 1
    champion = serving.run("again", spec(serving))
    assert champion.validation.verdict is Verdict.PROCEED
    assert not champion.decision.should_retrain
