from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_mlops.core.splitting.leakage import LeakageReport
from airflow_mlops.errors import IntegrityError, LeakageError, SpecError
from airflow_mlops.specs import DatasetSpec, SplitSpec
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.splitting.leakage import check_leakage
from airflow_mlops.steps.splitting.split import split_dataset
from tests.steps.cases import Bench, run_named

RUN = run_named("checked")


def _frame(n_rows: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "day": pd.date_range("2020-01-01", periods=n_rows, freq="D"),
            "shop": rng.integers(0, 30, n_rows),
            "x": x,
            "y": 2 * x + rng.normal(size=n_rows),
        }
    )


def _check(bench: Bench, frame: pd.DataFrame, **settings: Any) -> LeakageReport:
    bench.deliver(frame)
    features = settings.pop("features", None)
    data, spec = DatasetSpec(path=str(bench.inbox), timestamp="day"), SplitSpec.parse(settings)
    storage = bench.platform.storage
    split = split_dataset(snapshot_dataset(data, dataset="d", storage=storage), data, spec, storage=storage)
    return check_leakage(split, spec.leakage, target="y", features=features, platform=bench.platform, run=RUN)


def _rules(report: LeakageReport) -> list[tuple[str, tuple[str, ...]]]:
    return [(finding.rule, finding.columns) for finding in report.findings]


def test_honest_data_is_clean_and_the_report_is_stored_beside_its_page(bench):
    report = _check(bench, _frame())
    report.require_clean()
    assert report.n_checks > 0
    path = bench.platform.report_path(RUN, "leakage.json")
    assert LeakageReport.from_dict(bench.platform.storage.read_json(*path)) == report
    page = (bench.platform.storage.root / report.report_uri).read_text()
    assert "CLEAN" in page


def test_rows_that_are_delivered_again_are_found_in_a_split_by_time(bench):
    frame = _frame()
    again = frame.head(20).assign(day=pd.date_range("2022-01-01", periods=20, freq="D"))
    report = _check(bench, pd.concat([frame, again]))
    assert _rules(report) == [("shared_rows", ("shop", "x", "y"))]
    found = report.findings[0].found
    assert (found.facts, found.observed, found.n) == ({"n_shared": 20, "part": "test"}, 20 / 105, 105)
    assert len(report.findings[0].examples) == 3
    with pytest.raises(LeakageError, match=r"expected at most 1\.00%"):
        report.require_clean()
    assert "LEAKAGE" in (bench.platform.storage.root / report.report_uri).read_text()


def test_they_are_found_under_another_key_too(bench):
    frame = pd.concat([_frame(), _frame()]).assign(order=range(1000))
    assert _rules(_check(bench, frame, method="random", key="order")) == [("shared_rows", ("shop", "x", "y"))]


def test_a_random_split_keeps_repeated_rows_on_one_side(bench):
    frame = _frame()
    assert _check(bench, pd.concat([frame, frame]), method="random").is_clean


def test_rows_that_are_delivered_again_with_new_ids_are_found(bench):
    frame = pd.concat([_frame(), _frame()]).assign(
        instant=range(1000), name=lambda f: f["instant"].map("row {}".format)
    )
    report = _check(bench, frame, method="random")
    assert _rules(report) == [("shared_rows", ("shop", "x", "y"))]
    assert [(note.rule, note.facts) for note in report.notes] == [("row_ids", {"columns": ["instant", "name"]})]
    with pytest.raises(LeakageError, match=r"or draw by method random, with split\.key naming columns"):
        report.require_clean()


def test_a_key_that_is_the_same_in_both_deliveries_keeps_them_on_one_side(bench):
    frame = _frame().assign(order=range(500))
    again = pd.concat([frame, frame]).assign(instant=range(1000))
    assert not _check(bench, again, method="random").is_clean
    assert _check(bench, again, method="random", key="order").is_clean


def test_texts_that_are_delivered_again_with_new_ids_are_found(bench):
    frame = _frame()[["day"]].assign(review=[f"review {i}" for i in range(500)], y=[0, 1] * 250)
    again = pd.concat([frame, frame]).assign(id=range(1000))
    assert _rules(_check(bench, again, method="random")) == [("shared_rows", ("review", "y"))]


@pytest.mark.parametrize("n_rows", [150, 600, 3000])
@pytest.mark.parametrize("n_ages", [0, 70])
@pytest.mark.parametrize("method", ["time", "random"])
def test_coarse_rows_with_ids_are_equal_by_chance_and_the_report_says_so(bench, n_rows, n_ages, method):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2020-01-01", periods=n_rows, freq="h"),
            "id": range(n_rows),
            "sex": rng.choice(["f", "m"], n_rows),
            "plan": rng.choice(["free", "basic", "pro"], n_rows, p=[0.6, 0.3, 0.1]),
            "y": (rng.random(n_rows) < 0.3).astype(int),
        }
    )
    report = _check(bench, frame.assign(age=rng.integers(18, 18 + n_ages, n_rows)) if n_ages else frame, method=method)
    assert report.is_clean
    assert any(note.rule == "rows_repeat" for note in report.notes)


def test_rows_that_have_the_target_alone_in_common_are_not_the_same(bench):
    rng = np.random.default_rng(2)
    frame = _frame()[["day"]].assign(text=[f"text {i}" for i in range(500)], y=rng.integers(0, 300, 500) / 10)
    report = _check(bench, frame, method="random")
    assert report.is_clean
    assert any(note.rule == "no_column_left" for note in report.notes)


