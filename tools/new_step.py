"""Write the files of a new step, which pass lint and the contract tests: ``make new-step NAME=… STAGE=…``."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template

from airflow_mlops.core.step import STAGES

__all__ = ["main", "write_step"]

REPOSITORY = Path(__file__).parents[1]
_TEMPLATES = Path(__file__).with_name("step")
_FILES = {
    "spec": "airflow_mlops/specs/$name.py",
    "core": "airflow_mlops/core/$stage/$name.py",
    "step": "airflow_mlops/steps/$stage/$name.py",
    "operator": "airflow_mlops/operators/$name.py",
    "test_core": "tests/core/$stage/test_$name.py",
    "test_step": "tests/steps/$stage/test_$name.py",
    "test_operator": "tests/operators/test_${name}_dag.py",
}
"""By template: where its file goes."""

_LONGEST = 30  # so that every line has room for it

_LISTS = ("operators", "specs")
"""The folders whose ``__init__.py`` has a line for each module."""


def write_step(name: str, stage: str) -> list[Path]:
    """Write the files of a step, and enter it into the two lists.

    :param name: a verb and what it is about, such as ``check_units``: of the function, the modules and the task.
    :param stage: one of :data:`~airflow_mlops.core.step.STAGES`: the room that it goes to.
    :returns: what was written or changed.
    :raises ValueError: when the name or the stage can't be used, or a file is there already. Nothing is written then.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", name) or len(name) > _LONGEST:
        raise ValueError(
            f"NAME={name}: write a verb and what it is about, in lower case and of at most {_LONGEST} letters, such as "
            f"check_units."
        )
    if stage not in STAGES:
        raise ValueError(f"STAGE={stage}: there is no such stage. Known: {', '.join(STAGES)}.")
    words = {"name": name, "stage": stage, "Name": "".join(map(str.capitalize, name.split("_")))}
    files = {REPOSITORY / _fill(path, words): _template(kind, words) for kind, path in _FILES.items()}
    for path in files:
        if path.exists():
            raise ValueError(f"{path.relative_to(REPOSITORY)} is there already. Nothing was written.")
    _require_free_classes(words["Name"])
    for path, text in files.items():
        if not (path.parent / "__init__.py").exists():  # the first step of its stage
            path.parent.mkdir(exist_ok=True)
            (path.parent / "__init__.py").write_text(_room(path, stage))
        path.write_text(text)
    return [*files, *(_enter(folder, name) for folder in _LISTS)]


def main(argv: Sequence[str] | None = None) -> int:
    """Write a step, and say what is left to do."""
    parser = argparse.ArgumentParser(prog="python -m tools.new_step", description=__doc__)
    parser.add_argument("name", help="a verb and what it is about, such as check_units")
    parser.add_argument("stage", help=f"one of {', '.join(STAGES)}")
    arguments = parser.parse_args(argv)
    try:
        paths = write_step(arguments.name, arguments.stage)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    ruff = [sys.executable, "-m", "ruff"]  # line breaks and the order of imports depend on how long the name is
    subprocess.run([*ruff, "check", "--select", "I", "--fix", "--quiet", *paths], check=True)
    subprocess.run([*ruff, "format", "--quiet", *paths], check=True)
    for path in paths:
        print(path.relative_to(REPOSITORY))
    words = {"name": arguments.name, "stage": arguments.stage}
    words["Name"] = "".join(map(str.capitalize, arguments.name.split("_")))
    print(
        "\nPut what the step is to do in place of min_rows. For the pipelines to do it, give PipelineSpec a part "
        f"`{arguments.name}`, put this into TRAINING in airflow_mlops/core/flow.py, and run make picture:\n\n"
        f"{_template('flow_entry', words, suffix='.txt')}"
    )
    return 0


def _require_free_classes(name: str) -> None:
    """Refuse the name of a class that another module has: of two, the list would give the later one."""
    for folder, kind in (("operators", "Operator"), ("specs", "Spec")):
        for path in sorted((REPOSITORY / "airflow_mlops" / folder).glob("*.py")):
            if re.search(rf"^class {name}{kind}\b", path.read_text(), re.MULTILINE):
                raise ValueError(f"{path.relative_to(REPOSITORY)} has a {name}{kind} already. Nothing was written.")


def _template(kind: str, words: dict[str, str], suffix: str = ".py.txt") -> str:
    return _fill((_TEMPLATES / f"{kind}{suffix}").read_text(), words)


def _fill(text: str, words: dict[str, str]) -> str:
    return Template(text).substitute(words)


def _room(path: Path, stage: str) -> str:
    """Return the ``__init__.py`` of a room that is not there yet; those of the tests are empty."""
    return "" if path.is_relative_to(REPOSITORY / "tests") else f'"""{STAGES[stage]}."""\n'


def _enter(folder: str, name: str) -> Path:
    """Add a module's line to a list, in order."""
    path = REPOSITORY / "airflow_mlops" / folder / "__init__.py"
    lines = path.read_text().splitlines()
    listed = [line for line in lines if line.endswith(" import *")]
    first = lines.index(listed[0])
    lines[first : first + len(listed)] = sorted([*listed, f"from airflow_mlops.{folder}.{name} import *"])
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
