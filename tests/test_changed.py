from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.changed import base_of, changed_since, importers_of, main, targets_of, without_repeats
from tests.conftest import REPOSITORY


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit on ``main``, and a second one on a branch."""
    _git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    _commit(tmp_path, "first.py")
    _git(tmp_path, "checkout", "--quiet", "-b", "branch")
    _commit(tmp_path, "second.py")
    return tmp_path


def _git(repository: Path, *words: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    ended = subprocess.run(["git", *identity, *words], cwd=repository, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def _commit(repository: Path, name: str) -> None:
    (repository / name).write_text(name)
    _git(repository, "add", name)
    _git(repository, "commit", "--quiet", "--message", name)


def test_what_differs_is_what_the_branch_has_and_what_is_not_committed_yet(repository: Path):
    (repository / "first.py").write_text("changed")
    (repository / "new.py").write_text("new")
    assert changed_since(base_of(repository), repository) == ["first.py", "new.py", "second.py"]


def test_what_main_got_since_does_not_differ(repository: Path):
    _git(repository, "checkout", "--quiet", "main")
    _commit(repository, "third.py")
    _git(repository, "checkout", "--quiet", "branch")
    assert changed_since(base_of(repository), repository) == ["second.py"]


def test_on_main_what_was_not_pushed_differs(repository: Path):
    _git(repository, "checkout", "--quiet", "main")
    pushed = _git(repository, "rev-parse", "HEAD")
    _git(repository, "update-ref", "refs/remotes/origin/main", pushed)
    _commit(repository, "third.py")
    assert base_of(repository) == pushed
    assert changed_since(pushed, repository) == ["third.py"]


def test_without_a_main_the_last_commit_is_compared_with(repository: Path):
    _git(repository, "branch", "--quiet", "--delete", "--force", "main")
    assert base_of(repository) == "HEAD"
    assert changed_since("HEAD", repository) == []


def test_a_file_that_was_moved_differs_at_both_places(repository: Path):
    _git(repository, "mv", "second.py", "moved.py")
    assert changed_since("HEAD", repository) == ["moved.py", "second.py"]


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("airflow_mlops/core/stats/curves.py", ["tests/core/stats", "airflow_mlops/core/stats/curves.py"]),
        ("airflow_mlops/steps/data/watch.py", ["tests/steps/data", "airflow_mlops/steps/data/watch.py"]),
        (
            "airflow_mlops/adapters/duckdb_engine/sources/csv.py",
            ["tests/adapters/duckdb_engine/sources", "airflow_mlops/adapters/duckdb_engine/sources/csv.py"],
        ),
        ("airflow_mlops/adapters/arrow/deleted.py", ["tests/adapters/arrow"]),
        ("airflow_mlops/specs/data.py", ["tests/specs/test_data.py", "airflow_mlops/specs/data.py"]),
        ("airflow_mlops/errors.py", ["tests/test_errors.py", "airflow_mlops/errors.py"]),
        ("airflow_mlops/_version.py", ["airflow_mlops/_version.py"]),
        ("tests/core/stats/test_curves.py", ["tests/core/stats/test_curves.py"]),
        ("tests/core/stats/test_deleted.py", []),
        ("tests/core/cases.py", ["tests/core"]),
        ("tests/conftest.py", []),  # it is everyone's
        ("README.md", []),
    ],
)
def test_the_targets_of_a_module_are_those_of_its_room_or_of_its_name(path: str, tests: list[str]):
    assert targets_of(path, REPOSITORY) == tests


def test_what_imports_a_module_is_named():
    importers = importers_of(["airflow_mlops/core/stats/calibration.py"])
    assert "airflow_mlops/adapters/plots/classification.py" in importers
    assert "airflow_mlops/core/stats/calibration.py" not in importers
    assert all((REPOSITORY / path).is_file() for path in importers)
    assert importers_of(["airflow_mlops/core/stats/deleted.py"]) == []


def test_a_test_within_a_room_that_is_run_is_not_run_twice():
    every = ["tests/core/stats", "tests/core/stats/test_curves.py", "tests/core/statsd", "tests/core/stats"]
    assert without_repeats(every) == ["tests/core/stats", "tests/core/statsd"]


def test_the_command_says_how_much_differs_without_running_it(capsys: pytest.CaptureFixture[str]):
    assert main(["--list"]) == 0
    assert "files differ from" in capsys.readouterr().out
