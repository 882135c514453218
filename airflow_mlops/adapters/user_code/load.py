"""The user's code: found by its import path, digested, called."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
from pathlib import Path
from typing import Any

from airflow_mlops.core.training.fit import Progress, reason_of
from airflow_mlops.errors import SpecError, TrainingError, did_you_mean
from airflow_mlops.extras import EXTRAS, require_extra
from airflow_mlops.specs.train import TrainingSpec

__all__ = ["call_trainer", "code_digest", "load_object", "make_estimator", "make_preprocessor", "module_file"]


def load_object(import_path: str) -> Any:
    """Import what ``package.module:name`` or ``package.module.name`` stands for.

    :raises MissingExtraError: when it is of a library that is an extra of this package, and not installed.
    :raises SpecError: when there is no such module or no such name in it.
    """
    module_name, name = _parts(import_path)
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        library = module_name.partition(".")[0]
        if library in EXTRAS:
            require_extra(library, asked_by=repr(import_path))
        raise SpecError(f"{import_path!r}: can't import {module_name!r}: {error}. Is it on PYTHONPATH?") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise SpecError(f"{import_path!r}: {module_name!r} has no {name!r}.{did_you_mean(name, dir(found))}")
        found = getattr(found, part)
    return found


def module_file(import_path: str) -> Path:
    """Return the source file of the module that an import path leads into.

    :raises SpecError: when there is no such module.
    """
    module_name, _ = _parts(import_path)
    try:
        spec = importlib.util.find_spec(module_name)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None or not spec.has_location or not Path(spec.origin).is_file():
        raise SpecError(f"{import_path!r}: there is no module {module_name!r}. Is it on PYTHONPATH?")
    return Path(spec.origin)


def code_digest(import_path: str) -> str:
    """Return the SHA-256 of the module's source file, so that a change of the code is a change of the model.

    :raises SpecError: when there is no such module.
    """
    return f"sha256:{hashlib.sha256(module_file(import_path).read_bytes()).hexdigest()}"


def make_estimator(training: TrainingSpec) -> Any:
    """Build the spec's estimator with its parameters, seeded wherever it takes a ``random_state``.

    :raises SpecError: when it does not take the parameters, or what comes has no ``fit`` and ``predict``.
    """
    make = load_object(str(training.estimator))
    try:
        estimator = make(**training.params)
    except (TypeError, ValueError) as error:
        raise SpecError(
            f"training.params don't fit {training.estimator}: {error}. Nothing was trained and the champion stays. "
            f"Fix training.params, or the parameters of this run."
        ) from error
    if not hasattr(estimator, "fit") or not hasattr(estimator, "predict"):
        raise SpecError(f"training.estimator {training.estimator!r} gives {type(estimator).__name__}: no fit, predict.")
    if hasattr(estimator, "get_params"):
        states = {key: value for key, value in estimator.get_params().items() if key.split("__")[-1] == "random_state"}
        estimator.set_params(**{key: training.seed for key, value in states.items() if value is None})
    return estimator


def make_preprocessor(import_path: str) -> Any:
    """Build the transformer that the spec's ``preprocessing`` names.

    :raises SpecError: when it can't be called without arguments, or what comes has no ``fit`` and ``transform``.
    """
    make = load_object(import_path)
    try:
        preprocessor = make()
    except Exception as error:
        raise SpecError(
            f"training.preprocessing {import_path} can't be called without arguments: {type(error).__name__}: {error}. "
            f"Nothing was trained and the champion stays."
        ) from error
    if not hasattr(preprocessor, "fit") or not hasattr(preprocessor, "transform"):
        found = type(preprocessor).__name__
        raise SpecError(f"training.preprocessing {import_path!r} gives {found}: no fit, transform.")
    return preprocessor


def call_trainer(training: TrainingSpec, frame: Any, progress: Progress) -> Any:
    """Call the user's ``train(data, params) -> model``.

    :param progress: given to a function that has an argument of this name, to say how far it has come.
    :raises TrainingError: when it raises, or what it gives has no ``predict``.
    """
    train = load_object(str(training.function))
    wanted = {"progress": progress} if "progress" in inspect.signature(train).parameters else {}
    try:
        model = train(frame, dict(training.params), **wanted)
    except Exception as error:
        raise TrainingError(
            f"training.function {training.function} raised {reason_of(error)}. Nothing was stored and the "
            f"champion stays."
        ) from error
    if not hasattr(model, "predict"):
        raise TrainingError(
            f"training.function {training.function} gave {type(model).__name__}, which has no predict. "
            f"Nothing was stored."
        )
    return model


def _parts(import_path: str) -> tuple[str, str]:
    module_name, _, name = import_path.partition(":")
    if not name:
        module_name, _, name = import_path.rpartition(".")
    if not module_name or not name:
        raise SpecError(f"{import_path!r} is no import path; write package.module:name.")
    return module_name, name
