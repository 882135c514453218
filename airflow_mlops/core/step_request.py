"""What goes to a step that runs in another process, and what comes back when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from airflow_mlops import errors
from airflow_mlops._version import __version__
from airflow_mlops.core.values import PipelineRun, Value
from airflow_mlops.errors import MlopsError, RunnerError
from airflow_mlops.specs._base import Spec

__all__ = ["StepError", "StepRequest", "check_version"]


@dataclass(frozen=True, kw_only=True)
class StepRequest(Value):
    """One call of a step. It holds no secret, and may stand in a command line or in a file.

    :param version: of the package that asks.
    :param step: its name, such as ``train``.
    :param arguments: what the step's function takes beside ``platform`` and ``run``, as JSON documents.
    """

    version: str
    step: str
    arguments: dict[str, Any]
    run: PipelineRun

    @classmethod
    def of(cls, step: str, arguments: dict[str, object], run: PipelineRun) -> Self:
        """Return the request for a call with values, specs and plain JSON as arguments."""
        documents = {name: _as_json(argument) for name, argument in arguments.items()}
        return cls(version=__version__, step=step, arguments=documents, run=run)


@dataclass(frozen=True, kw_only=True)
class StepError(Value):
    """The result of a step that raised.

    :param type: the exception's class, as :mod:`airflow_mlops.errors` knows it, or its own name.
    """

    type: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Describe an exception."""
        names = [each.__name__ for each in type(error).__mro__]
        known = [name for name in names if name in errors.__all__]
        return cls(type=(known or names)[0], message=str(error))

    def exception(self) -> Exception:
        """Return the same exception, or a ``RuntimeError`` for one that is not this package's.

        So it means to Airflow what it would have meant in the task's own process.

        >>> StepError(type="TrainingError", message="it failed").exception()
        TrainingError('it failed')
        >>> StepError(type="KeyError", message="'x'").exception()
        RuntimeError("KeyError: 'x'")
        """
        known = getattr(errors, self.type, None) if self.type in errors.__all__ else None
        if isinstance(known, type) and issubclass(known, MlopsError):
            return known(self.message)
        return RuntimeError(f"{self.type}: {self.message}")


def check_version(asked_by: object, where: str) -> None:
    """See that whoever asks has the same version of this package, before anything is done.

    :param asked_by: the version of the request.
    :param where: the interpreter that answers, for the message.
    :raises RunnerError: when it is another one.
    """
    if asked_by != __version__:
        raise RunnerError(
            f"The step was asked for by airflow-mlops {asked_by}, but {where} has {__version__}: one would misread the "
            f"other. Nothing was run. Install airflow-mlops-runtime=={asked_by} there, or airflow-mlops=={asked_by} "
            f"if it has Airflow."
        )


def _as_json(argument: object) -> Any:
    if isinstance(argument, Value):
        return argument.to_dict()
    return argument.model_dump(mode="json") if isinstance(argument, Spec) else argument
