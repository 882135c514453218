"""``dags/co2.py`` by ``dag.test()``: the same chapters as the demo's, task by task."""

from __future__ import annotations

import json
from pathlib import Path

from airflow_mlops import ContinuousTraining
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.gate.rules import Blessing
from include.demo import co2_data
from tests.operators.conftest import Ended, House, load_dag_file
from tests.stage import Stage
from tests.steps.cases import Left, left_by

ALL = ("snapshot", "validate", "split", "check_leakage", "check_drift", "decide")
TRAINED = ("train", "evaluate", "bless")
SERVED = ("check_serving",)
PROMOTED = ("register", "promote")


def _deliver(house: House, first_year: int, last_year: int) -> None:
    co2_data.deliver(co2_data.weeks(first_year, last_year), house.inbox, f"{first_year}.csv")


def _states(**groups: tuple[str, ...]) -> dict[str, str]:
    return {task: state for state, tasks in groups.items() for task in tasks}


def _unserved() -> ContinuousTraining:
    """The example without the serving check, which takes seconds."""
    return load_dag_file("co2").co2.model_copy(update={"serving_check": None})


def _run(house: House) -> Ended:
    _deliver(house, 1958, 1984)
    return house.run(load_dag_file("co2").dag)


def _run_unserved(house: House) -> Ended:
    _deliver(house, 1958, 1984)
    return house.run(_unserved().dag())


def _small_json(ended: Ended) -> None:
    assert ended.xcoms
    for (task, key), value in ended.xcoms.items():
        assert len(json.dumps(value)) < 8192, (task, key)


def test_a_cold_start_ends_with_a_champion(house: House, house_stage: Stage):
    ended: Ended = house_stage.after(house, _run)
    assert ended.state == "success"
    assert ended.states == _states(success=(*ALL, *TRAINED, *SERVED, *PROMOTED))
    assert ended.result("bless")["verdict"] == "BLESSED"
    assert ended.result("check_drift")["status"] == "NO_REFERENCE"
    assert ended.result("promote")["run_id"] == ended.run_id
    assert ended.result("promote")["actor"] == "dag_test"
    assert left_by(house.platform, "co2") == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))


def test_every_task_leaves_a_small_json_document_with_places_and_no_rows(house: House, house_stage: Stage):
    ended: Ended = house_stage.after(house, _run)
    _small_json(ended)
    results = {task: value for (task, key), value in ended.xcoms.items() if key == "return_value"}
    assert results.keys() == {*ALL, *TRAINED, *SERVED, *PROMOTED}
    kinds = {task: document["kind"] for task, document in results.items()}
    assert kinds == {
        "snapshot": "DatasetSnapshot",
        "validate": "ValidationReport",
        "split": "DatasetSplit",
        "check_leakage": "LeakageReport",
        "check_drift": "DriftReport",
        "decide": "RetrainDecision",
        "train": "TrainedModel",
        "evaluate": "EvaluationReport",
        "check_serving": "ServingCheckReport",
        "bless": "Blessing",
        "register": "ModelVersion",
        "promote": "PromotionRecord",
    }
    for part in ("train", "test"):
        assert Path(results["split"][part]["uri"]).is_relative_to(house.folder / "storage")
    assert "1958-03-29" not in json.dumps({task: results[task] for task in ("split", "train", "evaluate")})


def test_tasks_link_to_the_report_that_they_stored(house: House, house_stage: Stage):
    ended: Ended = house_stage.after(house, _run)
    for task, page in (
        ("validate", "validation"),
        ("check_leakage", "leakage"),
        ("check_drift", "drift"),
        ("evaluate", "evaluation"),
        ("check_serving", "serving_check"),
        ("bless", "blessing"),
        ("register", "model_card"),
    ):
        link = ended.xcoms[task, "_link_ReportLink"]
        path = ended.result(task)["report_uri"]
        assert link == f"http://airflow.test/mlops/{path}"
        assert path.endswith(f"/{page}.html")
        assert (house.folder / "storage" / path).is_file()


def test_the_same_files_again_end_the_run_early_and_green(house: House, house_stage: Stage):
    house_stage.after(house, _run_unserved)
    dag = _unserved().dag()
    before = left_by(house.platform, "co2")
    again = house.run(dag)
    assert again.state == "success"
    assert again.states == _states(success=ALL, skipped=(*TRAINED, *PROMOTED))
    assert again.result("decide")["should_retrain"] is False
    assert left_by(house.platform, "co2") == before


