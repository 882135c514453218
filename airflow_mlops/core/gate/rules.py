"""The gate: whether a challenger is blessed, rejected, or can't be told, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from airflow_mlops.core.evaluation.report import EvaluationReport, MetricComparison, SliceComparison
from airflow_mlops.core.packaging.serving_check import ServingReport
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.stats.metrics import worsening
from airflow_mlops.core.values import Value, digest_of
from airflow_mlops.errors import bounded
from airflow_mlops.specs.evaluate import FairnessRules, GateSpec, SliceRules, Thresholds
from airflow_mlops.specs.metrics import Direction

__all__ = ["Blessing", "BlessingVerdict", "GateDecision", "Reason", "bless", "digest_of_gate"]

_MIN_UNITS = 10
"""With fewer units to resample than this, an interval is narrower than what it stands for."""


class BlessingVerdict(StrEnum):
    """What the gate says."""

    BLESSED = "BLESSED"
    REJECTED = "REJECTED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, kw_only=True)
class GateDecision(Value):
    """What a gate said in a run, as the ledger keeps it.

    :param evidence_digest: of the evaluation report that was judged.
    """

    model_name: str
    verdict: BlessingVerdict
    reasons: tuple[str, ...]
    champion_version: int | None
    evidence_digest: str
    run_id: str
    at: datetime
    report_uri: str = ""


BLESSED, REJECTED, INCONCLUSIVE = BlessingVerdict
Reason = tuple[BlessingVerdict, str]
"""What one rule says, and why."""


@dataclass(frozen=True, kw_only=True)
class Blessing(Value):
    """The recorded verdict of the gate.

    :param evidence_digest: of the evaluation report that was judged.
    :param serving_digest: of the report of the serving check; empty where the model was not tried.
    :param champion_version: the champion that a promotion may replace.
    :param asks_a_person: whether a person may still approve what the gate could not decide.
    """

    model_name: str
    verdict: BlessingVerdict
    reasons: tuple[str, ...]
    model_digest: str
    champion_version: int | None
    evidence_digest: str
    serving_digest: str = ""
    asks_a_person: bool = False
    report_uri: str = ""

    @property
    def is_blessed(self) -> bool:
        """Whether the challenger is shown to be good enough to be champion."""
        return self.verdict is BLESSED

    @property
    def is_over(self) -> bool:
        """Whether the challenger comes to its end here, and is not even registered."""
        return not (self.is_blessed or self.asks_a_person)

    def __str__(self) -> str:
        return f"{self.model_name}: challenger {self.verdict}. " + " ".join(self.reasons)


def digest_of_gate(gate: GateSpec) -> str:
    """Return the identity of a gate's rules."""
    return digest_of(gate.model_dump(mode="json"))


def bless(
    report: EvaluationReport, gate: GateSpec, *, serving: ServingReport | None = None, report_uri: str = ""
) -> Blessing:
    """Judge an evaluation, and how the model serves, by the gate's rules.

    Every rule gives a reason with its numbers. One rule that is broken rejects; otherwise one that could
    not be decided makes the whole inconclusive; otherwise the challenger is blessed.

    :param serving: what the serving check found; ``None``: the model was not tried, and that decides nothing.
    :returns: the blessing, bound to the report by its digest.
    """
    reasons = [*_judge_circumstances(report, gate), *_judge_metrics(report, gate)]
    if gate.slices:
        reasons += _judge_slices(report, gate.slices)
    if gate.fairness:
        reasons += _judge_fairness(report, gate.fairness)
    if serving:
        reasons += _judge_serving(serving)
    verdicts = {verdict for verdict, _ in reasons}
    verdict = REJECTED if REJECTED in verdicts else INCONCLUSIVE if verdicts != {BLESSED} else BLESSED
    return Blessing(
        model_name=report.model_name,
        verdict=verdict,
        reasons=_in_words(reasons),
        model_digest=report.challenger_digest,
        champion_version=report.champion_version,
        evidence_digest=report.content_digest,
        serving_digest=serving.content_digest if serving else "",
        asks_a_person=verdict is INCONCLUSIVE and gate.on_inconclusive == "ask",
        report_uri=report_uri,
    )


_WORDS = {REJECTED: "Failed", INCONCLUSIVE: "Undecided", BLESSED: "Passed"}


def _in_words(reasons: list[Reason]) -> tuple[str, ...]:
    """Return the reasons as sentences, those that decided the verdict first."""
    return tuple(f"{word}: {text}" for verdict, word in _WORDS.items() for found, text in reasons if found is verdict)


