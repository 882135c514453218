"""The gate: it judges what the evaluation found, and what it says is recorded."""

from __future__ import annotations

import logging

from airflow_mlops.core.evaluate import EvaluationReport
from airflow_mlops.core.gate import Blessing, bless, digest_of_gate
from airflow_mlops.core.train import TrainedModel
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import IntegrityError
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.steps import pages
from airflow_mlops.steps._platform import Platform, folder_name, short

__all__ = ["bless_model"]

log = logging.getLogger(__name__)

_REPORT = "blessing"


def bless_model(
    report: EvaluationReport, gate: GateSpec, model: TrainedModel, *, platform: Platform, run: PipelineRun
) -> Blessing:
    """Let the gate judge an evaluation, and record what it says.

    :raises IntegrityError: when the report is about another model.
    """
    if report.challenger_digest != model.model_digest:
        raise IntegrityError(
            f"The evaluation is of a model with digest {report.challenger_digest[:19]}…, not of {model.model_uri} "
            f"({model.model_digest[:19]}…). Nothing was blessed."
        )
    blessing = bless(report, gate, report_uri=platform.report_uri(run, _REPORT))
    platform.storage.create_json(
        report.to_dict(), "evidence", folder_name(model.model_name), f"{short(blessing.evidence_digest)}.json"
    )
    platform.record(run, _REPORT, blessing, pages.blessing_page(blessing, report))
    tags = {
        "mlops.blessing": blessing.verdict,
        "mlops.evidence_digest": blessing.evidence_digest,
        "mlops.gate": digest_of_gate(gate),
        "mlflow.note.content": "\n".join([f"**{blessing.verdict}**", "", *(f"- {each}" for each in blessing.reasons)]),
    }
    if not blessing.is_blessed and not report.champion_error:  # a champion that can be scored again is a new case
        tags["mlops.outcome"] = blessing.verdict
    platform.mlflow.set_tags(model.run_id, tags)
    log.info("gate: verdict=%s", blessing.verdict)
    for reason in blessing.reasons:
        log.info("gate: %s", reason)
    return blessing
