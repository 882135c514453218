"""Versions in memory, and which of them serve."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters.mlflow.scoring import Scorer, invoke
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.rollout.deployment import Deployment
from airflow_mlops.errors import ServingCheckError
from airflow_mlops.steps import Platform
from airflow_mlops.steps.registry.models import LoadedModel, read_model

__all__ = ["ServedModel", "ServingSet", "load_served"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A version that can answer.

    :param loaded: the model itself.
    :param scorer: the same, asked as MLflow asks it.
    :param said: ``(n_rows,)``, its predictions of the example that it was stored with; empty where there is none.
    """

    version: ModelVersion
    loaded: LoadedModel
    scorer: Scorer
    said: NDArray[np.generic]

    @property
    def number(self) -> int:
        """The version's number."""
        return self.version.model_version


@dataclass(frozen=True)
class ServingSet:
    """Who serves. A request takes one when it comes and keeps it to its end, whatever is swapped meanwhile.

    :param challenger: ``None`` where there is none, or it could not be loaded.
    """

    deployment: Deployment
    champion: ServedModel
    challenger: ServedModel | None = None


def load_served(model_name: str, model_version: int, *, platform: Platform) -> ServedModel:
    """Load a version, and have it answer the example that it was stored with: what it loads late is loaded then.

    :raises UnavailableError: when MLflow does not answer.
    :raises IntegrityError: when there is no such version, or its files are not those that were registered.
    :raises UntrustedModelError: when it holds a type that the platform does not trust.
    :raises EvaluationError: when a library can't read its files.
    :raises ServingCheckError: when it can't answer its own example.
    """
    who = f"{model_name} v{model_version}"
    version = platform.mlflow.get_version(model_name, model_version)
    with platform.mlflow.downloaded(f"models:/{model_name}/{model_version}", version.model_digest) as folder:
        loaded = read_model(who, folder, version.model_digest, platform=platform)
        scorer = Scorer(folder, loaded.model)
    said = _warm_up(who, scorer)
    log.info("loaded: model_name=%s model_version=%d n_example_rows=%d", model_name, model_version, len(said))
    return ServedModel(version, loaded, scorer, said)


def _warm_up(who: str, scorer: Scorer) -> NDArray[np.generic]:
    """Return the predictions of the example."""
    said: list[NDArray[np.generic]] = [np.array([])]

    def predict(data: Any, params: Any) -> NDArray[np.generic]:
        said.append(scorer.score(data, params).predictions)
        return said[-1]

    if scorer.example:
        reply = invoke(scorer.example, "application/json", scorer, predict, max_rows=len(scorer.example))
        if reply.status != 200:
            raise ServingCheckError(f"{who} can't answer the example that it was stored with: status {reply.status}.")
    return said[-1]
