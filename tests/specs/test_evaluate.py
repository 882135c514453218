from __future__ import annotations

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import GateSpec, Thresholds

METRICS = {"mean_absolute_error": {"value_threshold": 0.5}}


def test_not_worse_than_the_champion_at_all_is_the_default():
    assert Thresholds().change_threshold == 0.0
    assert Thresholds().value_threshold is None


def test_a_metric_without_any_threshold_is_refused():
    with pytest.raises(SpecError, match="give `value_threshold`, `change_threshold` or both"):
        Thresholds(change_threshold=None)


@pytest.mark.parametrize("name", ["value_threshold", "change_threshold"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_threshold_that_decides_nothing_is_refused(name, value):
    with pytest.raises(SpecError, match=f"{name}: a threshold that is NaN or infinite decides nothing"):
        Thresholds(**{name: value})


def test_a_gate_without_metrics_is_refused():
    with pytest.raises(SpecError, match="metrics: "):
        GateSpec(metrics={})


def test_a_metric_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(SpecError, match=r"metrics\.r2.*'mean_absolute_error'.*'accuracy'"):
        GateSpec(metrics={"r2": {"value_threshold": 0.5}})


@pytest.mark.parametrize("settings", [{"baseline": "column"}, {"baseline_column": "last"}])
def test_a_column_as_baseline_and_its_name_go_together(settings):
    with pytest.raises(SpecError, match="`baseline: column` and `baseline_column` go together"):
        GateSpec(metrics=METRICS, **settings)


def test_a_column_can_be_the_baseline():
    assert GateSpec(metrics=METRICS, baseline="column", baseline_column="last").baseline_column == "last"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_rows", 1),
        ("confidence_level", 0.5),
        ("confidence_level", 1.0),
        ("n_resamples", 199),
        ("block_length", 0),
        ("baseline", "last"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_its_name(name, value):
    with pytest.raises(SpecError, match=f"\n  {name}: "):
        GateSpec(metrics=METRICS, **{name: value})


def test_a_first_version_is_not_blessed_unless_that_is_declared():
    assert GateSpec(metrics=METRICS).cold_start is False


@pytest.mark.parametrize(
    ("metric", "baseline"), [("accuracy", "mean"), ("accuracy", "median"), ("mean_absolute_error", "most_frequent")]
)
def test_a_baseline_that_the_first_metric_could_not_be_held_against_is_refused(metric: str, baseline: str):
    with pytest.raises(SpecError, match=f"{baseline} is no baseline that {metric} could be held against"):
        GateSpec(metrics={metric: {}}, baseline=baseline)
