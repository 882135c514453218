from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import AssetAny, AssetOrTimeSchedule, CronTriggerTimetable

from airflow_mlops import ContinuousTraining
from airflow_mlops.errors import SpecError
from tests.conftest import REPOSITORY
from tests.steps.cases import small_settings

NEW_DATA = {"type": "new_data", "poll_interval_s": 5}
WEEKLY = {"type": "schedule", "cron": "0 3 * * 1"}


def _small(**changes: Any) -> ContinuousTraining:
    return ContinuousTraining.parse(small_settings(Path("/inbox")) | changes)


def _with_params(**params: Any) -> ContinuousTraining:
    return _small(training={"target": "y", "estimator": "a.B", "params": params})


def _watcher(asset: Any) -> dict[str, Any]:
    (watcher,) = asset.watchers
    trigger = watcher.trigger
    return trigger["kwargs"] if isinstance(trigger, dict) else trigger.serialize()[1]


def test_without_a_trigger_only_a_person_starts_it():
    assert _small().dag().schedule is None


def test_a_clock_is_a_cron_timetable_in_utc():
    timetable = _small(triggers=[WEEKLY]).dag().timetable
    assert isinstance(timetable, CronTriggerTimetable)
    assert timetable.expression == "0 3 * * 1"
    assert str(timetable.timezone) == "UTC"


def test_new_data_is_an_asset_that_is_watched_in_the_triggerer():
    (asset,) = _small(triggers=[NEW_DATA]).dag().schedule
    assert asset.name == "small_data"
    where = {"path": "/inbox", "conn_id": None, "recursive": False}
    assert _watcher(asset) == {**where, "watermark": "small_data", "poll_interval_s": 5.0}


@pytest.mark.parametrize(
    ("data", "watched"),
    [
        (
            {"path": "s3://b/x/*.csv", "conn_id": "lake"},
            {"path": "s3://b/x/*.csv", "conn_id": "lake", "recursive": False},
        ),
        ({"path": "/inbox", "partitioned": True}, {"path": "/inbox", "conn_id": None, "recursive": True}),
        ({"query": "SELECT 1", "conn_id": "shop"}, {"query": "SELECT 1", "conn_id": "shop", "timestamp": "day"}),
    ],
    ids=["s3", "partitions", "query"],
)
def test_new_data_is_watched_wherever_it_is(data: dict[str, Any], watched: dict[str, Any]):
    dag = _small(data={**data, "timestamp": "day"}, triggers=[NEW_DATA]).dag()
    (asset,) = dag.schedule
    assert _watcher(asset) == {**watched, "watermark": "small_data", "poll_interval_s": 5.0}
    assert ("a later `day` in `shop`" if "query" in data else "new files at") in dag.doc_md


def test_a_clock_and_new_data_each_start_it():
    schedule = _small(triggers=[NEW_DATA, WEEKLY]).dag().schedule
    assert isinstance(schedule, AssetOrTimeSchedule)
    assert isinstance(schedule.timetable, CronTriggerTimetable)
    assert [asset.name for asset in schedule.asset_condition.objects] == ["small_data"]


def test_any_of_several_assets_starts_it_and_drift_and_performance_are_one():
    performance = {"labels": {"path": "l.csv"}, "label": "y", "id": "id", "maturity": "P1D", "metrics": {"r2": {}}}
    others = [{"type": "asset", "uri": "s3://lake/visits"}, {"type": "drift"}, {"type": "performance"}]
    dag = _small(triggers=[NEW_DATA, *others], performance=performance).dag()
    assert isinstance(dag.schedule, AssetAny)
    *_, reference, alert = dag.schedule.objects
    assert (reference.name, reference.uri) == ("s3://lake/visits", "s3://lake/visits")
    assert alert.uri == "mlmodel://small/alert"
    assert len(dag.schedule.objects) == 3
    assert "- **Runs** on new files at `/inbox` and on a change of the asset `s3://lake/visits` and on drift" in (
        dag.doc_md or ""
    )


def test_the_monitoring_looks_daily_and_starts_what_the_pipeline_listens_to():
    dag = _small(triggers=[{"type": "drift"}], monitoring={"schedule": "0 4 * * *"}).monitoring_dag()
    assert (dag.dag_id, dag.timetable.expression) == ("small_monitoring", "0 4 * * *")
    assert dag.get_task("raise_alert").kinds == ("drift",)
    assert [asset.uri for asset in dag.get_task("raise_alert").outlets] == ["mlmodel://small/alert"]
    assert set(dag.task_ids) == {"check_drift", "raise_alert", "checked"}
    assert _small().monitoring_dag().timetable.expression == "0 0 * * *"
    assert _small(monitoring={"schedule": None}).monitoring_dag().schedule is None
    assert "starts nothing" in (_small().monitoring_dag().doc_md or "")