def test_a_feature_that_only_one_class_has_fails_the_run(bench):
    frame = _frame().assign(y=lambda f: (f["y"] > 0).astype(int), refund=lambda f: f["x"].where(f["y"] == 1))
    assert _rules(_check(bench, frame)) == [("determines_class", ("refund",))]


def test_a_few_rows_that_are_equal_by_chance_are_none(bench):
    frame = _frame()
    frame.loc[499, ["shop", "x", "y"]] = frame.loc[3, ["shop", "x", "y"]].to_numpy()
    assert _check(bench, frame).is_clean
    assert not _check(bench, frame, leakage={"max_shared_row_fraction": 0}).is_clean


def test_the_validation_part_is_compared_too(bench):
    frame = _frame()
    frame.loc[360:390, ["shop", "x", "y"]] = frame.loc[0:30, ["shop", "x", "y"]].to_numpy()
    report = _check(bench, frame, validation_fraction=0.2)
    assert report.findings[0].found.facts["part"] == "validation"


def test_groups_on_both_sides_are_found_in_a_split_by_time_unless_they_are_allowed(bench):
    report = _check(bench, _frame(), group="shop")
    assert _rules(report) == [("shared_groups", ("shop",))]
    found = report.findings[0].found
    assert (found.observed, found.required, found.n, found.facts) == (27, 0, 27, {"part": "test"})
    assert _check(bench, _frame(), group="shop", leakage={"allow_shared_groups": True}).is_clean
    assert _check(bench, _frame(), method="group", group="shop").is_clean


def test_a_combination_that_is_the_target_fails_the_run_until_it_is_allowed(bench):
    frame = _frame().assign(part=lambda f: f["shop"] * 1.5, rest=lambda f: f["y"] - f["shop"] * 1.5)
    report = _check(bench, frame.drop(columns="shop"))
    assert [rule for rule, _ in _rules(report)] == ["combination_reproduces_target"]
    with pytest.raises(LeakageError, match=r"rest, part: combination_reproduces_target: .* Leave rest or part out"):
        report.require_clean()
    assert _check(bench, frame, features=["part", "x"]).is_clean
    assert _check(bench, frame.drop(columns="shop"), leakage={"allow": ["rest"]}).is_clean


def test_a_feature_from_after_the_prediction_is_found(bench):
    frame = _frame().assign(seen=lambda f: f["day"] + pd.to_timedelta(np.where(f.index < 5, 1, -1), unit="D"))
    report = _check(bench, frame, leakage={"prediction_time": "day", "known_at": {"x": "seen"}}, features=["x"])
    assert _rules(report) == [("known_too_late", ("x",))]
    found = report.findings[0].found
    assert (found.observed, found.n, found.facts) == (5, 500, {"known_at": "seen", "predicted": "day"})
    assert report.findings[0].examples[0] == "known 2020-01-02 00:00:00, predicted 2020-01-01 00:00:00"


def test_a_value_that_nobody_knows_the_age_of_is_a_finding(bench):
    frame = _frame().assign(seen=lambda f: f["day"].where(f.index > 9), asked=lambda f: f["day"].where(f.index > 2))
    report = _check(bench, frame, leakage={"prediction_time": "asked", "known_at": {"x": "seen"}}, features=["x"])
    assert _rules(report) == [("prediction_time_null", ("asked",)), ("known_at_null", ("x",))]


@pytest.mark.parametrize(
    ("leakage", "message"),
    [
        ({"allow": ["xx"]}, r"split.leakage.allow: 'xx' is not in the data. .* Did you mean 'x'\? Nothing was checked"),
        ({"prediction_time": "dya", "known_at": {"x": "day"}}, r"prediction_time: 'dya' is not in .* mean 'day'\?"),
        ({"prediction_time": "day", "known_at": {"z": "day"}}, r"split.leakage.known_at: 'z' is not in the data"),
        ({"prediction_time": "day", "known_at": {"x": "shop"}}, r"known_at: 'shop' is of type int64, a date or a"),
    ],
)
def test_a_column_that_is_not_there_is_a_mistake_in_the_spec(bench, leakage, message):
    with pytest.raises(SpecError, match=message):
        _check(bench, _frame(), leakage=leakage)


def test_parts_that_were_changed_are_not_judged(bench):
    report_of_part = _check(bench, _frame())
    assert report_of_part.is_clean
    (folder,) = bench.platform.storage.path("splits", "d").iterdir()
    with (folder / "train.parquet").open("r+b") as file:
        file.seek(200)
        file.write(b"other")
    with pytest.raises(IntegrityError):
        _check(bench, _frame())


def test_bike_sharing_does_not_get_through_with_its_casual_and_registered_riders(bench):
    folder = os.environ.get("MLOPS_TEST_DATA")
    if not folder:
        pytest.skip("MLOPS_TEST_DATA is not set: the bike sharing data is not here")
    frame = pd.read_csv(Path(folder) / "bike_sharing_hour.csv").rename(columns={"cnt": "y", "dteday": "day"})
    report = _check(bench, frame, key="instant")
    assert _rules(report) == [("combination_reproduces_target", ("registered", "casual"))]
    assert _check(bench, frame.drop(columns=["casual", "registered"]), key="instant").is_clean
