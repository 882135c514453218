"""Deployment: what says which versions of a model serve, kept where the servers look."""

from __future__ import annotations

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.rollout.deployment import Deployment
from airflow_mlops.errors import IntegrityError
from airflow_mlops.steps.platform import folder_name

__all__ = ["read_deployment", "write_deployment"]


def write_deployment(deployment: Deployment, *, storage: Storage) -> str:
    """Make a deployment the present one of its model, and return its path; servers follow within seconds.

    :raises UnavailableError: when the storage can't be written.
    """
    return storage.write_json(deployment.to_dict(), *_place(deployment.model_name))


def read_deployment(model_name: str, *, storage: Storage) -> Deployment | None:
    """Return the present deployment of a model, ``None`` where there was never one.

    :raises IntegrityError: when it is damaged, or another model's.
    """
    place = _place(model_name)
    if not storage.exists(*place):
        return None
    deployment = Deployment.from_dict(storage.read_json(*place))
    if deployment.model_name != model_name:
        raise IntegrityError(
            f"{storage.path(*place)} is the deployment of {deployment.model_name!r}, not of {model_name!r}. Nothing "
            f"was changed."
        )
    return deployment


def _place(model_name: str) -> tuple[str, str, str]:
    return ("deployments", folder_name(model_name), "current.json")
