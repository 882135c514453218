"""The page of a rollout."""

from __future__ import annotations

from airflow_mlops.adapters.documents.html import report_page
from airflow_mlops.core.rollout.online_validation import RolloutReport, RolloutSide, latency_interval
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.pages.reasons import reasons_table

__all__ = ["rollout_page"]

_SHOWN = (0.5, 0.95, 0.99)


def rollout_page(report: RolloutReport) -> str:
    """Draw what champion and challenger were asked and answered in the same time."""
    sides = (("Champion", report.champion), (f"Challenger, {report.mode}", report.challenger))
    header = ("", "Version", "Requests", "Failed", *(f"p{100 * q:g} latency, ms" for q in _SHOWN))
    labels = list(dict.fromkeys([*report.champion.predictions, *report.challenger.predictions]))
    return report_page(
        title=f"Version {report.challenger.model_version} of {report.model_name}, tried",
        verdict=report.verdict,
        facts={
            "Share of the ids": f"{report.share:.1%}",
            "From": report.since.isoformat(" ", "seconds"),
            "Until": report.until.isoformat(" ", "seconds"),
            "Look": f"{report.look} of {report.n_looks}",
        },
        reasons=sentences_of(report.reasons),
        tables={
            "Rules": reasons_table(report.reasons),
            "Requests": ([header], [_row(title, side) for title, side in sides]),
            "Predictions": (
                [("Prediction", "Champion", "Challenger")],
                [(label, *(_share(side, label) for _, side in sides)) for label in labels],
            ),
        },
    )


def _row(title: str, side: RolloutSide) -> tuple[object, ...]:
    latencies = (latency_interval(side.latencies, quantile, 0.95) for quantile in _SHOWN)
    shown = (f"{low:.3g} to {high:.3g}" for low, high in latencies)
    return title, f"v{side.model_version}", side.n_requests, side.n_failed, *shown


def _share(side: RolloutSide, label: str) -> str:
    total = sum(side.predictions.values())
    return f"{side.predictions.get(label, 0) / total:.1%}" if total else ""
