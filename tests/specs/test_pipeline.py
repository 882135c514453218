from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import NewDataTrigger, PipelineSpec, PromotionSpec, ScheduleTrigger


def _document(**settings: Any) -> dict[str, Any]:
    return {
        "model_name": "bike_demand",
        "data": {"path": "/data/*.csv", "timestamp": "at"},
        "validation": {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "at"}}]},
        "training": {"target": "y", "estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 1.0}},
        "gate": {"metrics": {"mean_absolute_error": {"value_threshold": 3.0}}},
        **settings,
    }


def test_ten_lines_are_a_whole_pipeline_with_safe_defaults():
    spec = PipelineSpec.parse(_document())
    assert spec.split.method == "time"
    assert spec.promotion.policy == "automatic"
    assert spec.gate.cold_start is False
    assert spec.triggers == ()


def test_a_spec_survives_the_way_through_json():
    spec = PipelineSpec.parse(
        _document(
            description="daily",
            data={
                "path": "/data/*.csv",
                "format": "csv",
                "timestamp": "at",
                "window_start": "2026-01-01T00:00:00Z",
                "window_end": "2026-03-01T00:00:00Z",
                "features": "SELECT * FROM dataset",
            },
            split={"method": "random", "test_fraction": 0.25, "seed": 3},
            training={"target": "y", "features": ["a", "b"], "function": "mine:train", "params": {"depth": [1, 2]}},
            gate={
                "metrics": {
                    "r2": {"change_threshold": -0.01},
                    "mean_absolute_error": {"change_threshold": None, "value_threshold": 2},
                },
                "baseline": "column",
                "baseline_column": "a",
            },
            promotion={"policy": "hold"},
            monitoring={"drifted_fraction": 0.1},
            triggers=[{"type": "new_data", "poll_interval_s": 5}, {"type": "schedule", "cron": "0 3 * * *"}],
        )
    )
    again = PipelineSpec.parse(json.loads(json.dumps(spec.model_dump(mode="json"))))
    assert again == spec
    assert list(again.gate.metrics) == ["r2", "mean_absolute_error"]


def test_triggers_are_told_apart_by_their_type():
    spec = PipelineSpec.parse(_document(triggers=[{"type": "schedule", "cron": "@daily"}, {"type": "new_data"}]))
    assert spec.triggers == (ScheduleTrigger(cron="@daily"), NewDataTrigger())


def test_two_triggers_of_a_kind_are_refused():
    with pytest.raises(SpecError, match="triggers: there are 2 of type new_data; give at most one of a kind"):
        PipelineSpec.parse(_document(triggers=[{"type": "new_data"}, {"type": "new_data"}]))


def test_an_unknown_type_of_trigger_is_refused_with_those_that_are_known():
    with pytest.raises(SpecError, match=r"triggers\.0: there is no type 'webhook'\. Known: asset, .*, schedule"):
        PipelineSpec.parse(_document(triggers=[{"type": "webhook"}]))


PERFORMANCE = {"labels": {"path": "labels.csv"}, "label": "y", "id": "id", "maturity": "P7D"}


def test_performance_metrics_that_do_not_fit_the_target_are_refused_by_their_own_name():
    performance = PERFORMANCE | {"metrics": {"roc_auc": {"value_threshold": 0.8}}}
    words = (
        r"performance\.metrics\.roc_auc is of classes, but by gate\.metrics \(mean_absolute_error\) the target is of "
        r"numbers\. Take a metric of numbers: mean_absolute_error, "
    )
    with pytest.raises(SpecError, match=words):
        PipelineSpec.parse(_document(gate={"metrics": {"mean_absolute_error": {}}}, performance=performance))
    by_function = {"metrics": {"a.b:c": {"direction": "lower_is_better"}}}
    assert PipelineSpec.parse(_document(gate=by_function, performance=performance)).performance, "nobody knows yet"


def test_a_split_by_time_needs_a_timestamp():
    with pytest.raises(SpecError, match=r"a split by time needs data\.timestamp; or choose split\.method: random"):
        PipelineSpec.parse(_document(data={"path": "x"}))


def test_a_random_split_needs_no_timestamp():
    assert PipelineSpec.parse(_document(data={"path": "x"}, split={"method": "random"})).data.timestamp is None


@pytest.mark.parametrize("name", ["", "-x", "bike demand", "a/b", "../x", "ü", "x" * 201])
def test_a_model_name_that_is_no_plain_name_everywhere_is_refused(name):
    with pytest.raises(SpecError, match="model_name: "):
        PipelineSpec.parse(_document(model_name=name))


def test_a_blessed_version_is_promoted_or_held():
    assert PromotionSpec(policy="hold").policy == "hold"
    with pytest.raises(SpecError, match="policy: "):
        PromotionSpec(policy="ask")
