"""Git: which commit a file of the user's is of. Git is asked, and never needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from airflow_mlops.core.registry.training_record import UNKNOWN, CodeModule

__all__ = ["describe_module", "has_commit", "without_credentials"]

_TIMEOUT_S = 10.0
_SAFE = ("-c", "core.fsmonitor=false", "--no-optional-locks")  # to look must neither start a program nor write


class _GitFailedError(Exception):
    """Git is not there, does not end, or does not answer the question."""


def describe_module(import_path: str, file: Path, digest: str) -> CodeModule:
    """Return what is known of a module: the commit, and whether the tree was as it has it.

    A file that the repository ignores, such as one of a virtual environment in it, is in no repository.

    :param file: its source.
    :param digest: of the source.
    """
    try:
        if not _is_in_repository(file):
            return CodeModule(import_path=import_path, digest=digest)
        return CodeModule(
            import_path=import_path,
            digest=digest,
            commit=_git(file, "rev-parse", "HEAD"),
            is_dirty=bool(_git(file, "status", "--porcelain", "--untracked-files=no")) or not _is_tracked(file),
            remote=without_credentials(_remote(file)),
        )
    except _GitFailedError:
        return CodeModule(import_path=import_path, digest=digest, commit=UNKNOWN)


def has_commit(file: Path, commit: str) -> bool:
    """Return whether the repository that a file is in knows a commit; false where git can't be asked."""
    try:
        return _ends_well(file, "cat-file", "-e", f"{commit}^{{commit}}")
    except _GitFailedError:
        return False


def without_credentials(remote: str) -> str:
    """Return a remote's address without what may be secret in it: user, password, query.

    >>> without_credentials("https://ada:s3cret@git.example.org/team/models.git?token=s3cret")
    'https://git.example.org/team/models.git'
    >>> without_credentials("git@git.example.org:team/models.git")
    'git.example.org:team/models.git'
    """
    return re.sub(r"^(\w[\w+.-]*://)?[^/]*@", r"\1", re.sub(r"[?#].*", "", remote))


def _is_in_repository(file: Path) -> bool:
    return _ends_well(file, "rev-parse", "--git-dir") and not _ends_well(file, "check-ignore", "--quiet", file.name)


def _is_tracked(file: Path) -> bool:
    return _ends_well(file, "ls-files", "--error-unmatch", "--", file.name)


def _remote(file: Path) -> str:
    has_origin = _ends_well(file, "config", "--get", "remote.origin.url")
    return _git(file, "config", "--get", "remote.origin.url") if has_origin else ""


def _ends_well(file: Path, *arguments: str) -> bool:
    return _run(file, *arguments).returncode == 0


def _git(file: Path, *arguments: str) -> str:
    done = _run(file, *arguments)
    if done.returncode:
        raise _GitFailedError(done.stderr)
    return done.stdout.strip()


def _run(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    git = shutil.which("git")
    if git is None:
        raise _GitFailedError("there is no git")
    # Variables such as GIT_DIR, which git sets for its hooks, would lead to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(  # noqa: S603  # git with arguments of this module, in no shell
            [git, *_SAFE, *arguments],
            cwd=file.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _GitFailedError(str(error)) from error
