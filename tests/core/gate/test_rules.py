from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.evaluation.fairness import FairnessReport, GroupFairness
from airflow_mlops.core.evaluation.report import EvaluationReport, MetricComparison, SliceComparison
from airflow_mlops.core.evaluation.score import score_models
from airflow_mlops.core.gate.rules import Blessing, BlessingVerdict, bless, digest_of_gate
from airflow_mlops.core.packaging.serving_check import (
    Answer,
    ServingCheck,
    ServingCheckReport,
    ServingFootprint,
    judge_answers,
    judge_footprint,
)
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.stats.metrics import METRICS, Predicted
from airflow_mlops.core.stats.resample import Units
from airflow_mlops.specs import GateSpec, ServingCheckSpec

BLESSED, REJECTED, INCONCLUSIVE = BlessingVerdict.BLESSED, BlessingVerdict.REJECTED, BlessingVerdict.INCONCLUSIVE
BETTER, WORSE, EITHER, SAME = (-0.3, -0.1), (0.1, 0.3), (-0.1, 0.1), (0.0, 0.0)


def _interval(bounds: tuple[float, float]) -> Interval:
    return Interval(difference=sum(bounds) / 2, low=bounds[0], high=bounds[1])


def _comparison(
    *,
    metric: str = "mean_absolute_error",
    challenger: float = 2.0,
    baseline: tuple[float, float] = BETTER,
    champion: tuple[float, float] | None = BETTER,
) -> MetricComparison:
    return MetricComparison(
        metric=metric,
        direction="higher_is_better" if metric == "accuracy" else "lower_is_better",
        challenger=challenger,
        baseline=3.0,
        champion=None if champion is None else 2.5,
        against_baseline=_interval(baseline),
        against_champion=None if champion is None else _interval(champion),
    )


def _report(*comparisons: MetricComparison, **settings: Any) -> EvaluationReport:
    return EvaluationReport(
        **{
            "model_name": "churn",
            "challenger_uri": "models:/m-1",
            "challenger_digest": "sha256:2",
            "champion_version": 14,
            "split_digest": "sha256:3",
            "n_rows": 4812,
            "baseline": "mean",
            "confidence_level": 0.95,
            "comparisons": comparisons or (_comparison(),),
            **settings,
        }
    )


def _gate(
    metric: str = "mean_absolute_error", *, thresholds: dict[str, Any] | None = None, **settings: Any
) -> GateSpec:
    fitting = {"baseline": "most_frequent"} if metric == "accuracy" else {}
    return GateSpec(**{"metrics": {metric: thresholds or {}}, **fitting, **settings})


def _reason(blessing: Blessing, rule: str) -> Reason:
    (found,) = [reason for reason in blessing.reasons if reason.rule == rule]
    return found


def test_a_challenger_that_passes_every_rule_is_blessed_with_a_reason_for_each():
    blessing = bless(_report(), _gate(thresholds={"value_threshold": 2.5}), report_uri="reports/1.html")
    assert blessing.is_blessed
    rules = ["value_threshold", "baseline_change_threshold", "change_threshold"]
    assert [(reason.rule, reason.verdict) for reason in blessing.reasons] == [(rule, "BLESSED") for rule in rules]
    assert {reason.stage for reason in blessing.reasons} == {"gate"}
    assert (blessing.model_digest, blessing.champion_version, blessing.report_uri) == ("sha256:2", 14, "reports/1.html")


def test_a_blessing_is_bound_to_the_evidence_by_its_digest():
    report = _report()
    assert bless(report, _gate()).evidence_digest == report.content_digest
    assert bless(_report(n_rows=4813), _gate()).evidence_digest != report.content_digest


@pytest.mark.parametrize(
    ("metric", "value", "threshold", "verdict"),
    [
        ("mean_absolute_error", 2.0, 2.0, BLESSED),
        ("mean_absolute_error", 2.1, 2.0, REJECTED),
        ("accuracy", 0.8, 0.8, BLESSED),
        ("accuracy", 0.7, 0.8, REJECTED),
    ],
)
def test_the_value_threshold_is_the_worst_value_that_is_good_enough(metric, value, threshold, verdict):
    better = BETTER if metric == "mean_absolute_error" else (0.1, 0.3)
    report = _report(_comparison(metric=metric, challenger=value, baseline=better, champion=better))
    blessing = bless(report, _gate(metric, thresholds={"value_threshold": threshold}))
    assert blessing.verdict is verdict
    assert _reason(blessing, "value_threshold") == Reason(
        stage="gate",
        rule="value_threshold",
        verdict=verdict,
        subject=metric,
        setting=f"gate.metrics.{metric}.value_threshold",
        observed=value,
        required=threshold,
        n=4812,
    )


