"""Scores on the same rows, the interval of their difference, and the gate that reads them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.values import Value, digest_of
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs.evaluate import GateSpec, MetricName, Thresholds

__all__ = [
    "METRICS",
    "Blessing",
    "BlessingVerdict",
    "EvaluationReport",
    "Interval",
    "Metric",
    "MetricComparison",
    "bless",
    "check_predictions",
    "compare_predictions",
    "digest_of_gate",
    "naive_predictions",
    "paired_bootstrap",
]

_MIN_BLOCKS = 10
"""Fewer blocks than this, and a block bootstrap's interval is narrower than what it stands for."""

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
