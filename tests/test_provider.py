"""What Airflow finds of this package, and how."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_mlops import operators, sensors
from airflow_mlops.plugin import MlopsPlugin
from airflow_mlops.provider_info import get_provider_info
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.airflow

INFO = get_provider_info()


def _import(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _modules(kind: str) -> list[str]:
    return [module for entry in INFO[kind] for module in entry["python-modules"]]


def test_the_description_is_valid_by_airflow_s_schema():
    schema = json.loads((importlib.resources.files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)


@pytest.mark.parametrize("name", [n for kind in ("operators", "sensors", "hooks", "triggers") for n in _modules(kind)])
def test_every_module_that_is_named_imports(name: str):
    assert importlib.import_module(name).__all__


def test_every_operator_and_sensor_is_in_a_module_that_is_named():
    for package, kind in ((operators, "operators"), (sensors, "sensors")):
        assert {getattr(package, name).__module__ for name in package.__all__} == set(_modules(kind))


@pytest.mark.parametrize(
    "path", [*INFO["extra-links"], *(entry["hook-class-name"] for entry in INFO["connection-types"])]
)
def test_every_class_that_is_named_is_there(path: str):
    assert isinstance(_import(path), type)


def test_the_links_that_are_named_are_those_of_the_operators():
    links = {type(link) for name in operators.__all__ for link in getattr(operators, name).operator_extra_links}
    assert {f"{link.__module__}.{link.__qualname__}" for link in links} == set(INFO["extra-links"])


def test_the_connection_type_is_the_hook_s():
    (connection,) = INFO["connection-types"]
    hook = _import(connection["hook-class-name"])
    assert (connection["connection-type"], connection["hook-name"]) == (hook.conn_type, hook.hook_name)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("apache_airflow_provider", "provider_info"),
        ("airflow.plugins", "mlops"),
        ("mlflow.request_header_provider", "airflow_mlops"),
        ("console_scripts", "airflow-mlops"),
    ],
)
def test_the_entry_points_are_registered_and_load(group: str, name: str):
    (entry,) = importlib.metadata.distribution("airflow-mlops").entry_points.select(group=group, name=name)
    assert callable(entry.load())


def test_the_package_says_its_name_and_its_version_where_airflow_looks():
    assert INFO["package-name"] == importlib.metadata.distribution("airflow-mlops").metadata["Name"]


def test_the_settings_that_are_described_are_those_that_are_read(monkeypatch: pytest.MonkeyPatch):
    text = (REPOSITORY / "airflow_mlops" / "hooks" / "platform.py").read_text()
    options = INFO["config"]["mlops"]["options"]
    assert options
    for option in options:
        assert f'("mlops", "{option}"' in text


def test_the_plugin_is_one_page_in_the_menu_and_one_app():
    assert [app["url_prefix"] for app in MlopsPlugin.fastapi_apps] == ["/mlops"]
    assert [view["href"] for view in MlopsPlugin.external_views] == ["mlops/models"]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory):
    """Ask the command ``airflow``, as a person would, in a home of its own."""
    home = tmp_path_factory.mktemp("airflow")

    def run(*arguments: str) -> Any:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        done = subprocess.run(
            [Path(sys.executable).with_name("airflow"), *arguments, "--output", "json"],
            env=environment | {"AIRFLOW_HOME": str(home), "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout[done.stdout.index("[") :])

    return run


@pytest.mark.standalone
def test_airflow_lists_the_provider(ask: Any):
    (provider,) = [entry for entry in ask("providers", "list") if entry["package_name"] == "airflow-mlops"]
    assert provider["version"] == importlib.metadata.version("airflow-mlops")
    assert "Continuous training of models" in provider["description"]


@pytest.mark.standalone
def test_airflow_knows_the_connection_type_and_its_hook(ask: Any):
    (hook,) = [entry for entry in ask("providers", "hooks") if entry["connection_type"] == "mlflow"]
    assert hook["class"] == "airflow_mlops.hooks.mlflow.MlflowHook"
    assert hook["package_name"] == "airflow-mlops"


@pytest.mark.standalone
def test_airflow_lists_the_plugin(ask: Any):
    (plugin,) = [entry for entry in ask("plugins") if entry["name"] == "mlops"]
    assert "airflow-mlops" in plugin["source"]
    assert "/mlops" in str(plugin["fastapi_apps"])


def test_the_connection_form_has_its_fields_and_names():
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    behaviour = manager.field_behaviours["mlflow"]
    assert behaviour["relabeling"] == {"host": "Tracking URI"}
    assert behaviour["hidden_fields"] == ["schema"]
    token = manager.connection_form_widgets["extra__mlflow__token"]
    assert (token.field_name, token.is_sensitive) == ("token", True)
