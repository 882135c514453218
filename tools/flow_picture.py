"""Draw the flow from its declaration, where the README and the documentation show it: ``make picture``."""

from __future__ import annotations

import re
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from airflow_mlops.core.flow import TRAINING
from airflow_mlops.core.step import Step, steps_of
from airflow_mlops.specs import PipelineSpec

__all__ = ["PAGES", "draw", "main", "redraw"]

PAGES = ("README.md", "docs/index.md")
"""The pages that show the picture."""

_FIRST = " new data, the clock, another DAG, a person <- alert <- monitoring of production: drift, late labels"
_SHORTEST = PipelineSpec.parse(
    {
        "model_name": "shortest",
        "data": {"path": "/data/*.csv"},
        "validation": {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "y"}}]},
        "split": {"method": "random"},
        "training": {"target": "y", "estimator": "package.module:name"},
        "gate": {"metrics": {"mean_absolute_error": {}}},
    }
)


def draw() -> str:
    """Return the picture: a line for each step, in brackets where the shortest spec leaves it out."""
    always = steps_of(TRAINING, _SHORTEST)
    lines = [_FIRST, "   |", "   v"]
    for group, steps in groupby(TRAINING, key=attrgetter("group")):
        for n, step in enumerate(steps):
            name = step.name if step in always else f"[{step.name}]"
            lines.append(_line("" if n else group, name, step))
    return "\n".join(lines)


def redraw(page: str) -> str:
    """Return a page with the picture as it is now.

    :raises ValueError: when the page has no block that begins with the picture's first line.
    """
    block = re.compile(rf"(?<=text\n){re.escape(_FIRST)}\n.*?(?=\n```)", re.DOTALL)
    drawn, n_found = block.subn(lambda _: draw(), page)
    if not n_found:
        raise ValueError("There is no block of text that begins with the picture's first line.")
    return drawn


def main() -> None:
    """Redraw the picture in all pages."""
    for name in PAGES:
        path = Path(__file__).parents[1] / name
        path.write_text(redraw(path.read_text()))


def _line(group: str, name: str, step: Step) -> str:
    ends = "; ".join(f"-> {end}" for end in step.ends)
    return f" {group:<11}{name:<20}{step.does:<58}{ends}".rstrip()


if __name__ == "__main__":
    main()
