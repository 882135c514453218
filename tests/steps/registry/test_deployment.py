from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.rollout.deployment import Deployment, DeploymentMode
from airflow_mlops.errors import IntegrityError
from airflow_mlops.steps.registry.deployment import read_deployment, write_deployment

DEPLOYMENT = Deployment(
    model_name="small",
    challenger_version=2,
    mode=DeploymentMode.CANARY,
    share=0.1,
    since=datetime(2026, 1, 1, tzinfo=UTC),
    key="sha256:1",
)


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path))


def test_the_present_deployment_is_the_last_one_that_was_written(storage):
    assert read_deployment("small", storage=storage) is None
    write_deployment(Deployment(model_name="small", since=DEPLOYMENT.since, key=""), storage=storage)
    path = write_deployment(DEPLOYMENT, storage=storage)
    assert path == str(storage.root / "deployments" / "small" / "current.json")
    assert read_deployment("small", storage=storage) == DEPLOYMENT
    assert read_deployment("other", storage=storage) is None


def test_a_deployment_of_another_model_is_refused(storage):
    write_deployment(DEPLOYMENT, storage=storage)
    shutil.copytree(storage.root / "deployments" / "small", storage.root / "deployments" / "other")
    with pytest.raises(IntegrityError, match="is the deployment of 'small', not of 'other'"):
        read_deployment("other", storage=storage)


def test_a_damaged_deployment_is_not_none(storage):
    path = storage.root / "deployments" / "small" / "current.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(IntegrityError, match="is damaged"):
        read_deployment("small", storage=storage)
