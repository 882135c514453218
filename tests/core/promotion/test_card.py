from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.evaluation.fairness import FairnessReport, GroupFairness
from airflow_mlops.core.evaluation.importance import FeatureImportance
from airflow_mlops.core.evaluation.report import ClassScores, EvaluationReport, MetricComparison, SliceComparison
from airflow_mlops.core.monitoring.drift_report import DriftReport, DriftStatus
from airflow_mlops.core.promotion.card import ModelCard
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.registry.training_record import TrainingRecord
from airflow_mlops.core.splitting.split import DatasetPart
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.validation.findings import Check, Finding, Outcome, ValidationReport, Verdict
from airflow_mlops.core.values import Value
from airflow_mlops.specs.train import TrainingSpec
from tests.core.cases import recorded
from tests.core.test_values import EXAMPLES

replace = dataclasses.replace
COLUMNS = (
    Column(name="at", type="timestamp[us]"),
    Column(name="id", type="int64"),
    Column(name="age", type="double", n_null=500),
    Column(name="region", type="string", n_null=8000),
    Column(name="y", type="double"),
)


def _example(cls: type[Value]) -> Any:
    return next(value for value in EXAMPLES if type(value) is cls)


def _interval(low: float, high: float) -> Interval:
    return Interval(difference=(low + high) / 2, low=low, high=high)


def _part(name: str, challenger: float, **settings: Any) -> SliceComparison:
    return SliceComparison(name=name, n_rows=300, challenger=challenger, **settings)


def _card(*, evaluation: dict[str, Any] | None = None, record: dict[str, Any] | None = None, **settings: Any):
    """Return the card of a model that was trained on 8,000 rows by committed code and one thread, and has no fault."""
    example = _example(TrainingRecord)
    split = replace(
        example.split,
        columns=COLUMNS,
        key=("id",),
        train=DatasetPart(uri="/train", digest="sha256:1", n_rows=8000),
        test=DatasetPart(uri="/test", digest="sha256:2", n_rows=2000),
    )
    training = TrainingSpec(target="y", estimator="a.B")
    code = tuple(replace(module, is_dirty=False) for module in example.code)
    comparison = MetricComparison(
        metric="mean_absolute_error",
        direction="lower_is_better",
        challenger=2.0,
        baseline=3.0,
        against_baseline=_interval(-1.5, -0.5),
    )
    report = replace(_example(EvaluationReport), n_rows=2000, comparisons=(comparison,), champion_version=None)
    return ModelCard(
        version=_example(ModelVersion),
        description="",
        record=replace(example, split=split, training=training, code=code, n_threads=1, **(record or {})),
        evaluation=replace(report, **(evaluation or {})),
        reasons=recorded("Passed: it is good."),
        **settings,
    )


def test_columns_are_the_target_then_features_by_what_they_are_worth_then_the_rest():
    worth = [
        FeatureImportance(feature=name, importance=value, std=0.1) for name, value in (("age", 1.0), ("region", 2.0))
    ]
    found = _card(evaluation={"importance": tuple(worth)}).columns
    assert [(each.name, each.role) for each in found] == [
        ("y", "target"),
        ("region", "feature"),
        ("age", "feature"),
        ("at", "timestamp"),
        ("id", "key"),
    ]
    assert [each.null_fraction for each in found[:3]] == [0.0, 0.8, 0.05]
    assert [each.importance for each in found[:4]] == [None, 2.0, 1.0, None]


def test_a_feature_that_is_mostly_null_is_a_limit():
    assert "Features that are null in at least half of the rows: 'region'." in _card().limits


def test_features_that_are_there_in_most_rows_are_no_limit():
    card = _card()
    columns = (Column(name="age", type="double", n_null=500), Column(name="y", type="double"))
    card = replace(card, record=replace(card.record, split=replace(card.record.split, columns=columns)))
    assert [text for text in card.limits if text.startswith("Features that are null")] == []


def test_few_rows_are_a_limit_and_many_are_none():
    few = DatasetPart(uri="/test", digest="sha256:2", n_rows=999)
    card = _card()
    assert not any("rows only" in text for text in card.limits)
    record = replace(card.record, split=replace(card.record.split, test=few))
    assert replace(card, record=record).limits[0].startswith("It was judged on 999 rows only")


@pytest.mark.parametrize(
    ("part", "is_named"),
    [
        (_part("age < 25", 2.6), True),
        (_part("age < 25", 2.4), False),
        (_part("age < 25", 2.1, is_found=True), True),
        (_part("age < 25", 1.0, is_found=True), False),
    ],
)
def test_a_slice_that_is_worse_by_a_quarter_or_was_found_to_be_worst_is_a_limit(part, is_named):
    texts = [text for text in _card(evaluation={"slices": (part,)}).limits if "age < 25" in text]
    assert bool(texts) is is_named
    if is_named:
        assert texts == [
            f"mean_absolute_error is 2 over all rows, and clearly worse in 'age < 25 ({part.challenger:.4g}, n=300)'."
        ]


