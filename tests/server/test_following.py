"""Which version serves, and that nobody notices when it becomes another one."""

from __future__ import annotations

import http.client
import os
import shutil
import threading
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.server.watcher import Watcher
from airflow_mlops.steps import Platform
from airflow_mlops.steps.promotion.promote import rollback_model
from tests.processes import wait_until
from tests.server.cases import FRAME, Stage, add_version, body_of, promote, request, request_on
from tests.server.models import STRANGER
from tests.steps.cases import damage, run_named, stored_file

N_SWAPS = int(os.environ.get("MLOPS_TEST_SWAPS", "50"))
ROW = body_of(FRAME.head(1))


def watching(stage: Stage, platform: Platform | None = None) -> Watcher:
    watcher = Watcher(stage.model_name, platform=platform or stage.platform, on_swap=lambda serving_set: None)
    watcher.look()
    return watcher


def champion(watcher: Watcher) -> int | None:
    return watcher.serving_set.champion.number if watcher.serving_set else None


def test_a_server_waits_for_the_first_promotion_follows_the_journal_and_misses_one_that_is_gone(
    tmp_path, mlflow_database, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    platform = Platform(Storage(str(tmp_path / "storage")), Mlflow(f"sqlite:///{tmp_path}/mlflow.db"))
    first, second = (add_version(platform, "followed") for _ in range(2))
    with Stage(platform, "followed").serving(poll_s=0.05) as server:
        assert request(server.url, ROW).status == 503
        assert [request(server.url, path=path).status for path in ("/live", "/ping")] == [200, 503]
        health = request(server.url, path="/health")
        assert health.status == 503
        assert b"followed has no champion yet. Promote a version, and it serves." in health.body
        promote(platform, first, None)
        wait_until(lambda: request(server.url, path="/ping").status == 200)
        assert request(server.url, ROW).predictions == [1.0]
        promote(platform, second, 1)
        wait_until(lambda: request(server.url, ROW).predictions == [2.0])
        assert request(server.url, path="/health").body == b'{"status":"ok","problems":[]}'
        rollback_model("followed", reason="worse", platform=platform, run=run_named("back"))
        wait_until(lambda: request(server.url, ROW).predictions == [1.0])
    elsewhere = replace(platform, storage=Storage(str(tmp_path / "not-mounted")))
    (problem,) = watching(Stage(elsewhere, "followed")).problems
    assert "followed had a champion, for in MLflow the alias 'champion' points to version 1, but" in problem
    assert f"no journal at {tmp_path}/not-mounted/journals/followed. Nothing serves. Is the storage mounted" in problem
    unreachable = replace(elsewhere, mlflow=Mlflow("http://127.0.0.1:9"))
    assert "MLflow can't say whether it ever had one" in watching(Stage(unreachable, "followed")).problems[-1]


def test_versions_are_swapped_under_load_without_a_failed_request_and_the_log_names_them_rightly(stage: Stage):
    failures, wrong = [], []
    with stage.serving() as server:
        is_over = threading.Event()

        def client() -> None:
            connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
            while not is_over.is_set():
                answer = request_on(connection, ROW)
                if answer.status != 200:
                    failures.append(answer)
                elif answer.predictions != [float(answer.headers["x-mlops-model-version"])]:
                    wrong.append(answer)
            connection.close()

        clients = [threading.Thread(target=client) for _ in range(3)]
        for each in clients:
            each.start()
        for number in range(N_SWAPS):
            stage.deploy(champion_version=2 - number % 2)
            server.watcher.look()
            assert server.watcher.problems == ()
        is_over.set()
        for each in clients:
            each.join()
    assert (failures, wrong) == ([], [])
    logged = stage.logged()
    assert set(logged["mlops_model_version"]) == {1, 2}
    assert (logged["mlops_prediction"] == logged["mlops_model_version"]).all()
    for number in (1, 2):
        digest = stage.platform.mlflow.get_version("served", number).model_digest
        assert set(logged.query("mlops_model_version == @number")["mlops_model_digest"]) == {digest}


def test_a_champion_with_a_type_that_nobody_trusts_is_refused_by_name_and_the_old_one_goes_on(stage: Stage):
    platform = replace(stage.platform, trusted_types=())
    watcher = watching(stage, platform)
    stage.deploy(champion_version=STRANGER)
    watcher.look()
    assert champion(watcher) == 1
    (problem,) = watcher.problems
    assert f"served v{STRANGER} can't serve: " in problem
    assert "'tests.server.models.Stranger'" in problem
    stage.deploy(champion_version=2)
    watcher.look()
    assert (champion(watcher), watcher.problems) == (2, ())


def test_files_that_are_damaged_or_gone_are_refused_and_the_old_version_goes_on(tmp_path, mlflow_database, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    platform = Platform(Storage(str(tmp_path / "storage")), Mlflow(f"sqlite:///{tmp_path}/mlflow.db"))
    first, second, _ = (add_version(platform, "damaged") for _ in range(3))
    promote(platform, first, None)
    stage = Stage(platform, "damaged")
    watcher = watching(stage)
    promote(platform, second, 1)
    damage(platform, "damaged", 2)
    watcher.look()
    assert champion(watcher) == 1
    assert "damaged v2 can't serve: " in watcher.problems[0]
    assert "was verified" in watcher.problems[0]
    shutil.rmtree(stored_file(platform, "damaged", 3).parent)
    stage.deploy(champion_version=1, challenger_version=3)
    watcher.look()
    assert champion(watcher) == 1
    assert "damaged v3 can't serve: " in watcher.problems[0]


def test_a_challenger_that_can_not_be_had_leaves_the_champion_alone(stage: Stage):
    stage.deploy(challenger_version=99)
    watcher = watching(stage)
    assert champion(watcher) == 1
    assert watcher.serving_set.challenger is None
    assert "MLflow has no version 99" in watcher.problems[0]


def test_a_challenger_that_becomes_champion_is_not_loaded_again(stage: Stage):
    stage.deploy(challenger_version=2)
    watcher = watching(stage)
    challenger = watcher.serving_set.challenger
    stage.deploy(champion_version=2, challenger_version=2)
    watcher.look()
    assert watcher.serving_set.champion is challenger
    assert watcher.serving_set.challenger is None


def test_a_share_is_changed_while_mlflow_is_down(stage: Stage):
    stage.canary(0.1)
    watcher = watching(stage)
    watcher._platform = replace(stage.platform, mlflow=Mlflow("http://127.0.0.1:9"))
    stage.canary(0.4)
    watcher.look()
    assert watcher.serving_set.deployment.share == 0.4
    assert watcher.serving_set.challenger.number == 2
    assert watcher.problems[0].startswith("MLflow at http://127.0.0.1:9 does not answer")


@pytest.mark.parametrize("broken", ["deployments/served/current.json", "journals/served/000001.json"])
def test_a_record_that_is_damaged_is_a_problem_and_no_reason_to_stop(stage: Stage, broken: str):
    watcher = watching(stage)
    if broken.startswith("journals"):
        stage.deploy(champion_version=None)
    file = stage.platform.storage.root / broken
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{")
    watcher.look()
    assert champion(watcher) == 1
    assert "is damaged" in watcher.problems[0]
