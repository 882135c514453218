"""Served before promoted: the packaged model in MLflow's scoring server, asked over HTTP."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from airflow_mlops.adapters import arrow, scoring_server
from airflow_mlops.core.packaging.serving_check import (
    ServingCheck,
    ServingCheckReport,
    ServingFootprint,
    judge_footprint,
    judge_start,
)
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import IntegrityError, ServingCheckError
from airflow_mlops.pages.serving_check import serving_check_page
from airflow_mlops.specs.serving_check import ServingCheckSpec
from airflow_mlops.steps.packaging._serving_trial import choose_golden_rows, try_out
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.models import LoadedModel, load_model

__all__ = ["check_serving"]

log = logging.getLogger(__name__)

_REPORT = "serving_check"
_LOG_BYTES = 65_536


def check_serving(
    model: TrainedModel, split: DatasetSplit, serving_check: ServingCheckSpec, *, platform: Platform, run: PipelineRun
) -> ServingCheckReport:
    """Serve the packaged model in a process of its own and see that it answers as the model itself does.

    The report is recorded whatever it says;
    :meth:`~airflow_mlops.core.packaging.serving_check.ServingCheckReport.require_ok` raises. A retry finds the good
    report of an earlier try. A bad one is made again, as a machine that was busy may have made it.

    :raises IntegrityError: when the model was not trained on this split, or stored bytes have changed.
    :raises UntrustedModelError: when the model holds a type that the platform does not trust; it is not served then.
    :raises EvaluationError: when the model itself can't predict the held-out rows.
    """
    if model.split_digest != split.digest:
        raise IntegrityError(
            f"{model.model_uri} was trained on split {model.split_digest[:26]}…, not on {split.digest[:26]}…: its "
            f"columns may be others. Nothing was served."
        )
    settings_digest = digest_of(serving_check.model_dump(mode="json"))
    earlier = _earlier_report(model, settings_digest, platform, run)
    if earlier:
        log.info("serving check found from an earlier try: n_checks=%d", len(earlier.checks))
        return earlier
    loaded = load_model("The challenger", model.model_uri, model.model_digest, platform=platform)
    frame = arrow.read_frame(split.test.uri, split.test.digest)
    rows = choose_golden_rows(frame, loaded.columns, serving_check)
    types = {column.name: column.type for column in split.columns}
    with (
        platform.mlflow.downloaded(model.model_uri, model.model_digest) as files,
        tempfile.TemporaryDirectory(prefix="mlops-serving-") as folder,
    ):
        checks, footprint = _serve_and_try(files, Path(folder), loaded, rows, types, serving_check)
        report = ServingCheckReport(
            model_name=model.model_name,
            model_uri=model.model_uri,
            model_digest=model.model_digest,
            split_digest=split.digest,
            settings_digest=settings_digest,
            env_manager=serving_check.env_manager,
            n_golden_rows=len(rows),
            checks=(*checks, *judge_footprint(footprint, serving_check)),
            footprint=footprint,
            report_uri=platform.report_uri(run, _REPORT),
        )
        if not report.is_ok:
            report = replace(report, log_uri=_keep_log(Path(folder), platform, run))
    measured = {f"serving_{name}": value for name, value in asdict(footprint).items() if value is not None}
    platform.mlflow.log_metrics(model.run_id, measured)
    platform.record(run, _REPORT, report, serving_check_page(report))
    log.info("serving_check: is_ok=%s n_checks=%d %s", report.is_ok, len(report.checks), measured)
    for sentence in sentences_of(report.reasons):
        log.info("serving_check: %s", sentence)
    return report


def _serve_and_try(
    files: Path, folder: Path, loaded: LoadedModel, rows: Any, types: dict[str, str], serving_check: ServingCheckSpec
) -> tuple[list[ServingCheck], ServingFootprint]:
    """Return what came of it; a server that does not start is a failed check, too."""
    size_mb = sum(file.stat().st_size for file in files.rglob("*") if file.is_file()) / 1e6
    try:
        with scoring_server.serving(files, serving_check, folder=folder) as server:
            started = judge_start(server.start_s, timeout_s=serving_check.start_timeout_s)
            checks, footprint = try_out(server, loaded, rows, types, serving_check)
    except ServingCheckError as error:
        failed = judge_start(None, timeout_s=serving_check.start_timeout_s, problem=str(error).rstrip("."))
        return [failed], ServingFootprint(size_mb=size_mb)
    return [started, *checks], replace(footprint, size_mb=size_mb)


def _keep_log(folder: Path, platform: Platform, run: PipelineRun) -> str:
    """Store the end of the server's log beside the report, and return its path below the storage root."""
    end = (folder / "server.log").read_bytes()[-_LOG_BYTES:]
    path = platform.report_path(run, f"{_REPORT}-server.log")
    platform.storage.write_text(end.decode(errors="replace"), *path)
    return "/".join(path)


def _earlier_report(
    model: TrainedModel, settings_digest: str, platform: Platform, run: PipelineRun
) -> ServingCheckReport | None:
    path = platform.report_path(run, f"{_REPORT}.json")
    if not platform.storage.exists(*path):
        return None
    report = ServingCheckReport.from_dict(platform.storage.read_json(*path))
    is_same = (report.model_digest, report.settings_digest) == (model.model_digest, settings_digest)
    return report if is_same and report.is_ok else None
