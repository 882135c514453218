"""Scores on the same rows, the interval of their difference, and the gate that reads them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.values import Value
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs.evaluate import GateSpec, MetricName

__all__ = [
    "METRICS",
    "EvaluationReport",
    "Interval",
    "Metric",
    "MetricComparison",
    "check_predictions",
    "compare_predictions",
    "naive_predictions",
    "paired_bootstrap",
]

Floats = NDArray[np.float64]
Direction = Literal["higher_is_better", "lower_is_better"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric that is a function of the mean of a score per row, which is what lets it be resampled.

    :param per_row: ``(y_true, y_pred) -> (n_rows,) float64``.
    :param of_mean: turns the mean of those scores into the metric's value.
    """

    direction: Direction
    per_row: Callable[[NDArray[np.generic], NDArray[np.generic]], Floats]
    of_mean: Callable[[Floats], Floats]

    def worsening(self, difference: float) -> float:
        """Return ``challenger - other`` with its sign such that positive means worse."""
        return difference if self.direction == "lower_is_better" else -difference


METRICS: dict[MetricName, Metric] = {
    "mean_absolute_error": Metric(
        direction="lower_is_better",
        per_row=lambda y_true, y_pred: np.abs(y_true.astype(float) - y_pred.astype(float)),
        of_mean=lambda mean: mean,
    ),
    "root_mean_squared_error": Metric(
        direction="lower_is_better",
        per_row=lambda y_true, y_pred: np.square(y_true.astype(float) - y_pred.astype(float)),
        of_mean=np.sqrt,
    ),
    "accuracy": Metric(
        direction="higher_is_better",
        per_row=lambda y_true, y_pred: (y_true == y_pred).astype(float),
        of_mean=lambda mean: mean,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A difference ``challenger - other`` in the metric's unit, and its confidence interval."""

    difference: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.difference:+.4g} [{self.low:+.4g}, {self.high:+.4g}]"


@dataclass(frozen=True, kw_only=True)
class MetricComparison:
    """One metric of the challenger, the champion and the naive baseline on the same rows.

    :param champion: ``None`` where there is no champion, or it could not be scored.
    """

    metric: MetricName
    direction: Direction
    challenger: float
    baseline: float
    champion: float | None = None
    against_baseline: Interval
    against_champion: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationReport(Value):
    """The evidence that a gate decides on.

    :param champion_version: the champion at the time of the evaluation, ``None`` for a cold start.
    :param champion_error: why the champion could not be scored, where it could not.
    """

    model_name: str
    challenger_uri: str
    challenger_digest: str
    champion_version: int | None
    champion_error: str | None = None
    split_digest: str
    n_rows: int
    baseline: str
    confidence_level: float
    comparisons: tuple[MetricComparison, ...]
    report_uri: str = ""


def check_predictions(who: str, y_pred: NDArray[np.generic], n_rows: int) -> NDArray[np.generic]:
    """Return the predictions, one for each row.

    :param who: whose they are, for the message.
    :param y_pred: ``(n_rows,)`` or ``(n_rows, 1)``, of numbers or labels.
    :raises EvaluationError: when their number is wrong, or one is NaN or infinite.
    """
    values = np.asarray(y_pred)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (n_rows,):
        raise EvaluationError(f"{who} gave predictions of shape {values.shape} for {n_rows} rows.")
    if np.issubdtype(values.dtype, np.number):
        bad = int((~np.isfinite(values.astype(float))).sum())
        if bad:
            raise EvaluationError(f"{who} predicted NaN or infinity for {bad} of {n_rows} rows.")
    return values


def naive_predictions(
    strategy: Literal["mean", "median", "most_frequent"], y_train: NDArray[np.generic], n_rows: int
) -> NDArray[np.generic]:
    """Predict the same value for every row, learnt from the training target alone.

    :param y_train: ``(n_train,)``, numbers, or labels for ``most_frequent``.
    :returns: ``(n_rows,)``.

    >>> naive_predictions("mean", np.array([1.0, 3.0]), 2)
    array([2., 2.])
    """
    if strategy == "most_frequent":
        values, counts = np.unique(y_train, return_counts=True)
        return np.full(n_rows, values[counts.argmax()])
    numbers = y_train.astype(float)
    return np.full(n_rows, numbers.mean() if strategy == "mean" else np.median(numbers))


def paired_bootstrap(
    challenger: Floats,
    other: Floats,
    *,
    of_mean: Callable[[Floats], Floats],
    rng: np.random.Generator,
    confidence_level: float = 0.95,
    n_resamples: int = 2000,
    block_length: int = 1,
) -> Interval:
    """Estimate the interval of ``metric(challenger) - metric(other)`` over the same resampled rows.

    The percentile bootstrap of Efron (1979), paired: both models are resampled by the same rows, so that
    what is hard for both cancels out. With ``block_length`` above 1 the circular block bootstrap of
    Politis and Romano (1992), for rows that depend on their neighbours. Memory is bounded: replicates are
    drawn in chunks, never as a replicates-by-rows matrix.

    :param challenger: ``(n_rows,) float64``, scores per row.
    :param other: ``(n_rows,) float64``, of the same rows in the same order.
    :param of_mean: turns a mean of scores into the metric's value.
    :returns: the difference and its interval, in the metric's unit.
    :raises EvaluationError: when there is no row.

    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=1000)
    >>> print(paired_bootstrap(noise, noise + 0.5, of_mean=lambda mean: mean, rng=rng))
    -0.5 [-0.5, -0.5]
    """
    n_rows = len(challenger)
    if n_rows == 0 or len(other) != n_rows:
        raise EvaluationError(
            f"Can't compare {n_rows} scores with {len(other)}: both need the same rows, at least one."
        )
    length = min(block_length, n_rows)
    n_blocks = math.ceil(n_rows / length)
    sums = np.stack([_circular_block_sums(challenger, length), _circular_block_sums(other, length)])
    replicates = np.empty(n_resamples)
    chunk = max(1, 2_000_000 // n_blocks)
    for start in range(0, n_resamples, chunk):
        size = min(chunk, n_resamples - start)
        drawn = rng.integers(0, n_rows, size=(size, n_blocks))
        means = sums[:, drawn].sum(axis=2) / (n_blocks * length)
        replicates[start : start + size] = of_mean(means[0]) - of_mean(means[1])
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    difference = of_mean(challenger.mean()) - of_mean(other.mean())
    return Interval(difference=float(difference), low=float(low), high=float(high))


def _circular_block_sums(scores: Floats, length: int) -> Floats:
    """Return the sum of the ``length`` scores from each row on, going round at the end."""
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([scores, scores[: length - 1]]))])
    return scores if length == 1 else total[length:] - total[:-length]


