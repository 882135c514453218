from __future__ import annotations

from typing import Any

import pydantic
import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import DatasetSpec, GateSpec, PipelineSpec, SplitSpec, Thresholds
from airflow_mlops.specs._base import Spec

DOCUMENT = {
    "model_name": "bike_demand",
    "data": {"path": "/data/*.csv", "timestamp": "at"},
    "validation": {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "at"}}]},
    "training": {"target": "y", "estimator": "sklearn.linear_model.Ridge"},
    "gate": {"metrics": {"mean_absolute_error": {"value_threshold": 3.0}}},
}


def test_an_unknown_key_is_named_with_its_path_a_suggestion_and_the_known_keys():
    with pytest.raises(SpecError) as caught:
        PipelineSpec.parse({**DOCUMENT, "data": {"path": "x", "timestamp": "at", "timstamp": "at"}})
    message = str(caught.value)
    assert "PipelineSpec: 1 setting(s)" in message
    assert "data.timstamp: unknown key. Did you mean 'timestamp'?" in message
    assert "Known: athena, conn_id, csv, feature_tables, features," in message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"serving": None}, "serving: is called `serving_check` now."),
        ({"export": {"format": "onnx"}}, "export: is called `conversion` now."),
        ({"retraining": {"when": "evidence", "alarms": 2}}, "retraining.alarms: is called `min_alerts` now."),
        ({"rollout": {"mode": "canary", "looks": 4}}, "rollout.looks: is called `checks` now."),
        ({"validation": {"serving": {"data": {"path": "x"}}}}, "validation.serving: is called `skew` now."),
    ],
)
def test_a_pipeline_of_the_version_before_is_told_the_new_names(settings: dict[str, Any], message: str):
    with pytest.raises(SpecError) as caught:
        PipelineSpec.parse({**DOCUMENT, **settings})
    assert message in str(caught.value)


class _Oven(Spec):
    renamed = {"heat": "temperature_c"}

    temperature_c: float = 180.0


class _Kitchen(Spec):
    oven: _Oven = _Oven()


def test_a_setting_that_was_renamed_is_refused_with_its_new_name_and_its_path():
    with pytest.raises(SpecError, match=r"\n  oven\.heat: is called `temperature_c` now\.$"):
        _Kitchen(oven={"heat": 200})


@pytest.mark.parametrize("cls", Spec.__subclasses__())
def test_what_a_setting_is_called_now_is_a_setting(cls):
    assert set(cls.renamed.values()) <= set(cls.model_fields)
    assert not set(cls.renamed) & set(cls.model_fields)


def test_an_unknown_key_at_the_top_is_named_without_a_path():
    with pytest.raises(SpecError, match=r"\n  splitt: unknown key\. Did you mean 'split'\?"):
        PipelineSpec.parse({**DOCUMENT, "splitt": {}})


def test_an_unknown_key_below_a_mapping_is_named_with_the_mappings_key():
    gate = {"metrics": {"accuracy": {"value_treshold": 0.5}}}
    with pytest.raises(SpecError, match=r"gate\.metrics\.accuracy\.value_treshold: .*Did you mean 'value_threshold'"):
        PipelineSpec.parse({**DOCUMENT, "gate": gate})


@pytest.mark.parametrize(
    ("trigger", "suggested"),
    [({"type": "schedule", "crn": "* * * * *"}, "cron"), ({"type": "new_data", "poll_interval": 3}, "poll_interval_s")],
)
def test_an_unknown_key_of_a_trigger_is_compared_with_the_keys_of_that_kind(trigger, suggested):
    with pytest.raises(SpecError, match=rf"triggers\.0\.{trigger['type']}\.\w+: .*Did you mean '{suggested}'"):
        PipelineSpec.parse({**DOCUMENT, "triggers": [trigger]})


def test_a_missing_key_is_named_with_its_path():
    with pytest.raises(SpecError, match=r"training\.target: is required"):
        PipelineSpec.parse({**DOCUMENT, "training": {"estimator": "a.B"}})


def test_every_mistake_is_listed_not_only_the_first():
    with pytest.raises(SpecError) as caught:
        PipelineSpec.parse({**DOCUMENT, "split": {"test_fraction": 2}, "data": {"path": ""}})
    assert "2 setting(s)" in str(caught.value)
    assert "split.test_fraction:" in str(caught.value)
    assert "data.path:" in str(caught.value)


