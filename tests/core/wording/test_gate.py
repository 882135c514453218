from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_mlops.core.gate.rules import Blessing, BlessingVerdict, GateDecision, bless
from airflow_mlops.core.packaging.serving_check import ServingFootprint, judge_footprint
from airflow_mlops.core.values import digest_of
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.specs import GateSpec, ServingCheckSpec
from tests.core.gate.test_rules import (
    BETTER,
    EITHER,
    GOLDEN,
    SAME,
    WORSE,
    _comparison,
    _fairness,
    _gate,
    _report,
    _served,
    _slice,
)

NAN = (float("nan"), float("nan"))
COLD = _report(_comparison(champion=None), champion_version=None)
MARGIN = {"change_threshold": 0.05}
SLICES = {"columns": "region", "change_threshold": 0.05}
FAIR = {"attributes": "sex", "limits": {"demographic_parity_difference": 0.1}}


def _slices_of(*bounds: Any, evidence: str = "shown_worse") -> Blessing:
    parts = tuple(_slice(each, name=f"region={number}") for number, each in enumerate(bounds))
    return bless(_report(slices=parts), _gate(slices={**SLICES, "evidence": evidence}))


def _over_budget() -> Blessing:
    budget = ServingCheckSpec(max_latency_p95_ms=50)
    return bless(
        _report(),
        _gate(),
        serving_check=_served(GOLDEN, *judge_footprint(ServingFootprint(latency_p95_ms=80.0), budget)),
    )


