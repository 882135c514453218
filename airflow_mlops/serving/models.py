"""Versions in memory, and which of them serve."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from airflow_mlops.adapters.mlflow_scoring import Scorer, invoke
from airflow_mlops.core.deploy import Deployment
from airflow_mlops.core.promote import ModelVersion
from airflow_mlops.errors import ServingError
from airflow_mlops.steps import Platform
from airflow_mlops.steps._models import LoadedModel, read_model

__all__ = ["Lineup", "ServedModel", "load_served"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A version that can answer.

    :param loaded: the model itself.
    :param scorer: the same, asked as MLflow asks it.
    """

    version: ModelVersion
    loaded: LoadedModel
    scorer: Scorer

    @property
    def number(self) -> int:
        """The version's number."""
        return self.version.model_version


@dataclass(frozen=True)
class Lineup:
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
    :raises ServingError: when it can't answer its own example.
    """
    who = f"{model_name} v{model_version}"
    version = platform.mlflow.get_version(model_name, model_version)
    with platform.mlflow.downloaded(f"models:/{model_name}/{model_version}", version.model_digest) as folder:
        loaded = read_model(who, folder, version.model_digest, platform=platform)
        scorer = Scorer(folder, loaded.model)
    if scorer.example:
        reply = invoke(
            scorer.example,
            "application/json",
            scorer,
            lambda data, params: scorer.score(data, params).predictions,
            max_rows=len(scorer.example),
        )
        if reply.status != 200:
            raise ServingError(f"{who} can't answer the example that it was stored with: status {reply.status}.")
    else:
        log.warning("no example to warm up with: model_name=%s model_version=%d", model_name, model_version)
    log.info("loaded: model_name=%s model_version=%d", model_name, model_version)
    return ServedModel(version, loaded, scorer)
