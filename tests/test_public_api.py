from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_mlops

HEAVY = ("pandas", "sklearn", "mlflow", "great_expectations", "evidently", "boto3", "numpy")


def _names_for_type_checkers() -> set[str]:
    tree = ast.parse(Path(airflow_mlops.__file__).read_text())
    mirror = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return {alias.name for node in mirror.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def _loaded_heavy_modules(code: str) -> list[str]:
    """Run code in a fresh interpreter and return which of the heavy libraries it loaded."""
    script = f"import sys, json\n{code}\nprint(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_what_is_exported_is_what_type_checkers_see():
    assert set(airflow_mlops.__all__) == _names_for_type_checkers() | {"__version__"}
    assert set(airflow_mlops._LAZY) == _names_for_type_checkers()


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
