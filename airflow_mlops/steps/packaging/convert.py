"""Export: a model in a format that other programs run, kept only if it answers as the model does."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.documents.html import report_page
from airflow_mlops.core.packaging.conversion import (
    ConversionReport,
    ConversionStatus,
    InputKind,
    Parity,
    compare_answers,
    input_kinds,
    judge_parity,
    not_converted,
)
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import ConversionError, IntegrityError
from airflow_mlops.extras import importing
from airflow_mlops.specs.conversion import ConversionSpec
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.models import load_model

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["conversion_page", "convert_model"]

log = logging.getLogger(__name__)

_REPORT = "conversion"
_MAX_ROWS = 2_000


def convert_model(
    model: TrainedModel, split: DatasetSplit, conversion: ConversionSpec, *, platform: Platform, run: PipelineRun
) -> ConversionReport:
    """Convert a model, compare the answers on held-out rows, and keep the result if they are the same.

    A kept file is the artifact ``onnx/model.onnx`` of the model's run, whose tag ``mlops.formats`` says which formats
    there are. A model that can't be converted, or that answers otherwise, is no failure: the report says so, and
    nothing is kept. A retry finds the report of an earlier try.

    :raises MissingExtraError: when the libraries of the format are not installed.
    :raises IntegrityError: when the model was not trained on this split, or stored bytes have changed.
    :raises EvaluationError: when the model can't predict the rows.
    """
    if model.split_digest != split.digest:
        raise IntegrityError(
            f"{model.model_uri} was trained on split {model.split_digest[:26]}…, not on {split.digest[:26]}…. Nothing "
            f"was exported."
        )
    onnx = _library()
    settings_digest = digest_of(conversion.model_dump(mode="json"))
    earlier = _earlier_report(model, split, settings_digest, platform, run)
    if earlier:
        log.info("export found from an earlier try: status=%s", earlier.status)
        return earlier
    attempt = _attempt(model, split, conversion, onnx, platform)
    report = ConversionReport(
        model_name=model.model_name,
        run_id=model.run_id,
        model_digest=model.model_digest,
        split_digest=split.digest,
        format=conversion.format,
        settings_digest=settings_digest,
        tolerance=conversion.tolerance,
        status=attempt.status,
        reasons=attempt.reasons,
        parity=attempt.parity,
        inputs=tuple(attempt.kinds.items()),
        report_uri=platform.report_uri(run, _REPORT),
        run_url=model.run_url,
    )
    tags = {}
    if report.status is ConversionStatus.KEPT:
        report = _keep(report, attempt.graph, platform)
        tags = {f"mlops.{report.format}_digest": report.artifact_digest}
    platform.mlflow.set_tags(model.run_id, {"mlops.formats": ",".join(report.formats), **tags})
    platform.record(run, _REPORT, report, conversion_page(report))
    told = " ".join(sentences_of(report.reasons))
    log.info("conversion: format=%s status=%s reasons=%s", report.format, report.status, told)
    return report


def conversion_page(report: ConversionReport) -> str:
    """Draw what became of a conversion."""
    parity = report.parity
    compared: dict[str, object] = {}
    if parity:
        compared = {
            "Compared rows": f"{parity.n_rows}, {parity.n_odd_rows} of them with a value missing or never seen",
            "Other labels": parity.n_label_mismatches,
            "Numbers beyond the tolerance": parity.n_beyond,
            "Largest difference": f"{parity.max_difference:.3g}",
        }
    return report_page(
        title=f"{report.format.upper()} export of {report.model_name}",
        verdict=report.status,
        facts={
            "Model": report.model_digest,
            "Formats": ", ".join(report.formats),
            "Tolerance": report.tolerance,
            **compared,
            "File": f"{report.artifact_uri}, {report.n_bytes} bytes" if report.artifact_uri else "none",
        },
        reasons=sentences_of(report.reasons),
        tables={"Inputs": ([("Column", "Kind")], list(report.inputs))},
    )


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """A conversion that was tried."""

    status: ConversionStatus
    reasons: tuple[Reason, ...]
    kinds: dict[str, InputKind]
    graph: bytes = b""
    parity: Parity | None = None


def _attempt(
    model: TrainedModel, split: DatasetSplit, conversion: ConversionSpec, onnx: ModuleType, platform: Platform
) -> _Attempt:
    loaded = load_model("The model", model.model_uri, model.model_digest, platform=platform)
    columns = [column for name in loaded.columns for column in split.columns if column.name == name]
    kinds: dict[str, InputKind] = {}
    try:
        kinds = input_kinds(columns)
        graph = onnx.to_onnx(loaded.model, kinds, name=model.model_name)
    except ConversionError as error:
        return _not_exported(ConversionStatus.UNSUPPORTED, conversion, error, kinds)
    arrow.check_rows(split.test.uri, split.test.digest)
    sample = arrow.sample_frame(split.test.uri, list(kinds), _MAX_ROWS)
    try:
        parity = _compare(loaded.model, graph, sample, kinds, conversion, onnx)
    except ConversionError as error:
        return _not_exported(ConversionStatus.REFUSED, conversion, error, kinds)
    status, reasons = judge_parity(parity, tolerance=conversion.tolerance)
    return _Attempt(status=status, reasons=reasons, kinds=kinds, graph=graph, parity=parity)


def _not_exported(
    status: ConversionStatus, conversion: ConversionSpec, error: ConversionError, kinds: dict[str, InputKind]
) -> _Attempt:
    return _Attempt(status=status, reasons=(not_converted(status, conversion.format, str(error)),), kinds=kinds)


def _compare(
    model: Any, graph: bytes, sample: Any, kinds: dict[str, InputKind], conversion: ConversionSpec, onnx: ModuleType
) -> Parity:
    rows, n_odd_rows = onnx.rows_to_compare(model, sample, kinds)
    reference = onnx.answers_of_model(model, rows)
    current = onnx.answers_of_graph(graph, rows, kinds, like=reference)
    return compare_answers(reference=reference, current=current, tolerance=conversion.tolerance, n_odd_rows=n_odd_rows)


def _library() -> ModuleType:
    """Import what only an export needs: an extra of this package, and seconds."""
    with importing("onnx", asked_by="conversion.format: onnx"):
        from airflow_mlops.adapters import onnx_export
    return onnx_export


def _keep(report: ConversionReport, graph: bytes, platform: Platform) -> ConversionReport:
    """Store the file with the model's run, and see that it can be read back."""
    uri = f"runs:/{report.run_id}/{report.format}"
    with tempfile.TemporaryDirectory(prefix="mlops-export-") as folder:
        (Path(folder) / f"model.{report.format}").write_bytes(graph)
        digest = platform.mlflow.log_files(report.run_id, Path(folder), report.format)
    return replace(report, artifact_uri=uri, artifact_digest=digest, n_bytes=len(graph))


def _earlier_report(
    model: TrainedModel, split: DatasetSplit, settings_digest: str, platform: Platform, run: PipelineRun
) -> ConversionReport | None:
    """Return this run's report, if it is of the same model, rows and settings."""
    path = platform.report_path(run, f"{_REPORT}.json")
    if not platform.storage.exists(*path):
        return None
    report = ConversionReport.from_dict(platform.storage.read_json(*path))
    asked = (model.run_id, model.model_digest, split.digest, settings_digest)
    return (
        report if asked == (report.run_id, report.model_digest, report.split_digest, report.settings_digest) else None
    )
