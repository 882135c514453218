"""A stored model, loaded to predict: its files checked, its types trusted, its columns known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters.model_files import cloudpickle
from airflow_mlops.adapters.model_files import skops as skops_store
from airflow_mlops.core.evaluation.report import check_predictions, check_scores
from airflow_mlops.errors import EvaluationError, MlopsError, UntrustedModelError, bounded
from airflow_mlops.steps.platform import Platform

__all__ = ["LoadedModel", "check_loadable", "load_model", "read_model"]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model in memory.

    :param who: whose it is, for messages: ``"The challenger"``.
    :param columns: what it reads, in order.
    :param types: of these columns, in MLflow's words.
    """

    who: str
    model: Any
    columns: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)

    def predict(self, frame: Any) -> NDArray[np.generic]:
        """Return one prediction for each row of a data frame, which may have more columns.

        :raises EvaluationError: when a column is missing, the model fails, or a prediction is NaN or infinite.
        """
        return check_predictions(self.who, self._ask("predict", frame), len(frame))

    def scores(self, frame: Any) -> NDArray[np.float64] | None:
        """Return the probability of each of :attr:`classes` for each row, or ``None`` where the model gives none.

        :returns: ``(n_rows, n_classes) float64``.
        :raises EvaluationError: when a column is missing, the model fails, or what it gives are no probabilities.
        """
        if self.classes is None or not hasattr(self.model, "predict_proba"):
            return None
        return check_scores(self.who, self._ask("predict_proba", frame), (len(frame), len(self.classes)))

    @property
    def classes(self) -> NDArray[np.generic] | None:
        """The labels that the model tells apart, in the order of its scores; ``None`` where it does not say."""
        classes = getattr(self.model, "classes_", None)
        return None if classes is None else np.asarray(classes)

    def _ask(self, method: str, frame: Any) -> NDArray[np.generic]:
        missing = [name for name in self.columns if name not in frame]
        if missing:
            raise EvaluationError(f"{self.who} reads columns that the data does not have: {bounded(missing)}.")
        try:
            return np.asarray(getattr(self.model, method)(frame[list(self.columns)]))
        except Exception as error:
            raise EvaluationError(f"{self.who} can't predict the rows: {type(error).__name__}: {error}") from error


def load_model(who: str, uri: str, digest: str, *, platform: Platform) -> LoadedModel:
    """Load a model from the files that the step before verified.

    :param who: whose it is, for messages.
    :param digest: of its files; empty to accept what is there.
    :raises IntegrityError: when the files are not those.
    :raises UntrustedModelError: when it holds a type that the platform does not trust, or is a pickle and the platform
        loads none, or none that nothing verifies.
    :raises EvaluationError: when a library can't read the files any more.
    """
    with platform.mlflow.downloaded(uri, digest) as folder:
        return read_model(who, folder, digest, platform=platform)


def read_model(who: str, folder: Path, digest: str, *, platform: Platform) -> LoadedModel:
    """Load a model from files that :func:`load_model` would download and check; it raises the same."""
    types = platform.mlflow.input_types(folder)
    try:
        if (folder / cloudpickle.FILE).exists():
            _check_may_unpickle(who, digest, platform)
            model = cloudpickle.load_model(folder)
        else:
            model = skops_store.load_model(folder, platform.trusted_types)
    except MlopsError:
        raise
    except Exception as error:  # whatever a library says of a file that another version of it wrote
        raise EvaluationError(f"{who} can't be loaded: {type(error).__name__}: {error}") from error
    return LoadedModel(who=who, model=model, columns=tuple(types), types=types)


def check_loadable(who: str, folder: Path, digest: str, platform: Platform) -> None:
    """See that a stored model may be loaded, without loading it.

    :raises UntrustedModelError: when it holds a type that the platform does not trust, or is a pickle and the platform
        loads none.
    """
    if (folder / cloudpickle.FILE).exists():
        _check_may_unpickle(who, digest, platform)
    else:
        skops_store.check_types(folder, platform.trusted_types)


def _check_may_unpickle(who: str, digest: str, platform: Platform) -> None:
    """See that a pickle may be loaded: it runs the code that is in it."""
    if not platform.allow_pickle:
        raise UntrustedModelError(
            f"{who} is stored as a pickle, which runs code when it is loaded; the platform loads none. Nothing was "
            f"loaded. Store it without pickle, or set [mlops] allow_pickle if all who can write to MLflow are trusted."
        )
    if not digest:
        raise UntrustedModelError(f"{who} is stored as a pickle and nothing verifies its files. Nothing was loaded.")