def test_a_wrong_value_is_shown():
    with pytest.raises(SpecError, match=r"test_fraction: .*less than 1 \(found 1\.5\)"):
        SplitSpec(test_fraction=1.5)


def test_a_long_wrong_value_is_cut():
    with pytest.raises(SpecError) as caught:
        SplitSpec(method="x" * 500)
    assert "x" * 79 + "…" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"triggers": [{"type": "new_dta"}]},
            "triggers.0: there is no type 'new_dta'. Did you mean 'new_data'? "
            "Known: asset, drift, new_data, performance, schedule.",
        ),
        (
            {"triggers": [{"cron": "@daily"}]},
            "triggers.0: say its `type`. Known: asset, drift, new_data, performance, schedule.",
        ),
        (
            {"monitoring": {"numeric": {"psy": 0.1}}},
            "monitoring.numeric.psy: there is no 'psy'. Did you mean 'psi'? "
            "Known: jensen_shannon, kolmogorov_smirnov, psi, wasserstein.",
        ),
        ({"training": "Ridge"}, "training: must be a mapping of settings (found 'Ridge')"),
        ({"triggers": ["drift"]}, "triggers.0: must be a mapping of settings (found 'drift')"),
        ({"monitoring": {"trailing": "6h"}}, "monitoring.trailing: write a duration as P30D or PT6H (found '6h')"),
        (
            {"data": {"path": "x", "timestamp": "at", "window_end": "soon"}},
            "data.window_end: write a time as 2026-01-31 or 2026-01-31T06:00 (found 'soon')",
        ),
        (
            {"triggers": [{"type": "drift"}, {"type": "drift"}]},
            "triggers: there are 2 of type drift; give at most one of a kind",
        ),
        (
            {"gate": DOCUMENT["gate"] | {"baseline": "most_frequent"}},
            "gate: most_frequent is no baseline that mean_absolute_error could be held against; use mean or median, or "
            "column",
        ),
    ],
)
def test_a_mistake_is_told_in_the_words_of_the_spec_and_without_the_whole_of_it(changes, line):
    with pytest.raises(SpecError) as caught:
        PipelineSpec.parse(DOCUMENT | changes)
    assert str(caught.value).splitlines()[1:] == [f"  {line}"]


def test_the_schema_describes_each_setting_by_what_the_documentation_says():
    known = PipelineSpec.model_json_schema()["$defs"]
    settings = known["MonitoringSpec"]["properties"]
    assert settings["ignore"]["description"] == "columns that are not compared, such as redacted ones."
    assert not [name for name, setting in settings.items() if "description" not in setting]
    assert ":param" not in known["MonitoringSpec"]["description"]
    assert known["IntRange"]["properties"]["log"]["description"].startswith("draw evenly")


def test_the_cause_is_kept():
    with pytest.raises(SpecError) as caught:
        SplitSpec(seed="many")
    assert isinstance(caught.value.__cause__, pydantic.ValidationError)


@pytest.mark.parametrize("document", [None, 3, "path: x", ["path"]])
def test_a_document_that_is_no_mapping_is_refused_with_what_it_is(document):
    with pytest.raises(
        SpecError, match=f"DatasetSpec: expected a mapping of settings, found {type(document).__name__}"
    ):
        DatasetSpec.parse(document)


def test_parsing_a_spec_gives_the_same_spec():
    spec = SplitSpec(test_fraction=0.3)
    assert SplitSpec.parse(spec) is spec


def test_parsing_the_spec_of_something_else_is_refused():
    with pytest.raises(SpecError, match="found SplitSpec"):
        DatasetSpec.parse(SplitSpec())


def test_a_spec_can_not_be_changed():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        SplitSpec().seed = 3


def test_specs_can_be_nested_as_objects():
    gate = GateSpec(metrics={"mean_absolute_error": Thresholds(value_threshold=0.5)})
    assert gate == GateSpec(metrics={"mean_absolute_error": {"value_threshold": 0.5}})


@pytest.mark.parametrize("cls", Spec.__subclasses__())
def test_every_spec_refuses_unknown_keys(cls):
    with pytest.raises(SpecError, match="no_such_key: unknown key"):
        cls(no_such_key=1)
