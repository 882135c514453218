"""The gate: it judges what the evaluation found, and what it says is recorded."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.gate.rules import Blessing, GateDecision, bless, digest_of_gate
from airflow_mlops.core.packaging.serving_check import ServingCheckReport
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import IntegrityError
from airflow_mlops.pages.evaluation import blessing_page
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.steps.platform import Platform, folder_name, short
from airflow_mlops.steps.registry.ledger import append_decision, read_ledger

__all__ = ["bless_model"]

log = logging.getLogger(__name__)

_REPORT = "blessing"


def bless_model(
    evaluation: EvaluationReport,
    gate: GateSpec,
    model: TrainedModel,
    *,
    serving_check: ServingCheckReport | None = None,
    platform: Platform,
    run: PipelineRun,
) -> Blessing:
    """Let the gate judge an evaluation, and record what it says.

    :param serving_check: what the serving check found, where the model was tried.
    :raises IntegrityError: when a report is about another model.
    """
    if serving_check and serving_check.model_digest != model.model_digest:
        raise IntegrityError(f"The serving check is of another model than {model.model_uri}. Nothing was blessed.")
    if evaluation.challenger_digest != model.model_digest:
        raise IntegrityError(
            f"The evaluation is of a model with digest {evaluation.challenger_digest[:19]}…, not of {model.model_uri} "
            f"({model.model_digest[:19]}…). Nothing was blessed."
        )
    blessing = bless(evaluation, gate, serving_check=serving_check, report_uri=platform.report_uri(run, _REPORT))
    for evidence in (evaluation, serving_check):
        if evidence:
            name = f"{short(evidence.content_digest)}.json"
            platform.storage.create_json(evidence.to_dict(), "evidence", folder_name(model.model_name), name)
    page = blessing_page(blessing, evaluation)
    platform.record(run, _REPORT, blessing, page)
    platform.mlflow.log_texts(model.run_id, {f"evaluation/{_REPORT}.html": page})
    sentences = sentences_of(blessing.reasons)
    tags = {
        "mlops.blessing": blessing.verdict,
        "mlops.evidence_digest": blessing.evidence_digest,
        "mlops.gate": digest_of_gate(gate),
        "mlflow.note.content": "\n".join([f"**{blessing.verdict}**", "", *(f"- {each}" for each in sentences)]),
    }
    if blessing.is_over and not evaluation.champion_error:  # a champion that can be scored again is a new case
        tags["mlops.outcome"] = blessing.verdict
    platform.mlflow.set_tags(model.run_id, tags)
    _note(blessing, platform, run)
    log.info("gate: verdict=%s", blessing.verdict)
    for sentence in sentences:
        log.info("gate: %s", sentence)
    return blessing


def _note(blessing: Blessing, platform: Platform, run: PipelineRun) -> None:
    """Write the verdict to the ledger, once in a run for the same evidence."""
    decision = GateDecision(
        model_name=blessing.model_name,
        verdict=blessing.verdict,
        reasons=blessing.reasons,
        champion_version=blessing.champion_version,
        evidence_digest=blessing.evidence_digest,
        run_id=run.run_id,
        at=datetime.now(UTC),
        report_uri=blessing.report_uri,
    )
    for entry in read_ledger(blessing.model_name, storage=platform.storage):
        if isinstance(entry, GateDecision) and _is_same(entry, decision):
            return
    append_decision(decision, storage=platform.storage)


def _is_same(entry: GateDecision, decision: GateDecision) -> bool:
    """Return whether both say the same, also where an older version wrote one of them in words."""
    bare = replace(decision, reasons=())
    is_same = replace(entry, reasons=(), at=decision.at) == bare
    return is_same and sentences_of(entry.reasons) == sentences_of(decision.reasons)
