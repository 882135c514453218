"""Two samples that have no row in common, such as production and the rows of the evaluation, by the bootstrap.

Each sample is resampled by itself (the two-sample problem: Efron and Tibshirani, *An Introduction to the Bootstrap*,
1993, chapter 8). Models on the same rows are resampled together, as in :mod:`airflow_mlops.core.stats.resample`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.score import SumCell, SumColumns
from airflow_mlops.core.monitoring.performance_report import MetricPerformance, SlicePerformance
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.stats.metrics import Metric, Predicted
from airflow_mlops.core.stats.resample import Units, interval_of, replicate, simultaneous_intervals

__all__ = ["Drawn", "Draws", "Outcomes", "compare_metrics", "compare_slices", "draw"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Rows whose truth is known, and what models said of them.

    :param y_true: ``(n_rows,)``: numbers, or places of classes.
    :param models: by name.
    :param slices: the places of each slice's rows.
    """

    y_true: NDArray[Any]
    models: Mapping[str, Predicted]
    slices: Mapping[str, NDArray[np.intp]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A value of a sample, and the same of each of its resamples.

    :param replicates: ``(n_resamples,) float64``.
    """

    value: float
    replicates: Floats

    def __sub__(self, other: Drawn) -> Drawn:
        with np.errstate(invalid="ignore"):  # infinity less infinity is no number, and then there is no interval
            return Drawn(value=self.value - other.value, replicates=self.replicates - other.replicates)

    def interval(self, confidence_level: float) -> Interval:
        """Return the percentile interval around the value."""
        return interval_of(self.value, self.replicates, confidence_level=confidence_level)


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What was drawn of one sample.

    :param metrics: by metric and model.
    :param slices: the first metric of the first model, by slice.
    """

    metrics: Mapping[str, Mapping[str, Drawn]]
    slices: Mapping[str, Drawn]


def draw(
    outcomes: Outcomes,
    metrics: Mapping[str, Metric],
    *,
    n_classes: int = 0,
    n_resamples: int = 2000,
    block_length: int = 1,
    seed: int = 0,
) -> Draws:
    """Compute metrics of a sample, and of its resamples.

    :param block_length: how many neighbours are drawn together, more than 1 where rows depend on the ones before.
    :param seed: another one for each sample that is compared: samples that share no row must share no drawing.
    :raises EvaluationError: when there is no row.

    >>> from airflow_mlops.core.stats.metrics import METRICS
    >>> metrics = {"accuracy": METRICS["accuracy"]}
    >>> truth, said = np.ones(400, int), Predicted(values=np.arange(400) % 10 > 1)
    >>> then = draw(Outcomes(y_true=truth, models={"champion": said}), metrics, n_classes=2)
    >>> now = draw(Outcomes(y_true=1 - truth, models={"champion": said}), metrics, n_classes=2, seed=1)
    >>> print((now.metrics["accuracy"]["champion"] - then.metrics["accuracy"]["champion"]).interval(0.95))
    -0.6 [-0.655, -0.545]
    """
    rng = np.random.default_rng(seed)
    n_rows = len(outcomes.y_true)
    # Each sample is drawn by itself, so a difference of two samples has the spread of both; models on one sample share
    # its drawings, so their difference is paired.
    units = Units.blocks(n_rows, length=block_length) if block_length > 1 else Units.rows(n_rows, rng=rng)
    sums = SumColumns(outcomes.y_true, outcomes.models, units, n_classes)
    overall = sums.add(list(metrics.values()), list(outcomes.models))
    first, who = next(iter(metrics.values())), next(iter(outcomes.models))
    # Slices are compared by the first metric of the first model only, as the gate compares them.
    by_slice = {name: sums.add([first], [who], rows)[0][who] for name, rows in outcomes.slices.items()}
    columns = sums.all()
    found, drawn = columns.sum(axis=0), replicate(columns, units, n_resamples=n_resamples, rng=rng)

    def of(cell: SumCell) -> Drawn:
        return Drawn(value=float(cell.of(found)), replicates=cell.of(drawn))

    return Draws(
        metrics={
            name: {model: of(cell) for model, cell in cells.items()}
            for name, cells in zip(metrics, overall, strict=True)
        },
        slices={name: of(cell) for name, cell in by_slice.items()},
    )


def compare_metrics(
    *, current: Draws, reference: Draws, metrics: Mapping[str, Metric], confidence_level: float
) -> tuple[MetricPerformance, ...]:
    """Compare the model ``champion`` with itself on the other sample, and with ``baseline`` on its own rows."""
    compared = []
    for name, metric in metrics.items():
        ours, then = current.metrics[name], reference.metrics[name]["champion"]
        champion, baseline = ours["champion"], ours.get("baseline")
        compared.append(
            MetricPerformance(
                metric=name,
                direction=metric.direction,
                value=champion.interval(confidence_level),
                at_blessing=then.value,
                against_blessing=(champion - then).interval(confidence_level),
                baseline=baseline.value if baseline else None,
                against_baseline=(champion - baseline).interval(confidence_level) if baseline else None,
            )
        )
    return tuple(compared)


def compare_slices(
    *, current: Draws, reference: Draws, n_rows: Mapping[str, int], confidence_level: float
) -> tuple[SlicePerformance, ...]:
    """Compare the slices that both samples have, by intervals that hold for all of them at once.

    :param n_rows: of each slice of ``current``.
    """
    names = [name for name in current.slices if name in reference.slices]
    if not names:
        return ()
    # A slice is compared with itself at the blessing; all of them by intervals that hold at once.
    found = [current.slices[name] - reference.slices[name] for name in names]
    replicates = np.stack([each.replicates for each in found], axis=1)
    intervals = simultaneous_intervals([each.value for each in found], replicates, confidence_level=confidence_level)
    return tuple(
        SlicePerformance(
            name=name,
            n_rows=n_rows[name],
            value=current.slices[name].value,
            at_blessing=reference.slices[name].value,
            against_blessing=interval,
        )
        for name, interval in zip(names, intervals, strict=True)
    )