def _judge_circumstances(report: EvaluationReport, gate: GateSpec) -> Iterator[Reason]:
    if report.n_rows < gate.min_rows:
        yield INCONCLUSIVE, f"Only {report.n_rows} rows were held back, gate.min_rows is {gate.min_rows}."
    if report.resampled != "rows" and report.n_units < _MIN_UNITS:
        text = f"{report.n_rows} rows are {report.n_units} {report.resampled}; an interval needs {_MIN_UNITS} of them."
        yield INCONCLUSIVE, text
    if report.champion_error:
        text = f"Champion v{report.champion_version} could not be scored: {report.champion_error}"
        yield INCONCLUSIVE, text
    if report.signature_breaks and not gate.allow_signature_change:
        text = (
            f"Whoever calls champion v{report.champion_version} could not call the challenger: "
            f"{'; '.join(report.signature_breaks)}. If they know, set gate.allow_signature_change: true."
        )
        yield REJECTED, text
    if report.champion_version is None and gate.cold_start:
        yield BLESSED, "Cold start: there is no champion to compare with."
    elif report.champion_version is None:
        text = "There is no champion to compare with; declare gate.cold_start: true to bless a first version."
        yield REJECTED, text


def _judge_metrics(report: EvaluationReport, gate: GateSpec) -> Iterator[Reason]:
    found = {comparison.metric: comparison for comparison in report.comparisons}
    first = next(iter(gate.metrics))
    for name, thresholds in gate.metrics.items():
        if name not in found:
            yield INCONCLUSIVE, f"gate.metrics.{name} was not evaluated; run the evaluation again with this gate."
            continue
        yield from _judge_value(found[name], thresholds)
        yield from _judge_baseline(found[name], thresholds, report, must_be_better=name == first)
        yield from _judge_champion(found[name], thresholds, report)


def _judge_value(comparison: MetricComparison, thresholds: Thresholds) -> Iterator[Reason]:
    name, threshold = comparison.metric, thresholds.value_threshold
    if not math.isfinite(comparison.challenger):
        yield REJECTED, f"{name} is {comparison.challenger}, which is never good enough."
    elif threshold is not None:
        too_bad = worsening(comparison.direction, comparison.challenger - threshold) > 0
        text = f"{name} {comparison.challenger:.4g}, gate.metrics.{name}.value_threshold {threshold:.4g}."
        yield (REJECTED if too_bad else BLESSED), text


def _judge_baseline(
    comparison: MetricComparison, thresholds: Thresholds, report: EvaluationReport, *, must_be_better: bool
) -> Iterator[Reason]:
    margin = thresholds.baseline_change_threshold
    if margin is None and not must_be_better:
        return
    asked = "" if margin is None else f"gate.metrics.{comparison.metric}.baseline_change_threshold {margin:.4g}; "
    verdict = _judge_interval(
        comparison.direction,
        comparison.against_baseline,
        margin=min(margin or 0.0, 0.0) if must_be_better else margin or 0.0,
        strict=must_be_better,
    )
    text = (
        f"{comparison.metric} {comparison.challenger:.4g} against the naive baseline's {comparison.baseline:.4g} "
        f"({report.baseline}); {asked}{_difference(comparison.against_baseline, report)}."
    )
    yield verdict, text


def _judge_champion(comparison: MetricComparison, thresholds: Thresholds, report: EvaluationReport) -> Iterator[Reason]:
    interval, champion = comparison.against_champion, comparison.champion
    if interval is None or champion is None:
        return
    name = f"gate.metrics.{comparison.metric}"
    absolute, relative = thresholds.change_threshold, thresholds.relative_change_threshold
    if relative is not None:
        margin, asked = _fraction(relative, champion), f"{name}.relative_change_threshold {relative:.4g}"
    elif absolute is not None:
        margin, asked = absolute, f"{name}.change_threshold {absolute:.4g}"
    else:
        return
    known = f"{comparison.metric} {comparison.challenger:.4g} against champion v{report.champion_version}'s"
    if margin is None:
        yield INCONCLUSIVE, f"{known} {champion:.4g}, {asked}: nothing is a fraction of that. Use change_threshold."
        return
    verdict = _judge_interval(comparison.direction, interval, margin=margin, strict=False)
    yield verdict, f"{known} {champion:.4g}, {asked}; {_difference(interval, report)}."


