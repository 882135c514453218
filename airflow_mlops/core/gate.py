"""The gate: whether a challenger is blessed, rejected, or can't be told, and why."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from airflow_mlops.core.evaluate import METRICS, EvaluationReport, Interval, MetricComparison
from airflow_mlops.core.values import Value, digest_of
from airflow_mlops.specs.evaluate import GateSpec, Thresholds

__all__ = ["Blessing", "BlessingVerdict", "bless", "digest_of_gate"]

_MIN_BLOCKS = 10
"""Fewer blocks than this, and a block bootstrap's interval is narrower than what it stands for."""


class BlessingVerdict(StrEnum):
    """What the gate says."""

    BLESSED = "BLESSED"
    REJECTED = "REJECTED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, kw_only=True)
class Blessing(Value):
    """The recorded verdict of the gate.

    :param evidence_digest: of the evaluation report that was judged.
    :param champion_version: the champion that a promotion may replace.
    """

    model_name: str
    verdict: BlessingVerdict
    reasons: tuple[str, ...]
    model_digest: str
    champion_version: int | None
    evidence_digest: str
    report_uri: str = ""

    @property
    def is_blessed(self) -> bool:
        """Whether the challenger may be registered and promoted."""
        return self.verdict is BlessingVerdict.BLESSED

    def __str__(self) -> str:
        return f"{self.model_name}: challenger {self.verdict}. " + " ".join(self.reasons)


def digest_of_gate(gate: GateSpec) -> str:
    """Return the identity of a gate's rules."""
    return digest_of(gate.model_dump(mode="json"))


def bless(report: EvaluationReport, gate: GateSpec, *, report_uri: str = "") -> Blessing:
    """Judge an evaluation by the gate's rules.

    Every rule gives a reason with its numbers. One rule that is broken rejects; otherwise one that could
    not be decided makes the whole inconclusive; otherwise the challenger is blessed.

    :returns: the blessing, bound to the report by its digest.
    """
    reasons: list[Reason | None] = [*_judge_circumstances(report, gate)]
    judged = [comparison for comparison in report.comparisons if comparison.metric in gate.metrics]
    for index, comparison in enumerate(judged):
        thresholds = gate.metrics[comparison.metric]
        reasons.append(_judge_value(comparison, thresholds))
        if index == 0:
            reasons.append(_judge_baseline(comparison, report))
        reasons.append(_judge_champion(comparison, thresholds, report))
    verdicts = [verdict for verdict, _ in filter(None, reasons)]
    if BlessingVerdict.REJECTED in verdicts:
        verdict = BlessingVerdict.REJECTED
    elif BlessingVerdict.INCONCLUSIVE in verdicts or not verdicts:
        verdict = BlessingVerdict.INCONCLUSIVE
    else:
        verdict = BlessingVerdict.BLESSED
    return Blessing(
        model_name=report.model_name,
        verdict=verdict,
        reasons=_in_words(filter(None, reasons)),
        model_digest=report.challenger_digest,
        champion_version=report.champion_version,
        evidence_digest=report.content_digest,
        report_uri=report_uri,
    )


Reason = tuple[BlessingVerdict, str]

_WORDS = {
    BlessingVerdict.REJECTED: "Failed",
    BlessingVerdict.INCONCLUSIVE: "Undecided",
    BlessingVerdict.BLESSED: "Passed",
}


def _in_words(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return the reasons as sentences, those that decided the verdict first."""
    given = list(reasons)
    return tuple(f"{word}: {text}" for verdict, word in _WORDS.items() for found, text in given if found is verdict)


def _judge_circumstances(report: EvaluationReport, gate: GateSpec) -> list[Reason]:
    reasons = []
    if report.n_rows < gate.min_rows:
        text = f"Only {report.n_rows} rows were held back, gate.min_rows is {gate.min_rows}."
        reasons.append((BlessingVerdict.INCONCLUSIVE, text))
    if gate.block_length > 1 and report.n_rows < _MIN_BLOCKS * gate.block_length:
        text = (
            f"{report.n_rows} rows are fewer than {_MIN_BLOCKS} blocks of gate.block_length {gate.block_length}, which "
            f"an interval needs."
        )
        reasons.append((BlessingVerdict.INCONCLUSIVE, text))
    if report.champion_error:
        text = f"Champion v{report.champion_version} could not be scored: {report.champion_error}"
        reasons.append((BlessingVerdict.INCONCLUSIVE, text))
    evaluated = {comparison.metric for comparison in report.comparisons}
    for name in (name for name in gate.metrics if name not in evaluated):
        text = f"gate.metrics.{name} was not evaluated; run the evaluation again with this gate."
        reasons.append((BlessingVerdict.INCONCLUSIVE, text))
    if report.champion_version is None and gate.cold_start:
        reasons.append((BlessingVerdict.BLESSED, "Cold start: there is no champion to compare with."))
    elif report.champion_version is None:
        text = "There is no champion to compare with; declare gate.cold_start: true to bless a first version."
        reasons.append((BlessingVerdict.REJECTED, text))
    return reasons


def _judge_value(comparison: MetricComparison, thresholds: Thresholds) -> Reason | None:
    name, threshold = comparison.metric, thresholds.value_threshold
    if not math.isfinite(comparison.challenger):
        return BlessingVerdict.REJECTED, f"{name} is {comparison.challenger}, which is never good enough."
    if threshold is None:
        return None
    too_bad = METRICS[name].worsening(comparison.challenger - threshold) > 0
    text = f"{name} {comparison.challenger:.4g}, gate.metrics.{name}.value_threshold {threshold:.4g}."
    return (BlessingVerdict.REJECTED if too_bad else BlessingVerdict.BLESSED), text


def _judge_baseline(comparison: MetricComparison, report: EvaluationReport) -> Reason:
    verdict = _judge_interval(comparison, comparison.against_baseline, margin=0.0, strict=True)
    text = (
        f"{comparison.metric} {comparison.challenger:.4g} against the naive baseline's {comparison.baseline:.4g} "
        f"({report.baseline}); {_difference(comparison.against_baseline, report)}."
    )
    return verdict, text


def _judge_champion(comparison: MetricComparison, thresholds: Thresholds, report: EvaluationReport) -> Reason | None:
    interval, margin = comparison.against_champion, thresholds.change_threshold
    if interval is None or margin is None:
        return None
    verdict = _judge_interval(comparison, interval, margin=margin, strict=False)
    text = (
        f"{comparison.metric} {comparison.challenger:.4g} against champion v{report.champion_version}'s "
        f"{comparison.champion:.4g}, gate.metrics.{comparison.metric}.change_threshold {margin:.4g}; "
        f"{_difference(interval, report)}."
    )
    return verdict, text


def _judge_interval(
    comparison: MetricComparison, interval: Interval, *, margin: float, strict: bool
) -> BlessingVerdict:
    """Hold the whole interval of the worsening against the margin.

    :param strict: whether an interval that touches the margin is still undecided, as it must be where the
        challenger has to be better and not just as good.
    """
    metric = METRICS[comparison.metric]
    best, worst = sorted((metric.worsening(interval.low), metric.worsening(interval.high)))
    if not (math.isfinite(best) and math.isfinite(worst)):
        return BlessingVerdict.REJECTED
    if worst < margin or (worst == margin and not strict):
        return BlessingVerdict.BLESSED
    if best > margin or (best == margin and strict):
        return BlessingVerdict.REJECTED
    return BlessingVerdict.INCONCLUSIVE


def _difference(interval: Interval, report: EvaluationReport) -> str:
    return f"difference {interval}, {report.confidence_level:.0%} interval, n={report.n_rows}"