def test_force_in_the_trigger_form_trains_all_the_same(house: House, house_stage: Stage):
    house_stage.after(house, _run_unserved)
    dag = _unserved().dag()
    forced = house.run(dag, {"force": True, "promotion": "hold"})
    assert forced.result("decide")["reasons"][0]["rule"] == "forced"
    assert forced.states["evaluate"] == "success"
    assert left_by(house.platform, "co2").journal == (("promote", None, 1),)


def test_a_broken_batch_fails_the_validation_at_once_and_its_report_is_there_all_the_same(
    house: House, house_stage: Stage
):
    house_stage.after(house, _run_unserved)
    dag = _unserved().dag()
    before = left_by(house.platform, "co2")
    co2_data.deliver(co2_data.with_renamed_column(co2_data.weeks(1985, 1985)), house.inbox, "1985.csv")
    halted = house.run(dag)
    assert halted.state == "failed"
    rest = ("split", "check_leakage", "check_drift", "decide", *TRAINED, *PROMOTED)
    assert halted.states == _states(success=("snapshot",), failed=("validate",), upstream_failed=rest)
    assert dag.get_task("validate").retries == 2
    assert halted.tries["validate"] == 1
    report = halted.result("validate")
    assert report["verdict"] == "HALT"
    assert "column_new" in {finding["rule"] for finding in report["findings"]}
    assert halted.xcoms["validate", "_link_ReportLink"].endswith(report["report_uri"])
    assert left_by(house.platform, "co2") == before
    _small_json(halted)


def test_a_worse_challenger_is_rejected_and_the_run_is_green(house: House, house_stage: Stage):
    house_stage.after(house, _run_unserved)
    dag = _unserved().dag()
    before = left_by(house.platform, "co2")
    rejected = house.run(dag, {"alpha": 1e6})
    assert rejected.state == "success"
    assert rejected.states == _states(success=(*ALL, *TRAINED), skipped=PROMOTED)
    assert rejected.result("bless")["verdict"] == "REJECTED"
    assert rejected.result("train")["params"] == {"alpha": 1e6}
    assert left_by(house.platform, "co2") == before
    _small_json(rejected)


def test_a_person_rolls_back_by_a_dag_of_its_own(house: House, house_stage: Stage):
    house_stage.after(house, _run_unserved)
    pipeline = _unserved()
    dag, rollback = pipeline.dag(), pipeline.rollback_dag()
    _deliver(house, 1985, 1999)
    second = house.run(dag)
    assert second.result("promote")["to_version"] == 2
    assert second.result("check_drift")["status"] == "DRIFTED"
    back = house.run(rollback, {"reason": "v2 answers strangely"})
    assert back.state == "success"
    record = back.result("rollback")
    assert (record["action"], record["reason"], record["run_id"]) == (
        "rollback",
        "v2 answers strangely",
        back.run_id,
    )
    assert left_by(house.platform, "co2").journal == (("promote", None, 1), ("promote", 1, 2), ("rollback", 2, 1))
    again = house.run(dag)
    assert again.result("decide")["should_retrain"] is False
    assert left_by(house.platform, "co2").alias == 1


def test_a_rollback_with_nothing_to_go_back_to_fails_without_a_retry(house: House):
    ended = house.run(load_dag_file("co2").rollback, {"reason": "just because"})
    assert (ended.state, ended.states) == ("failed", {"rollback": "failed"})
    assert ended.tries["rollback"] == 1


def test_in_this_process_and_as_a_dag_the_same_data_gives_the_same_digests_and_metrics(
    house: House, house_stage: Stage
):
    ended: Ended = house_stage.after(house, _run_unserved)
    pipeline = _unserved()
    alone = house.folder / "alone"
    alone.mkdir()
    here = pipeline.run(storage_root=alone / "storage", tracking_uri=f"sqlite:///{alone}/mlflow.db")
    assert ended.result("snapshot")["digest"] == here.snapshot.digest
    split = ended.result("split")
    for part in ("train", "test"):
        assert split[part]["digest"] == getattr(here.split, part).digest
        assert split[part]["n_rows"] == getattr(here.split, part).n_rows
    assert ended.result("train")["fingerprint"] == here.model.fingerprint
    assert ended.result("decide")["fingerprint"] == here.decision.fingerprint
    assert EvaluationReport.from_dict(ended.result("evaluate")).comparisons == here.evaluation.comparisons
    assert Blessing.from_dict(ended.result("bless")).reasons == here.blessing.reasons
    assert len(ended.result("validate")["checks"]) == len(here.validation.checks) > 0