@pytest.mark.parametrize(
    ("bounds", "margin", "verdict"),
    [
        (BETTER, 0.0, BLESSED),
        (SAME, 0.0, BLESSED),
        (WORSE, 0.0, REJECTED),
        (EITHER, 0.0, INCONCLUSIVE),
        (EITHER, 0.1, BLESSED),
        (WORSE, 0.3, BLESSED),
        (WORSE, 0.2, INCONCLUSIVE),
        (WORSE, 0.05, REJECTED),
        (BETTER, -0.1, BLESSED),
        (BETTER, -0.2, INCONCLUSIVE),
        (BETTER, -0.5, REJECTED),
        (WORSE, None, BLESSED),
    ],
)
def test_the_whole_interval_must_respect_the_change_threshold(bounds, margin, verdict):
    thresholds = {"change_threshold": margin, "value_threshold": 9.0}
    lower_is_better = bless(_report(_comparison(champion=bounds)), _gate(thresholds=thresholds))
    assert lower_is_better.verdict is verdict
    mirrored = (-bounds[1], -bounds[0])
    comparison = _comparison(metric="accuracy", baseline=(0.1, 0.3), champion=mirrored)
    higher_is_better = bless(_report(comparison), _gate("accuracy", thresholds={**thresholds, "value_threshold": 0.0}))
    assert higher_is_better.verdict is verdict


def test_a_change_that_is_too_bad_is_told_with_its_numbers_and_the_path_of_the_setting():
    report = _report(_comparison(champion=WORSE))
    blessing = bless(report, _gate(thresholds={"change_threshold": 0.05}))
    assert blessing.reasons[0] == Reason(
        stage="gate",
        rule="change_threshold",
        verdict="REJECTED",
        subject="mean_absolute_error",
        setting="gate.metrics.mean_absolute_error.change_threshold",
        observed=0.2,
        required=0.05,
        interval=Interval(difference=0.2, low=0.1, high=0.3),
        n=4812,
        facts={
            "challenger": 2.0,
            "champion": 2.5,
            "champion_version": 14,
            "threshold": 0.05,
            "confidence_level": 0.95,
        },
    )
    assert str(blessing).startswith("churn: challenger REJECTED. Failed: mean_absolute_error 2 against champion v14")


@pytest.mark.parametrize(
    ("bounds", "verdict"), [(BETTER, BLESSED), (SAME, REJECTED), (WORSE, REJECTED), (EITHER, INCONCLUSIVE)]
)
def test_the_naive_baseline_has_to_be_beaten_and_not_only_reached(bounds, verdict):
    blessing = bless(_report(_comparison(baseline=bounds)), _gate())
    assert blessing.verdict is verdict
    reason = _reason(blessing, "baseline_change_threshold")
    assert (reason.verdict, reason.required, reason.interval, reason.setting) == (verdict, 0.0, _interval(bounds), "")
    assert (reason.facts["challenger"], reason.facts["baseline"], reason.facts["kind"]) == (2.0, 3.0, "mean")


def test_an_interval_that_only_touches_the_baseline_is_undecided():
    assert bless(_report(_comparison(baseline=(-0.2, 0.0))), _gate()).verdict is INCONCLUSIVE


def test_only_the_first_metric_has_to_beat_the_baseline():
    gate = GateSpec(metrics={"mean_absolute_error": {}, "root_mean_squared_error": {}})
    good, bad = _comparison(), _comparison(metric="root_mean_squared_error", baseline=WORSE)
    assert bless(_report(good, bad), gate).verdict is BLESSED


def test_no_champion_and_no_declared_cold_start_is_rejected_with_the_setting_to_change():
    report = _report(_comparison(champion=None), champion_version=None)
    blessing = bless(report, _gate())
    assert blessing.verdict is REJECTED
    reason = blessing.reasons[0]
    assert (reason.rule, reason.verdict, reason.setting) == ("cold_start", "REJECTED", "gate.cold_start")
    assert (reason.observed, reason.required) == (False, True)


