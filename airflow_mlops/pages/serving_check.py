"""The page of a serving check."""

from __future__ import annotations

from dataclasses import asdict

from airflow_mlops.adapters.documents.html import report_page
from airflow_mlops.core.packaging.serving_check import ServingCheck, ServingCheckReport
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.core.wording.packaging import found_and_expected

__all__ = ["serving_check_page"]

_UNITS = {"s": "s", "ms": "ms", "mb": "MB"}


def serving_check_page(report: ServingCheckReport) -> str:
    """Draw what a server was asked, what it answered, and what it cost."""
    return report_page(
        title=f"Serving check of {report.model_name}",
        verdict="SERVES" if report.is_ok else "FAILS",
        facts={
            "Model": report.model_uri,
            "Digest": report.model_digest,
            "Split": report.split_digest,
            "Environment": report.env_manager,
            "Golden rows": report.n_golden_rows,
            "Server's log": report.log_uri or "not kept: nothing failed",
        },
        reasons=sentences_of(report.reasons),
        tables={
            "Checks": ([("Outcome", "Check", "Observed", "Expected")], [_check_row(check) for check in report.checks]),
            "Measured": ([("What", "Value")], [_measured_row(*item) for item in asdict(report.footprint).items()]),
        },
    )


def _check_row(check: ServingCheck) -> tuple[str, ...]:
    outcome = "passed" if check.passed else "failed" if check.is_judged else "failed, allowed"
    return outcome, check.name, *found_and_expected(check.found)


def _measured_row(name: str, value: float | None) -> tuple[str, str]:
    what, _, unit = name.rpartition("_")
    return what.replace("_", " "), "not measured" if value is None else f"{value:.4g} {_UNITS[unit]}"
