"""What a flow is made of: the stages, and how a step is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

__all__ = ["GROUPS", "STAGES", "End", "Step", "named", "steps_of"]

STAGES = {
    "data": "Copy the rows of a source once, and join features to them",
    "validation": "Is the data what it should be",
    "splitting": "Hold rows back, and look for leakage",
    "training": "Search for hyperparameters, and train",
    "evaluation": "Score challenger, champion and baseline on the same rows",
    "gate": "Judge the evaluation",
    "packaging": "Try the packaged model in a server, and convert it",
    "registry": "Versions, journal and ledger",
    "promotion": "Register, approve, promote, and the way back",
    "rollout": "Try a version on live requests",
    "scoring": "Score many rows at once",
    "monitoring": "Drift of the data, performance by late labels",
    "retraining": "Is it worth training again",
    "backtesting": "Replay a policy over history",
    "maintenance": "Prune, verify, reproduce",
}
"""The stages, in the order of the flow: each is a room of its own in ``core`` and ``steps``."""

GROUPS = {
    "data": "Copy the data, check it, part it",
    "monitoring": "Has anything changed?",
    "training": "Train a challenger, compare it, judge it",
    "promotion": "Register it, make it champion",
}
"""The task groups of the training DAG, and what people read at them."""


def named(*names: str, **renamed: str) -> Mapping[str, str]:
    """Return where each argument comes from; one that is not renamed comes from what is named like it.

    >>> named("split", policy="retraining")
    {'split': 'split', 'policy': 'retraining'}
    """
    return {name: name for name in names} | renamed


@dataclass(frozen=True, kw_only=True)
class End:
    """How a step may end the run: what comes after it is skipped, or the run fails.

    :param when: for people, such as ``"nothing is new"``.
    :param fails: whether the run is red then.
    :param found: reads from the result whether it is so; ``None``: only the operator can tell, as of a person's answer.
    """

    when: str
    fails: bool = False
    found: Callable[[Any], bool] | None = None

    def __str__(self) -> str:
        return f"{self.when}: {'the run fails' if self.fails else 'the rest is skipped'}"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a flow.

    :param name: the id of its task.
    :param stage: one of :data:`STAGES`.
    :param does: for people: what it does, in a few words.
    :param operator: its class in :mod:`airflow_mlops.operators`.
    :param function: ``module:name`` in :mod:`airflow_mlops.steps`; empty: it waits for people or for live requests, and
        a run in this process leaves it out.
    :param gives: the name by which later steps take its result.
    :param takes: results of earlier steps, by argument. The result of a step that is left out is not given.
    :param settings: parts of the spec, by argument, as dotted paths.
    :param form: what is set for one run, by argument: in the trigger form, or as an argument of the run.
    :param verbatim: the settings that are no templates, whatever braces are in them.
    :param in_airflow: settings that only the operator takes, by argument.
    :param constants: arguments that only the operator takes, and that are always the same.
    :param announces: the function in :mod:`airflow_mlops.assets` that gives the asset that it is an outlet of.
    :param after: steps that it waits for without taking their result.
    :param only_with: the part of the spec without which it is left out, as a dotted path; empty: it is always done.
    :param anew: results of earlier steps that it gives anew, and the attribute of its own result that has them.
    :param requires: the method of its result that raises where the run is to fail.
    :param ends: how it may end the run.
    :param group: its task group, one of :data:`GROUPS`; empty: none.
    """

    name: str
    stage: str
    does: str
    operator: str
    function: str = ""
    gives: str
    takes: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    verbatim: tuple[str, ...] = ()
    in_airflow: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    announces: str = ""
    after: tuple[str, ...] = ()
    only_with: str = ""
    anew: Mapping[str, str] = field(default_factory=dict)
    requires: str = ""
    ends: tuple[End, ...] = ()
    group: str = ""

    @property
    def runs_elsewhere(self) -> bool:
        """Whether a runner may do it in another process or container."""
        return "runner" in self.settings

    def is_over(self, result: Any) -> bool:
        """Whether the run has come to its end with this result."""
        return any(end.found(result) for end in self.ends if end.found and not end.fails)


def steps_of(flow: Sequence[Step], spec: object) -> list[Step]:
    """Return the steps that a spec asks for, in their order."""
    return [step for step in flow if not step.only_with or attrgetter(step.only_with)(spec)]