def test_a_check_that_fails_keeps_the_training_from_deciding_and_no_other_check_from_being_heard():
    performance = {"labels": {"path": "l.csv"}, "label": "y", "id": "id", "maturity": "P1D", "metrics": {"r2": {}}}
    pipeline = _small(performance=performance)
    decide, alert = pipeline.dag().get_task("decide"), pipeline.monitoring_dag().get_task("raise_alert")
    assert {"check_drift", "check_performance"} <= decide.upstream_task_ids
    assert alert.upstream_task_ids == {"check_drift", "check_performance"}
    assert (decide.trigger_rule, alert.trigger_rule) == ("all_success", "all_done")


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ({"type": "performance"}, "the trigger performance needs `performance`"),
        ({"type": "asset"}, "say which asset: its `name`, its `uri`, or both"),
        ({"type": "drifted"}, "triggers.0"),
    ],
)
def test_a_trigger_that_could_never_start_anything_is_refused(trigger: dict[str, Any], said: str):
    with pytest.raises(SpecError, match=said):
        _small(triggers=[trigger])


def test_the_trigger_form_offers_force_promotion_window_and_hyperparameters():
    dag = _small(data={"path": "/inbox", "timestamp": "day", "window_start": "2020-01-01"}).dag()
    params = {name: dag.params.get_param(name) for name in dag.params}
    assert {name: param.value for name, param in params.items()} == {
        "force": False,
        "promotion": "automatic",
        "window_start": "2020-01-01T00:00:00+00:00",
        "window_end": None,
        "alpha": 0.1,
    }
    assert params["force"].schema["type"] == "boolean"
    assert params["promotion"].schema["enum"] == ["automatic", "hold"]
    assert params["window_end"].schema["format"] == "date-time"
    assert params["window_end"].schema["type"] == ["null", "string"]
    assert params["alpha"].schema["section"] == "Hyperparameters"


def test_without_a_timestamp_there_is_no_window_to_choose():
    dag = _small(data={"path": "/inbox"}, split={"method": "random"}).dag()
    assert set(dag.params) == {"force", "promotion", "alpha"}
    assert "window_start" not in dag.get_task("snapshot").data or not dag.get_task("snapshot").data["window_start"]


@pytest.mark.parametrize("start", [{"trailing": "P30D"}, {"since_last_snapshot": True}])
def test_a_window_whose_start_is_declared_offers_only_its_end(start: dict[str, Any]):
    dag = _small(data={"path": "/inbox", "timestamp": "day", **start}).dag()
    assert {name for name in dag.params if name.startswith("window")} == {"window_end"}
    assert "window_start" not in str(dag.get_task("snapshot").data.get("window_start"))


def test_a_regular_expression_with_braces_reaches_the_task_as_it_was_written():
    rule = {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "zip", "regex": "^[0-9]{{5}}$|{%"}}
    task = _small(validation={"expectations": [rule]}).dag().get_task("validate")
    rendered = task.render_template(task.validation, {})
    assert rendered["expectations"][0]["kwargs"] == rule["kwargs"]


def test_a_query_is_described_by_its_connection_and_not_by_its_text():
    data = {"query": "SELECT * FROM orders", "conn_id": "shop", "timestamp": "day"}
    assert "from a query to `shop`" in _small(data=data).dag().doc_md


ATHENA = {"database": "d", "output_location": "s3://b/t"}


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        ({"function": "mine:load", "timestamp": "day"}, "use the trigger schedule"),
        (
            {"query": "SELECT 1", "conn_id": "a", "timestamp": "day", "athena": ATHENA},
            "set data.path to the table's folder",
        ),
        ({"query": "SELECT 1", "conn_id": "shop"}, "by data.timestamp; set it"),
    ],
)
def test_new_data_that_can_not_be_watched_is_refused_with_what_to_do(data: dict[str, Any], advice: str):
    with pytest.raises(SpecError, match=f"the trigger new_data .*{advice}"):
        _small(data=data, split={"method": "random"}, triggers=[NEW_DATA])


@pytest.mark.parametrize(
    ("value", "json_type"),
    [
        (True, "boolean"),
        (3, "integer"),
        (0.1, "number"),
        ("auto", "string"),
        ({"a": 1}, "object"),
        ([1, 2], "array"),
        (None, ["null", "string", "number"]),
    ],
)
def test_a_hyperparameter_has_the_form_field_of_its_type(value: Any, json_type: Any):
    param = _with_params(p=value).dag().params.get_param("p")
    assert param.schema["type"] == json_type
    assert param.resolve() == value


def test_the_trigger_form_holds_the_promotion_where_the_spec_does():
    assert _small(promotion={"policy": "hold"}).dag().params["promotion"] == "hold"


@pytest.mark.parametrize("name", ["force", "promotion", "window_start", "window_end"])
def test_a_hyperparameter_may_not_be_named_like_the_form_s_own_fields(name: str):
    with pytest.raises(SpecError, match=rf"training.params: \['{name}'\] are names of the trigger form's own fields"):
        _with_params(**{name: 1}).dag()


