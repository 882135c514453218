from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops.core.monitoring.degradation import judge_scores
from airflow_mlops.core.monitoring.performance_report import PerformanceStatus
from airflow_mlops.core.monitoring.two_samples import Drawn, Outcomes, compare_metrics, compare_slices, draw
from airflow_mlops.core.stats.metrics import METRICS, Predicted
from airflow_mlops.specs import DatasetSpec, PerformanceSpec

ACCURACY = {"accuracy": METRICS["accuracy"]}
SETTINGS = {"labels": DatasetSpec(path="labels.csv"), "label": "y", "id": "id", "maturity": "P7D"}
NO_MARGIN = {"change_threshold": 0.0}
SPEC = PerformanceSpec(**SETTINGS, metrics={"accuracy": NO_MARGIN})


def answers(n_rows: int, accuracy: float, rng: np.random.Generator) -> Outcomes:
    truth = rng.integers(0, 2, n_rows)
    said = np.where(rng.uniform(size=n_rows) < accuracy, truth, 1 - truth)
    return Outcomes(y_true=truth, models={"champion": Predicted(values=said)})


def share_of_alerts(accuracy: float, *, n_runs: int = 250, n_rows: int = 300, n: int = 2, of: int = 3) -> float:
    """Return how often a model that had accuracy 0.8 is found to be degraded, by 2 of 3 windows."""
    rng, alerts = np.random.default_rng(0), 0
    for _ in range(n_runs):
        reference = draw(answers(n_rows, 0.8, rng), ACCURACY, n_classes=2, n_resamples=300)
        worse = 0
        for window in range(of):
            current = draw(answers(n_rows, accuracy, rng), ACCURACY, n_classes=2, n_resamples=300, seed=window + 1)
            found = compare_metrics(current=current, reference=reference, metrics=ACCURACY, confidence_level=0.95)
            worse += judge_scores(found, (), SPEC)[0] is PerformanceStatus.DEGRADED
        alerts += worse >= n
    return alerts / n_runs


@pytest.mark.statistics
def test_a_model_that_is_as_good_as_ever_seldom_raises_an_alert_even_without_any_margin():
    assert share_of_alerts(0.8) <= 0.05


@pytest.mark.statistics
def test_a_model_that_became_worse_is_found():
    assert share_of_alerts(0.68, n_runs=100) >= 0.8


@pytest.mark.statistics
def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    rng, held = np.random.default_rng(1), 0
    for _ in range(300):
        then = draw(answers(200, 0.8, rng), ACCURACY, n_classes=2, n_resamples=300)
        now = draw(answers(300, 0.7, rng), ACCURACY, n_classes=2, n_resamples=300, seed=1)
        interval = compare_metrics(current=now, reference=then, metrics=ACCURACY, confidence_level=0.9)[
            0
        ].against_blessing
        held += interval.low <= -0.1 <= interval.high
    assert 0.86 <= held / 300 <= 0.94


def test_the_baseline_is_compared_on_the_same_rows():
    outcomes = answers(500, 0.8, np.random.default_rng(2))
    both = Outcomes(y_true=outcomes.y_true, models=dict(outcomes.models) | {"baseline": outcomes.models["champion"]})
    drawn = draw(both, ACCURACY, n_classes=2)
    (found,) = compare_metrics(current=drawn, reference=drawn, metrics=ACCURACY, confidence_level=0.95)
    assert str(found.against_baseline) == "+0 [+0, +0]"


def test_slices_that_one_sample_does_not_have_are_left_out_and_the_others_hold_at_once():
    rng = np.random.default_rng(3)
    parts = {f"part={place}": np.arange(place * 50, place * 50 + 50) for place in range(10)}
    known = answers(500, 0.8, rng)
    then = draw(Outcomes(y_true=known.y_true, models=known.models, slices=parts), ACCURACY, n_classes=2)
    new = answers(500, 0.8, rng)
    few = {name: parts[name] for name in list(parts)[:9]} | {"part=new": np.arange(50)}
    now = draw(Outcomes(y_true=new.y_true, models=new.models, slices=few), ACCURACY, n_classes=2, seed=1)
    n_rows = dict.fromkeys(few, 50)
    compared = compare_slices(current=now, reference=then, n_rows=n_rows, confidence_level=0.95)
    assert [each.name for each in compared] == list(parts)[:9]
    one = compare_slices(
        current=now,
        reference=type(then)(metrics={}, slices={"part=0": then.slices["part=0"]}),
        n_rows=n_rows,
        confidence_level=0.95,
    )
    assert one[0].against_blessing.low > compared[0].against_blessing.low


def test_what_is_infinite_leaves_no_interval():
    endless = Drawn(value=np.inf, replicates=np.full(100, np.inf))
    interval = (endless - endless).interval(0.95)
    assert np.isnan([interval.difference, interval.low, interval.high]).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_sample_and_seed_give_the_same_drawing(seed: int):
    outcomes = answers(100, 0.8, np.random.default_rng(4))
    first, second = (draw(outcomes, ACCURACY, n_classes=2, seed=seed).metrics["accuracy"]["champion"] for _ in range(2))
    assert (first.replicates == second.replicates).all()


def share_of_worse_windows(*, block_length: int, n_rows: int = 1_000, n_runs: int = 200) -> float:
    """Return how often one window of a series is found to be worse, whose errors hang on those of the hour before."""
    rng, found = np.random.default_rng(2), 0
    error = {"mean_absolute_error": METRICS["mean_absolute_error"]}
    metrics = {"mean_absolute_error": NO_MARGIN}
    spec = PerformanceSpec(**SETTINGS, metrics=metrics, block_length=block_length, min_rows=n_rows)
    for _ in range(n_runs):
        drawn = {}
        for seed, side in enumerate(("reference", "current")):
            noise = np.zeros(n_rows)
            for hour, shock in enumerate(rng.normal(size=n_rows)):
                noise[hour] = 0.9 * noise[hour - 1] + shock
            outcomes = Outcomes(y_true=np.zeros(n_rows), models={"champion": Predicted(values=noise)})
            drawn[side] = draw(outcomes, error, n_resamples=200, block_length=spec.block_length, seed=seed)
        scores = compare_metrics(**drawn, metrics=error, confidence_level=0.95)
        found += judge_scores(scores, (), spec)[0] is PerformanceStatus.DEGRADED
    return found / n_runs


@pytest.mark.statistics
def test_blocks_keep_a_series_from_raising_alerts_by_itself():
    assert share_of_worse_windows(block_length=1) >= 0.15
    assert share_of_worse_windows(block_length=50) <= 0.06


def test_samples_that_share_no_slice_are_compared_by_none():
    rng = np.random.default_rng(3)
    known = answers(100, 0.8, rng)
    drawn = [
        draw(Outcomes(y_true=known.y_true, models=known.models, slices={name: np.arange(50)}), ACCURACY, n_classes=2)
        for name in ("part=a", "part=b")
    ]
    assert compare_slices(current=drawn[0], reference=drawn[1], n_rows={"part=a": 50}, confidence_level=0.95) == ()
