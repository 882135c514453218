"""The pages of the reports: a value on one side, what a person reads on the other."""

from __future__ import annotations

from airflow_mlops.adapters.documents.html import Link, report_page
from airflow_mlops.core.data.profile import DatasetProfile
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.monitoring.drift_report import ColumnKind, DriftReport
from airflow_mlops.core.validation.findings import ValidationReport
from airflow_mlops.errors import bounded

__all__ = ["drift_page", "validation_page"]

_SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)
_SPREAD = ("Smallest", *(f"{share:.0%}" for share in _SHOWN), "Largest")


def validation_page(report: ValidationReport, snapshot: DatasetSnapshot, profile: DatasetProfile) -> str:
    """Draw what a validation found, beside what the columns hold."""
    findings = [
        (f.action, f.severity, f.column or "", f.rule, f.observed, f.expected, _shown(f.examples))
        for f in report.findings
    ]
    checks = [
        (
            c.outcome,
            c.column or "",
            c.rule,
            c.expected,
            c.observed,
            c.engine,
        )
        for c in report.checks
    ]
    quarantine = report.quarantine
    return report_page(
        title=f"Validation of {snapshot.dataset}",
        verdict=report.verdict,
        facts={
            "Snapshot": snapshot.digest,
            "Rows": snapshot.n_rows,
            "Window": f"{snapshot.window_start} to {snapshot.window_end}" if snapshot.timestamp else "no timestamp",
            "Source": _source(snapshot),
            "Compared with": report.reference_digest or "nothing: there is no champion",
            "Quarantine": f"{quarantine.n_rows} rows in {quarantine.uri}" if quarantine else "none",
        },
        reasons=(),
        tables={
            "Findings": ([("Leads to", "Severity", "Column", "Rule", "Observed", "Expected", "Examples")], findings),
            "Expectations": (
                [("Outcome", "Column", "Rule", "Expected", "Observed", "Checked by")],
                checks,
            ),
            "Columns": (
                [("Name", "Type", "Null", "NaN", "Different, about", "Mean", *_SPREAD, "Most frequent")],
                _column_rows(snapshot, profile),
            ),
        },
    )


def _column_rows(snapshot: DatasetSnapshot, profile: DatasetProfile) -> list[tuple[object, ...]]:
    found = {column.name: column for column in profile.columns}
    rows: list[tuple[object, ...]] = []
    for column in snapshot.columns:
        known = found.get(column.name)
        if known is None:
            rows.append((column.name, column.type, column.n_null, *[""] * (4 + len(_SPREAD))))
            continue
        frequent = ", ".join(f"{value[:30]} ({n})" for value, n in known.top_values[:3])
        quantiles = dict(known.quantiles)
        spread = (known.minimum, *(quantiles.get(share) for share in _SHOWN), known.maximum)
        numbers = (known.n_distinct, known.mean, *spread)
        rows.append((column.name, column.type, column.n_null, known.n_nan, *map(_number, numbers), frequent))
    return rows


def _number(value: float | str | None) -> object:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value


def _shown(examples: tuple[str, ...]) -> str:
    return bounded(examples, 3) if examples else ""


def _source(snapshot: DatasetSnapshot) -> str:
    known = (snapshot.source.get(name) for name in ("path", "query", "function"))
    return str(next((text for text in known if text), ""))[:200]


def _chance(p_value: float | None) -> str:
    return "" if p_value is None else f"{p_value:.2g}" if p_value else "< 1e-300"


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
            c.reason or "no",
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
            "Picture": Link("drawn by Evidently from samples", picture) if picture else "none",
        },
        reasons=report.reasons,
        tables={"Columns": ([head], rows)},
    )
