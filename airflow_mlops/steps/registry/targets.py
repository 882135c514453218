"""Where versions serve."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.rollout.deployment import Deployment, DeploymentMode
from airflow_mlops.core.rollout.online_validation import RolloutSide
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.errors import IntegrityError
from airflow_mlops.steps.platform import inference_folder
from airflow_mlops.steps.registry.deployment import read_deployment, write_deployment

__all__ = ["RolloutTarget", "ServerTarget", "end_rollout"]

log = logging.getLogger(__name__)

_ROLES = {DeploymentMode.CANARY: Role.CANARY, DeploymentMode.SHADOW: Role.SHADOW}


class RolloutTarget(Protocol):
    """Where versions serve: what a rollout needs of it."""

    def current(self, model_name: str) -> Deployment | None:
        """Return what is deployed, ``None`` where there was never anything."""

    def put(self, deployment: Deployment) -> None:
        """Make it what is deployed; it may take effect within seconds."""

    def count(self, deployment: Deployment, *, until: datetime) -> tuple[RolloutSide, RolloutSide]:
        """Return what champion and challenger were asked and answered since the deployment."""


class ServerTarget:
    """The model servers that look into this storage, and their inference log."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def current(self, model_name: str) -> Deployment | None:
        """Return what the servers follow."""
        return read_deployment(model_name, storage=self._storage)

    def put(self, deployment: Deployment) -> None:
        """Let the servers follow this."""
        write_deployment(deployment, storage=self._storage)

    def count(self, deployment: Deployment, *, until: datetime) -> tuple[RolloutSide, RolloutSide]:
        """Count in the inference log."""
        from airflow_mlops.adapters import duckdb_engine  # which promotions, and steps run elsewhere, do without
        from airflow_mlops.adapters.storage.inference_window import files_of_window

        if deployment.champion_version is None or deployment.challenger_version is None:
            raise IntegrityError(f"{deployment.model_name}: the deployment tries no version against a champion.")
        folder = inference_folder(deployment.model_name, storage=self._storage)
        return duckdb_engine.count_sides(
            files_of_window(folder, deployment.since, until),
            since=deployment.since,
            until=until,
            champion=deployment.champion_version,
            challenger=deployment.challenger_version,
            role=_ROLES[deployment.mode],
        )


def end_rollout(
    model_name: str, *, challenger_version: int | None = None, target: RolloutTarget | None = None, storage: Storage
) -> bool:
    """Let the champion serve alone again, whichever it is.

    :param challenger_version: end it only if this one is being tried.
    :returns: whether a version was being tried.
    """
    target = target or ServerTarget(storage)
    current = target.current(model_name)
    if current is None or current.challenger_version is None:
        return False
    if challenger_version not in (None, current.challenger_version):
        return False
    target.put(replace(current, champion_version=None, challenger_version=None))
    log.info("rollout ended: challenger=%d", current.challenger_version)
    return True
