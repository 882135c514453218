"""The model card: written when a version is registered, from what the steps before have recorded."""

from __future__ import annotations

import logging
from typing import TypeVar

from airflow_mlops.adapters.documents import markdown
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.monitoring.drift_report import DriftReport
from airflow_mlops.core.packaging.conversion import ConversionReport
from airflow_mlops.core.packaging.serving_check import ServingCheckReport
from airflow_mlops.core.promotion.card import ModelCard
from airflow_mlops.core.registry.descriptions import describe_version
from airflow_mlops.core.registry.journal import CARD_TAG, ModelVersion
from airflow_mlops.core.registry.training_record import TrainingRecord
from airflow_mlops.core.training.tuning import TuningResult
from airflow_mlops.core.validation.findings import ValidationReport
from airflow_mlops.core.values import PipelineRun, Value
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import IntegrityError
from airflow_mlops.steps.platform import Platform, folder_name, short
from airflow_mlops.steps.registry.training_record import load_record
from airflow_mlops.steps.registry.versions import find_version

__all__ = ["read_card", "write_card"]

log = logging.getLogger(__name__)

_CARD = "model_card"

AnyValue = TypeVar("AnyValue", bound=Value)


def write_card(
    version: ModelVersion, blessing: Blessing, *, description: str = "", run_url: str = "", platform: Platform
) -> ModelVersion:
    """Write the card of a version: Markdown and HTML into its MLflow run, HTML beside the run's reports.

    Whatever fails is a warning: the version is registered, and a page for people does not keep it from serving. The
    tag ``mlops.card`` comes last, so that a version that has it has its card.

    :param description: what the model is for.
    :param run_url: of its MLflow run, for the link in the version's description.
    :returns: the version, with its card where one was written.
    """
    try:
        card = _gather(version, blessing, description, platform)
        run = card.record.run
        text = markdown.render_markdown(f"{_CARD}.md", {"card": card})
        page = markdown.as_html(text, title=f"{version.model_name} v{version.model_version}")
        platform.mlflow.log_texts(version.run_id, {f"{_CARD}.md": text, f"{_CARD}.html": page})
        platform.storage.write_text(page, *platform.report_path(run, f"{_CARD}.html"))
        link = f"[{_CARD}.html]({run_url}/artifacts/{_CARD}.html)" if run_url else f"{_CARD}.html in that run"
        described = describe_version(
            sentences_of(blessing.reasons), run_id=version.run_id, tags=version.tags, card=f"Model card: {link}"
        )
        platform.mlflow.describe_version(version, described)
        written = platform.mlflow.set_version_tag(version, CARD_TAG, platform.report_uri(run, _CARD))
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:300]}"
        log.warning("no model card was written: model_version=%d error=%s", version.model_version, reason)
        return version
    log.info("model card written: model_version=%d", version.model_version)
    return written


def read_card(model_uri: str, *, platform: Platform) -> str:
    """Return the card of a version, as Markdown.

    :param model_uri: ``models:/name/7``, or ``models:/name@champion``.
    :raises SpecError: when the URI is neither, or no version has the alias.
    :raises IntegrityError: when there is no such version, or it has no card.
    """
    version = find_version(model_uri, platform=platform)
    if not version.report_uri:
        raise IntegrityError(
            f"{version.model_name} v{version.model_version} has no model card: the log of the task that registered it "
            f"says why. Nothing was changed. Clear that task to have it written."
        )
    return platform.mlflow.read_text(version.run_id, f"{_CARD}.md")


def _gather(version: ModelVersion, blessing: Blessing, description: str, platform: Platform) -> ModelCard:
    """Read what the steps before have recorded."""
    record, _ = load_record(version, platform=platform)
    evidence = ("evidence", folder_name(version.model_name), f"{short(version.evidence_digest)}.json")
    serving_check = _report(ServingCheckReport, "serving_check", record.run, platform, formerly="serving")
    conversion = _report(ConversionReport, "conversion", record.run, platform, formerly="export")
    return ModelCard(
        version=version,
        description=description,
        record=record,
        evaluation=EvaluationReport.from_dict(platform.storage.read_json(*evidence)),
        reasons=blessing.reasons,
        snapshot=_snapshot(record, platform),
        validation=_report(ValidationReport, "validation", record.run, platform),
        drift=_report(DriftReport, "drift", record.run, platform),
        tuning=_report(TuningResult, "tuning", record.run, platform),
        serving_check=serving_check if serving_check and serving_check.model_digest == version.model_digest else None,
        conversion=conversion if conversion and conversion.model_digest == version.model_digest else None,
    )


def _report(
    kind: type[AnyValue], name: str, run: PipelineRun, platform: Platform, *, formerly: str = ""
) -> AnyValue | None:
    """Return a report of the run that trained the version; ``None`` where it made none.

    :param formerly: the report's name in the runs of older versions.
    """
    for each in filter(None, (name, formerly)):
        path = platform.report_path(run, f"{each}.json")
        if platform.storage.exists(*path):
            return kind.from_dict(platform.storage.read_json(*path))
    return None


def _snapshot(record: TrainingRecord, platform: Platform) -> DatasetSnapshot | None:
    from airflow_mlops.steps.data.snapshot import load_snapshot  # which waits for the engine; a promotion does not

    dataset = record.split.recipe.dataset if record.split.recipe else record.model_name
    try:
        return load_snapshot(platform.storage, dataset, record.split.snapshot_digest)
    except IntegrityError as error:
        log.warning("the model card goes without its snapshot: error=%s", str(error)[:300])
        return None
