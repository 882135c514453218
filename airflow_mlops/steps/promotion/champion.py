"""What others are told once the champion has changed."""

from __future__ import annotations

import logging

from airflow_mlops.core.registry.descriptions import ChampionChange
from airflow_mlops.core.registry.journal import PromotionRecord
from airflow_mlops.errors import IntegrityError
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.journal import read_evidence

__all__ = ["describe_change"]

log = logging.getLogger(__name__)


def describe_change(record: PromotionRecord, *, platform: Platform) -> ChampionChange:
    """Return what is known of the version that an entry made champion.

    The champion has changed, whatever is missing by now: without its evidence it is told without metrics.

    :param record: of a promotion or a rollback.
    :raises IntegrityError: when the registry does not have the version.
    """
    version = platform.mlflow.get_version(record.model_name, record.to_version)
    evidence_digest = record.evidence_digest or version.evidence_digest
    metrics = {}
    try:
        evidence = read_evidence(record.model_name, evidence_digest, storage=platform.storage)
        metrics = {each.metric: each.challenger for each in evidence.comparisons}
    except IntegrityError as error:
        log.warning("the change is told without metrics: error=%s", str(error)[:300])
    return ChampionChange(
        model_name=record.model_name,
        model_version=record.to_version,
        from_version=record.from_version,
        action="promote" if record.action == "promote" else "rollback",
        reason="\n".join(record.why),
        sequence=record.sequence,
        model_digest=version.model_digest,
        evidence_digest=evidence_digest,
        metrics=metrics,
    )
