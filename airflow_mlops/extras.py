"""What is installed only where somebody asks for it, and the error that says how.

``pip install airflow-mlops`` brings what a first pipeline needs. What needs more asks for it by the name that stands in
``setup.cfg``, before it does anything else::

    with importing("tuning", asked_by="tuning"):
        from airflow_mlops.adapters.optuna import Study
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from airflow_mlops.errors import MissingExtraError, bounded

__all__ = [
    "EXTRAS",
    "has_extra",
    "importing",
    "install_line",
    "is_found",
    "is_runtime",
    "require_extra",
    "require_extras",
]

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "amazon": ("airflow.providers.amazon", "boto3"),
    "drift-reports": ("evidently",),
    "feast": ("feast",),
    "lightgbm": ("lightgbm",),
    "mlflow-server": ("alembic", "sqlalchemy"),
    "onnx": ("onnx", "onnxruntime", "skl2onnx"),
    "tuning": ("optuna",),
    "xgboost": ("xgboost",),
}
"""The extras that something asks for, and the modules by which they are known to be there."""

_WHOLE, _RUNTIME = "airflow-mlops", "airflow-mlops-runtime"


def has_extra(extra: str) -> bool:
    """Return whether what an extra brings is installed, without importing it.

    :param extra: one of :data:`EXTRAS`.
    """
    return not _missing(EXTRAS[extra])


def require_extra(extra: str, *, asked_by: str, modules: Sequence[str] = ()) -> None:
    """See that an extra is installed, without importing it.

    :param extra: one of :data:`EXTRAS`.
    :param asked_by: what asks for it, for the message: a setting with its value, best.
    :param modules: what is needed of it; by default all that it is known by.
    :raises MissingExtraError: when a module can't be found. The message has the line that installs it.
    """
    missing = _missing(modules or EXTRAS[extra])
    if missing:
        raise _missing_extra(extra, f"{asked_by} needs {bounded(missing)}, which {sys.executable} does not have")


@contextlib.contextmanager
def importing(extra: str, *, asked_by: str, modules: Sequence[str] = ()) -> Iterator[None]:
    """See that an extra is installed, then let the block import what needs it.

    :param extra: as of :func:`require_extra`, like the other parameters.
    :raises MissingExtraError: when a module can't be found, or the block can't import one, such as Evidently beside a
        pandas that it does not know.
    """
    require_extra(extra, asked_by=asked_by, modules=modules)
    try:
        yield
    except ImportError as error:
        raise _missing_extra(extra, f"{asked_by} needs what {sys.executable} can't import: {error}") from error


def require_extras(extras: Mapping[str, str]) -> None:
    """See that several extras are installed.

    :param extras: their names, and what asks for each.
    :raises MissingExtraError: when one is not; the first of them is named.
    """
    for extra, asked_by in extras.items():
        require_extra(extra, asked_by=asked_by)


def install_line(extra: str) -> str:
    """Return the command that installs an extra beside what is here."""
    return f"pip install '{_distribution()}[{extra}]'"


def is_runtime() -> bool:
    """Return whether what is installed here is what works without Airflow, and no more."""
    return _distribution() == _RUNTIME


def _missing_extra(extra: str, reason: str) -> MissingExtraError:
    return MissingExtraError(f"{reason}. Nothing was changed. Install it there: {install_line(extra)}")


def _missing(modules: Sequence[str]) -> list[str]:
    return [name for name in modules if not is_found(name)]


def is_found(module: str) -> bool:
    """Return whether a module is installed, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # of a package that it lies in; or it is set to None
        return False


def _distribution() -> str:
    """Return by which name this package is installed here: with Airflow, or without."""
    for name in (_WHOLE, _RUNTIME):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.distribution(name).name
    return _WHOLE
