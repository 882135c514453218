"""What a DAG file pulls in is paid for at every parse and in every component: nothing heavy may be in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

import airflow_mlops
from airflow_mlops.adapters.storage.inference_log import InferenceLog
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.registry.journal import PromotionRecord
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.airflow

HEAVY = (
    "boto3",
    "duckdb",
    "evidently",
    "great_expectations",
    "matplotlib",
    "mlflow",
    "onnxruntime",
    "openlineage",
    "optuna",
    "pandas",
    "pyarrow",
    "skops",
    "sklearn",
)

CHILD = """
import importlib, importlib.util, json, sys

heavy, found = set(json.loads(sys.argv[1])), {}
for name in json.loads(sys.argv[2]):
    before = heavy & sys.modules.keys()
    if name.endswith(".py"):
        spec = importlib.util.spec_from_file_location("dag_file_" + str(len(found)), name)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    else:
        importlib.import_module(name)
    found[name] = sorted((heavy & sys.modules.keys()) - before)
print("\\n" + json.dumps(found))
"""


def _loaded_by(names: list[str], home: Path) -> dict[str, list[str]]:
    """Import files and modules in a process of their own, and return which heavy libraries came with each."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(HEAVY), json.dumps(names)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "AIRFLOW_HOME": str(home), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _modules(*packages: str) -> list[str]:
    root = Path(airflow_mlops.__file__).parent
    files = [file for package in packages for file in sorted((root / package).glob("*.py"))]
    return [".".join(file.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__") for file in files]


def test_dag_files_and_what_they_import_load_no_heavy_library(tmp_path: Path):
    dag_files = [str(file) for file in sorted((REPOSITORY / "dags").glob("*.py"))]
    modules = _modules("operators", "sensors", "triggers", "hooks", "pipelines", "plugin")
    assert len(dag_files) >= 3
    assert {"airflow_mlops.operators.train", "airflow_mlops.plugin", "airflow_mlops.plugin.app"} <= set(modules)
    loaded = _loaded_by([*dag_files, *modules], tmp_path)
    assert {name: libraries for name, libraries in loaded.items() if libraries} == {}


def test_promotions_and_rollouts_are_begun_and_ended_without_a_heavy_library(tmp_path: Path):
    """They are small tasks, and a command that is wanted in a hurry."""
    steps = ["airflow_mlops.steps.promotion.promote", "airflow_mlops.steps.rollout.online_validation"]
    assert _loaded_by(steps, tmp_path) == {name: [] for name in steps}


def test_the_check_sees_a_dag_file_that_imports_pandas(tmp_path: Path):
    careless, careful = tmp_path / "careless.py", tmp_path / "careful.py"
    careless.write_text("import pandas\n")
    careful.write_text("def task():\n    import pandas\n")
    loaded = _loaded_by([str(careful), str(careless)], tmp_path)
    assert loaded[str(careful)] == []
    assert "pandas" in loaded[str(careless)]


WATCH = """
import asyncio, json, os, sys
from airflow_mlops.triggers.data import NewFilesTrigger
from airflow_mlops.triggers.model import ModelVersionTrigger
from airflow_mlops.triggers.monitor import LoggedRowsTrigger

os.environ["AIRFLOW__MLOPS__STORAGE_ROOT"] = sys.argv[1]

async def look_at_all():
    champion = ModelVersionTrigger(model_name="m")
    files = NewFilesTrigger(path=sys.argv[2], watermark="w", poll_interval_s=0.01)
    rows = LoggedRowsTrigger(model_name="m", min_rows=7, trailing_s=86400.0 * 2, deadline=9e9)
    return [(await anext(trigger.run())).payload for trigger in (files, rows, champion)]

files, rows, champion = asyncio.run(look_at_all())
assert (files["n_files"], rows["n_rows"], champion) == (1, 7, 3), (files, rows, champion)
print("\\n" + json.dumps([name for name in [*json.loads(sys.argv[3]), "numpy", "scipy"] if name in sys.modules]))
"""


def _write_journal(storage: Storage) -> None:
    record = PromotionRecord(
        sequence=1,
        action="promote",
        model_name="m",
        from_version=None,
        to_version=3,
        reason="better",
        actor="ada",
        run_id="r",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        key="1",
        previous_digest="",
    )
    assert storage.log("journals", "m").append(record.to_dict(), number=1)
    storage.log("journals", "m").settle(1)


def test_what_watches_files_the_log_and_the_journal_loads_no_heavy_library_in_the_triggerer(tmp_path: Path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.csv").write_text("x\n")
    InferenceLog(tmp_path / "storage" / "inference" / "m").write(pa.table({"x": [1] * 7}), at=datetime.now(UTC))
    _write_journal(Storage(str(tmp_path / "storage")))
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(tmp_path / "storage"), str(tmp_path / "inbox"), json.dumps(HEAVY)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "AIRFLOW_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []
