"""The gate: whether a challenger is blessed, rejected, or can't be told, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_mlops.core.evaluation.report import EvaluationReport, MetricComparison, SliceComparison
from airflow_mlops.core.packaging.serving_check import ServingCheckReport
from airflow_mlops.core.reason import Reason, as_reasons
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.stats.metrics import worsening
from airflow_mlops.core.values import Value, digest_of
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.specs.evaluate import FairnessRules, GateSpec, SliceRules, Thresholds
from airflow_mlops.specs.metrics import Direction

__all__ = ["Blessing", "BlessingVerdict", "GateDecision", "bless", "digest_of_gate"]

_MIN_UNITS = 10
"""With fewer units to resample than this, an interval is narrower than what it stands for."""

_N_SLICES = 10
"""So many slices are kept with a reason, the worst ones; the report has all of them."""


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

    schema_version = 2

    model_name: str
    verdict: BlessingVerdict
    reasons: tuple[Reason, ...]
    champion_version: int | None
    evidence_digest: str
    run_id: str
    at: datetime
    report_uri: str = ""

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "reasons": as_reasons(fields.get("reasons"), stage="gate")}


BLESSED, REJECTED, INCONCLUSIVE = BlessingVerdict


@dataclass(frozen=True, kw_only=True)
class Blessing(Value):
    """The recorded verdict of the gate.

    :param reasons: what each rule says, those that decided the verdict first.
    :param evidence_digest: of the evaluation report that was judged.
    :param serving_digest: of the report of the serving check; empty where the model was not tried.
    :param champion_version: the champion that a promotion may replace.
    :param asks_a_person: whether a person may still approve what the gate could not decide.
    """

    schema_version = 2

    model_name: str
    verdict: BlessingVerdict
    reasons: tuple[Reason, ...]
    model_digest: str
    champion_version: int | None
    evidence_digest: str
    serving_digest: str = ""
    asks_a_person: bool = False
    report_uri: str = ""

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "reasons": as_reasons(fields.get("reasons"), stage="gate")}

    @property
    def is_blessed(self) -> bool:
        """Whether the challenger is shown to be good enough to be champion."""
        return self.verdict is BLESSED

    @property
    def is_over(self) -> bool:
        """Whether the challenger comes to its end here, and is not even registered."""
        return not (self.is_blessed or self.asks_a_person)

    def __str__(self) -> str:
        return f"{self.model_name}: challenger {self.verdict}. " + " ".join(sentences_of(self.reasons))


_DECISIVE = (REJECTED, INCONCLUSIVE, BLESSED)
"""The verdicts, the one that outweighs the others first."""


def digest_of_gate(gate: GateSpec) -> str:
    """Return the identity of a gate's rules."""
    return digest_of(gate.model_dump(mode="json"))


def bless(
    report: EvaluationReport, gate: GateSpec, *, serving_check: ServingCheckReport | None = None, report_uri: str = ""
) -> Blessing:
    """Judge an evaluation, and how the model serves, by the gate's rules.

    Every rule gives a reason with its numbers. One rule that is broken rejects; otherwise one that could
    not be decided makes the whole inconclusive; otherwise the challenger is blessed.

    :param serving_check: what the serving check found; ``None``: the model was not tried, and that decides nothing.
    :returns: the blessing, bound to the report by its digest.
    """
    reasons = [*_judge_circumstances(report, gate), *_judge_metrics(report, gate)]
    if gate.slices:
        reasons += _judge_slices(report, gate.slices)
    if gate.fairness:
        reasons += _judge_fairness(report, gate.fairness)
    if serving_check:
        reasons += _judge_serving(serving_check)
    verdicts = {BlessingVerdict(reason.verdict) for reason in reasons}
    verdict = REJECTED if REJECTED in verdicts else INCONCLUSIVE if verdicts != {BLESSED} else BLESSED
    return Blessing(
        model_name=report.model_name,
        verdict=verdict,
        reasons=tuple(reason for each in _DECISIVE for reason in reasons if reason.verdict == each),
        model_digest=report.challenger_digest,
        champion_version=report.champion_version,
        evidence_digest=report.content_digest,
        serving_digest=serving_check.content_digest if serving_check else "",
        asks_a_person=verdict is INCONCLUSIVE and gate.on_inconclusive == "ask",
        report_uri=report_uri,
    )


def _found(rule: str, verdict: BlessingVerdict, **numbers: Any) -> Reason:
    return Reason(stage="gate", rule=rule, verdict=verdict.value, **numbers)


def _judge_circumstances(report: EvaluationReport, gate: GateSpec) -> Iterator[Reason]:
    n_rows, version = report.n_rows, report.champion_version
    if n_rows < gate.min_rows:
        yield _found(
            "min_rows", INCONCLUSIVE, setting="gate.min_rows", observed=n_rows, required=gate.min_rows, n=n_rows
        )
    if report.resampled != "rows" and report.n_units < _MIN_UNITS:
        facts: dict[str, Any] = {"resampled": report.resampled}
        yield _found("min_units", INCONCLUSIVE, observed=report.n_units, required=_MIN_UNITS, n=n_rows, facts=facts)
    if report.champion_error:
        facts = {"champion_version": version, "error": report.champion_error}
        yield _found("champion_scored", INCONCLUSIVE, facts=facts)
    if report.signature_breaks and not gate.allow_signature_change:
        breaks = list(report.signature_breaks)
        yield _found(
            "signature_change",
            REJECTED,
            setting="gate.allow_signature_change",
            observed=len(breaks),
            required=0,
            facts={"champion_version": version, "breaks": breaks},
        )
    if version is None:
        verdict = BLESSED if gate.cold_start else REJECTED
        yield _found("cold_start", verdict, setting="gate.cold_start", observed=gate.cold_start, required=True)


def _judge_metrics(report: EvaluationReport, gate: GateSpec) -> Iterator[Reason]:
    found = {comparison.metric: comparison for comparison in report.comparisons}
    first = next(iter(gate.metrics))
    for name, thresholds in gate.metrics.items():
        if name not in found:
            yield _found("evaluated", INCONCLUSIVE, subject=name, setting=f"gate.metrics.{name}")
            continue
        yield from _judge_value(found[name], thresholds, report)
        yield from _judge_baseline(found[name], thresholds, report, must_be_better=name == first)
        yield from _judge_champion(found[name], thresholds, report)


def _judge_value(comparison: MetricComparison, thresholds: Thresholds, report: EvaluationReport) -> Iterator[Reason]:
    name, value, threshold = comparison.metric, comparison.challenger, thresholds.value_threshold
    if not math.isfinite(value):
        yield _found("finite", REJECTED, subject=name, observed=value, n=report.n_rows)
    elif threshold is not None:
        too_bad = worsening(comparison.direction, value - threshold) > 0
        yield _found(
            "value_threshold",
            REJECTED if too_bad else BLESSED,
            subject=name,
            setting=f"gate.metrics.{name}.value_threshold",
            observed=value,
            required=threshold,
            n=report.n_rows,
        )


def _judge_baseline(
    comparison: MetricComparison, thresholds: Thresholds, report: EvaluationReport, *, must_be_better: bool
) -> Iterator[Reason]:
    asked = thresholds.baseline_change_threshold
    if asked is None and not must_be_better:
        return
    # However much a baseline's margin allows, the first metric has to be better than it.
    margin = min(asked or 0.0, 0.0) if must_be_better else asked or 0.0
    interval = comparison.against_baseline
    facts = {"challenger": comparison.challenger, "baseline": comparison.baseline, "kind": report.baseline}
    yield _found(
        "baseline_change_threshold",
        _judge_interval(comparison.direction, interval, margin=margin, strict=must_be_better),
        subject=comparison.metric,
        setting="" if asked is None else f"gate.metrics.{comparison.metric}.baseline_change_threshold",
        observed=interval.difference,
        required=margin,
        interval=interval,
        n=report.n_rows,
        facts={**facts, "threshold": asked, "confidence_level": report.confidence_level},
    )


def _judge_champion(comparison: MetricComparison, thresholds: Thresholds, report: EvaluationReport) -> Iterator[Reason]:
    interval, champion = comparison.against_champion, comparison.champion
    if interval is None or champion is None:
        return
    absolute, relative = thresholds.change_threshold, thresholds.relative_change_threshold
    if relative is not None:
        rule, asked, margin = "relative_change_threshold", relative, _fraction(relative, champion)
    elif absolute is not None:
        rule, asked, margin = "change_threshold", absolute, absolute
    else:
        return
    facts = {
        "challenger": comparison.challenger,
        "champion": champion,
        "champion_version": report.champion_version,
        "threshold": asked,
        "confidence_level": report.confidence_level,
    }
    verdict = INCONCLUSIVE  # where nothing is a fraction of the champion's value
    if margin is not None:
        verdict = _judge_interval(comparison.direction, interval, margin=margin, strict=False)
    yield _found(
        rule,
        verdict,
        subject=comparison.metric,
        setting=f"gate.metrics.{comparison.metric}.{rule}",
        observed=interval.difference,
        required=margin,
        interval=interval,
        n=report.n_rows,
        facts=facts,
    )


