"""The pages of an evaluation and of the gate's verdict."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_mlops.adapters.documents.html import Rows, report_page
from airflow_mlops.core.evaluation.fairness import FairnessReport
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.pages.reasons import reasons_table

__all__ = ["blessing_page", "evaluation_page"]

_TITLES = {
    "residuals": "Residuals",
    "confusion_matrix": "Confusion matrix",
    "score_curves": "ROC and precision-recall",
    "calibration": "Calibration",
    "slices": "Errors by slice",
    "errors_by_time": "Errors by time",
    "importance": "Importance of features",
}
_N_FEATURES = 20

Table = tuple[Rows, Rows]


def evaluation_page(report: EvaluationReport, pictures: Mapping[str, str]) -> str:
    """Draw an evaluation, before anything is decided.

    :param pictures: SVG by name.
    """
    return report_page(
        title=f"Evaluation of {report.model_name}",
        verdict="EVALUATED",
        facts=_facts(report),
        reasons=(),
        tables=_tables(report),
        pictures={_TITLES.get(name, name): svg for name, svg in pictures.items()},
    )


def blessing_page(blessing: Blessing, report: EvaluationReport) -> str:
    """Draw the gate's verdict with the evidence that it judged."""
    return report_page(
        title=f"Gate of {blessing.model_name}",
        verdict=blessing.verdict,
        facts={**_facts(report), "Evidence": blessing.evidence_digest},
        reasons=sentences_of(blessing.reasons),
        tables={"Rules": reasons_table(blessing.reasons), **_tables(report)},
    )


def _facts(report: EvaluationReport) -> dict[str, object]:
    calibration = ", ".join(f"{who} {error:.3g}" for who, error in report.calibration_errors.items())
    return {
        "Challenger": report.challenger_uri,
        "Champion": report.champion_error or (f"v{report.champion_version}" if report.champion_version else "none"),
        "Baseline": report.baseline,
        "Held-out rows": report.n_rows,
        "Intervals": f"{report.confidence_level:.0%}, by drawing {report.resampled} ({report.n_units} units)",
        **({"Expected calibration error": calibration} if calibration else {}),
        "Split": report.split_digest,
    }


def _tables(report: EvaluationReport) -> dict[str, Table]:
    tables = {"Metrics on the same rows": _metrics(report)}
    if report.slices:
        tables[f"{report.comparisons[0].metric} by slice"] = _slices(report)
    if report.classes:
        tables["Classes"] = _classes(report)
    for each in report.fairness:
        apart = "; ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in each.measures.items())
        tables[f"Fairness by {each.attribute}: {apart}"] = _groups(each)
    if report.importance:
        tables["What the features are worth"] = _importance(report)
    return tables


def _metrics(report: EvaluationReport) -> Table:
    header = (
        "Metric",
        "Challenger",
        "Champion",
        "Baseline",
        f"Against champion ({report.confidence_level:.0%} interval)",
        "Against baseline",
    )
    rows = [
        (
            f"{c.metric} ({c.direction.replace('_', ' ')})",
            _number(c.challenger),
            _number(c.champion),
            _number(c.baseline),
            c.against_champion or "",
            c.against_baseline,
        )
        for c in report.comparisons
    ]
    return [header], rows


def _slices(report: EvaluationReport) -> Table:
    header = ("Slice", "Rows", "Challenger", "Champion", "Difference (interval for all slices at once)", "")
    rows = [
        (
            part.name,
            part.n_rows,
            _number(part.challenger),
            _number(part.champion),
            part.against_champion or "",
            "found" if part.is_found else "",
        )
        for part in report.slices
    ]
    return [header], rows


def _classes(report: EvaluationReport) -> Table:
    header = ("Class", "Rows", "Precision", "Recall", "Champion's precision", "Champion's recall")
    rows = [
        (
            each.label,
            each.n_rows,
            *map(_number, (each.precision, each.recall, each.champion_precision, each.champion_recall)),
        )
        for each in report.classes
    ]
    return [header], rows


def _groups(fairness: FairnessReport) -> Table:
    names = list(fairness.groups[0].scores) if fairness.groups else []
    rows = [
        (
            group.name,
            group.n_rows,
            *(_number(group.scores[name]) for name in names),
            "yes" if group.is_judged else f"no: fewer than {fairness.min_rows} rows, or alone",
        )
        for group in fairness.groups
    ]
    return [("Group", "Rows", *(name.replace("_", " ") for name in names), "Judged")], rows


def _importance(report: EvaluationReport) -> Table:
    kinds = {change.feature: change.kind for change in report.importance_changes}
    known = {each.feature for each in report.importance}
    ranked = sorted(report.importance, key=lambda each: -each.importance)[:_N_FEATURES]
    rows = [(each.feature, f"{each.importance:.3g} ± {each.std:.2g}", kinds.get(each.feature, "")) for each in ranked]
    rows += [(name, "", kind) for name, kind in kinds.items() if name not in known]
    return [("Feature", "Loss without it", "Since the champion")], rows


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
