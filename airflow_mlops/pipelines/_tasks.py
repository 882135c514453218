"""A flow as tasks of a DAG: each of its steps is an operator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.step import GROUPS, Step, steps_of
from airflow_mlops.pipelines._shared import as_written
from airflow_mlops.specs._base import Spec

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

__all__ = ["add_tasks"]


def add_tasks(
    flow: Sequence[Step], spec: Spec, *, model_name: str, form: Mapping[str, Any] | None = None
) -> dict[str, BaseOperator]:
    """Add a task for each step that the spec asks for to the DAG of the context, and return them by name.

    :param model_name: whose assets are announced.
    :param form: the templates of what is set for one run. What is not in it is left to the operator.
    """
    from airflow.sdk import TaskGroup

    wiring = _Wiring(spec, model_name, form or {})
    for group, steps in groupby(steps_of(flow, spec), key=attrgetter("group")):
        with TaskGroup(group, prefix_group_id=False, tooltip=GROUPS[group]) if group else contextlib.nullcontext():
            for step in steps:
                wiring.add(step)
    return wiring.tasks


class _Wiring:
    """Makes the tasks, one after the other; ``given`` has what those before it give."""

    def __init__(self, spec: Spec, model_name: str, form: Mapping[str, Any]) -> None:
        from airflow_mlops import assets, operators

        self.tasks: dict[str, Any] = {}
        self._given: dict[str, Any] = {}
        self._spec, self._model_name, self._form = spec, model_name, form
        self._assets, self._operators = assets, operators
        self._settings: dict[str, Any] = {}

    def add(self, step: Step) -> None:
        """Make the task of a step."""
        from airflow.sdk import XComArg

        arguments = {
            **step.constants,
            **{name: self._given[giver] for name, giver in step.takes.items() if giver in self._given},
            **{name: self._setting(path) for name, path in (*step.settings.items(), *step.in_airflow.items())},
            **{name: self._form[setting] for name, setting in step.form.items() if setting in self._form},
        }
        arguments |= {name: as_written(arguments[name]) for name in step.verbatim}
        if step.announces:
            asset: Callable[[str], Any] = getattr(self._assets, step.announces)
            arguments["outlets"] = [asset(self._model_name)]
        task = self.tasks[step.name] = getattr(self._operators, step.operator)(task_id=step.name, **arguments)
        self._given[step.gives] = task.output
        self._given |= {name: XComArg(task, key=name) for name in step.anew}
        waited_for = [self.tasks[name] for name in step.after if name in self.tasks]
        if waited_for:
            waited_for >> task

    def _setting(self, path: str) -> Any:
        """Return a part of the spec as the plain document that a task keeps."""
        if path not in self._settings:
            self._settings[path] = _plain(attrgetter(path)(self._spec))
        return self._settings[path]


def _plain(setting: Any) -> Any:
    if isinstance(setting, Spec):
        return setting.model_dump(mode="json")
    if isinstance(setting, tuple) and any(isinstance(each, Spec) for each in setting):
        return [_plain(each) for each in setting]
    return setting