@pytest.mark.parametrize(("interval", "is_named"), [((0.1, 0.9), True), ((-0.1, 0.9), False), ((-0.9, -0.1), False)])
def test_a_slice_that_lost_against_the_champion_for_sure_is_a_limit(interval, is_named):
    part = _part("region=north", 2.0, champion=1.5, against_champion=_interval(*interval))
    texts = [text for text in _card(evaluation={"slices": (part,)}).limits if "than the champion" in text]
    assert len(texts) == is_named


def test_classes_that_are_rare_or_missed_are_limits():
    scores = ClassScores(label="fraud", n_rows=12, precision=0.9, recall=0.25)
    limits = _card(evaluation={"classes": (scores, replace(scores, label="fine", n_rows=900, recall=0.99))}).limits
    assert "Classes with fewer than 50 rows to judge by: 'fraud (12)'." in limits
    assert "Classes of which less than half is found (recall): 'fraud (0.25)'." in limits


def test_groups_that_are_too_small_to_be_judged_are_a_limit():
    groups = [GroupFairness(name=f"sex={each}", n_rows=9, is_judged=each != "x", scores={}) for each in "fmx"]
    report = FairnessReport(attribute="sex", min_rows=100, groups=tuple(groups), measures={})
    assert "Groups of sex that are too small to be judged: 'sex=x'." in _card(evaluation={"fairness": (report,)}).limits


def test_what_data_and_code_leave_open_are_limits():
    example = _example(TrainingRecord)
    card = _card(snapshot=_example(DatasetSnapshot), drift=_example(DriftReport), validation=_example(ValidationReport))
    card = replace(card, record=replace(card.record, code=example.code, n_threads=4))
    text = "\n".join(card.limits)
    for words in (
        "It knows nothing of other times than those of its data, 2026-01-01 to 2026-01-02.",
        "Moved since the data that the champion was trained on, and may move on: 'a'.",
        'The data broke rules that the policy lets pass: "a: r: found type string, expected type double (for '
        "example 'x')\".",
        "Trained by code that is in no commit: 'a.b:train'.",
        "Trained with 4 threads: ",
    ):
        assert words in text


def test_findings_of_comparisons_are_told_from_those_of_expectations():
    example = _example(ValidationReport)
    met, broken = (replace(example.checks[0], outcome=outcome) for outcome in (Outcome.MET, Outcome.BROKEN))
    other = replace(example.findings[0], rule="category_new", action=Verdict.RETRAIN)

    def said(checks: tuple[Check, ...], findings: tuple[Finding, ...], verdict: Verdict) -> str:
        return _card(validation=replace(example, checks=checks, findings=findings, verdict=verdict)).validated

    assert said((met, met), (other,), Verdict.RETRAIN) == "RETRAIN, 2 of 2 expectation(s) met; 1 finding(s) beside them"
    assert said((met, broken), example.findings[:1], Verdict.PROCEED) == "PROCEED, 1 of 2 expectation(s) met"
    assert said((met,), (), Verdict.PROCEED) == "PROCEED, 1 of 1 expectation(s) met"
    assert _card().validated == ""


def test_what_was_not_measured_is_said_and_what_was_is_not():
    gaps = _card().not_measured
    assert [text.partition(":")[0] for text in gaps] == [
        "Slices",
        "Fairness",
        "Errors by time",
        "Importance of features.",
        "Against a champion",
        "Drift since the champion's data",
        "How it serves",
    ]
    drift = replace(_example(DriftReport), status=DriftStatus.STABLE)
    measured = _card(evaluation={"slices": (_part("a=1", 2.0),), "champion_version": 3}, drift=drift).not_measured
    assert len(measured) == len(gaps) - 3
    broken = _card(evaluation={"champion_version": 3, "champion_error": "gone"}).not_measured
    assert "Against the champion: it could not be scored." in broken


def test_the_source_is_named_with_its_connection_and_no_more():
    snapshot = replace(_example(DatasetSnapshot), source={"query": "SELECT 1", "conn_id": "shop_db", "rows": 3})
    assert _card(snapshot=snapshot).source == "SELECT 1 (connection shop_db)"
    assert _card(snapshot=_example(DatasetSnapshot)).source == "/x"
    assert _card().source == ""


def test_classes_and_groups_that_are_found_and_large_are_no_limit():
    scores = ClassScores(label="fine", n_rows=900, precision=0.9, recall=0.99)
    group = GroupFairness(name="sex=f", n_rows=900, is_judged=True, scores={})
    report = FairnessReport(attribute="sex", min_rows=100, groups=(group,), measures={})
    limits = _card(evaluation={"classes": (scores,), "fairness": (report,)}).limits
    assert [text for text in limits if text.startswith(("Classes", "Groups"))] == []


def test_data_of_no_window_is_of_no_time():
    snapshot = replace(_example(DatasetSnapshot), window_start=None, window_end=None)
    assert [text for text in _card(snapshot=snapshot).limits if "other times" in text] == []


def test_data_that_did_not_drift_is_no_limit():
    drift = replace(_example(DriftReport), columns=())
    assert [text for text in _card(drift=drift).limits if text.startswith("Moved")] == []
