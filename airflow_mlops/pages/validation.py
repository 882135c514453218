"""The page of a validation: findings, expectations, and what the columns hold."""

from __future__ import annotations

from airflow_mlops.adapters.documents.html import Figure, report_page
from airflow_mlops.core.data.profile import DatasetProfile
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.validation.findings import ValidationReport
from airflow_mlops.core.wording.numbers import shown
from airflow_mlops.core.wording.validation import found_and_expected
from airflow_mlops.errors import bounded

__all__ = ["validation_page"]

_FOUND = ("Found", "Expected", Figure("Observed"), Figure("Required"), Figure("n"))
_SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)
_SPREAD = ("Smallest", *(f"{share:.0%}" for share in _SHOWN), "Largest")


def validation_page(report: ValidationReport, snapshot: DatasetSnapshot, profile: DatasetProfile) -> str:
    """Draw what a validation found, beside what the columns hold."""
    findings = [
        (f.action, f.severity, f.column or "", f.rule, *_numbers(f.found), _shown(f.examples)) for f in report.findings
    ]
    checks = [
        (
            c.outcome,
            c.column or "",
            c.rule,
            *_numbers(c.found),
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
            "Findings": ([("Leads to", "Severity", "Column", "Rule", *_FOUND, "Examples")], findings),
            "Expectations": (
                [("Outcome", "Column", "Rule", *_FOUND, "Checked by")],
                checks,
            ),
            "Columns": (
                [("Name", "Type", "Null", "NaN", "Different, about", "Mean", *_SPREAD, "Most frequent")],
                _column_rows(snapshot, profile),
            ),
        },
    )


def _numbers(found: Reason) -> tuple[object, ...]:
    """Return what was found and expected in words, and beside them the numbers, set to the right."""
    numbers = (value if isinstance(value, int | float) else None for value in (found.observed, found.required))
    return (*found_and_expected(found), *(Figure(shown(number)) for number in (*numbers, found.n)))


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
