"""Tasks in a running Airflow that are killed, or that fail with secrets in their mouths and processes behind them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.demo import co2_data
from include.demo.api import AirflowApi, champion_in_mlflow
from include.demo.services import REPOSITORY, Demo, free_port, running

DAG = """
import logging, os, signal
from datetime import timedelta
from pathlib import Path

from airflow_mlops import ContinuousTraining
from include.co2_model import ridge

INCLUDE = Path("{include}")
NOTE = Path(os.environ["AIRFLOW_HOME"]) / "killed"


def die_once(step):
    note = NOTE.with_name(f"killed_{{step}}")
    if not note.exists():
        note.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def train(data, params):
    die_once("train")
    features = data.drop(columns="next_co2")
    return ridge(**params).fit(features, data["next_co2"])


pipeline = ContinuousTraining(
    model_name="killed",
    data={{
        "path": "${{AIRFLOW_HOME}}/inbox/co2/*.csv",
        "timestamp": "date",
        "features": (INCLUDE / "co2_features.sql").read_text(),
    }},
    validation={{"suite": str(INCLUDE / "expectations" / "co2.json")}},
    training={{"target": "next_co2", "function": "killed:train", "params": {{"alpha": 0.1}}}},
    serving_check=None,
    gate={{
        "metrics": {{"mean_absolute_error": {{}}}}, "baseline": "column", "baseline_column": "co2", "cold_start": True
    }},
)
dag = pipeline.dag(default_args={{"retries": 2, "retry_delay": timedelta(seconds=1)}})


def kill_after(method, step):
    def call(*args, **kwargs):
        found = method(*args, **kwargs)
        die_once(step)
        return found

    return call


def arm(context):
    from airflow_mlops.adapters.mlflow.client import Mlflow
    from airflow_mlops.adapters.storage.store import AppendOnlyLog

    if context["ti"].task_id == "register":
        Mlflow.create_version = kill_after(Mlflow.create_version, "register")
    if context["ti"].task_id == "promote":
        AppendOnlyLog.append = kill_after(AppendOnlyLog.append, "promote")


for task_id in ("register", "promote"):
    dag.get_task(task_id).on_execute_callback = [arm]


def indiscreet(data, params):
    from airflow.sdk import BaseHook
    from joblib import Parallel, delayed

    Parallel(n_jobs=2, backend="loky")(delayed(abs)(number) for number in range(4))
    password = BaseHook.get_connection("warehouse").password
    print("printed", password)
    logging.getLogger("trainer").warning("logged %s", password)
    raise ValueError(f"raised {{password}}")


settings = pipeline.model_dump(mode="json")
settings["training"] |= {{"function": "killed:indiscreet"}}
other = ContinuousTraining.parse(settings | {{"model_name": "indiscreet"}}).dag(default_args={{"retries": 0}})
"""


PASSWORD = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    (folder / "dags").mkdir()
    (folder / "dags" / "killed.py").write_text(DAG.format(include=REPOSITORY / "include"))
    demo = Demo(folder / "demo", airflow_port=free_port(), mlflow_port=free_port(), dags=folder / "dags")
    with running(demo, lambda _: None):
        api = AirflowApi(demo)
        api.post("/connections", {"connection_id": "warehouse", "conn_type": "postgres", "password": PASSWORD})
        co2_data.deliver(co2_data.weeks(1958, 1984), demo.home / "inbox" / "co2", "co2.csv")
        demo.wait(lambda: api.has_dag("killed") and api.has_dag("indiscreet"), "The DAGs", 120)
        yield demo, api


def _ended_run(house, dag_id):
    demo, api = house
    run_id = api.trigger(dag_id, {})
    demo.wait(lambda: api.runs(dag_id)[0]["state"] in ("success", "failed"), "The run", 300)
    return run_id


@pytest.fixture(scope="module")
def run(house):
    return *house, _ended_run(house, "killed")


def test_the_run_succeeds_after_each_kill(run):
    demo, api, run_id = run
    assert set(api.task_states("killed", run_id).values()) == {"success"}
    assert sorted(path.name for path in Path(demo.home).glob("killed_*")) == [
        "killed_promote",
        "killed_register",
        "killed_train",
    ]


def test_there_is_one_version_one_entry_and_the_alias_agrees(run):
    from mlflow import MlflowClient

    demo, _, _ = run
    client = MlflowClient(demo.mlflow_url)
    versions = client.search_model_versions("name = 'killed'")
    assert [int(version.version) for version in versions] == [1]
    assert champion_in_mlflow(demo, "killed") == 1
    entries = sorted((demo.storage / "journals" / "killed").glob("*.json"))
    assert [entry.name for entry in entries] == ["000001.json"]
    assert json.loads(entries[0].read_text())["to_version"] == 1


def test_the_killed_training_is_kept_as_killed(run):
    from mlflow import MlflowClient

    demo, _, _ = run
    client = MlflowClient(demo.mlflow_url)
    experiment = client.get_experiment_by_name("killed")
    assert experiment is not None
    assert sorted(r.info.status for r in client.search_runs([experiment.experiment_id])) == ["FINISHED", "KILLED"]


def test_a_training_that_fails_after_parallel_work_ends_at_once_and_what_it_says_is_masked(house):
    demo, api = house
    run_id = _ended_run(house, "indiscreet")
    (train,) = [task for task in api.task_instances("indiscreet", run_id) if task["task_id"] == "train"]
    assert (train["state"], train["duration"] < 30) == ("failed", True), "Airflow waits 60 s for what holds its sockets"
    logs = [path.read_text() for path in Path(demo.home).rglob("*.log") if "task_id=train" in str(path)]
    text = "\n".join(log for log in logs if "printed" in log)
    for word in ("printed", "logged", "raised"):
        assert f"{word} ***" in text
    everything = [
        path.read_text(errors="replace")
        for path in Path(demo.home).rglob("*")
        if path.suffix in (".log", ".html", ".json")
    ]
    assert not any(PASSWORD in each for each in everything)
