from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import airflow_mlops
from airflow_mlops import assets, errors, operators, sensors, specs
from airflow_mlops._renamed import RENAMED
from airflow_mlops.specs._base import Spec

HEAVY = ("pandas", "sklearn", "mlflow", "great_expectations", "evidently", "boto3", "numpy")


def _imported_for_type_checkers(package: ModuleType) -> list[ast.ImportFrom]:
    """Return the imports that a type checker reads, of the root or of one of its folders."""
    tree = ast.parse(Path(str(package.__file__)).read_text())
    mirrors = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    found = [node for part in (tree, *mirrors) for node in part.body if isinstance(node, ast.ImportFrom)]
    return [node for node in found if str(node.module).startswith("airflow_mlops.")]


def _names_for_type_checkers(package: ModuleType) -> set[str]:
    names = set()
    for node in _imported_for_type_checkers(package):
        for alias in node.names:
            if alias.name == "*":
                module = importlib.import_module(str(node.module))
                is_package = hasattr(module, "__path__")
                names |= {*(_names_for_type_checkers(module) if is_package else module.__all__)}
            else:
                names.add(alias.name)
    return names


def _loaded_heavy_modules(code: str) -> list[str]:
    """Run code in a fresh interpreter and return which of the heavy libraries it loaded."""
    script = f"import sys, json\n{code}\nprint(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_what_is_exported_is_what_type_checkers_see():
    helpers = {name for name in _names_for_type_checkers(specs) if not _is_spec(name)}
    assert set(airflow_mlops.__all__) == _names_for_type_checkers(airflow_mlops) - helpers
    assert set(specs.__all__) == _names_for_type_checkers(specs) - helpers
    for package in (operators, sensors):
        assert set(package.__all__) == _names_for_type_checkers(package)


def _is_spec(name: str) -> bool:
    it = getattr(specs, name, None)
    return isinstance(it, type) and issubclass(it, Spec)


@pytest.mark.parametrize("package", [specs, operators, sensors], ids=lambda package: package.__name__)
def test_every_public_module_of_a_folder_has_its_line(package: ModuleType):
    there = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
    lines = [node.module for node in _imported_for_type_checkers(package) if node.names[0].name == "*"]
    assert lines == [f"{package.__name__}.{name}" for name in sorted(there)]


def test_the_public_names_are_sorted_and_listed_by_dir():
    assert airflow_mlops.__all__ == sorted(airflow_mlops.__all__)
    assert dir(airflow_mlops) == airflow_mlops.__all__


@pytest.mark.parametrize("name", [name for name in airflow_mlops.__all__ if not name.startswith("__")])
def test_a_public_name_resolves_to_the_object_of_that_name(name):
    assert getattr(airflow_mlops, name).__name__ == name


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'airflow_mlops' has no attribute 'Nonsense'"):
        _ = airflow_mlops.Nonsense


def test_a_bare_import_loads_no_heavy_library():
    assert _loaded_heavy_modules("import airflow_mlops; airflow_mlops.__version__") == []


def test_building_specs_loads_no_heavy_library():
    code = """
from airflow_mlops.specs import PipelineSpec
PipelineSpec(
    model_name="m",
    data={"path": "x.csv", "timestamp": "at"},
    validation={"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "at"}}]},
    training={"target": "y", "estimator": "sklearn.linear_model.Ridge"},
    gate={"metrics": {"mean_absolute_error": {"value_threshold": 1.0}}},
    triggers=[{"type": "schedule", "cron": "0 0 * * *"}],
)
"""
    assert _loaded_heavy_modules(code) == []


def test_the_check_itself_sees_a_library_that_is_loaded():
    assert _loaded_heavy_modules("import numpy") == ["numpy"]


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (airflow_mlops, "alarm_asset", "alert_asset"),
        (assets, "alarm_asset", "alert_asset"),
        (airflow_mlops, "ServingSpec", "SkewSpec"),
        (specs, "ExportSpec", "ConversionSpec"),
        (operators, "ValidateServingOperator", "ServingCheckOperator"),
        (errors, "ServingError", "ServingCheckError"),
    ],
)
def test_a_public_name_of_before_is_refused_with_its_new_name(module: ModuleType, old: str, new: str):
    with pytest.raises(ImportError, match=rf"^{module.__name__}\.{old} is called {new} now\.$"):
        getattr(module, old)
    assert hasattr(module, new)


@pytest.mark.parametrize(
    ("operator", "required", "old", "new"),
    [
        (operators.BlessModelOperator, ("evaluation", "model", "gate"), "serving", "serving_check"),
        (operators.ServingCheckOperator, ("model", "split"), "serving", "serving_check"),
        (operators.ConvertModelOperator, ("model", "split"), "export", "conversion"),
    ],
)
def test_a_parameter_of_before_is_refused_with_its_new_name(
    operator: type[Any], required: tuple[str, ...], old: str, new: str
):
    settings: dict[str, Any] = {name: {} for name in required}
    with pytest.raises(TypeError, match=rf"^{operator.__name__}: {old} is called {new} now\.$"):
        operator(task_id="mine", **settings, **{old: {}})
    assert getattr(operator(task_id="mine", **settings, **{new: {}}), new) == {}


def test_every_new_name_is_public():
    public = {*airflow_mlops.__all__, *operators.__all__, *errors.__all__}
    assert set(RENAMED.values()) <= public
    assert not set(RENAMED) & public
