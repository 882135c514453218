"""What a drift check and a performance check say, each sentence once; of documents as they are stored."""

from __future__ import annotations

import math
from functools import partial

import pytest

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.wording import sentence_of, sentences_of
from airflow_mlops.core.wording._drift import COLUMN_RULES, DRIFT_RULES
from airflow_mlops.core.wording._performance import PERFORMANCE_RULES
from tests.core.reasons import reread

reason = partial(Reason, stage="monitoring")

AGAINST = Interval(difference=-0.1, low=-0.14, high=-0.06)
NEVER = Interval(difference=math.nan, low=math.nan, high=math.nan)
VALUE = {"value": 0.75, "low": 0.7, "high": 0.8}
PSI = reason(rule="psi", observed=3.14159, required=0.1)
VANISHED = reason(rule="vanished_categories", n=5, facts={"examples": ["b", "c", "d"]})
SLICE = reason(rule="slice", subject="a=1", interval=AGAINST, n=300)
ACCURACY = partial(reason, subject="accuracy", setting="performance.metrics.accuracy.change_threshold")
YOUNGER = {
    "first": "2026-01-08T09:00:00+00:00",
    "counts_from": "2026-01-16T06:30:00+00:00",
    "maturity_s": 7 * 86400.0,
}
WINDOWS = {"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-08T00:00:00+00:00", "newest": "DEGRADED"}