def test_a_declared_cold_start_is_blessed_and_says_so():
    report = _report(_comparison(champion=None), champion_version=None)
    blessing = bless(report, _gate(cold_start=True))
    assert blessing.verdict is BLESSED
    reason = _reason(blessing, "cold_start")
    assert (reason.verdict, reason.observed, reason.required) == ("BLESSED", True, True)
    assert blessing.champion_version is None


def test_a_declared_cold_start_has_still_to_beat_the_baseline_and_the_value_threshold():
    gate = _gate(cold_start=True, thresholds={"value_threshold": 1.0})
    assert bless(_report(_comparison(champion=None), champion_version=None), gate).verdict is REJECTED
    weak = _report(_comparison(champion=None, baseline=WORSE), champion_version=None)
    assert bless(weak, _gate(cold_start=True)).verdict is REJECTED


def test_too_few_rows_are_inconclusive_however_good_the_numbers():
    blessing = bless(_report(n_rows=49), _gate())
    assert blessing.verdict is INCONCLUSIVE
    reason = blessing.reasons[0]
    assert (reason.rule, reason.verdict, reason.setting) == ("min_rows", "INCONCLUSIVE", "gate.min_rows")
    assert (reason.observed, reason.required, reason.n) == (49, 50, 49)
    assert bless(_report(n_rows=50), _gate()).verdict is BLESSED


def test_a_champion_that_could_not_be_scored_is_inconclusive_and_says_why():
    blessing = bless(_report(_comparison(champion=None), champion_error="file is gone"), _gate())
    assert blessing.verdict is INCONCLUSIVE
    reason = blessing.reasons[0]
    assert (reason.rule, reason.verdict) == ("champion_scored", "INCONCLUSIVE")
    assert reason.facts == {"champion_version": 14, "error": "file is gone"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_no_number_is_rejected_even_without_a_value_threshold(value):
    blessing = bless(_report(_comparison(challenger=value)), _gate())
    assert blessing.verdict is REJECTED
    reason = blessing.reasons[0]
    assert (reason.rule, reason.verdict, reason.subject) == ("finite", "REJECTED", "mean_absolute_error")
    assert repr(reason.observed) == repr(value)


@pytest.mark.parametrize("against", ["baseline", "champion"])
def test_an_interval_that_is_no_number_is_rejected(against):
    odd = (float("nan"), float("nan"))
    assert bless(_report(_comparison(**{against: odd})), _gate()).verdict is REJECTED


def test_one_broken_rule_outweighs_the_undecided_and_comes_first():
    blessing = bless(_report(_comparison(champion=EITHER, baseline=WORSE), n_rows=10), _gate())
    assert blessing.verdict is REJECTED
    assert [reason.verdict for reason in blessing.reasons] == ["REJECTED", "INCONCLUSIVE", "INCONCLUSIVE"]


@pytest.mark.parametrize("comparisons", [(), (_comparison(),)])
def test_a_metric_of_the_gate_that_was_not_evaluated_is_never_passed_over(comparisons):
    gate = GateSpec(metrics={"mean_absolute_error": {}, "r2": {}}, cold_start=True)
    report = _report(champion_version=None, comparisons=comparisons)
    blessing = bless(report, gate)
    assert blessing.verdict is INCONCLUSIVE
    missing = [(each.subject, each.setting) for each in blessing.reasons if each.rule == "evaluated"]
    assert ("r2", "gate.metrics.r2") in missing


def test_a_metric_that_the_gate_does_not_ask_for_decides_nothing():
    report = _report(_comparison(), _comparison(metric="accuracy", challenger=0.0, baseline=SAME, champion=SAME))
    assert bless(report, _gate()).verdict is BLESSED


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30), st.integers(0, 5))
def test_a_challenger_that_predicts_what_the_champion_does_is_never_worse(predictions, seed):
    gate = _gate(min_rows=2)
    said, rng = np.array(predictions), np.random.default_rng(seed)
    comparisons, _ = score_models(
        y_true=said + 1,
        models={
            "challenger": Predicted(values=said),
            "baseline": Predicted(values=said + 99),
            "champion": Predicted(values=said.copy()),
        },
        metrics={"mean_absolute_error": METRICS["mean_absolute_error"]},
        units=Units.rows(len(said), rng=rng),
        rng=rng,
        n_resamples=200,
    )
    assert bless(_report(comparisons=comparisons, n_rows=len(said)), gate).verdict is BLESSED


