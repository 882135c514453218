"""What is installed only where it is asked for: the names, and the errors that say how."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops import extras
from airflow_mlops.errors import MissingExtraError
from airflow_mlops.specs import PipelineSpec
from tests.conftest import REPOSITORY, requirements_of

SPEC: dict[str, Any] = {
    "model_name": "visits",
    "data": {"path": "/nowhere/*.csv"},
    "validation": {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "visits"}}]},
    "split": {"method": "random"},
    "training": {"target": "visits", "estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 1.0}},
    "gate": {"metrics": {"root_mean_squared_error": {}}, "cold_start": True},
}
SPACE = {"alpha": {"type": "float", "low": 0.1, "high": 10.0}}
ON_S3 = {"path": "s3://bucket/visits/*.csv"}

# By extra: settings that need it, what the message says that asked for it, and which modules it says are missing.
ASKED: dict[str, tuple[dict[str, Any], str, str]] = {
    "amazon": ({"data": ON_S3}, "data on AWS", "'airflow.providers.amazon', 'boto3'"),
    "drift-reports": ({"monitoring": {"engine": "evidently"}}, "monitoring.engine: evidently", "'evidently'"),
    "lightgbm": (
        {"training": {"target": "visits", "estimator": "lightgbm.LGBMRegressor"}},
        "training.estimator: lightgbm.LGBMRegressor",
        "'lightgbm'",
    ),
    "onnx": ({"conversion": {}}, "conversion.format: onnx", "'onnx', 'onnxruntime', 'skl2onnx'"),
    "tuning": ({"tuning": {"space": SPACE, "metric": "neg_mean_absolute_error"}}, "tuning", "'optuna'"),
    "xgboost": (
        {"training": {"target": "visits", "estimator": "xgboost:XGBRegressor"}},
        "training.estimator: xgboost:XGBRegressor",
        "'xgboost'",
    ),
}

HIDE = """
import json, sys
from importlib.machinery import PathFinder

find_spec, hidden = PathFinder.find_spec, json.loads(sys.argv[1])

def find_what_is_not_hidden(name, path=None, target=None):
    is_hidden = any(name == each or name.startswith(each + ".") for each in hidden)
    return None if is_hidden else find_spec(name, path, target)

PathFinder.find_spec = find_what_is_not_hidden

def message_of(ask):
    try:
        ask()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"
"""

PIPELINES = """
from airflow_mlops import ContinuousTraining

told = {}
for extra, settings in json.loads(sys.argv[2]).items():
    pipeline = ContinuousTraining.parse(settings)
    told[extra] = message_of(lambda: pipeline.run(storage_root=sys.argv[3], tracking_uri="http://127.0.0.1:9"))
print("\\n" + json.dumps(told))
"""

PLACES = """
from airflow_mlops.adapters.feast import FeastFeatures
from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.user_code.load import load_object
from airflow_mlops.hooks.sources import AirflowConnections
from airflow_mlops.hooks.storage import open_storage
from airflow_mlops.specs import DatasetSpec
from airflow_mlops.steps.runner import open_platform
from airflow_mlops.steps.training.tune import tune_model

