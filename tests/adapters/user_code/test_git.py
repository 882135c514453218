"""The adapter on real repositories in temporary folders."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from airflow_mlops.adapters.user_code.git import describe_module, has_commit, without_credentials
from airflow_mlops.core.registry.training_record import UNKNOWN, CodeModule


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module that is committed."""
    _git(tmp_path, "init", "--quiet")
    (tmp_path / "package").mkdir()
    file = tmp_path / "package" / "trainers.py"
    file.write_text("def train(data, params): ...\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "Begin")
    return file


def _describe(file: Path) -> CodeModule:
    return describe_module("package.trainers:train", file, "sha256:1")


def test_a_committed_module_has_its_commit(module: Path):
    head = _git(module.parent, "rev-parse", "HEAD")
    assert _describe(module) == CodeModule(import_path="package.trainers:train", digest="sha256:1", commit=head)
    assert _describe(module).revision == f"commit {head[:12]}"


def test_a_changed_file_anywhere_in_the_repository_is_a_dirty_tree(module: Path):
    other = module.parents[1] / "settings.py"
    other.write_text("A = 1\n")
    assert not _describe(module).is_dirty  # nobody knows whether a new file has to do with it
    _git(module.parent, "add", "--all")
    assert _describe(module).is_dirty
    assert _describe(module).revision.endswith(" with changes")


def test_a_module_that_was_not_added_yet_is_of_a_dirty_tree(module: Path):
    file = module.with_name("new.py")
    file.write_text("A = 1\n")
    assert _describe(file).is_dirty
    assert _describe(file).commit == _describe(module).commit


def test_a_module_that_the_repository_ignores_is_in_none(module: Path):
    (module.parents[1] / ".gitignore").write_text("/venv/\n")
    file = module.parents[1] / "venv" / "library.py"
    file.parent.mkdir()
    file.write_text("A = 1\n")
    assert _describe(file) == CodeModule(import_path="package.trainers:train", digest="sha256:1")


def test_a_module_in_no_repository_has_no_commit(tmp_path: Path):
    file = tmp_path / "alone.py"
    file.write_text("A = 1\n")
    assert (_describe(file).commit, _describe(file).revision) == ("", "in no repository")


def test_a_repository_without_any_commit_is_unknown(tmp_path: Path):
    _git(tmp_path, "init", "--quiet")
    file = tmp_path / "first.py"
    file.write_text("A = 1\n")
    assert _describe(file).commit == UNKNOWN


def test_a_damaged_repository_is_no_failure(module: Path):
    (module.parents[1] / ".git" / "HEAD").write_text("nonsense")
    assert _describe(module).commit in ("", UNKNOWN)


def test_without_git_the_commit_is_unknown(module: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert _describe(module).commit == UNKNOWN
    assert not has_commit(module, "c0ffee")


def test_a_git_that_does_not_start_is_unknown(module: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_bytes(b"\x7fELF no program")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))
    assert _describe(module).commit == UNKNOWN


def test_the_repository_of_a_hook_that_is_running_is_not_taken_for_the_modules(
    module: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    commit = _describe(module).commit
    other = tmp_path_factory.mktemp("other")
    _git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert _describe(module).commit == commit


def test_to_look_starts_no_program_that_the_repository_names(module: Path, tmp_path: Path):
    _git(module.parent, "config", "core.fsmonitor", f"touch {tmp_path}/started; false")
    assert not _describe(module).is_dirty
    assert not (tmp_path / "started").exists()


def test_the_remote_is_kept_without_its_credentials(module: Path):
    _git(module.parent, "remote", "add", "origin", "https://ada:s3cret@git.example.org/team/models.git")
    described = _describe(module)
    assert described.remote == "https://git.example.org/team/models.git"
    assert "s3cret" not in str(described.__dict__)


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("https://s3cret@git.org/a.git", "https://git.org/a.git"),
        ("https://ada:p@ss:word@git.org/a.git", "https://git.org/a.git"),
        ("ssh://git:s3cret@git.org:2222/a.git", "ssh://git.org:2222/a.git"),
        ("https://git.org/a.git?private_token=s3cret#s3cret", "https://git.org/a.git"),
        ("git@git.org:team/a.git", "git.org:team/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("", ""),
    ],
)
def test_no_form_of_a_remote_keeps_a_secret(remote: str, shown: str):
    assert without_credentials(remote) == shown


def test_a_commit_is_known_where_it_was_made_and_nowhere_else(module: Path, tmp_path_factory: pytest.TempPathFactory):
    head = _git(module.parent, "rev-parse", "HEAD")
    assert has_commit(module, head)
    assert not has_commit(module, "c0ffee" * 6 + "c0ff")
    assert not has_commit(module, "")
    assert not has_commit(tmp_path_factory.mktemp("elsewhere") / "alone.py", head)


def test_a_commit_that_is_no_commit_gets_no_option_past_git(module: Path):
    assert not has_commit(module, "--help")
    assert os.environ.get("GIT_DIR") is None
