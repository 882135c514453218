"""What ``make new-step`` writes passes lint and the contract tests as it is: tried in a copy of the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

COPIED = ("airflow_mlops", "docs", "include", "tests", "tools", "pyproject.toml", "setup.cfg", "README.md")
IGNORED = shutil.ignore_patterns("__pycache__", "_build", "results.json")
OWN = {
    "airflow_mlops/specs/check_units.py",
    "airflow_mlops/core/validation/check_units.py",
    "airflow_mlops/steps/validation/check_units.py",
    "airflow_mlops/operators/check_units.py",
    "tests/core/validation/test_check_units.py",
    "tests/steps/validation/test_check_units.py",
    "tests/operators/test_check_units_dag.py",
}
LISTS = {"airflow_mlops/operators/__init__.py", "airflow_mlops/specs/__init__.py"}


@dataclass(frozen=True)
class Copy:
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder), "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            timeout=900,
        )

    def ok(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def texts(self) -> dict[str, str]:
        files = [file for part in ("airflow_mlops", "tests") for file in (self.folder / part).rglob("*.py")]
        return {file.relative_to(self.folder).as_posix(): file.read_text() for file in files}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    folder = tmp_path_factory.mktemp("repository")
    for name in COPIED:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name, ignore=IGNORED)
        else:
            shutil.copy2(REPOSITORY / name, folder / name)
    if (REPOSITORY / ".mypy_cache").is_dir():  # it only saves time
        shutil.copytree(REPOSITORY / ".mypy_cache", folder / ".mypy_cache")
    return Copy(folder)


@pytest.fixture(scope="module")
def written(copy: Copy) -> Copy:
    before = copy.texts()
    said = copy.ok("-m", "tools.new_step", "check_units", "validation")
    after = copy.texts()
    assert {name for name in after if after[name] != before.get(name)} == OWN | LISTS
    assert {line for line in said.splitlines() if line.endswith(".py")} == OWN | LISTS
    assert 'operator="CheckUnitsOperator"' in said
    return copy


@pytest.mark.parametrize(
    ("name", "stage", "said"),
    [
        ("Units", "validation", "write a verb and what it is about"),
        ("check_units", "validations", "STAGE=validations: there is no such stage. Known: data, validation"),
        ("train_model", "training", "airflow_mlops/operators/train.py has a TrainModelOperator already."),
        ("validate_it_all_and_then_some_more", "validation", "at most 30 letters"),
    ],
)
def test_a_name_or_a_stage_that_can_not_be_used_is_refused_and_nothing_is_written(
    copy: Copy, name: str, stage: str, said: str
):
    before = copy.texts()
    done = copy.run("-m", "tools.new_step", name, stage)
    assert done.returncode == 2
    assert said in done.stderr
    assert copy.texts() == before


def test_a_step_that_is_there_is_not_written_over(written: Copy):
    before = written.texts()
    done = written.run("-m", "tools.new_step", "check_units", "validation")
    assert done.returncode == 2
    assert "airflow_mlops/specs/check_units.py is there already. Nothing was written." in done.stderr
    assert written.texts() == before


def test_it_passes_lint(written: Copy):
    files = sorted(OWN | LISTS)
    written.ok("-m", "ruff", "check", *files)
    written.ok("-m", "ruff", "format", "--check", *files)
    written.ok("-c", "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])")
    written.ok("-m", "mypy")


@pytest.mark.airflow
def test_it_passes_the_contract_tests_and_its_own(written: Copy):
    contracts = (
        "tests/test_public_api.py",
        "tests/test_provider.py",
        "tests/test_rooms.py",
        "tests/core/test_values.py",
    )
    selected = ("-m", "not standalone", "-p", "no:cacheprovider", "-q")
    own = sorted(name for name in OWN if name.startswith("tests/"))
    told = written.ok("-m", "pytest", *selected, *contracts, "tests/operators/test_contract.py", *own)
    assert "failed" not in told
    listed = written.ok("-m", "pytest", "--collect-only", *selected, "tests/operators/test_contract.py")
    assert listed.count("[CheckUnitsOperator]") == 7


@pytest.mark.airflow
def test_it_is_public_and_in_the_reference_by_being_there(written: Copy):
    asked = """
import sys
sys.path.insert(0, "docs")
import airflow_mlops, reference_pages
from airflow_mlops.provider_info import get_provider_info
pages = "\\n".join(
    reference_pages.expand(f"<!-- {what} -->")
    for what in ("members of airflow_mlops.operators", "members of airflow_mlops.specs",
                 "rooms of airflow_mlops.core", "rooms of airflow_mlops.steps")
)
for line in (
    ".. autoclass:: airflow_mlops.operators.CheckUnitsOperator",
    ".. autoclass:: airflow_mlops.specs.CheckUnitsSpec",
    ".. automodule:: airflow_mlops.core.validation.check_units",
    ".. automodule:: airflow_mlops.steps.validation.check_units",
):
    assert line in pages, line
assert airflow_mlops.CheckUnitsSpec.__name__ in airflow_mlops.__all__
(operators,) = get_provider_info()["operators"]
assert "airflow_mlops.operators.check_units" in operators["python-modules"]
"""
    written.ok("-c", asked)