def test_the_dag_says_what_the_gate_asks():
    text = _small(triggers=[WEEKLY]).dag().doc_md
    assert "### Continuous training of `small`" in text
    assert "| mean_absolute_error | 1 | 0 |" in text
    assert "**Learns** `y` by `sklearn.linear_model.Ridge` from `/inbox`" in text
    assert "**Runs** on `0 3 * * 1` (UTC)" in text
    assert "trigger `small_rollback`" in text


def test_a_threshold_that_is_not_set_is_a_dash_and_a_baseline_column_is_named():
    gate = {
        "metrics": {"accuracy": {"value_threshold": 0.8, "change_threshold": None}},
        "baseline": "column",
        "baseline_column": "x",
    }
    text = _small(gate=gate, promotion={"policy": "hold"}).dag().doc_md
    assert "| accuracy | 0.8 | — |" in text
    assert "column `x` on them" in text
    assert "**Runs** on demand only" in text
    assert "**Promotes** nothing by itself" in text


def test_the_tasks_follow_the_flow_and_nothing_is_trained_before_the_validation():
    dag = _small().dag()
    assert [task.task_id for task in dag.topological_sort()][:2] == ["snapshot", "validate"]
    after_validation = {task.task_id for task in dag.get_task("validate").get_flat_relatives(upstream=False)}
    assert after_validation == set(dag.task_ids) - {"snapshot", "validate"}
    assert {task.task_id for task in dag.get_task("promote").get_flat_relatives(upstream=True)} == set(dag.task_ids) - {
        "promote"
    }


@pytest.mark.parametrize(
    ("settings", "only_undecided"),
    [
        ({"promotion": {"approval": "required", "approvers": ["ada"], "approval_timeout": "PT12H"}}, False),
        ({"gate": {"metrics": {"mean_absolute_error": {}}, "on_inconclusive": "ask"}}, True),
    ],
)
def test_a_person_is_asked_between_the_registration_and_the_promotion(settings: dict[str, Any], only_undecided: bool):
    dag = _small(**settings).dag()
    approve, promote = dag.get_task("approve"), dag.get_task("promote")
    assert "register" in approve.upstream_task_ids
    assert "approve" in promote.upstream_task_ids
    assert (approve.only_undecided, promote.needs_approval) == (only_undecided, not only_undecided)
    if not only_undecided:
        assert approve.assigned_users == [{"id": "ada", "name": "ada"}]
        assert approve.response_timeout == timedelta(hours=12)


def test_settings_of_the_dag_win_over_the_defaults():
    dag = _small().dag(dag_id="mine", tags=["mine"], default_args={"retries": 7}, mlflow_conn_id="ignored")
    assert (dag.dag_id, dag.tags) == ("mine", {"mine"})
    assert dag.get_task("train").retries == 7


def test_outages_are_tried_again_by_default_and_runs_do_not_overlap():
    dag = _small().dag(mlflow_conn_id="another")
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    for task in dag.tasks:
        assert (task.retries, task.retry_delay) == (2, timedelta(seconds=30))
        assert task.mlflow_conn_id == "another"


def test_a_rollback_asks_for_a_reason_and_offers_a_version():
    dag = _small().rollback_dag()
    assert dag.dag_id == "small_rollback"
    assert dag.schedule is None
    reason, version = dag.params.get_param("reason"), dag.params.get_param("to_version")
    assert reason.schema["minLength"] == 3
    assert not reason.has_value
    assert version.schema["type"] == ["null", "integer"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SpecError, match=r"nothing.yaml: can't be read: No such file or directory."):
        ContinuousTraining.from_yaml(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model_name: [", "is not YAML: "),
        ("- a list", "expected a mapping of settings, found list."),
        ("", "expected a mapping of settings, found NoneType."),
        ("model_name: small\ntraining: {target: y}", "training: give either `estimator` or `function`"),
        (
            "model_name: small\ntraining: {targt: y, estimator: a.B}",
            "training.targt: unknown key. Did you mean 'target'?",
        ),
        ("model_name: small", "data: is required."),
        ("model_name: sm all", "model_name: String should match pattern"),
    ],
)
def test_a_mistake_in_a_file_is_named_by_file_and_setting(tmp_path: Path, text: str, words: str):
    file = tmp_path / "small.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        ContinuousTraining.from_yaml(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert words in str(caught.value)


def test_a_file_gives_what_the_same_settings_give_in_python(tmp_path: Path):
    import yaml

    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(small_settings(Path("/inbox"))))
    assert ContinuousTraining.from_yaml(file) == _small()


def test_every_example_dag_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_db: None):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.syspath_prepend(str(REPOSITORY))
    bag = DagBag(dag_folder=str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    assert set(bag.dags) == {
        *("co2", "co2_rollback", "co2_by_hand"),
        *("randhie", "randhie_monitoring", "randhie_rollback"),
    }
    for dag in bag.dags.values():
        assert dag.description
        assert all(task.doc_md or task.__doc__ for task in dag.tasks)
