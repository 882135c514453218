"""How a pipeline is wired is tested without the libraries that it runs on, so that it is tested in seconds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

WIRING = (
    "tests/specs",
    "tests/pipelines/test_batch_scoring.py",
    "tests/pipelines/test_continuous_training.py",
    "tests/operators/test_contract.py",
    "tests/test_assets.py",
    "tests/test_errors.py",
    "tests/test_public_api.py",
)
HEAVY = {
    "duckdb",
    "evidently",
    "great_expectations",
    "ibis",
    "matplotlib",
    "mlflow",
    "optuna",
    "pandas",
    "pyarrow",
    "sklearn",
}

RUN = """
import json, sys
import pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


@pytest.mark.airflow
def test_wiring_is_collected_and_tested_without_any_heavy_library():
    ended = subprocess.run(
        [sys.executable, "-c", RUN, *WIRING], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["code"] == 0, ended.stdout
    assert "airflow_mlops.operators" in found["modules"]
    assert HEAVY & set(found["modules"]) == set()
