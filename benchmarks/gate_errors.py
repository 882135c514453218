"""How often the gate errs, by simulation: two models of equal skill, and one that is better by what was planned for.

The plain rule promotes whatever has the better metric. The models' errors have heavy tails and depend on each other, as
those of two models of the same rows do.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.evaluation.score import score_models
from airflow_mlops.core.gate.power import rows_needed
from airflow_mlops.core.gate.rules import BlessingVerdict, bless
from airflow_mlops.core.stats.metrics import METRICS, Predicted
from airflow_mlops.core.stats.resample import Units
from airflow_mlops.specs.evaluate import GateSpec
from benchmarks.entry import Entry

N_RUNS = 1000
DIFFERENCE = 0.05
GATE = GateSpec(metrics={"mean_absolute_error": {"change_threshold": 0.0}}, n_resamples=1000)


def measure_false_blessing() -> Entry:
    """Say in which share of runs a challenger that is no better is blessed as better."""
    ours, plain = _shares(0.0)
    return Entry(name="gate_false_blessing", ours=ours, baseline=plain, unit="share of runs", better="lower")


def measure_power() -> Entry:
    """Say in which share of runs a difference is found that the number of rows was planned for (0.8)."""
    return Entry(name="gate_power", ours=_shares(DIFFERENCE)[0], baseline=None, unit="share of runs", better="higher")


@functools.cache
def _shares(difference: float) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    champion, challenger = _errors(rng, 200_000, difference)
    n_rows = rows_needed(float((challenger - champion).std()), difference=DIFFERENCE)
    blessed = better = 0
    for run in range(N_RUNS):
        found = _evaluate(*_errors(rng, n_rows, difference), seed=run)
        blessed += bless(found, GATE).verdict is BlessingVerdict.BLESSED
        better += found.comparisons[0].challenger < (found.comparisons[0].champion or 0.0)
    print(f"  {n_rows} rows, {N_RUNS} runs, true difference {difference:g}: blessed {blessed}, better in {better}")
    return blessed / N_RUNS, better / N_RUNS


def _errors(rng: np.random.Generator, n_rows: int, difference: float) -> tuple[Any, Any]:
    """Return absolute errors of champion and challenger; those of the challenger are smaller by the difference."""
    hard = rng.gamma(2.0, 1.0, n_rows) + 1.0
    return hard + rng.exponential(0.5, n_rows), hard + rng.exponential(0.5, n_rows) - difference


def _evaluate(champion: Any, challenger: Any, *, seed: int) -> EvaluationReport:
    rng, n_rows = np.random.default_rng(seed), len(champion)
    units = Units.rows(n_rows, rng=rng)
    said = {"challenger": challenger, "champion": champion, "baseline": champion + 9.0}
    comparisons, _ = score_models(
        y_true=np.zeros(n_rows),
        models={who: Predicted(values=values) for who, values in said.items()},
        metrics={"mean_absolute_error": METRICS["mean_absolute_error"]},
        units=units,
        rng=rng,
        n_resamples=GATE.n_resamples,
    )
    return EvaluationReport(
        model_name="simulated",
        challenger_uri="models:/simulated",
        challenger_digest="sha256:0",
        champion_version=1,
        split_digest="sha256:0",
        n_rows=n_rows,
        baseline="mean",
        confidence_level=GATE.confidence_level,
        n_units=units.n_units,
        comparisons=comparisons,
    )
