"""Score all models on the same rows and slices, and put an interval on every difference by one set of replicates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.report import ClassScores, MetricComparison, SliceComparison
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.stats.metrics import Metric, Predicted
from airflow_mlops.core.stats.resample import Units, interval_of, replicate, simultaneous_intervals, sums_by_unit
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs.metrics import Direction

__all__ = ["SliceRows", "SumCell", "SumColumns", "class_scores", "metric_of", "score_models"]

Floats = NDArray[np.float64]

_N_GROUPS = 100
_MAX_CLASSES = 50


@dataclass(frozen=True, kw_only=True)
class SliceRows:
    """A slice: which rows it has.

    :param rows: ``(n_rows_of_slice,)``, places of rows.
    """

    name: str
    rows: NDArray[np.intp]
    is_found: bool = False


@dataclass(frozen=True)
class SumCell:
    """Where a metric of one model on one part of the rows stands among the sums."""

    metric: Metric
    count: int
    first: int
    last: int

    def of(self, sums: Floats) -> Floats:
        """Return the metric from the sums of all columns: ``(..., n_columns) -> (...)``."""
        with np.errstate(all="ignore"):
            return self.metric.of_means(sums[..., self.first : self.last] / sums[..., self.count, None])


class SumColumns:
    """All that is summed, column by column, so that one set of replicates serves everything."""

    def __init__(self, y_true: NDArray[Any], models: Mapping[str, Predicted], units: Units, n_classes: int):
        self._y_true, self._models, self._units, self._n_classes = y_true, models, units, n_classes
        self._columns: list[Floats] = []
        self._width = 0

    def add(
        self, metrics: Sequence[Metric], who: Sequence[str], rows: NDArray[np.intp] | None = None
    ) -> list[dict[str, SumCell]]:
        """Add what metrics of models need on some of the rows, and return where it is, by model, for each metric."""
        y_true = self._y_true if rows is None else self._y_true[rows]
        units = self._units if rows is None else self._units.at(rows)
        models = {name: self._models[name] if rows is None else self._models[name].at(rows) for name in who}
        # The number of rows is a sum like all others: a slice has another one in each replicate.
        count = self._put(sums_by_unit(units, np.ones(len(y_true))))[0]
        return [
            {
                name: SumCell(metric, count, *self._put(metric.sums(y_true, predicted, units, self._n_classes)))
                for name, predicted in models.items()
            }
            for metric in metrics
        ]

    def _put(self, columns: Floats) -> tuple[int, int]:
        first, self._width = self._width, self._width + columns.shape[1]
        self._columns.append(columns)
        return first, self._width

    def all(self) -> Floats:
        """Return what each unit adds to all that is summed: ``(n_units, n_columns)``."""
        return np.concatenate(self._columns, axis=1)


def score_models(
    *,
    y_true: NDArray[Any],
    models: Mapping[str, Predicted],
    metrics: Mapping[str, Metric],
    units: Units,
    rng: np.random.Generator,
    slices: Sequence[SliceRows] = (),
    n_classes: int = 0,
    confidence_level: float = 0.95,
    n_resamples: int = 2000,
) -> tuple[tuple[MetricComparison, ...], tuple[SliceComparison, ...]]:
    """Compare the challenger with the others on the same rows.

    The intervals are those of :mod:`airflow_mlops.core.stats.resample`. Those of slices hold for all slices at once.

    :param y_true: ``(n_rows,)``, numbers, or places of classes.
    :param models: what ``challenger``, ``baseline`` and, where there is one, ``champion`` predicted.
    :param metrics: by name; slices are compared by the first.
    :param units: what is resampled.
    :returns: a comparison for each metric, in their order; one for each slice, the one that lost most first.
    :raises EvaluationError: when there is no row, or a metric does not fit what was predicted.

    >>> from airflow_mlops.core.stats.metrics import METRICS
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.normal(size=1000)
    >>> models = {"challenger": y_true + 1.0, "champion": y_true + 1.5, "baseline": y_true * 0}
    >>> comparisons, _ = score_models(
    ...     y_true=y_true, models={who: Predicted(values=values) for who, values in models.items()}, rng=rng,
    ...     metrics={"mean_absolute_error": METRICS["mean_absolute_error"]}, units=Units.rows(1000, rng=rng),
    ... )
    >>> print(comparisons[0].against_champion)
    -0.5 [-0.5, -0.5]
    """
    _require_rows(y_true, models)
    for name, metric in metrics.items():
        _require_fit(name, metric, models, n_classes)
    sums = SumColumns(y_true, models, units, n_classes)
    # All columns first, then one set of drawings for all of them: the replicates of metrics, models and slices are
    # joint, which is what makes the differences paired and the slices' intervals simultaneous.
    overall = sums.add(list(metrics.values()), list(models))
    judged = [who for who in ("challenger", "champion") if who in models]
    first = next(iter(metrics.values()))
    by_slice = [sums.add([first], judged, part.rows)[0] for part in slices]
    columns = sums.all()
    # The value is that of all units once, a replicate that of the units as they were drawn.
    found, drawn = columns.sum(axis=0), replicate(columns, units, n_resamples=n_resamples, rng=rng)
    comparisons = tuple(
        _compare(name, metric.direction, cells, found, drawn, confidence_level)
        for (name, metric), cells in zip(metrics.items(), overall, strict=True)
    )
    return comparisons, _compare_slices(slices, by_slice, first.direction, found, drawn, confidence_level)


def _compare(
    name: str, direction: Direction, cells: Mapping[str, SumCell], found: Floats, drawn: Floats, confidence_level: float
) -> MetricComparison:
    values = {who: float(cell.of(found)) for who, cell in cells.items()}
    replicates = {who: cell.of(drawn) for who, cell in cells.items()}

    def against(other: str) -> Interval:
        with np.errstate(invalid="ignore"):  # infinity less infinity is no number, and then there is no interval
            differences = replicates["challenger"] - replicates[other]
            return interval_of(values["challenger"] - values[other], differences, confidence_level=confidence_level)

    return MetricComparison(
        metric=name,
        direction=direction,
        challenger=values["challenger"],
        baseline=values["baseline"],
        champion=values.get("champion"),
        against_baseline=against("baseline"),
        against_champion=against("champion") if "champion" in values else None,
    )


def _compare_slices(
    slices: Sequence[SliceRows],
    cells: Sequence[Mapping[str, SumCell]],
    direction: Direction,
    found: Floats,
    drawn: Floats,
    confidence_level: float,
) -> tuple[SliceComparison, ...]:
    values = [{who: float(cell.of(found)) for who, cell in by_model.items()} for by_model in cells]
    intervals: list[Any] = [None] * len(slices)
    if slices and "champion" in cells[0]:
        # (n_resamples, n_slices): the slices of one drawing stand in one row.
        replicates = np.stack([each["challenger"].of(drawn) - each["champion"].of(drawn) for each in cells], axis=1)
        differences = [each["challenger"] - each["champion"] for each in values]
        intervals = simultaneous_intervals(differences, replicates, confidence_level=confidence_level)
    compared = [
        SliceComparison(
            name=part.name,
            n_rows=len(part.rows),
            challenger=value["challenger"],
            champion=value.get("champion"),
            against_champion=interval,
            is_found=part.is_found,
        )
        for part, value, interval in zip(slices, values, intervals, strict=True)
    ]
    sign = 1 if direction == "lower_is_better" else -1

    def badness(part: SliceComparison) -> float:
        lost = part.against_champion.difference if part.against_champion else part.challenger
        # A slice without a number is listed first: it can't be shown to be fine.
        return sign * lost if np.isfinite(lost) else np.inf

    return tuple(sorted(compared, key=badness, reverse=True))


def _require_rows(y_true: NDArray[Any], models: Mapping[str, Predicted]) -> None:
    sizes = {who: len(predicted) for who, predicted in models.items()}
    if not len(y_true) or set(sizes.values()) != {len(y_true)}:
        raise EvaluationError(
            f"Can't compare predictions for {sizes} rows with the truth of {len(y_true)}: all need the same rows, at "
            f"least one. Nothing was blessed and the champion stays."
        )


def _require_fit(name: str, metric: Metric, models: Mapping[str, Predicted], n_classes: int) -> None:
    stays = "Nothing was blessed and the champion stays."
    if metric.of_two_classes and n_classes != 2:
        raise EvaluationError(
            f"{name} is of two classes, the target has {n_classes}. Take f1_macro, balanced_accuracy, accuracy or "
            f"log_loss in gate.metrics. {stays}"
        )
    if metric.needs_scores:
        without = [who for who, predicted in models.items() if predicted.scores is None]
        if without:
            raise EvaluationError(
                f"{name} wants probabilities, and the {without[0]} has no predict_proba. Take another model, or "
                f"another metric in gate.metrics. {stays}"
            )


def class_scores(
    y_true: NDArray[Any], models: Mapping[str, Predicted], labels: Sequence[str]
) -> tuple[ClassScores, ...]:
    """Return how well each class is told from the others, the most frequent first, at most 50.

    :param y_true: ``(n_rows,)``, places in ``labels``.
    """
    size = len(labels)
    n_true = np.bincount(y_true.astype(np.int64), minlength=size)
    rates = {}
    for who in ("challenger", "champion"):
        if who in models:
            said = models[who].values.astype(np.int64)
            hit = np.bincount(said[said == y_true], minlength=size)
            with np.errstate(all="ignore"):
                rates[who] = hit / np.bincount(said, minlength=size), hit / n_true
    precision, recall = rates["challenger"]
    before = rates.get("champion")
    return tuple(
        ClassScores(
            label=labels[place],
            n_rows=int(n_true[place]),
            precision=float(precision[place]),
            recall=float(recall[place]),
            champion_precision=float(before[0][place]) if before else None,
            champion_recall=float(before[1][place]) if before else None,
        )
        for place in np.argsort(-n_true, kind="stable")[:_MAX_CLASSES]
    )


def metric_of(
    function: Callable[[Any, Any], Any], name: str, direction: Direction, labels: NDArray[Any] | None = None
) -> Metric:
    """Make a metric of a user's function ``metric(y_true, y_pred)``.

    It gives one number for each row, whose mean is the metric, or the metric itself. Then the rows are parted into 100
    groups and the function is asked again without each of them; what each group makes of a difference is resampled
    (the grouped jackknife: Shao and Wu, 1989).

    :param labels: the classes, where places of classes are predicted; the function gets the classes.
    """

    def sums(y_true: NDArray[Any], predicted: Predicted, units: Units, _: int) -> Floats:
        truth, said = y_true, predicted.values
        if labels is not None:
            truth, said = labels[truth.astype(np.intp)], labels[said.astype(np.intp)]
        # A number for each row is a sum over rows, and is resampled exactly. One number is not: see _pseudo_values.
        found = _ask(function, name, truth, said)
        if found.shape == (len(truth),) and len(truth) > 1:
            return sums_by_unit(units, found)
        return _pseudo_values(lambda keep: float(_ask(function, name, truth[keep], said[keep])), float(found), units)

    return Metric(direction=direction, sums=sums, of_means=lambda means: means[..., 0])


def _ask(function: Callable[[Any, Any], Any], name: str, y_true: Any, y_pred: Any) -> Floats:
    try:
        found = np.asarray(function(y_true, y_pred), dtype=np.float64)
    except Exception as error:
        raise EvaluationError(
            f"The metric {name} raised {type(error).__name__}: {error}. Nothing was blessed and the champion stays. "
            f"Fix the function."
        ) from error
    if found.shape not in ((), (len(y_true),)):
        raise EvaluationError(
            f"The metric {name} gave an array of shape {found.shape} for {len(y_true)} rows; it is to give a number, "
            f"or one for each row. Nothing was blessed and the champion stays."
        )
    return found


def _pseudo_values(without: Callable[[NDArray[np.bool_]], float], value: float, units: Units) -> Floats:
    """Return, as sums by unit, the value plus each group's deviation, whose mean over all rows is the value."""
    n_rows = np.bincount(units.of_rows, minlength=units.n_units).astype(np.float64)
    # Whole units are left out, so that rows that depend on each other are left out together.
    n_groups = min(units.n_units, _N_GROUPS)
    if n_groups < 2:
        return (value * n_rows)[:, None]
    of_units = np.arange(units.n_units) % n_groups
    of_rows = of_units[units.of_rows]
    # The jackknife's pseudo-values, less the value: what a group adds is what is missing without it.
    deviation = -(n_groups - 1) * np.array([without(of_rows != group) - value for group in range(n_groups)])
    # Units of one group deviate alike, so there are fewer deviations than units: each counts for more.
    by_unit = np.sqrt(units.n_units / n_groups) * deviation[of_units]
    # Of unequal units the deviations do not cancel: their weighted mean is taken out, so that the value stays exact.
    by_unit -= (by_unit * n_rows).sum() / n_rows.sum()
    return np.asarray(((value + by_unit) * n_rows)[:, None])