def compare_predictions(
    *,
    y_true: NDArray[np.generic],
    challenger: NDArray[np.generic],
    baseline: NDArray[np.generic],
    champion: NDArray[np.generic] | None,
    gate: GateSpec,
) -> tuple[MetricComparison, ...]:
    """Score the predictions of all on the same rows, for each of the gate's metrics.

    :param y_true: ``(n_rows,)``, numbers for the error metrics, labels for accuracy.
    :returns: one comparison for each metric, in the gate's order.
    :raises EvaluationError: when a metric does not fit the target, such as an error of labels.
    """
    comparisons = []
    for name in gate.metrics:
        metric = METRICS[name]
        predictions = {"challenger": challenger, "baseline": baseline, "champion": champion}
        try:
            rows = {who: metric.per_row(y_true, y_pred) for who, y_pred in predictions.items() if y_pred is not None}
        except (TypeError, ValueError) as error:
            raise EvaluationError(
                f"{name} can't be computed from a target of type {y_true.dtype}: {error}. Choose a metric that fits "
                f"the target in gate.metrics. Nothing was blessed and the champion stays."
            ) from error

        def interval(other: str, metric: Metric = metric, rows: dict[str, Floats] = rows) -> Interval:
            return paired_bootstrap(
                rows["challenger"],
                rows[other],
                of_mean=metric.of_mean,
                rng=np.random.default_rng(gate.seed),
                confidence_level=gate.confidence_level,
                n_resamples=gate.n_resamples,
                block_length=gate.block_length,
            )

        values = {who: float(metric.of_mean(scores.mean())) for who, scores in rows.items()}
        comparisons.append(
            MetricComparison(
                metric=name,
                direction=metric.direction,
                challenger=values["challenger"],
                baseline=values["baseline"],
                champion=values.get("champion"),
                against_baseline=interval("baseline"),
                against_champion=interval("champion") if "champion" in rows else None,
            )
        )
    return tuple(comparisons)