def test_an_interval_from_few_blocks_is_inconclusive():
    few = _report(n_rows=60, resampled="blocks of 30 rows or more", n_units=2)
    blessing = bless(few, _gate(block_length=30))
    assert blessing.verdict is INCONCLUSIVE
    reason = _reason(blessing, "min_units")
    assert (reason.verdict, reason.observed, reason.required, reason.n) == ("INCONCLUSIVE", 2, 10, 60)
    assert reason.facts == {"resampled": "blocks of 30 rows or more"}
    enough = _report(n_rows=600, resampled="blocks of 30 rows or more", n_units=20)
    assert bless(enough, _gate(block_length=30)).is_blessed


# -- relative and baseline margins --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "fraction", "verdict"),
    [(WORSE, 0.2, BLESSED), (WORSE, 0.1, INCONCLUSIVE), (WORSE, 0.01, REJECTED), (BETTER, 0.0, BLESSED)],
)
def test_a_relative_threshold_is_a_fraction_of_the_champions_value(bounds, fraction, verdict):
    gate = _gate(thresholds={"relative_change_threshold": fraction})  # of 2.5
    blessing = bless(_report(_comparison(champion=bounds)), gate)
    assert blessing.verdict is verdict
    reason = _reason(blessing, "relative_change_threshold")
    assert reason.required == pytest.approx(fraction * 2.5), "in the unit of the metric"
    assert reason.facts["threshold"] == fraction, "as the setting has it"


def test_nothing_is_a_fraction_of_zero():
    zero = dataclasses.replace(_comparison(), champion=0.0)
    blessing = bless(_report(zero), _gate(thresholds={"relative_change_threshold": 0.1}))
    assert blessing.verdict is INCONCLUSIVE
    reason = blessing.reasons[0]
    assert (reason.rule, reason.verdict) == ("relative_change_threshold", "INCONCLUSIVE")
    assert (reason.required, reason.facts["champion"]) == (None, 0.0)


@pytest.mark.parametrize(
    ("margin", "verdict"), [(-0.1, INCONCLUSIVE), (-0.05, BLESSED), (-0.5, REJECTED), (9.0, BLESSED)]
)
def test_the_baseline_can_be_asked_to_be_beaten_by_a_margin(margin, verdict):
    gate = _gate(thresholds={"baseline_change_threshold": margin})
    blessing = bless(_report(_comparison(baseline=BETTER)), gate)
    assert blessing.verdict is verdict
    reason = _reason(blessing, "baseline_change_threshold")
    assert reason.setting == "gate.metrics.mean_absolute_error.baseline_change_threshold"
    assert (reason.required, reason.facts["threshold"]) == (min(margin, 0.0), margin)


def test_a_margin_does_not_excuse_the_first_metric_from_beating_the_baseline():
    gate = _gate(thresholds={"baseline_change_threshold": 9.0})
    assert bless(_report(_comparison(baseline=WORSE)), gate).verdict is REJECTED


# -- slices ---------------------------------------------------------------------------------------------------------


def _slice(bounds: tuple[float, float] | None, *, champion: float | None = 2.0, name: str = "region=north") -> Any:
    return SliceComparison(
        name=name,
        n_rows=250,
        challenger=2.0,
        champion=champion,
        against_champion=None if bounds is None else _interval(bounds),
    )


@pytest.mark.parametrize(
    ("bounds", "evidence", "verdict"),
    [
        (BETTER, "shown_worse", BLESSED),
        (EITHER, "shown_worse", BLESSED),
        (WORSE, "shown_worse", REJECTED),
        ((0.0, 0.3), "shown_worse", BLESSED),
        (BETTER, "shown_not_worse", BLESSED),
        ((-0.1, 0.2), "shown_not_worse", INCONCLUSIVE),
        (WORSE, "shown_not_worse", REJECTED),
    ],
)
def test_a_slice_fails_when_it_is_shown_to_be_worse_or_not_shown_to_be_no_worse(bounds, evidence, verdict):
    gate = _gate(slices={"columns": "region", "change_threshold": 0.05, "evidence": evidence})
    blessing = bless(_report(slices=(_slice(bounds), _slice(BETTER, name="region=south"))), gate)
    assert blessing.verdict is verdict
    reason = _reason(blessing, "slices")
    assert (reason.verdict, reason.required, reason.facts["n_judged"]) == (verdict, 0.05, 2)
    assert (reason.interval, reason.n) == (_interval(bounds), 250)