SENTENCES = {
    "min_rows": (
        bless(_report(n_rows=49), _gate()),
        "Undecided: Only 49 rows were held out, gate.min_rows is 50.",
    ),
    "min_units": (
        bless(_report(n_rows=60, resampled="blocks of 30 rows or more", n_units=2), _gate(block_length=30)),
        "Undecided: 60 rows are 2 blocks of 30 rows or more; an interval needs 10 of them.",
    ),
    "champion_scored": (
        bless(_report(_comparison(champion=None), champion_error="file is gone"), _gate()),
        "Undecided: Champion v14 could not be scored: file is gone",
    ),
    "signature_change": (
        bless(_report(signature_breaks=("it asks for column 'income'", "it has no column 'age'")), _gate()),
        "Failed: Whoever calls champion v14 could not call the challenger: it asks for column 'income'; it has no "
        "column 'age'. If they know, set gate.allow_signature_change: true.",
    ),
    "cold start that nobody declared": (
        bless(COLD, _gate()),
        "Failed: There is no champion to compare with; declare gate.cold_start: true to bless a first version.",
    ),
    "cold start": (
        bless(COLD, _gate(cold_start=True)),
        "Passed: Cold start: there is no champion to compare with.",
    ),
    "evaluated": (
        bless(_report(), GateSpec(metrics={"mean_absolute_error": {}, "r2": {}})),
        "Undecided: gate.metrics.r2 was not evaluated; run the evaluation again with this gate.",
    ),
    "finite": (
        bless(_report(_comparison(challenger=float("inf"))), _gate()),
        "Failed: mean_absolute_error is inf, which is never good enough.",
    ),
    "value_threshold": (
        bless(_report(), _gate(thresholds={"value_threshold": 2.5})),
        "Passed: mean_absolute_error 2, gate.metrics.mean_absolute_error.value_threshold 2.5.",
    ),
    "baseline": (
        bless(_report(), _gate()),
        "Passed: mean_absolute_error 2 against the naive baseline's 3 (mean); difference -0.2 [-0.3, -0.1], 95% "
        "interval, n=4812.",
    ),
    "baseline with a margin": (
        bless(_report(_comparison(baseline=WORSE)), _gate(thresholds={"baseline_change_threshold": 9.0})),
        "Failed: mean_absolute_error 2 against the naive baseline's 3 (mean); "
        "gate.metrics.mean_absolute_error.baseline_change_threshold 9; difference +0.2 [+0.1, +0.3], 95% interval, "
        "n=4812.",
    ),
    "interval that is no number": (
        bless(_report(_comparison(baseline=NAN)), _gate()),
        "Failed: mean_absolute_error 2 against the naive baseline's 3 (mean); difference +nan [+nan, +nan], 95% "
        "interval, n=4812.",
    ),
    "change_threshold": (
        bless(_report(_comparison(champion=WORSE)), _gate(thresholds=MARGIN)),
        "Failed: mean_absolute_error 2 against champion v14's 2.5, gate.metrics.mean_absolute_error.change_threshold "
        "0.05; difference +0.2 [+0.1, +0.3], 95% interval, n=4812.",
    ),
    "relative_change_threshold": (
        bless(_report(_comparison(champion=EITHER)), _gate(thresholds={"relative_change_threshold": 0.02})),
        "Undecided: mean_absolute_error 2 against champion v14's 2.5, "
        "gate.metrics.mean_absolute_error.relative_change_threshold 0.02; difference +0 [-0.1, +0.1], 95% interval, "
        "n=4812.",
    ),
    "fraction of nothing": (
        bless(
            _report(dataclasses.replace(_comparison(), champion=0.0)),
            _gate(thresholds={"relative_change_threshold": 0.1}),
        ),
        "Undecided: mean_absolute_error 2 against champion v14's 0, "
        "gate.metrics.mean_absolute_error.relative_change_threshold 0.1: nothing is a fraction of that. Use "
        "change_threshold.",
    ),
    "slices_compared": (
        bless(_report(), _gate(slices=SLICES)),
        "Undecided: No slice of at least 200 rows was compared with the champion; gate.slices.change_threshold 0.05.",
    ),
    "slices that fail": (
        _slices_of(WORSE, WORSE, BETTER, WORSE, WORSE),
        "Failed: mean_absolute_error is worse than allowed in 'region=0 (+0.2 [+0.1, +0.3], n=250)', 'region=1 (+0.2 "
        "[+0.1, +0.3], n=250)', 'region=3 (+0.2 [+0.1, +0.3], n=250)' and 1 more; gate.slices.change_threshold 0.05.",
    ),
    "more slices that fail than are kept": (
        _slices_of(*[WORSE] * 30),
        "Failed: mean_absolute_error is worse than allowed in 'region=0 (+0.2 [+0.1, +0.3], n=250)', 'region=1 (+0.2 "
        "[+0.1, +0.3], n=250)', 'region=2 (+0.2 [+0.1, +0.3], n=250)' and 27 more; gate.slices.change_threshold 0.05.",
    ),
    "slices that may fail": (
        _slices_of((-0.1, 0.2), evidence="shown_not_worse"),
        "Undecided: mean_absolute_error can't be told to be good enough in 'region=0 (+0.05 [-0.1, +0.2], n=250)'; "
        "gate.slices.change_threshold 0.05.",
    ),
    "slices that are not shown to be worse": (
        _slices_of(BETTER, EITHER),
        "Passed: mean_absolute_error is shown to be worse than allowed in none of 2 slices; "
        "gate.slices.change_threshold 0.05.",
    ),
    "slices that are shown not to be worse": (
        _slices_of(BETTER, SAME, evidence="shown_not_worse"),
        "Passed: mean_absolute_error is possibly worse than allowed in none of 2 slices; "
        "gate.slices.change_threshold 0.05.",
    ),
    "slices by a fraction": (
        bless(
            _report(slices=(_slice(WORSE),)), _gate(slices={"columns": "region", "relative_change_threshold": 0.025})
        ),
        "Failed: mean_absolute_error is worse than allowed in 'region=north (+0.2 [+0.1, +0.3], n=250)'; "
        "gate.slices.relative_change_threshold 0.025.",
    ),
    "fairness": (
        bless(_report(fairness=(_fairness(0.2),)), _gate(fairness=FAIR)),
        "Failed: demographic_parity_difference by sex is 0.2, gate.fairness.limits.demographic_parity_difference 0.1.",
    ),
    "fairness that can't be told": (
        bless(_report(fairness=(_fairness(float("nan")),)), _gate(fairness=FAIR)),
        "Undecided: demographic_parity_difference by sex is nan, gate.fairness.limits.demographic_parity_difference "
        "0.1: it needs two groups of at least 100 rows, with rows of each class.",
    ),
    "fairness that was not measured": (
        bless(_report(), _gate(fairness=FAIR)),
        "Undecided: demographic_parity_difference by sex was not measured, "
        "gate.fairness.limits.demographic_parity_difference 0.1. It is of another kind of target.",
    ),
    "serving_check": (
        bless(_report(), _gate(), serving_check=_served(GOLDEN)),
        "Passed: The packaged model serves as it predicts, in 1 checks (p95 latency 12 ms).",
    ),
    "serving beyond a budget": (
        _over_budget(),
        "Failed: Served, latency_p95_ms: found 80, expected at most 50.",
    ),
    "serving without golden rows": (
        bless(_report(), _gate(), serving_check=_served()),
        "Failed: The serving check has no golden rows, so nothing shows that the packaged model serves.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SENTENCES)
def test_a_rule_of_the_gate_says_what_it_found_and_what_it_was_held_against(case: str):
    blessing, sentence = SENTENCES[case]
    assert sentence in sentences_of(blessing.reasons)
    stored = Blessing.from_dict(blessing.to_dict())
    assert sentences_of(stored.reasons) == sentences_of(blessing.reasons), "numbers that JSON has no word for, too"


def test_a_blessing_of_version_1_is_told_in_its_own_words():
    old = {
        **bless(_report(), _gate()).to_dict(),
        "schema_version": 1,
        "reasons": ["Passed: it is good.", "Passed: it is fair."],
    }
    assert str(Blessing.from_dict(old)) == "churn: challenger BLESSED. Passed: it is good. Passed: it is fair."


def test_an_entry_of_the_ledger_of_version_1_keeps_its_words_and_its_digest():
    entry = GateDecision(
        model_name="churn",
        verdict=BlessingVerdict.REJECTED,
        reasons=(),
        champion_version=3,
        evidence_digest="sha256:1",
        run_id="r",
        at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    old = {**entry.to_dict(), "schema_version": 1, "reasons": ["Failed: r2 0.1."]}
    read = GateDecision.from_dict(old)
    assert sentences_of(read.reasons) == ("Failed: r2 0.1.",)
    assert read.content_digest == digest_of(old)
