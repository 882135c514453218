from __future__ import annotations

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import FairnessRules, GateSpec, SliceRules, Thresholds

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
    with pytest.raises(SpecError, match=r"no metric 'roc_aux'\. Did you mean 'roc_auc'\? Known: mean_absolute_error, "):
        GateSpec(metrics={"roc_aux": {"value_threshold": 0.5}})


def test_a_function_is_a_metric_and_must_say_which_direction_is_good():
    gate = GateSpec(metrics={"mine.metrics:cost": {"direction": "lower_is_better"}})
    assert gate.task is None
    with pytest.raises(SpecError, match=r"mine\.metrics:cost: say its `direction`"):
        GateSpec(metrics={"mine.metrics:cost": {}})
    with pytest.raises(SpecError, match="accuracy: its `direction` is known"):
        GateSpec(metrics={"accuracy": {"direction": "higher_is_better"}})


def test_metrics_of_numbers_and_of_classes_do_not_go_together():
    with pytest.raises(SpecError, match="r2 is of numbers and accuracy of classes; a target is one of them"):
        GateSpec(metrics={"accuracy": {}, "r2": {}})


def test_the_metrics_say_the_task():
    assert GateSpec(metrics={"r2": {}}).task == "regression"
    assert GateSpec(metrics={"roc_auc": {}}).task == "classification"


def test_an_absolute_and_a_relative_threshold_are_one_too_many():
    relative = Thresholds(relative_change_threshold=0.05)
    assert relative.change_threshold is None
    assert Thresholds.parse(relative.model_dump(mode="json")) == relative
    with pytest.raises(SpecError, match="two answers to one question"):
        Thresholds(change_threshold=0.1, relative_change_threshold=0.05)
    with pytest.raises(SpecError, match="two answers to one question"):
        SliceRules(columns="a", change_threshold=0.1, relative_change_threshold=0.05)


def test_rows_are_resampled_in_one_way():
    with pytest.raises(SpecError, match="`block_length` and `resample_by` each say what is resampled: keep one"):
        GateSpec(metrics=METRICS, block_length=4, resample_by="customer")


def test_slices_that_nobody_names_and_nobody_looks_for_are_none():
    with pytest.raises(SpecError, match="there is no slice: name `columns`, or let the `worst` be found"):
        SliceRules(worst=0)


def test_one_column_can_be_written_without_a_list():
    assert SliceRules(columns="region").columns == ("region",)
    assert FairnessRules(attributes="sex").attributes == ("sex",)


def test_a_limit_that_decides_nothing_is_refused():
    with pytest.raises(SpecError, match="limits: a limit that is NaN or infinite decides nothing"):
        FairnessRules(attributes="sex", limits={"demographic_parity_difference": float("inf")})


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