def test_a_slice_that_is_worse_is_named_with_its_numbers():
    gate = _gate(slices={"columns": "region", "relative_change_threshold": 0.025})
    blessing = bless(_report(slices=(_slice(WORSE),)), gate)
    assert blessing.reasons[0] == Reason(
        stage="gate",
        rule="slices",
        verdict="REJECTED",
        subject="mean_absolute_error",
        setting="gate.slices.relative_change_threshold",
        observed=0.2,
        required=0.05,
        interval=_interval(WORSE),
        n=250,
        facts={
            "threshold": 0.025,
            "evidence": "shown_worse",
            "n_judged": 1,
            "n_slices": 1,
            "slices": [
                {"name": "region=north", "n_rows": 250, "interval": {"difference": 0.2, "low": 0.1, "high": 0.3}}
            ],
        },
    )


def test_of_many_slices_that_fail_the_worst_are_kept_and_all_are_counted():
    gate = _gate(slices={"columns": "region", "change_threshold": 0.05})
    parts = tuple(_slice(WORSE, name=f"region={number}") for number in range(12))
    reason = _reason(bless(_report(slices=parts), gate), "slices")
    assert reason.facts["n_slices"] == reason.facts["n_judged"] == 12
    assert [each["name"] for each in reason.facts["slices"]] == [f"region={number}" for number in range(10)]


@pytest.mark.parametrize(
    "part",
    [
        _slice((float("nan"), float("nan"))),
        _slice(EITHER, champion=0.0),
        dataclasses.replace(_slice(BETTER), challenger=float("nan")),
    ],
)
def test_a_slice_without_a_number_or_with_a_champion_at_zero_can_not_be_told(part):
    gate = _gate(slices={"relative_change_threshold": 0.05})
    assert bless(_report(slices=(part,)), gate).verdict is INCONCLUSIVE


def test_no_slice_at_all_is_never_a_pass_of_a_rule_about_slices():
    gate = _gate(slices={"columns": "region", "change_threshold": 0.05})
    blessing = bless(_report(), gate)
    assert blessing.verdict is INCONCLUSIVE
    reason = _reason(blessing, "slices_compared")
    assert (reason.observed, reason.required, reason.facts["min_rows"]) == (0, 1, 200)
    cold = _report(_comparison(champion=None), champion_version=None)
    cold_gate = _gate(slices={"columns": "region", "change_threshold": 0.05}, cold_start=True)
    assert bless(cold, cold_gate).verdict is BLESSED  # there is nobody to be worse than


def test_slices_without_a_margin_are_shown_and_decide_nothing():
    assert bless(_report(slices=(_slice(WORSE),)), _gate(slices={"columns": "region"})).verdict is BLESSED


# -- what calls the model -----------------------------------------------------------------------------------------


def test_a_challenger_that_breaks_the_callers_of_the_champion_is_rejected_unless_they_know():
    report = _report(signature_breaks=("it asks for column 'income'",))
    blessing = bless(report, _gate())
    assert blessing.verdict is REJECTED
    reason = blessing.reasons[0]
    assert (reason.rule, reason.setting) == ("signature_change", "gate.allow_signature_change")
    assert (reason.observed, reason.required) == (1, 0)
    assert reason.facts == {"champion_version": 14, "breaks": ["it asks for column 'income'"]}
    assert bless(report, _gate(allow_signature_change=True)).verdict is BLESSED


# -- fairness -------------------------------------------------------------------------------------------------------


def _fairness(value: float, *, attribute: str = "sex") -> FairnessReport:
    group = GroupFairness(name="sex=f", n_rows=150, is_judged=True, scores={"selection_rate": 0.4})
    return FairnessReport(
        attribute=attribute, min_rows=100, groups=(group,), measures={"demographic_parity_difference": value}
    )


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.05, BLESSED), (0.1, BLESSED), (0.2, REJECTED), (float("nan"), INCONCLUSIVE)]
)
def test_a_measure_of_fairness_must_respect_its_limit_and_nan_never_does(value, verdict):
    gate = _gate(fairness={"attributes": "sex", "limits": {"demographic_parity_difference": 0.1}})
    blessing = bless(_report(fairness=(_fairness(value),)), gate)
    assert blessing.verdict is verdict
    reason = _reason(blessing, "fairness")
    assert (reason.verdict, reason.subject) == (verdict, "demographic_parity_difference by sex")
    assert reason.setting == "gate.fairness.limits.demographic_parity_difference"
    assert (repr(reason.observed), reason.required, reason.n) == (repr(value), 0.1, 150)


