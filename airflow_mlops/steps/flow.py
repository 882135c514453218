"""A flow in this process: each of its steps is a function call."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from airflow_mlops.core.step import Step
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.specs._base import Spec
from airflow_mlops.steps.data.connections import Connections
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.runner import load_function, run_step

__all__ = ["FlowRun"]


class FlowRun:
    """One run of a flow. What the DAG does as tasks, :meth:`do` does as calls, one after the other.

    :param spec: where the settings of the steps come from.
    :param connections: opens the connections that the spec names; ``None``: there are none.
    :param form: what is set for this run. What a step could be told of it, and is not in it, is not given.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        platform: Platform,
        run: PipelineRun,
        connections: Connections | None = None,
        form: Mapping[str, Any] | None = None,
    ) -> None:
        self.form = dict(form or {})
        self.results: dict[str, Any] = {}
        self._spec = spec
        self._given: dict[str, Any] = {}
        self._surroundings: dict[str, Any] = {
            "platform": platform,
            "storage": platform.storage,
            "connections": connections,
            "run": run,
        }

    def do(self, step: Step) -> Any:
        """Call a step, and return its result.

        :raises MlopsError: what the step raises, or its result where the run is to fail by it.
        """
        result = self._call(step)
        self.results[step.gives] = result
        if step.requires:
            getattr(result, step.requires)()
        self._given[step.gives] = result
        self._given |= {name: getattr(result, attribute) for name, attribute in step.anew.items()}
        return result

    def _call(self, step: Step) -> Any:
        arguments = {
            **{name: self._given[giver] for name, giver in step.takes.items() if giver in self._given},
            **{name: attrgetter(path)(self._spec) for name, path in step.settings.items()},
            **{name: self.form[setting] for name, setting in step.form.items() if setting in self.form},
        }
        function = load_function(step.function)
        if step.runs_elsewhere:
            common = {name: self._surroundings[name] for name in ("platform", "run")}
            return run_step(step.name, typing.get_type_hints(function)["return"], **arguments, **common)
        wanted = inspect.signature(function).parameters
        return function(**arguments, **{name: it for name, it in self._surroundings.items() if name in wanted})
