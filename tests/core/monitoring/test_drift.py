"""Which columns moved, and whether the dataset has: where others are blind, in silence, and where chance plays."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from airflow_mlops.core.data.profile import ColumnProfile, DatasetProfile
from airflow_mlops.core.monitoring.drift import (
    ColumnFacts,
    admit_gaps,
    check_limits,
    judge_domains,
    judge_drift,
    measure_column,
    unknown_ignored,
)
from airflow_mlops.core.monitoring.drift_report import ColumnKind, DriftStatus
from airflow_mlops.core.reason import Reason
from airflow_mlops.errors import SpecError
from airflow_mlops.specs import MonitoringSpec
from tests.core.drift_cases import counted, numbers, texts
from tests.core.reasons import only

UNKNOWN = ColumnFacts(kinds={}, importances={})
STILL, MOVED = ["a"] * 180 + ["b"] * 20, ["a"] * 20 + ["b"] * 180
N = 20_000
NUMERIC = ("psi", "jensen_shannon", "wasserstein", "kolmogorov_smirnov")


def dataset(*columns: ColumnProfile) -> DatasetProfile:
    return DatasetProfile(snapshot_digest="s", n_rows=columns[0].n_rows, columns=columns)


def judge(pairs: list[tuple[ColumnProfile, ColumnProfile]], facts: ColumnFacts = UNKNOWN, **settings: Any):
    old, new = (dataset(*side) for side in zip(*pairs, strict=True))
    return judge_drift(reference=old, current=new, monitoring=MonitoringSpec(**settings), facts=facts)


def pair(old: Any, new: Any, name: str = "x") -> tuple[ColumnProfile, ColumnProfile]:
    reference = texts(old, name) if isinstance(old, list) else numbers(old, name)
    return reference, counted(reference, new)


def limit_of(statistic: str) -> dict[str, float]:
    return {statistic: 0.05 if statistic == "kolmogorov_smirnov" else 0.1}


@pytest.mark.parametrize("statistic", NUMERIC)
def test_a_shift_of_one_sigma_is_seen_beside_a_single_value_of_a_billion(statistic):
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=N), np.append(rng.normal(1, 1, N), 1e9)
    clean = measure_column(reference=(bins := numbers(old)), current=counted(bins, new[:-1]))
    (column,) = judge([pair(old, new)], numeric=limit_of(statistic)).columns
    assert column.is_drifted
    assert column.statistics[statistic] == pytest.approx(clean.statistics[statistic], rel=0.01)


@pytest.mark.parametrize("statistic", NUMERIC)
def test_a_single_value_of_a_billion_alone_is_no_drift(statistic):
    rng = np.random.default_rng(0)
    verdict = judge([pair(rng.normal(size=N), np.append(rng.normal(size=N), 1e9))], numeric=limit_of(statistic))
    assert verdict.status is DriftStatus.STABLE


def test_a_shift_is_seen_when_it_is_the_reference_that_has_the_outlier():
    rng = np.random.default_rng(0)
    old = np.append(rng.normal(size=N), 1e9)
    for statistic in NUMERIC:
        assert judge([pair(old, rng.normal(1, 1, N))], numeric=limit_of(statistic)).status is DriftStatus.DRIFTED


@pytest.mark.parametrize("statistic", NUMERIC)
def test_ninety_percent_nulls_are_seen_by_every_statistic(statistic):
    rng = np.random.default_rng(0)
    old = rng.normal(size=N)
    reference = numbers(old)
    current = counted(reference, rng.normal(size=N // 10), n_null=N * 9 // 10)
    verdict = judge([(reference, current)], numeric=limit_of(statistic))
    assert verdict.status is DriftStatus.DRIFTED
    reason = only(verdict.columns[0].reasons, "missing_change")
    assert reason.facts == {"current": 0.9, "reference": 0.0}
    assert (reason.observed, reason.required, reason.n) == (0.9, MonitoringSpec().missing_change, N)


@pytest.mark.parametrize("statistic", NUMERIC)
def test_fifty_percent_infinities_are_seen_by_every_statistic(statistic):
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=N), rng.normal(size=N)
    new[: N // 2] = np.inf
    assert judge([pair(old, new)], numeric=limit_of(statistic)).status is DriftStatus.DRIFTED


@pytest.mark.parametrize("n_rows", [500, 5_000, 50_000])
@pytest.mark.parametrize("statistic", ["psi", "jensen_shannon", "chi_square"])
def test_a_thousand_categories_that_have_not_changed_are_no_drift(statistic, n_rows):
    rng = np.random.default_rng(n_rows)
    shares = np.arange(1, 1001) ** -0.7
    old, new = (rng.choice(1000, size, p=shares / shares.sum()).astype(str).tolist() for size in (100_000, n_rows))
    limit = 0.05 if statistic == "chi_square" else 0.1
    verdict = judge([pair(old, new)], categorical={statistic: limit})
    assert verdict.status is DriftStatus.STABLE
    assert verdict.columns[0].statistics["psi"] < 0.01
    assert verdict.columns[0].statistics["jensen_shannon"] < 0.05


@pytest.mark.statistics
@pytest.mark.parametrize("n_rows", [300, 500, 1_000, 2_000])
@pytest.mark.parametrize(("n_categories", "power"), [(60, 0.0), (200, 0.0), (1_000, 0.0), (1_000, 1.0), (1_000, 1.5)])
def test_many_categories_in_a_reference_of_few_rows_are_no_drift(n_categories, power, n_rows):
    rng = np.random.default_rng(n_rows)
    shares = np.arange(1, n_categories + 1) ** -power
    n_alerts = 0
    for _ in range(20):
        old, new = (
            rng.choice(n_categories, n_rows, p=shares / shares.sum()).astype(str).tolist() for _ in ("old", "new")
        )
        n_alerts += judge([pair(old, new)]).status is DriftStatus.DRIFTED
    assert n_alerts <= 1


@pytest.mark.parametrize("value", ["new", "999"])
@pytest.mark.parametrize("n_rows", [500, 5_000])
def test_one_category_that_becomes_frequent_is_seen_among_a_thousand(n_rows, value):
    rng = np.random.default_rng(n_rows)
    shares = np.arange(1, 1001) ** -0.7
    old, new = (rng.choice(1000, size, p=shares / shares.sum()).astype(str).tolist() for size in (20_000, n_rows))
    assert judge([pair(old, new)]).status is DriftStatus.STABLE
    new[: n_rows // 10] = [value] * (n_rows // 10)
    verdict = judge([pair(old, new)])
    assert verdict.status is DriftStatus.DRIFTED
    ((frequent, share),) = only(verdict.columns[0].reasons, "frequent_categories").facts["shares"]
    assert (frequent, share) == (value, pytest.approx(0.1, abs=0.01))


def test_categories_in_equal_numbers_that_stay_so_are_no_drift():
    old = [str(place % 104) for place in range(104 * 300)]
    for new in (old, old[: len(old) // 10]):
        verdict = judge([pair(old, new)], categorical={"chi_square": 0.05, "psi": 0.05})
        assert verdict.status is DriftStatus.STABLE


def test_one_row_of_a_rare_category_proves_nothing_and_a_new_one_of_many_rows_does():
    settings = {"categorical": {"chi_square": 0.05}}
    old = ["a"] * 99_990 + ["b"] * 10
    assert judge([pair(old, ["a"] * 499 + ["b"])], **settings).status is DriftStatus.STABLE
    assert judge([pair(old, ["a"] * 495 + ["b"] * 5)], **settings).status is DriftStatus.DRIFTED
    assert judge([pair(old, ["new"] * 500)], **settings).status is DriftStatus.DRIFTED


def test_categories_that_come_and_go_are_named():
    verdict = judge([pair(["a"] * 100 + ["b"] * 100, ["a"] * 100 + ["new"] * 100)])
    assert verdict.status is DriftStatus.DRIFTED
    reasons = verdict.columns[0].reasons
    assert [reason.rule for reason in reasons[-2:]] == ["new_categories", "vanished_categories"]
    new, vanished = reasons[-2:]
    assert (new.observed, new.n, new.facts) == (0.5, 200, {"examples": ["new"], "n_examples": 1})
    assert (vanished.n, vanished.facts) == (1, {"examples": ["b"]})
    assert (new.verdict, vanished.verdict) == ("", ""), "neither decides"


@pytest.mark.parametrize(
    ("fraction", "status"), [(0.3, DriftStatus.DRIFTED), (1 / 3, DriftStatus.DRIFTED), (0.5, DriftStatus.STABLE)]
)
def test_a_dataset_has_drifted_when_enough_of_its_features_have(fraction, status):
    pairs = [pair(STILL, STILL, "x"), pair(STILL, MOVED, "y"), pair(STILL, STILL, "z")]
    verdict = judge(pairs, drifted_fraction=fraction)
    assert verdict.status is status
    assert [column.name for column in verdict.columns if column.is_drifted] == ["y"]
    assert verdict.columns[0].name == "y"
    whole, y = verdict.reasons
    assert (whole.rule, whole.verdict, whole.n) == ("drifted_fraction", status, 200)
    assert (whole.observed, whole.required) == (pytest.approx(1 / 3), fraction)
    assert whole.facts == {"n_drifted": 1, "n_features": 3, "n_reference": 200}
    assert (y.rule, y.subject, y.facts["kind"]) == ("column", "y", "feature")
    assert y.because == verdict.columns[0].reasons
    assert (y.setting, y.observed, y.required) == (
        "monitoring.categorical.psi",
        verdict.columns[0].statistics["psi"],
        MonitoringSpec().categorical["psi"],
    )
    assert 3 <= y.observed < 4


def test_every_column_that_drifted_is_named_also_when_there_are_many():
    names = [f"x{place}" for place in range(7)]
    reasons = judge([pair(STILL, MOVED, name) for name in names]).reasons
    assert len(reasons) == 7
    assert [reason.subject for reason in reasons[1:6]] == names[:5]
    assert (reasons[6].rule, reasons[6].n, reasons[6].facts) == ("others_drifted", 2, {"columns": ["x5", "x6"]})


@pytest.mark.parametrize(
    ("importances", "status"),
    [({"x": 0.9, "y": 0.1}, DriftStatus.STABLE), ({"x": -0.1, "y": 0.1}, DriftStatus.DRIFTED)],
)
def test_features_weigh_what_the_model_makes_of_them(importances, status):
    verdict = judge(
        [pair(STILL, STILL, "x"), pair(STILL, MOVED, "y")], facts=ColumnFacts(kinds={}, importances=importances)
    )
    assert verdict.status is status


@pytest.mark.parametrize("kind", [ColumnKind.TARGET, ColumnKind.PREDICTION])
def test_what_is_no_feature_decides_alone_and_weighs_nothing_beside_the_features(kind):
    facts = ColumnFacts(kinds={"y": kind}, importances={})
    verdict = judge([pair(STILL, STILL, "x"), pair(STILL, MOVED, "y")], facts=facts)
    assert verdict.status is DriftStatus.DRIFTED
    assert (verdict.reasons[0].facts["n_drifted"], verdict.reasons[0].facts["n_features"]) == (0, 1)
    assert (verdict.reasons[1].subject, verdict.reasons[1].facts["kind"]) == ("y", kind)
    assert verdict.reasons[1].because[0].rule == "psi"
    assert judge([pair(STILL, MOVED, "x"), pair(STILL, STILL, "y")], facts=facts).columns[0].importance == 1.0


def test_a_column_has_drifted_from_its_limit_on():
    x = pair(STILL, MOVED)
    psi = measure_column(reference=x[0], current=x[1]).statistics["psi"]
    for limit, is_drifted in ((psi, True), (math.nextafter(psi, math.inf), False)):
        assert judge([x], categorical={"psi": limit}).columns[0].is_drifted is is_drifted


def test_single_columns_have_limits_of_their_own():
    pairs = [pair(STILL, MOVED, "x"), pair(STILL, MOVED, "y")]
    found = {c.name: c.is_drifted for c in judge(pairs, features={"x": {"psi": 10, "jensen_shannon": 0.83}}).columns}
    assert found == {"x": False, "y": True}
    (x,) = judge(pairs[:1], features={"x": {"jensen_shannon": 0.5}}).columns
    assert [(reason.setting, reason.required) for reason in x.reasons[:1]] == [
        ("monitoring.features.x.jensen_shannon", 0.5)
    ]


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"xs": {"psi": 0.1}}, "'xs' is not among the columns that are compared. Did you mean 'x'"),
        ({"x": {"wasserstein": 0.1}}, "monitoring.features.x: wasserstein does not fit it, since it is no column of"),
        ({"n": {"chi_square": 0.1}}, "monitoring.features.n: chi_square does not fit it, since it is of numbers"),
    ],
)
def test_a_limit_for_nothing_is_an_error(features, words):
    columns = [texts(STILL, "x"), numbers(np.arange(200.0), "n")]
    with pytest.raises(SpecError, match=words):
        check_limits(columns, MonitoringSpec(features=features))


def test_columns_are_matched_by_name_and_not_by_place():
    x, y = pair(STILL, STILL, "x"), pair(MOVED, MOVED, "y")
    old, new = dataset(x[0], y[0]), dataset(y[1], x[1])
    verdict = judge_drift(reference=old, current=new, monitoring=MonitoringSpec(), facts=UNKNOWN)
    assert verdict.status is DriftStatus.STABLE


@pytest.mark.parametrize("n_rows", [0, 1, 199])
def test_too_few_rows_are_a_state_of_their_own_and_never_stable(n_rows):
    verdict = judge([pair(STILL, ["b"] * n_rows)])
    assert (verdict.status, verdict.columns) == (DriftStatus.TOO_FEW_ROWS, ())
    assert verdict.reasons == (
        Reason(
            stage="monitoring",
            rule="min_rows",
            verdict="TOO_FEW_ROWS",
            subject="window",
            setting="monitoring.min_rows",
            observed=n_rows,
            required=200,
            n=n_rows,
        ),
    )


def test_a_season_of_too_few_rows_can_not_be_compared_with():
    verdict = judge([pair(["a"] * 5, STILL)], reference="seasonal")
    assert verdict.status is DriftStatus.TOO_FEW_ROWS
    assert (verdict.reasons[0].subject, verdict.reasons[0].observed) == ("season", 5)


@pytest.mark.parametrize("statistic", NUMERIC)
def test_a_constant_that_stays_is_no_drift_and_one_that_changes_is(statistic):
    old = np.full(300, 5.0)
    assert judge([pair(old, np.full(300, 5.0))], numeric=limit_of(statistic)).status is DriftStatus.STABLE
    assert judge([pair(old, np.full(300, 5.5))], numeric=limit_of(statistic)).status is DriftStatus.DRIFTED


@pytest.mark.parametrize("statistic", NUMERIC)
def test_a_column_that_was_never_null_and_is_null_in_every_row_has_drifted(statistic):
    reference = numbers(np.random.default_rng(0).normal(size=300))
    current = counted(reference, np.array([]), n_null=300)
    verdict = judge([(reference, current)], numeric=limit_of(statistic))
    assert verdict.status is DriftStatus.DRIFTED
    back = judge_drift(
        reference=dataset(current), current=dataset(reference), monitoring=MonitoringSpec(), facts=UNKNOWN
    )
    assert back.status is DriftStatus.DRIFTED


def test_what_could_not_be_measured_is_never_stable_and_hides_no_drift():
    stable, drifted = judge([pair(STILL, STILL)]), judge([pair(STILL, MOVED)])
    gone = Reason(stage="monitoring", rule="columns_not_measured", n=1)
    assert admit_gaps(stable, [gone]).status is DriftStatus.INCOMPLETE
    assert admit_gaps(stable, [gone]).reasons[-1] == gone
    assert admit_gaps(drifted, [gone]).status is DriftStatus.DRIFTED
    assert admit_gaps(stable, []) == stable


def test_a_classifier_that_tells_old_from_new_is_drift_that_no_column_shows():
    stable = judge([pair(STILL, STILL)])
    assert judge_domains(stable, 0.59).status is DriftStatus.STABLE
    told = judge_domains(stable, 0.6).reasons[-1]
    assert (told.rule, told.verdict, told.observed, told.required) == ("domain_classifier", "DRIFTED", 0.6, 0.6)
    assert judge_domains(stable, 0.6).status is DriftStatus.DRIFTED
    assert judge_domains(judge([pair(STILL, MOVED)]), 0.5).status is DriftStatus.DRIFTED


SETTINGS: list[dict[str, Any]] = [
    {},
    {"numeric": {"kolmogorov_smirnov": 0.05}, "categorical": {"chi_square": 0.05}, "drifted_fraction": 0.01},
    {"numeric": {"wasserstein": 0.1}, "categorical": {"jensen_shannon": 0.1}, "drifted_fraction": 0.01},
]


def _draw(rng: np.random.Generator, n_rows: int) -> list[ColumnProfile]:
    """Draw fourteen columns of numbers and six of thirty categories, in bins that are known."""
    edges = (-4.0, *np.linspace(-1.6, 1.6, 17).tolist(), 4.0)
    bins = ColumnProfile(name="", edges=edges)
    shares = np.arange(1, 31) ** -1.0
    return [
        *(replace(counted(bins, rng.normal(size=n_rows)), name=f"n{place}") for place in range(14)),
        *(
            ColumnProfile(
                name=f"c{place}",
                counts={f"={i}": n for i, n in enumerate(rng.multinomial(n_rows, shares / shares.sum()).tolist())},
            )
            for place in range(6)
        ),
    ]


@pytest.mark.statistics
@pytest.mark.parametrize("settings", SETTINGS, ids=["default", "tests", "distances"])
def test_at_most_one_in_twenty_draws_of_the_same_distribution_raises_an_alert(settings):
    """Twenty features; but for the default, one that drifted is an alert."""
    rng = np.random.default_rng(0)
    references = _draw(rng, 5000)
    alerts = sum(
        judge(list(zip(references, _draw(rng, 400), strict=True)), **settings).status is DriftStatus.DRIFTED
        for _ in range(200)
    )
    assert alerts <= 10


@pytest.mark.statistics
@pytest.mark.parametrize("settings", SETTINGS, ids=["default", "tests", "distances"])
def test_a_shift_of_half_a_sigma_is_found_in_nearly_every_draw_of_a_thousand_rows(settings):
    rng = np.random.default_rng(1)
    references = [numbers(rng.normal(size=5000), f"x{i}") for i in range(10)]
    found = 0
    for _ in range(50):
        new = [counted(old, rng.normal(0.5, 1, 1000)) for old in references]
        found += judge(list(zip(references, new, strict=True)), **settings).status is DriftStatus.DRIFTED
    assert found >= 48


def test_the_correction_is_what_keeps_many_features_from_raising_alerts():
    rng = np.random.default_rng(5)
    rows = [pair(rng.normal(size=2000), rng.normal(size=2000), f"x{i}") for i in range(60)]
    limits = {"numeric": {"kolmogorov_smirnov": 0.05}, "drifted_fraction": 0.01}
    assert judge(rows, correction="none", **limits).status is DriftStatus.DRIFTED
    assert judge(rows, correction="holm", **limits).status is DriftStatus.STABLE
    assert judge(rows, correction="benjamini_hochberg", **limits).status is DriftStatus.STABLE


def test_a_feature_that_only_harms_the_model_weighs_nothing():
    facts = ColumnFacts(kinds={}, importances={"a": -0.5, "b": 0.1})
    assert facts.shares(["a", "b", "c"]) == {"a": 0.0, "b": 1.0, "c": 0.0}


def test_a_column_whose_values_have_no_bins_is_named():
    dates = ColumnProfile(name="signup", counts={"(other)": 200})
    stable = judge([(dates, dates), pair(STILL, STILL, "y")])
    assert stable.reasons[-1] == Reason(stage="monitoring", rule="null_alone", n=1, facts={"columns": ["signup"]})
    assert not any(reason.rule == "null_alone" for reason in judge([pair(STILL, STILL)]).reasons)


def test_a_reference_that_names_no_row_of_a_column_is_not_silent():
    reference, current = pair(STILL, MOVED)
    verdict = judge([(replace(reference, counts={"null": 200}), replace(current, counts={"(other)": 200}))])
    assert verdict.status is DriftStatus.DRIFTED


def test_limits_that_fit_their_columns_are_accepted():
    columns = [texts(STILL, "x"), numbers(np.arange(200.0), "n")]
    fitting = MonitoringSpec(features={"x": {"chi_square": 0.1}, "n": {"wasserstein": 0.1, "psi": 0.2}})
    check_limits(columns, fitting)
    with pytest.raises(SpecError, match="'n' is not among the columns"):
        check_limits(columns[:1], fitting)


def test_where_only_known_categories_moved_none_that_is_rare_is_named():
    rare = [str(place % 150) for place in range(7_500)]
    old, new = ["a"] * 5_000 + ["b"] * 2_500 + rare, ["a"] * 2_500 + ["b"] * 5_000 + rare
    column = judge([pair(old, new)]).columns[0]
    assert column.is_drifted
    assert [reason.rule for reason in column.reasons if reason.rule.endswith("categories")] == []


def test_nothing_is_said_of_columns_that_are_ignored_and_known():
    assert unknown_ignored(MonitoringSpec(ignore=["temp"]), ["temp", "hum"]) == ""
