"""The documentation's code does what the documentation says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops import BatchScoring, ContinuousTraining
from airflow_mlops.specs import PipelineSpec

REPOSITORY = Path(__file__).parents[1]


def run_script(script: Path, folder: Path) -> list[str]:
    """Run a script as a reader would, in a folder of its own, and return what it printed."""
    # MLflow keeps model files below the present folder when it has no server.
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "AIRFLOW_HOME": str(folder / "airflow")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.airflow
def test_the_tutorials_script_makes_a_champion_and_its_successor(tmp_path: Path) -> None:
    printed = run_script(REPOSITORY / "docs" / "tutorial_run.py", tmp_path)
    assert [line for line in printed if line.startswith("Champion: ")] == [
        "Champion: version 1",
        "Champion: version 2",
    ]
    decisions = [line for line in printed if line.startswith("co2: retrain. ")]
    assert "Cold start" in decisions[0]
    assert "changed since v1" in decisions[1]
    assert sum(line.startswith("co2: challenger BLESSED. ") for line in printed) == 2
    assert len(list((tmp_path / "airflow" / "mlops" / "journals" / "co2").glob("*.json"))) == 2


@pytest.mark.airflow
def test_the_batch_scorings_on_their_page_build_their_dags(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "howto" / "batch-scoring.md").read_text()
    blocks = re.findall(r"^```(yaml|python)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert [language for language, _ in blocks] == ["yaml", "python", "python"]
    settings, declared, by_hand = (code for _, code in blocks)
    (tmp_path / "churn_scoring.yaml").write_text(settings)
    made: dict[str, Any] = {}
    exec(declared.replace("/opt/airflow/include", str(tmp_path)) + by_hand, made)
    assert made["dag"].task_ids == ["snapshot", "validate", "predict"]
    assert f"The DAG is `{made['dag'].dag_id}`:" in page
    assert made["by_hand"].task_ids == ["snapshot", "predict"]


@pytest.mark.airflow
def test_the_performance_check_without_airflow_runs_as_its_page_has_it(
    tmp_path: Path, mlflow_database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (REPOSITORY / "docs" / "howto" / "performance.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", page.partition("## Without Airflow")[2], re.DOTALL | re.MULTILINE)
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    here = {"/var/lib/mlops": f"{tmp_path}/mlops", "http://localhost:5000": f"sqlite:///{tmp_path}/mlflow.db"}
    for there, place in here.items():
        assert there in code
        code = code.replace(there, place)
    exec(compile(code, "performance.md", "exec"), {})
    assert capsys.readouterr().out == "churn: NO_CHAMPION. There is no champion, so there is nothing to judge.\n"
    assert (tmp_path / "mlops/reports/churn_by_hand/march/performance.html").exists()


def test_the_reference_has_each_setting_and_each_method_of_a_pipeline() -> None:
    page = (REPOSITORY / "docs" / "reference" / "pipeline.md").read_text()
    table = page.partition("## Settings")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(PipelineSpec.model_fields)
    for cls in (ContinuousTraining, BatchScoring):
        members = re.search(rf"autoclass:: airflow_mlops\.{cls.__name__}\(.*\n   :members: (.*)$", page, re.MULTILINE)
        assert members is not None
        assert members[1].split(", ") == [name for name in vars(cls) if callable(getattr(cls, name)) and name[0] != "_"]


@pytest.mark.airflow
def test_the_readmes_pipeline_builds_its_dag_and_runs(
    tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = re.search(r"^```python\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert block is not None
    code = block[1]
    assert "/data/visits/" in code
    inbox = tmp_path / "visits"
    inbox.mkdir()
    rows = (f"{age},{age // 10 + turn % 3}" for turn, age in enumerate(list(range(20, 90)) * 5))
    (inbox / "visits.csv").write_text("\n".join(["age,visits", *rows]) + "\n")
    names: dict[str, Any] = {}
    exec(compile(code.replace("/data/visits/", f"{inbox}/"), "README.md", "exec"), names)

    assert names["dag"].dag_id == "visits"
    tasks = (
        "bless check_drift check_leakage check_serving decide evaluate promote register snapshot split train validate"
    )
    assert " ".join(sorted(names["dag"].task_ids)) == tasks
    monkeypatch.chdir(tmp_path)
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    result = names["visits"].run(storage_root=tmp_path / "mlops", tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert result.promotion.to_version == 1


@pytest.mark.airflow
def test_a_task_of_one_s_own_is_inserted_as_its_page_has_it(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "howto" / "insert.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    shutil.copy(REPOSITORY / "include" / "randhie.yaml", tmp_path / "visits.yaml")
    made: dict[str, Any] = {}
    exec(code.replace("/opt/airflow/include", str(tmp_path)), made)
    assert "ask_the_risk_service" in made["dag"].get_task("promote").upstream_task_ids
    assert {"register", "bless"} <= made["dag"].get_task("ask_the_risk_service").upstream_task_ids
