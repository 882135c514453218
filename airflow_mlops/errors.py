"""The exceptions of airflow-mlops.

::

    MlopsError
    ├── SpecError(ValueError)              what the user wrote can't be used
    ├── MissingExtraError(ImportError)     what the user wrote needs an extra that is not installed
    ├── DataError(ValueError)              the data can't be used
    │   ├── DataHaltedError                the validation's verdict is HALT
    │   ├── LeakageError                   the model would train on what it won't have
    │   └── NoRowsError                    there is no row
    │       └── NothingNewError            there is no row since the last snapshot
    ├── TrainingError(RuntimeError)        the estimator or the user's function failed
    ├── UntrustedModelError(ValueError)    the model needs a type that the platform does not trust
    ├── EvaluationError(ValueError)        a model could not be scored
    ├── ConversionError(ValueError)        a model can't be had in another format
    ├── ServingCheckError(RuntimeError)    the packaged model does not serve as it must
    ├── NotBlessedError(RuntimeError)      the gate said no, and the caller wants that to fail
    ├── IntegrityError(RuntimeError)       a digest or a journal is not the one that was verified
    ├── ReproductionError(RuntimeError)    a version could not be made again from its record
    ├── PromotionConflictError(RuntimeError)  the champion is not the one that the evaluation saw
    ├── RunnerError(RuntimeError)          a step can't be run where it was sent
    └── UnavailableError(ConnectionError)  a service or a storage does not answer: try again

A message says what was observed against what is required, what state things are left in, and what to
do next. Only :class:`UnavailableError` is worth a retry.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from airflow_mlops._renamed import refuse_old_name

__all__ = [
    "ConversionError",
    "DataError",
    "DataHaltedError",
    "EvaluationError",
    "IntegrityError",
    "LeakageError",
    "MissingExtraError",
    "MlopsError",
    "NoRowsError",
    "NotBlessedError",
    "NothingNewError",
    "PromotionConflictError",
    "ReproductionError",
    "RunnerError",
    "ServingCheckError",
    "SpecError",
    "TrainingError",
    "UnavailableError",
    "UntrustedModelError",
    "bounded",
    "bounded_lines",
    "closest",
    "counted",
    "did_you_mean",
]


def __getattr__(name: str) -> Any:
    refuse_old_name(__name__, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class MlopsError(Exception):
    """Root of every exception that this package raises on purpose."""


class SpecError(MlopsError, ValueError):
    """What the user wrote can't be used."""


class MissingExtraError(MlopsError, ImportError):
    """What was asked for needs an extra that is not installed. The message has the line that installs it."""


class DataError(MlopsError, ValueError):
    """The data can't be used: nothing there, a column missing, rows that contradict the spec."""


class DataHaltedError(DataError):
    """The validation's verdict is HALT. The report is stored; nothing after it ran."""


class LeakageError(DataError):
    """The model would train on something that it won't have when it predicts. The report is stored."""


class NoRowsError(DataError):
    """The source has no row, or none in the window."""


class NothingNewError(NoRowsError):
    """No row is later than what the snapshots so far hold. In Airflow the task is skipped."""


class TrainingError(MlopsError, RuntimeError):
    """The estimator or the user's training function failed, or gave no usable model."""


class UntrustedModelError(MlopsError, ValueError):
    """The model holds a type that the platform does not trust to be loaded."""


class EvaluationError(MlopsError, ValueError):
    """A model could not be scored on the held-out rows."""


class ConversionError(MlopsError, ValueError):
    """A model can't be converted into another format, or can't be run in it. The export's report says so."""


class ServingCheckError(MlopsError, RuntimeError):
    """The packaged model does not serve as it must, or its server does not start."""


class NotBlessedError(MlopsError, RuntimeError):
    """The gate rejected the challenger, or could not decide."""


class IntegrityError(MlopsError, RuntimeError):
    """Stored bytes or records are not those that were verified."""


class ReproductionError(MlopsError, RuntimeError):
    """A version could not be made again from its record, or what was made is not the same."""


class PromotionConflictError(MlopsError, RuntimeError):
    """The champion is not the one that the evaluation compared with."""


class RunnerError(MlopsError, RuntimeError):
    """A step can't be run where it was sent, or ended there without a result."""


class UnavailableError(MlopsError, ConnectionError):
    """A service or a storage does not answer. Nothing was decided; try again."""


def bounded(items: Iterable[object], limit: int = 10) -> str:
    """Join the first ``limit`` items for a message, and say how many more there are.

    >>> bounded(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    listed = [repr(item) for item in items]
    shown = ", ".join(listed[:limit])
    rest = len(listed) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown or "none"


def bounded_lines(items: Iterable[object], limit: int = 10) -> str:
    """Write the first ``limit`` items for a message, a line each, and say how many more there are.

    >>> print(bounded_lines(["a", "b", "c"], limit=2))
      - a
      - b
      - and 1 more
    """
    listed = [f"  - {item}" for item in items]
    more = [f"  - and {len(listed) - limit} more"] if len(listed) > limit else []
    return "\n".join(listed[:limit] + more)


def counted(number: int, noun: str) -> str:
    """Write a number before its noun, of which the plural ends in s.

    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like another one; ``None`` where none is close.

    >>> closest("co2_pm", ["co2_ppm", "date"])
    'co2_ppm'
    """
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` when a known name is close, otherwise an empty string.

    >>> did_you_mean("co2_pm", ["co2_ppm", "date"])
    " Did you mean 'co2_ppm'?"
    """
    close = closest(name, known)
    return "" if close is None else f" Did you mean {close!r}?"
