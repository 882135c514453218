"""Run the tests of what differs from ``main``: ``python -m tests.changed``, or ``make changed``.

A module's tests are those of its room, or the file of its name where a floor has no rooms; its doctests are among
them. Rooms that import what differs are named, and run on request. What is never run here: stories over several
stages (``tests/steps/test_*.py`` and most of ``tests/operators``), and what starts servers.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "airflow_mlops"


def base_of(repository: Path) -> str:
    """Return the commit to compare with: where the branch left ``origin/main`` or ``main``, or else the last one."""
    for name in ("origin/main", "main"):
        found = subprocess.run(
            ["git", "merge-base", name, "HEAD"], cwd=repository, capture_output=True, text=True, check=False
        )
        if found.returncode == 0:
            return found.stdout.strip()
    return "HEAD"


def changed_since(base: str, repository: Path) -> list[str]:
    """Return the paths of what differs from a commit, committed or not, and of new files."""
    differing = ["git", "diff", "--name-only", "--no-renames", "-z", base]
    untracked = ["git", "ls-files", "--others", "--exclude-standard", "-z"]
    found = [
        subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
        for command in (differing, untracked)
    ]
    return sorted(path for path in set("".join(found).split("\0")) if path)


def targets_of(path: str, repository: Path) -> list[str]:
    """Return the tests of a file, and the file itself where it may have doctests.

    :returns: paths that exist; none where no test has the file's name or room.
    """
    file = Path(path)
    if file.parts[0] == "tests":
        return _of_a_test(file, repository)
    if file.parts[0] != PACKAGE:
        return []
    room = Path("tests", *file.parts[1:-1])
    named = sorted(
        each.relative_to(repository).as_posix() for each in (repository / room).glob(f"test_{file.stem}*.py")
    )
    if len(file.parts) > 3:  # in a room, whose tests are few
        while not (repository / room).is_dir():
            room = room.parent
        named = [room.as_posix()] if len(room.parts) > 2 else []
    is_module = file.suffix == ".py" and (repository / file).is_file()
    return [*named, *([path] if is_module else [])]


def _of_a_test(file: Path, repository: Path) -> list[str]:
    """Return a test, or the tests that stand beside what several of them share."""
    if file.name.startswith("test_"):
        return [file.as_posix()] if (repository / file).is_file() else []
    return [file.parent.as_posix()] if len(file.parts) > 2 and (repository / file.parent).is_dir() else []


def importers_of(paths: Iterable[str]) -> list[str]:
    """Return the modules that import one of these files, as files, without what differs itself."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in paths}
    found = {by for module in modules & graph.modules for by in graph.find_modules_that_directly_import(module)}
    return sorted(_file(module) for module in found - modules)


def _file(module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (REPOSITORY / path).is_dir() else f"{path}.py"


def _covered(target: str, by: set[str]) -> bool:
    return any(parent.as_posix() in by for parent in Path(target).parents)


def without_repeats(targets: Iterable[str]) -> list[str]:
    """Return the targets that are in no other one, each once."""
    every = set(targets)
    return sorted(target for target in every if not _covered(target, every))


def main(arguments: list[str] | None = None) -> int:
    """Say what differs and what is run, and run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.changed", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--importers", action="store_true", help="run the tests of modules that import it, too")
    parser.add_argument("--list", action="store_true", help="say what would be run, and end")
    chosen = parser.parse_args(arguments)
    base = base_of(REPOSITORY)
    paths = changed_since(base, REPOSITORY)
    importers = importers_of(path for path in paths if path.startswith(PACKAGE))
    of_paths = without_repeats(test for path in paths for test in targets_of(path, REPOSITORY))
    of_importers = without_repeats([*of_paths, *(test for path in importers for test in targets_of(path, REPOSITORY))])
    silent = [path for path in paths if not any(test.startswith("tests") for test in targets_of(path, REPOSITORY))]
    targets = of_importers if chosen.importers else of_paths
    more = [target for target in of_importers if target not in targets and target.startswith("tests")]
    print(f"{len(paths)} files differ from {base[:12]}.")
    for words, some in (("Run", targets), ("Without tests by name", silent), ("Not run, of what imports them", more)):
        if some:
            print(f"{words}: {' '.join(some)}")
    if chosen.list or not targets:
        return 0
    sys.stdout.flush()
    options = ["-q", "-m", "not standalone", "--numprocesses", "2", "--dist", "loadfile"]
    return int(pytest.main([*options, *targets]))


if __name__ == "__main__":
    sys.exit(main())