def _judge_slices(report: EvaluationReport, rules: SliceRules) -> Iterator[Reason]:
    """Judge all slices by intervals that hold at once: one reason for those that fail, and for those that may.

    A reason has the numbers of its worst slice, and the next ones among its facts.
    """
    relative = rules.relative_change_threshold
    asked = rules.change_threshold if relative is None else relative
    if asked is None:
        return
    setting = f"gate.slices.{'change_threshold' if relative is None else 'relative_change_threshold'}"
    metric = report.comparisons[0] if report.comparisons else None
    judged = [part for part in report.slices if part.against_champion is not None]
    if metric is None or not judged:
        if report.champion_version is not None:
            known = {"min_rows": rules.min_rows, "threshold": asked}
            yield _found("slices_compared", INCONCLUSIVE, setting=setting, observed=0, required=1, n=0, facts=known)
        return
    verdicts = {part.name: _judge_slice(part, metric.direction, rules) for part in judged}
    worse = [part for part in judged if verdicts[part.name] is REJECTED]
    unclear = [part for part in judged if verdicts[part.name] is INCONCLUSIVE]
    facts: dict[str, Any] = {"threshold": asked, "evidence": rules.evidence, "n_judged": len(judged)}
    for verdict, parts in ((REJECTED, worse), (INCONCLUSIVE, unclear), (BLESSED, judged)):
        if parts and (verdict is not BLESSED or not (worse or unclear)):
            listed = [] if verdict is BLESSED else [_slice_facts(part) for part in parts[:_N_SLICES]]
            yield _found(
                "slices",
                verdict,
                subject=metric.metric,
                setting=setting,
                observed=parts[0].against_champion.difference if parts[0].against_champion else None,
                required=_margin_of(parts[0], rules),
                interval=parts[0].against_champion,
                n=parts[0].n_rows,
                facts={**facts, "n_slices": len(parts), "slices": listed},
            )


def _slice_facts(part: SliceComparison) -> dict[str, Any]:
    return {
        "name": part.name,
        "n_rows": part.n_rows,
        "interval": part.against_champion and asdict(part.against_champion),
    }


def _judge_slice(part: SliceComparison, direction: Direction, rules: SliceRules) -> BlessingVerdict:
    interval, champion = part.against_champion, part.champion
    if interval is None or champion is None or not math.isfinite(part.challenger):
        return INCONCLUSIVE
    margin = _margin_of(part, rules)
    if margin is None or not math.isfinite(interval.low):
        return INCONCLUSIVE
    verdict = _judge_interval(direction, interval, margin=margin, strict=False)
    return BLESSED if verdict is INCONCLUSIVE and rules.evidence == "shown_worse" else verdict


def _margin_of(part: SliceComparison, rules: SliceRules) -> float | None:
    """Return by how much a slice may be worse, in the unit of the metric; ``None`` where nothing is that fraction."""
    if rules.relative_change_threshold is None:
        return rules.change_threshold
    return None if part.champion is None else _fraction(rules.relative_change_threshold, part.champion)


def _judge_fairness(report: EvaluationReport, rules: FairnessRules) -> Iterator[Reason]:
    """Hold the measures of each attribute against their limits."""
    found = {each.attribute: each for each in report.fairness}
    for attribute in rules.attributes:
        for measure, limit in rules.limits.items():
            known = {
                "subject": f"{measure} by {attribute}",
                "setting": f"gate.fairness.limits.{measure}",
                "required": limit,
            }
            fairness = found.get(attribute)
            if fairness is None or measure not in fairness.measures:
                yield _found("fairness_measured", INCONCLUSIVE, **known)
                continue
            value, n_rows = fairness.measures[measure], sum(each.n_rows for each in fairness.groups if each.is_judged)
            verdict = BLESSED if fairness.is_within(measure, limit) else REJECTED
            if math.isnan(value):
                verdict = INCONCLUSIVE
            facts = {"min_rows": fairness.min_rows}
            yield _found("fairness", verdict, observed=value, n=n_rows, facts=facts, **known)


def _judge_serving(serving_check: ServingCheckReport) -> Iterator[Reason]:
    if serving_check.is_ok:
        found = serving_check.footprint
        facts = {"latency_p95_ms": found.latency_p95_ms, "memory_mb": found.memory_mb, "start_s": found.start_s}
        yield _found("serving_check", BLESSED, observed=0, required=0, n=len(serving_check.checks), facts=facts)
    for reason in serving_check.reasons:
        yield replace(reason, verdict=REJECTED.value, source="serving_check")
    if not serving_check.is_ok and not serving_check.reasons:
        yield _found("golden_rows", REJECTED, observed=0, required=1, n=len(serving_check.checks))


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