@pytest.mark.parametrize("found", [(), (_fairness(0.0, attribute="race"),)])
def test_fairness_that_was_not_measured_is_not_passed_over(found):
    gate = _gate(fairness={"attributes": "sex", "limits": {"demographic_parity_difference": 0.1}})
    blessing = bless(_report(fairness=found), gate)
    assert blessing.verdict is INCONCLUSIVE
    reason = blessing.reasons[0]
    assert (reason.rule, reason.subject) == ("fairness_measured", "demographic_parity_difference by sex")
    assert (reason.observed, reason.required) == (None, 0.1)


# -- serving --------------------------------------------------------------------------------------------------------


def _served(*checks: ServingCheck) -> ServingCheckReport:
    return ServingCheckReport(
        model_name="churn",
        model_uri="models:/m-1",
        model_digest="sha256:2",
        split_digest="sha256:3",
        settings_digest="sha256:9",
        env_manager="local",
        n_golden_rows=50,
        checks=checks,
        footprint=ServingFootprint(latency_p95_ms=12.0),
    )


GOLDEN = judge_answers("golden_rows", [Answer(status=200, predictions=np.ones(50))], None, expected="predictions")


def test_a_model_that_serves_as_it_predicts_has_a_reason_more():
    blessing = bless(_report(), _gate(), serving_check=_served(GOLDEN))
    assert blessing.verdict is BLESSED
    reason = _reason(blessing, "serving_check")
    assert (reason.verdict, reason.observed, reason.required, reason.n) == ("BLESSED", 0, 0, 1)
    assert reason.facts == {"latency_p95_ms": 12.0, "memory_mb": None, "start_s": None}
    assert blessing.serving_digest == _served(GOLDEN).content_digest


def test_a_model_that_serves_otherwise_is_rejected_with_what_was_found():
    budget = ServingCheckSpec(max_latency_p95_ms=50)
    (wrong,) = judge_footprint(ServingFootprint(latency_p95_ms=80.0), budget)
    blessing = bless(_report(), _gate(), serving_check=_served(GOLDEN, wrong))
    assert blessing.verdict is REJECTED
    assert blessing.reasons[0] == dataclasses.replace(wrong.found, verdict="REJECTED", source="serving_check")
    assert (blessing.reasons[0].subject, blessing.reasons[0].observed, blessing.reasons[0].required) == (
        "latency_p95_ms",
        80.0,
        50.0,
    )


def test_a_serving_check_without_golden_rows_is_never_a_pass():
    blessing = bless(_report(), _gate(), serving_check=_served())
    assert blessing.verdict is REJECTED
    assert (blessing.reasons[0].rule, blessing.reasons[0].observed) == ("golden_rows", 0)


def test_without_any_rule_that_says_something_nothing_is_blessed():
    report = _report(_comparison(metric="accuracy", baseline=(0.1, 0.2), champion=(0.1, 0.2)))
    assert bless(report, _gate()).verdict is INCONCLUSIVE


def test_only_what_was_not_blessed_and_asks_nobody_comes_to_its_end():
    blessed = bless(_report(), _gate())
    assert (blessed.verdict, blessed.is_over) == (BLESSED, False)
    undecided = dataclasses.replace(blessed, verdict=INCONCLUSIVE)
    assert undecided.is_over
    assert not dataclasses.replace(undecided, asks_a_person=True).is_over


def test_a_gate_is_known_by_its_rules():
    assert digest_of_gate(_gate()) == digest_of_gate(_gate())
    assert digest_of_gate(_gate(min_rows=5)) != digest_of_gate(_gate())


def test_a_gate_that_asks_for_no_slices_gives_no_reason_for_them():
    blessing = bless(_report(slices=(_slice(WORSE),)), _gate(slices=None))
    assert blessing.verdict is BLESSED
    assert [reason.rule for reason in blessing.reasons if reason.rule.startswith("slices")] == []