athena = DatasetSpec(
    query="SELECT 1", athena={"database": "d", "output_location": "s3://bucket/out"}, timestamp="at", conn_id="aws"
)
journals = {"root": "s3://bucket/journals", "access": {}}
features = FeastFeatures(repository="/stores/shops", features=("weather:temperature",), version="1")
there = {"storage_root": "/storage", "tracking_uri": "http://127.0.0.1:9"}
nothing = dict(model_name="m", platform=None, run=None)
asked = {
    "a search": lambda: tune_model(None, None, None, **nothing),
    "an estimator": lambda: load_object("xgboost.XGBRegressor"),
    "a function of a library": lambda: load_object("lightgbm.sklearn:LGBMModel"),
    "a feature store": lambda: features._open(),
    "a connection": lambda: AirflowConnections().s3(None),
    "athena": lambda: AirflowConnections().unload(athena, "SELECT 1"),
    "journals": lambda: open_storage("/storage", "s3://bucket/journals"),
    "journals of a runner": lambda: open_platform({**there, "journals": journals}),
    "a database": lambda: Mlflow("postgresql+psycopg2://ada:s3cret@db/mlflow"),
    "a file": lambda: Mlflow("sqlite:////storage/mlflow.db"),
    "a server": lambda: print(Mlflow("http://mlflow:5000")),
}
print("\\n" + json.dumps({name: message_of(ask) for name, ask in asked.items()}))
"""


def _told(code: str, hidden: list[str], *arguments: str, home: Path) -> dict[str, str]:
    """Run code in a process that can't find some modules, and return what it printed last."""
    done = subprocess.run(
        [sys.executable, "-c", HIDE + code, json.dumps(hidden), *arguments],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "AIRFLOW_HOME": str(home), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _message(asked_by: str, modules: str, extra: str) -> str:
    return (
        f"MissingExtraError: {asked_by} needs {modules}, which {sys.executable} does not have. Nothing was changed. "
        f"Install it there: pip install 'airflow-mlops[{extra}]'"
    )


def _hidden() -> list[str]:
    return [module for modules in extras.EXTRAS.values() for module in modules]


def test_the_extras_that_are_asked_for_are_those_of_the_package():
    settings = configparser.ConfigParser()
    settings.read(REPOSITORY / "setup.cfg")
    declared = set(settings["options.extras_require"])
    of_developers, of_drivers = {"demo", "docs", "test"}, {"postgres"}
    assert set(extras.EXTRAS) == declared - of_developers - of_drivers - {"all"}
    (everything,) = requirements_of("setup.cfg", "all")
    assert everything == f"airflow-mlops[{','.join(sorted(set(extras.EXTRAS) | of_drivers))}]"


def test_every_extra_is_found_where_all_are_installed():
    assert [extra for extra in extras.EXTRAS if not extras.has_extra(extra)] == []


def test_a_run_that_needs_an_extra_says_how_to_install_it_before_it_touches_anything(tmp_path: Path):
    specs = {extra: SPEC | settings for extra, (settings, _, _) in ASKED.items()}
    storage = tmp_path / "storage"
    told = _told(PIPELINES, _hidden(), json.dumps(specs), str(storage), home=tmp_path / "home")
    assert told == {extra: _message(by, modules, extra) for extra, (_, by, modules) in ASKED.items()}
    assert not storage.exists()


def test_every_place_that_needs_an_extra_says_how_to_install_it(tmp_path: Path):
    told = _told(PLACES, _hidden(), home=tmp_path)
    provider, database = "'airflow.providers.amazon', 'boto3'", "'alembic', 'sqlalchemy'"
    assert told == {
        "a search": _message("tuning", "'optuna'", "tuning"),
        "an estimator": _message("'xgboost.XGBRegressor'", "'xgboost'", "xgboost"),
        "a function of a library": _message("'lightgbm.sklearn:LGBMModel'", "'lightgbm'", "lightgbm"),
        "a feature store": _message("The feature store at /stores/shops", "'feast'", "feast"),
        "a connection": _message("The connection 'aws_default'", provider, "amazon"),
        "athena": _message("data.athena", provider, "amazon"),
        "journals": _message("[mlops] journal_root = s3://bucket/journals", "'boto3'", "amazon"),
        "journals of a runner": _message("The platform's journals on S3", "'boto3'", "amazon"),
        "a database": _message("MLflow in a postgresql database, without a server,", database, "mlflow-server"),
        "a file": _message("MLflow in a sqlite database, without a server,", database, "mlflow-server"),
        "a server": "nothing was raised",
    }


def test_journals_on_s3_are_reached_with_what_the_machine_has_where_there_is_no_airflow(tmp_path: Path):
    code = """
from airflow_mlops.hooks.storage import open_storage
print("\\n" + json.dumps(open_storage("/storage", "s3://bucket/journals").journals.describe()))
"""
    found = _told(code, ["airflow"], home=tmp_path)
    assert (found["root"], found["access"]["access_key"]) == ("s3://bucket/journals", None)


def test_the_runtime_asks_for_what_the_whole_package_asks_for_and_for_no_airflow():
    whole, runtime = requirements_of("setup.cfg"), requirements_of("runtime/setup.cfg")
    assert [line for line in runtime if line not in whole] == []
    assert [line for line in runtime if "airflow" in line] == []
    for extra in ("amazon", "lightgbm", "mlflow-server", "xgboost"):
        there = requirements_of("runtime/setup.cfg", extra)
        assert there
        assert [line for line in there if line not in [*whole, *requirements_of("setup.cfg", extra)]] == []
        assert [line for line in there if "airflow" in line] == []


def test_the_runtime_is_locked_to_the_versions_that_the_whole_package_is():
    """A model is loaded by the versions that stored it."""
    whole, runtime = _locked("requirements.lock"), _locked("runtime/requirements.lock")
    assert {"mlflow-skinny", "pandas", "scikit-learn", "skops"} <= runtime.keys()
    assert {name: versions for name, versions in runtime.items() if not versions <= whole.get(name, set())} == {}
    assert not {"apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk"} & runtime.keys()


def _locked(lock: str) -> dict[str, set[str]]:
    """Return the versions of each distribution; a few have one for each Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==(\S+)", (REPOSITORY / lock).read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("extra", ASKED)
def test_a_spec_names_the_extras_that_it_needs(extra: str):
    settings, asked_by, _ = ASKED[extra]
    assert PipelineSpec.parse(SPEC | settings).needed_extras == {extra: asked_by}


def test_a_first_pipeline_needs_no_extra():
    assert PipelineSpec.parse(SPEC).needed_extras == {}


def test_what_is_trained_elsewhere_is_not_asked_for_here():
    settings, _, _ = ASKED["xgboost"]
    there = {"runner": {"type": "python", "python": "/venvs/boosted/bin/python"}}
    assert PipelineSpec.parse(SPEC | settings | there).needed_extras == {}


def test_an_extra_that_is_there_but_can_not_be_imported_is_said_with_the_reason():
    with pytest.raises(MissingExtraError) as raised, extras.importing("tuning", asked_by="tuning"):
        raise ImportError("it does not know this pandas")
    assert str(raised.value) == (
        f"tuning needs what {sys.executable} can't import: it does not know this pandas. Nothing was changed. Install "
        f"it there: pip install 'airflow-mlops[tuning]'"
    )


def test_an_error_that_is_no_missing_library_goes_through():
    with pytest.raises(ValueError, match="broken"), extras.importing("tuning", asked_by="tuning"):
        raise ValueError("broken")


def test_the_line_names_the_distribution_that_is_installed(monkeypatch: pytest.MonkeyPatch):
    def without_airflow(name: str) -> Any:
        if name == "airflow-mlops":
            raise extras.metadata.PackageNotFoundError(name)
        return type("Runtime", (), {"name": name})()

    assert extras.install_line("amazon") == "pip install 'airflow-mlops[amazon]'"
    monkeypatch.setattr(extras.metadata, "distribution", without_airflow)
    assert extras.install_line("amazon") == "pip install 'airflow-mlops-runtime[amazon]'"
