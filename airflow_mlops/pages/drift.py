"""The page of a drift check: each column with its statistics, and how likely chance is."""

from __future__ import annotations

from airflow_mlops.adapters.documents.html import Link, report_page
from airflow_mlops.core.monitoring.drift_report import ColumnKind, DriftReport, DriftStatus
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.extras import has_extra, install_line
from airflow_mlops.pages.reasons import reasons_table

__all__ = ["drift_page"]


def _chance(p_value: float | None) -> str:
    return "" if p_value is None else f"{p_value:.2g}" if p_value else "< 1e-300"


def _no_picture(report: DriftReport) -> str:
    is_missed = report.status is DriftStatus.DRIFTED and not has_extra("drift-reports")
    return f"none: Evidently is not installed ({install_line('drift-reports')})" if is_missed else "none"


def drift_page(report: DriftReport, picture: str) -> str:
    """Draw a drift check.

    :param picture: name of the page that Evidently drew; empty where there is none.
    """
    names = list(dict.fromkeys(name for column in report.columns for name in column.statistics))
    tests = list(dict.fromkeys(test for column in report.columns for test in column.p_values))
    rows = [
        (
            c.name,
            c.kind,
            f"{c.importance:.1%}" if c.kind is ColumnKind.FEATURE else "",
            "; ".join(sentences_of(c.reasons)) or "no",
            *(f"{c.statistics[name]:.4g}" if name in c.statistics else "" for name in names),
            *(_chance(c.p_values.get(test)) for test in tests),
        )
        for c in report.columns
    ]
    measured = [name.replace("_", " ") for name in (*names, *(f"chance by {test}" for test in tests))]
    head = ("Name", "Kind", "Importance", "Drifted", *measured)
    start, end = report.window_start, report.window_end
    window = f"after {start:%Y-%m-%d %H:%M} until {end:%Y-%m-%d %H:%M} UTC" if start and end else "all rows"
    return report_page(
        title=f"Drift of {report.model_name}",
        verdict=report.status,
        facts={
            "Champion": f"v{report.champion_version}" if report.champion_version else "none",
            "Reference": f"{report.n_reference} rows, {report.reference_digest}",
            "Current": f"{report.n_current} rows, from {report.current_digest or 'the inference log'}",
            "Window": window,
            "Picture": Link("drawn by Evidently from samples", picture) if picture else _no_picture(report),
        },
        reasons=sentences_of(report.reasons),
        tables={"Columns": ([head], rows), "Rules": reasons_table(report.reasons)},
    )