OF_COLUMNS = [
    (PSI, "PSI 3.14, limit 0.1"),
    (reason(rule="jensen_shannon", observed=0.5, required=0.1), "Jensen-Shannon distance 0.5, limit 0.1"),
    (reason(rule="wasserstein", observed=math.inf, required=0.25), "Wasserstein distance inf, limit 0.25"),
    (reason(rule="chi_square", observed=1.234e-9, required=0.05), "chi-square test p 1.2e-09, limit 0.05"),
    (reason(rule="kolmogorov_smirnov", observed=0.01, required=0.05), "Kolmogorov-Smirnov test p 0.01, limit 0.05"),
    (
        reason(rule="missing_change", observed=0.9, required=0.1, facts={"current": 0.9, "reference": 0.0}),
        "null or NaN in 90.0% of the rows, 0.0% in the reference",
    ),
    (
        reason(rule="new_categories", observed=0.5, n=200, facts={"examples": ["new"], "n_examples": 1}),
        "values that the reference did not have in 50.0% of the rows, such as 'new'",
    ),
    (
        reason(rule="new_categories", observed=0.5, n=200, facts={"examples": [], "n_examples": 0}),
        "values that the reference did not have in 50.0% of the rows",
    ),
    (
        reason(rule="frequent_categories", n=200, facts={"shares": [["z", 0.101], ["NaN", 0.05]]}),
        "frequent now: 'z' in 10.1%, 'NaN' in 5.0% of the rows",
    ),
    (VANISHED, "vanished: 'b', 'c', 'd' and 2 more"),
    (
        reason(rule="evidently", observed=0.0123456, required=0.05, facts={"method": "K-S p_value"}),
        "Evidently's K-S p_value 0.0123, limit 0.05",
    ),
]
OF_DRIFT = [
    (
        reason(rule="min_rows", subject="window", setting="monitoring.min_rows", observed=1, required=200, n=1),
        "1 row in the window, monitoring.min_rows is 200: too few to tell.",
    ),
    (
        reason(rule="min_rows", subject="season", setting="monitoring.min_rows", observed=5, required=200, n=5),
        "5 rows in the same window a season before, monitoring.min_rows is 200: too few to tell.",
    ),
    (
        reason(
            rule="drifted_fraction",
            setting="monitoring.drifted_fraction",
            observed=1 / 3,
            required=0.5,
            n=200,
            facts={"n_drifted": 1, "n_features": 3, "n_reference": 100},
        ),
        "1 of 3 features drifted, with 33% of the importance (monitoring.drifted_fraction is 50%). 200 rows against "
        "100.",
    ),
    (
        reason(
            rule="drifted_fraction",
            setting="monitoring.drifted_fraction",
            observed=0.0,
            required=0.5,
            facts={"n_drifted": 0, "n_features": 1},
        ),
        "0 of 1 feature drifted, with 0% of the importance (monitoring.drifted_fraction is 50%).",
    ),
    (
        reason(rule="column", subject="y", facts={"kind": "prediction"}, because=(PSI, VANISHED)),
        "Prediction y: PSI 3.14, limit 0.1; vanished: 'b', 'c', 'd' and 2 more.",
    ),
    (reason(rule="others_drifted", n=2, facts={"columns": ["x5", "x6"]}), "And drifted: 'x5', 'x6'."),
    (
        reason(rule="null_alone", n=1, facts={"columns": ["signup"]}),
        "Of 'signup' null alone was compared: dates, long texts and lists have no bins.",
    ),
    (
        reason(rule="domain_classifier", observed=0.75, required=0.6),
        "A classifier tells old rows from new ones with an area under the curve of 0.750, limit 0.6.",
    ),
    (
        reason(
            rule="columns_not_measured",
            n=1,
            facts={"missing": ["x"], "n_missing": 1, "retyped": [], "n_retyped": 0},
        ),
        "Not measured: columns of the champion's data are missing ('x') or are of another type (none).",
    ),
    (
        reason(rule="predictions_not_measured"),
        "Not measured: predictions; the champion's evaluation keeps none of its own to compare with.",
    ),
    (reason(rule="no_reference"), "There is no champion, so there is nothing to compare with."),
    (reason(rule="decided_by_evidently"), "Decided by Evidently, on samples."),
]
OF_PERFORMANCE = [
    (reason(rule="no_predictions", observed=0), "The log has no prediction of this version in the window."),
    (
        reason(rule="no_answers", setting="performance.min_coverage", required=0.8, n=1000, facts={"n_failed": 201}),
        "201 of 1000 predictions are no answer (null, or no probability), performance.min_coverage 0.8.",
    ),
    (
        reason(rule="early_labels", n=900, facts={"n_bad": 10}),
        "10 of 900 labels were known before their prediction was made: see clocks and time zones, or what was "
        "predicted was known.",
    ),
    (
        reason(rule="bad_labels", n=280, facts={"n_bad": 28}),
        "28 of 280 labelled predictions: their labels contradict each other, or are none of the target's values.",
    ),
    (
        reason(rule="not_enough_labels", n=990, facts={"n_labelled": 199, "min_rows": 200, "min_coverage": 0.8}),
        "199 of 990 predictions are labelled (20%), performance.min_rows 200 and min_coverage 0.8.",
    ),
    (
        reason(rule="odd_labels", n=1, facts={"examples": ["maybe"], "classes": ["no", "yes"]}),
        "Labels such as 'maybe' are none of the classes ['no', 'yes'].",
    ),
    (
        reason(
            rule="value_threshold",
            verdict="DEGRADED",
            subject="accuracy",
            setting="performance.metrics.accuracy.value_threshold",
            required=0.81,
            interval=Interval(difference=0.75, low=0.7, high=0.8),
        ),
        "Worse: accuracy 0.75 [0.7, 0.8], performance.metrics.accuracy.value_threshold 0.81.",
    ),
    (
        ACCURACY(rule="change", verdict="OK", interval=AGAINST, facts={**VALUE, "at_blessing": 0.8, "threshold": 0.1}),
        "Not shown to be worse: accuracy 0.75 [0.7, 0.8] against 0.8 at the blessing, "
        "performance.metrics.accuracy.change_threshold 0.1; difference -0.1 [-0.14, -0.06].",
    ),
    (
        ACCURACY(
            rule="no_margin",
            verdict="UNDECIDED",
            facts={"value": math.nan, "low": math.nan, "high": math.nan, "at_blessing": 0.0, "threshold": 0.1},
        ),
        "Undecided: accuracy nan [nan, nan] against 0 at the blessing, performance.metrics.accuracy.change_threshold "
        "0.1: nothing is a fraction of that. Use change_threshold.",
    ),
    (
        ACCURACY(rule="baseline_change", verdict="UNDECIDED", interval=NEVER, facts={**VALUE, "baseline": 0.9}),
        "Undecided: accuracy 0.75 [0.7, 0.8] against the naive baseline's 0.9; difference +nan [+nan, +nan].",
    ),
    (
        reason(
            rule="slices",
            verdict="DEGRADED",
            subject="accuracy",
            setting="performance.slices.change_threshold",
            required=0.05,
            n=4,
            because=(SLICE,),
        ),
        "Worse: accuracy in 'a=1 (-0.1 [-0.14, -0.06], n=300)' and 3 more; performance.slices.change_threshold 0.05.",
    ),
    (
        reason(
            rule="slices",
            verdict="OK",
            subject="accuracy",
            setting="performance.slices.change_threshold",
            required=0.05,
            n=1,
        ),
        "Not shown to be worse: accuracy in 1 slice; performance.slices.change_threshold 0.05.",
    ),
    (SLICE, "a=1 (-0.1 [-0.14, -0.06], n=300)"),
    (
        reason(rule="future_predictions", observed=3, n=3),
        "In the future: 3 predictions of the log. See the clocks and time zones; times without a zone are in UTC.",
    ),
    (
        reason(rule="future_labels", observed=0.02, n=100, facts={"n_bad": 2}),
        "2 of 100 labels become known in the future. See the clocks and time zones; times without a zone are in UTC.",
    ),
    (
        reason(rule="windows", observed=1, required=2, n=3, facts=WINDOWS),
        "Worse than allowed: 1 of 3 windows; it takes 2 for a degradation. The newest, from 2026-01-01 until before "
        "2026-01-08, is DEGRADED.",
    ),
    (reason(rule="no_younger_predictions", n=0), "It has none after the window either."),
    (
        reason(rule="younger_predictions", setting="performance.maturity", n=1067, facts=YOUNGER),
        "It has 1067 predictions after the window, which do not count yet: the first is from 2026-01-08 and counts "
        "from 2026-01-16 06:30 UTC on (the end of its day and performance.maturity P7D).",
    ),
    (reason(rule="no_labels", observed=0), "No label has come."),
    (reason(rule="null_labels", observed=1, n=9), "1 of 9 labels: null, so not known yet."),
    (reason(rule="repeated_labels", observed=2, n=9), "2 of 9 labels: came again for the same prediction."),
    (
        reason(rule="changed_labels", observed=3, n=6),
        "3 of 6 labelled predictions: their label was changed, the last one known counts.",
    ),
    (
        reason(rule="contradicting_labels", observed=4, n=6, facts={"known_at": "at"}),
        "4 of 6 labelled predictions: their labels contradict each other, so none of these counts.",
    ),
    (
        reason(rule="contradicting_labels", observed=744, n=744, facts={"known_at": ""}),
        "744 of 744 labelled predictions: their labels contradict each other, so none of these counts; "
        "performance.known_at would say which label is the last.",
    ),
    (reason(rule="unknown_labels", observed=5, n=6), "5 of 6 labelled predictions: the log does not have them."),
    (reason(rule="no_champion"), "There is no champion, so there is nothing to judge."),
    (reason(rule="labels_not_delivered", facts={"error": "No file matches 'x'."}), "No file matches 'x'."),
    (
        reason(rule="nothing_logged", n=0, facts={"since": "2026-02-01T00:00:00+00:00"}),
        "The log has no prediction since 2026-02-01.",
    ),
    (
        reason(rule="no_label_found", facts={"labels": ["c-5", "c-6"], "predictions": [["0", "a"]]}),
        "No label is of a prediction: the labels are of 'c-5', 'c-6', the predictions of ('0', 'a').",
    ),
]


