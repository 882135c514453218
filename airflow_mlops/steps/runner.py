"""One step, called here or where a runner says: the same function, with the same arguments and the same result."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.process.child_process import Ended, run_child
from airflow_mlops.adapters.storage.store import Place, Storage
from airflow_mlops.core.flow import TRAINING
from airflow_mlops.core.step_request import StepError, StepRequest
from airflow_mlops.core.values import PipelineRun, Value
from airflow_mlops.errors import RunnerError, SpecError, UnavailableError, bounded, did_you_mean
from airflow_mlops.extras import importing
from airflow_mlops.specs._base import Spec
from airflow_mlops.specs.runner import CommandRunner, InProcessRunner, PythonRunner
from airflow_mlops.steps.platform import Platform

__all__ = ["STEPS", "answer_request", "load_function", "open_platform", "run_step"]

log = logging.getLogger(__name__)

STEPS = {step.name: step.function for step in TRAINING if step.runs_elsewhere}
"""The steps that may run elsewhere, and their functions."""

_PLATFORM = {
    "storage_root": str,
    "tracking_uri": str,
    "headers": Mapping,
    "journals": Mapping,
    "trusted_types": list,
    "allow_pickle": bool,
}

V = TypeVar("V", bound=Value)


def run_step(
    step: str,
    returns: type[V],
    *,
    runner: InProcessRunner | PythonRunner | CommandRunner,
    platform: Platform,
    run: PipelineRun,
    **arguments: object,
) -> V:
    """Call a step where the runner says.

    An error that it raises there is raised here, as the same exception of this package.

    :param step: one of :data:`STEPS`.
    :param returns: the class of its result.
    :param arguments: what its function takes beside ``platform`` and ``run``.
    :raises RunnerError: when the other environment can't run it, or ended without a result.
    :raises UnavailableError: when its process was killed, which a retry may not be.
    :raises SpecError: when there is no such step, or its process can't be started.
    """
    if isinstance(runner, InProcessRunner):
        return returns.from_dict(_function(step)(**arguments, platform=platform, run=run))
    request = StepRequest.of(step, arguments, run)
    line = json.dumps({"request": request.to_dict(), "platform": _describe_platform(platform)})
    if isinstance(runner, PythonRunner):
        command = (runner.python, "-P", "-m", "airflow_mlops.runner")
        ended = run_child(command, line, env=_environment() | runner.env)
    else:
        ended = run_child(runner.command, line, env=_environment())
    log.info("step run elsewhere: step=%s runner=%s status=%d", step, runner.type, ended.status)
    document = _result(step, ended)
    if document.get("kind") == StepError.__name__:
        raise StepError.from_dict(document).exception()
    return returns.from_dict(document)


def load_function(path: str) -> Callable[..., Any]:
    """Return the function that a step of a flow names as ``module:name``."""
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def answer_request(request: StepRequest, platform: Platform) -> Value:
    """Call the step that a request asks for, and return its result.

    :raises RunnerError: when a library that it needs is not installed.
    :raises SpecError: when there is no such step, or it does not take these arguments.
    """
    try:
        function = _function(request.step)
    except ImportError as error:
        raise RunnerError(
            f"{sys.executable} can't import what step {request.step!r} needs: {error}. Nothing was run. Install it "
            f"there."
        ) from error
    kinds = typing.get_type_hints(function)
    arguments = {name: _read(kinds.get(name), document) for name, document in request.arguments.items()}
    try:
        inspect.signature(function).bind(**arguments, platform=platform, run=request.run)
    except TypeError as error:
        raise SpecError(f"The request does not fit step {request.step!r}: {error}. Nothing was run.") from error
    platform.mlflow.check()
    value: Value = function(**arguments, platform=platform, run=request.run)
    return value


def open_platform(document: object) -> Platform:
    """Return the platform that a document describes; its values may be secret and are in no message.

    :param document: ``storage_root``, ``tracking_uri``, and optionally ``headers`` (sent with each of MLflow's
        requests), ``journals`` (``root``, and ``access`` where that is on S3), ``trusted_types`` and ``allow_pickle``.
    :raises SpecError: when a setting is missing, unknown or of the wrong type.
    """
    if not isinstance(document, Mapping):
        raise SpecError("The platform is not a JSON object. Nothing was run.")
    for name in document:
        if name not in _PLATFORM:
            known = bounded(_PLATFORM)
            raise SpecError(
                f"The platform has an unknown setting {name!r}.{did_you_mean(name, _PLATFORM)} Known: {known}."
            )
    found = {"headers": {}, "journals": {}, "trusted_types": [], "allow_pickle": False, **document}
    for name, kind in _PLATFORM.items():
        if not isinstance(found.get(name), kind) or found[name] == "":
            raise SpecError(f"The platform's {name} is missing or of the wrong type. Nothing was run.")
    mlflow = Mlflow(found["tracking_uri"], dict(found["headers"]))
    journals, trusted_types = _open_journals(found["journals"]), tuple(found["trusted_types"])
    storage = Storage(found["storage_root"], journals)
    return Platform(storage, mlflow, trusted_types, allow_pickle=found["allow_pickle"])


def _open_journals(settings: Mapping[str, Any]) -> Place | None:
    """Return where journals are kept, ``None`` where that is the storage itself."""
    try:
        if "access" not in settings:
            return Storage(**settings) if settings else None
        with importing("amazon", asked_by="The platform's journals on S3", modules=("boto3",)):
            from airflow_mlops.adapters.s3.objects import S3Access
            from airflow_mlops.adapters.s3.store import S3Place

        return S3Place(**{**settings, "access": S3Access(**settings["access"])})
    except TypeError:  # whose text may quote a secret
        raise SpecError("The platform's journals have settings that are not known. Nothing was run.") from None


def _describe_platform(platform: Platform) -> dict[str, Any]:
    """Return what :func:`open_platform` reads. It holds secrets: it must not be logged or stored."""
    storage = platform.storage
    return {
        "storage_root": str(storage.root),
        "tracking_uri": platform.mlflow.tracking_uri,
        "headers": dict(platform.mlflow.headers),
        "journals": {} if storage.journals is storage else storage.journals.describe(),
        "trusted_types": list(platform.trusted_types),
        "allow_pickle": platform.allow_pickle,
    }


def _environment() -> dict[str, str]:
    """Return this process's environment without what would bring its libraries and Airflow's secrets along."""
    dropped = ("AIRFLOW", "PYTHONPATH", "PYTHONHOME")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def _function(step: str) -> Callable[..., Any]:
    if step not in STEPS:
        raise SpecError(f"There is no step {step!r} that runs elsewhere.{did_you_mean(step, STEPS)} {bounded(STEPS)}.")
    return load_function(STEPS[step])


def _read(kind: Any, document: Any) -> Any:
    """Build the value or the spec that a parameter is declared as, optional or not; what is plain stays so."""
    for each in (kind, *typing.get_args(kind)):
        if document is not None and isinstance(each, type):
            if issubclass(each, Value):
                return each.from_dict(document)
            if issubclass(each, Spec):
                return each.parse(document)
    return document


def _result(step: str, ended: Ended) -> dict[str, Any]:
    """Return the document that the child answered with.

    :raises UnavailableError: when it was killed.
    :raises RunnerError: when it ended in another way without an answer.
    """
    try:
        document = json.loads(ended.output)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    last = f" Its last lines: {bounded(ended.last_lines)}." if ended.last_lines else ""
    if ended.signal:
        raise UnavailableError(
            f"The process of step {step!r} was killed by {ended.signal}, often for lack of memory. It left no result; "
            f"a retry finds what it finished.{last}"
        )
    raise RunnerError(
        f"The process of step {step!r} ended with status {ended.status} and without a result. Nothing that it may have "
        f"begun counts as done.{last}"
    )