def _judge_slices(report: EvaluationReport, rules: SliceRules) -> Iterator[Reason]:
    """Judge all slices by intervals that hold at once: one sentence for those that fail, and for those that may."""
    if rules.change_threshold is None and rules.relative_change_threshold is None:
        return
    asked, metric = _asked_of_slices(rules), report.comparisons[0] if report.comparisons else None
    judged = [part for part in report.slices if part.against_champion is not None]
    if metric is None or not judged:
        if report.champion_version is not None:
            yield INCONCLUSIVE, f"No slice of at least {rules.min_rows} rows was compared with the champion; {asked}."
        return
    verdicts = {part.name: _judge_slice(part, metric.direction, rules) for part in judged}
    worse = [part for part in judged if verdicts[part.name] is REJECTED]
    unclear = [part for part in judged if verdicts[part.name] is INCONCLUSIVE]
    if worse:
        yield REJECTED, f"{metric.metric} is worse than allowed in {_listed(worse)}; {asked}."
    if unclear:
        yield INCONCLUSIVE, f"{metric.metric} can't be told to be good enough in {_listed(unclear)}; {asked}."
    if not worse and not unclear:
        word = "shown to be worse" if rules.evidence == "shown_worse" else "possibly worse"
        yield BLESSED, f"{metric.metric} is {word} than allowed in none of {len(judged)} slices; {asked}."


def _judge_slice(part: SliceComparison, direction: Direction, rules: SliceRules) -> BlessingVerdict:
    interval, champion = part.against_champion, part.champion
    if interval is None or champion is None or not math.isfinite(part.challenger):
        return INCONCLUSIVE
    margin = rules.change_threshold
    if rules.relative_change_threshold is not None:
        margin = _fraction(rules.relative_change_threshold, champion)
    if margin is None or not math.isfinite(interval.low):
        return INCONCLUSIVE
    verdict = _judge_interval(direction, interval, margin=margin, strict=False)
    return BLESSED if verdict is INCONCLUSIVE and rules.evidence == "shown_worse" else verdict


def _asked_of_slices(rules: SliceRules) -> str:
    if rules.relative_change_threshold is not None:
        return f"gate.slices.relative_change_threshold {rules.relative_change_threshold:.4g}"
    return f"gate.slices.change_threshold {rules.change_threshold:.4g}"


def _listed(parts: list[SliceComparison]) -> str:
    shown = [f"{part.name} ({part.against_champion}, n={part.n_rows})" for part in parts]
    return bounded(shown, 3)


def _judge_fairness(report: EvaluationReport, rules: FairnessRules) -> Iterator[Reason]:
    """Hold the measures of each attribute against their limits."""
    found = {each.attribute: each for each in report.fairness}
    for attribute in rules.attributes:
        for measure, limit in rules.limits.items():
            asked = f"gate.fairness.limits.{measure} {limit:.4g}"
            fairness = found.get(attribute)
            if fairness is None or measure not in fairness.measures:
                text = f"{measure} by {attribute} was not measured, {asked}. It is of another kind of target."
                yield INCONCLUSIVE, text
                continue
            value = fairness.measures[measure]
            text = f"{measure} by {attribute} is {value:.4g}, {asked}"
            if math.isnan(value):
                needs = f"it needs two groups of at least {fairness.min_rows} rows, with rows of each class"
                yield INCONCLUSIVE, f"{text}: {needs}."
            else:
                yield (BLESSED if fairness.is_within(measure, limit) else REJECTED), f"{text}."


def _judge_serving(serving: ServingReport) -> Iterator[Reason]:
    if serving.is_ok:
        found = serving.footprint
        measured = (
            ("p95 latency", found.latency_p95_ms, "ms"),
            ("memory", found.memory_mb, "MB"),
            ("start", found.start_s, "s"),
        )
        shown = ", ".join(f"{name} {value:.4g} {unit}" for name, value, unit in measured if value is not None)
        yield BLESSED, f"The packaged model serves as it predicts, in {len(serving.checks)} checks ({shown})."
    for reason in serving.reasons:
        yield REJECTED, f"Served, {reason}"
    if not serving.is_ok and not serving.reasons:
        yield REJECTED, "The serving check has no golden rows, so nothing shows that the packaged model serves."


def _fraction(fraction: float, of: float) -> float | None:
    """Return that fraction of a value, ``None`` where nothing is a fraction of it."""
    return fraction * abs(of) if of and math.isfinite(of) else None


def _judge_interval(direction: Direction, interval: Interval, *, margin: float, strict: bool) -> BlessingVerdict:
    """Hold the whole interval of the worsening against the margin.

    :param strict: whether an interval that touches the margin is still undecided, as it must be where the
        challenger has to be better and not just as good.
    """
    best, worst = sorted((worsening(direction, interval.low), worsening(direction, interval.high)))
    if not (math.isfinite(best) and math.isfinite(worst)):
        return REJECTED
    if worst < margin or (worst == margin and not strict):
        return BLESSED
    if best > margin or (best == margin and strict):
        return REJECTED
    return INCONCLUSIVE


def _difference(interval: Interval, report: EvaluationReport) -> str:
    return f"difference {interval}, {report.confidence_level:.0%} interval, n={report.n_rows}"
