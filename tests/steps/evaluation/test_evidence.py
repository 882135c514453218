"""The evidence that a version was blessed on: known by its digest, wherever it is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from mlflow import MlflowClient

from airflow_mlops.core.values import digest_of
from airflow_mlops.errors import IntegrityError
from airflow_mlops.specs import MonitoringSpec, PerformanceSpec
from airflow_mlops.steps.monitoring._champion_baseline import score_reference
from airflow_mlops.steps.monitoring._reference_profile import of_log
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.approve import request_approval
from tests.steps.cases import Bench

LATER = ("timeline", "importance_changes", "calibration_errors", "fairness")
"""What evaluations did not have in the beginning."""


def _place(digest: str) -> tuple[str, str, str]:
    return "evidence", "small", f"{digest.removeprefix('sha256:')[:16]}.json"


@pytest.fixture
def older(delivered: Bench, held: PipelineResult) -> PipelineResult:
    """A blessed version whose evidence is as an older release wrote it, with fewer fields."""
    storage = delivered.platform.storage
    document = storage.read_json(*_place(held.blessing.evidence_digest))
    fewer = {name: value for name, value in document.items() if name not in LATER}
    assert len(fewer) == len(document) - len(LATER)
    digest = digest_of(fewer)
    storage.write_json(fewer, *_place(digest))
    client = MlflowClient(delivered.platform.mlflow.tracking_uri)
    client.set_model_version_tag("small", "1", "mlops.evidence_digest", digest)
    version = delivered.platform.mlflow.get_version("small", 1)
    return replace(held, version=version, blessing=replace(held.blessing, evidence_digest=digest))


def test_what_an_older_release_wrote_can_still_be_approved(delivered: Bench, older: PipelineResult):
    asked = request_approval(older.version, older.blessing, links={}, platform=delivered.platform)
    assert older.blessing.evidence_digest in asked.body


def test_what_an_older_release_wrote_is_still_compared_with_production(delivered: Bench, older: PipelineResult):
    spec = PerformanceSpec.parse(
        {
            "labels": {"path": "labels.csv"},
            "label": "y",
            "id": "id",
            "maturity": "P1D",
            "metrics": {"mean_absolute_error": {}},
        }
    )
    reference = score_reference(older.version, spec, platform=delivered.platform)
    assert reference.evaluation.model_name == "small"


@pytest.mark.parametrize(("how", "said"), [("changed", "it was changed"), ("gone", "is missing from the storage")])
def test_what_is_not_the_evidence_any_more_is_not_compared_with_and_not_approved(
    delivered: Bench, held: PipelineResult, caplog: pytest.LogCaptureFixture, how: str, said: str
):
    platform, blessing = delivered.platform, held.blessing
    intact = of_log(held.version, MonitoringSpec(), platform, end=datetime(2026, 3, 1, tzinfo=UTC))
    assert intact.facts.importances
    place = _place(blessing.evidence_digest)
    if how == "changed":
        platform.storage.write_json({**platform.storage.read_json(*place), "n_rows": 7}, *place)
    else:
        platform.storage.path(*place).unlink()
    compared = of_log(held.version, MonitoringSpec(), platform, end=datetime(2026, 3, 1, tzinfo=UTC))
    assert (compared.facts.importances, compared.facts.kinds) == ({}, {})
    assert f"drift without the champion's evaluation: model_version=1 {platform.storage.path(*place)}" in caplog.text
    with pytest.raises(IntegrityError, match=rf"{said}.*, so an approval by it is void\. Nothing was promoted"):
        request_approval(held.version, blessing, links={}, platform=platform)