@pytest.mark.parametrize(("found", "sentence"), [*OF_COLUMNS, *OF_DRIFT, *OF_PERFORMANCE])
def test_the_sentence_is_made_of_the_numbers(found: Reason, sentence: str):
    assert sentence_of(found) == sentence
    assert sentences_of(reread(found)) == (sentence,), "of what is stored, too"


def test_every_rule_has_its_sentence_here():
    for cases, rules in ((OF_COLUMNS, COLUMN_RULES), (OF_DRIFT, DRIFT_RULES), (OF_PERFORMANCE, PERFORMANCE_RULES)):
        assert {found.rule for found, _ in cases} == set(rules)


def test_a_sentence_of_an_older_version_stays_as_it_was_written():
    assert sentence_of(reason(rule="recorded", recorded="x moved.")) == "x moved."
    repeated = reason(
        rule="column", subject="x", facts={"kind": "feature"}, because=(reason(rule="recorded", recorded="PSI 3"),)
    )
    assert sentence_of(repeated) == "Feature x: PSI 3."


def test_a_value_whose_interval_is_lost_is_not_told_as_a_zero():
    found = Reason(stage="monitoring", rule="value_threshold", verdict="DEGRADED", subject="r2", required=0.5)
    assert sentence_of(found) == (
        "monitoring.value_threshold: DEGRADED, r2, required 0.5 (this version has no words for it)."
    )
