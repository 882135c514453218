"""Metrics, each as a function of sums, which is what lets all of them be resampled at once.

A metric is computed from sums over rows: of errors, of right answers by class. Resampling rows is then to weigh what
each resampling unit adds to the sums (:mod:`airflow_mlops.core.stats.resample`), however many rows there are. The
metrics of ranks are no such sums; of them the first-order expansion is summed, the influence of each row (the
infinitesimal jackknife: Jaeckel, 1972; for the area under the ROC curve these are the placement values of DeLong,
DeLong and Clarke-Pearson, 1988). Their values are exact, their replicates are those of the expansion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.stats.resample import Units, sums_by_unit
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs.metrics import Direction, MetricName

__all__ = ["METRICS", "Losses", "Metric", "Predicted", "losses_of", "value_of", "worsening"]

Floats = NDArray[np.float64]

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What a model says of the rows, or how they turned out.

    :param values: ``(n_rows,)``: numbers, or the places of classes (``int``) where classes are predicted.
    :param scores: ``(n_rows, n_classes) float64``, the probability of each class; ``None``: there are none.
    """

    values: NDArray[Any]
    scores: Floats | None = None

    def __len__(self) -> int:
        return len(self.values)

    def at(self, rows: NDArray[np.intp]) -> Predicted:
        """Return what it says of some of the rows."""
        return Predicted(values=self.values[rows], scores=None if self.scores is None else self.scores[rows])


@dataclass(frozen=True, kw_only=True)
class Losses:
    """How wrong each model is in each row.

    :param name: what it is, in words.
    :param by_model: ``(n_rows,) float64``, not negative; without the baseline.
    """

    name: str
    by_model: Mapping[str, Floats]


def losses_of(
    task: Literal["regression", "classification"], y_true: NDArray[Any], models: Mapping[str, Predicted]
) -> Losses:
    """Return the loss of each row: the absolute error, the Brier score where there are probabilities, or a wrong class.

    >>> said = {"challenger": Predicted(values=np.array([1.0, 5.0]))}
    >>> losses_of("regression", np.array([1.0, 2.0]), said).by_model["challenger"]
    array([0., 3.])
    """
    said = {who: each for who, each in models.items() if who != "baseline"}
    if task == "regression":
        return Losses(name="absolute error", by_model={who: np.abs(y_true - each.values) for who, each in said.items()})
    if all(each.scores is not None for each in said.values()):
        briers = {who: _brier(y_true, each.scores) for who, each in said.items() if each.scores is not None}
        return Losses(name="Brier score", by_model=briers)
    return Losses(
        name="error rate", by_model={who: (y_true != each.values).astype(np.float64) for who, each in said.items()}
    )


Sums = Callable[[NDArray[Any], Predicted, Units, int], Floats]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric that is computed from sums over rows.

    :param sums: ``(y_true, predicted, units, n_classes) -> (n_units, n_sums) float64``.
    :param of_means: ``(..., n_sums) -> (...)``, from the sums divided by the number of rows to the metric. What can't
        be computed, such as the precision where nothing was predicted positive, is NaN.
    :param needs_scores: whether it wants probabilities.
    :param of_two_classes: whether it is of the second of two classes, the positive one.
    """

    direction: Direction
    sums: Sums
    of_means: Callable[[Floats], Floats]
    needs_scores: bool = False
    of_two_classes: bool = False


def worsening(direction: Direction, difference: float) -> float:
    """Return ``challenger - other`` with its sign such that positive means worse."""
    return difference if direction == "lower_is_better" else -difference


def value_of(metric: Metric, y_true: NDArray[Any], predicted: Predicted, n_classes: int = 0) -> float:
    """Return the metric of some predictions.

    >>> y_true = np.array([1.0, 2.0, 5.0])
    >>> round(value_of(METRICS["root_mean_squared_error"], y_true, Predicted(values=y_true + 2)), 3)
    2.0
    """
    # A value is a replicate in which all rows are one unit, so that values and intervals come of the same sums.
    everything = Units.single(len(y_true))
    with np.errstate(all="ignore"):
        return float(metric.of_means(metric.sums(y_true, predicted, everything, n_classes)[0] / len(y_true)))


def _of_rows(per_row: Callable[[Floats, Floats], tuple[Floats, ...]]) -> Sums:
    """Make the sums of what is computed row by row from two columns of numbers."""

    def sums(y_true: NDArray[Any], predicted: Predicted, units: Units, _: int) -> Floats:
        with np.errstate(all="ignore"):
            columns = per_row(y_true.astype(np.float64), predicted.values.astype(np.float64))
        return sums_by_unit(units, *columns)

    return sums


def _explained(y_true: Floats, y_pred: Floats) -> tuple[Floats, ...]:
    # Of values that are far from 0, the difference of large squares would lose its digits; centred ones keep them.
    centred = y_true - y_true.mean()
    return np.square(y_true - y_pred), centred, np.square(centred)


def _by_class(y_true: NDArray[Any], predicted: Predicted, units: Units, n_classes: int) -> Floats:
    """Return by unit how often each class was hit, predicted, and true: ``(n_units, 3 * n_classes)``."""
    # Unit and class make one code, so that a bincount gives the confusion counts of all units at once.
    size = units.n_units * n_classes
    at, said = units.of_rows.astype(np.int64) * n_classes, predicted.values
    hit = said == y_true
    counts = [
        np.bincount(at[hit] + y_true[hit], minlength=size),
        # A prediction that is not one of the classes is -1: it counts as wrong, and for no class.
        np.bincount((at + said)[said >= 0], minlength=size),
        np.bincount(at + y_true, minlength=size),
    ]
    return np.concatenate([each.reshape(units.n_units, n_classes) for each in counts], axis=1).astype(np.float64)


def _thirds(means: Floats) -> tuple[Floats, Floats, Floats]:
    n_classes = means.shape[-1] // 3
    return means[..., :n_classes], means[..., n_classes : 2 * n_classes], means[..., 2 * n_classes :]


def _precision(means: Floats) -> Floats:
    hit, said, _ = _thirds(means)
    return np.asarray(hit[..., 1] / said[..., 1])


def _recall(means: Floats) -> Floats:
    hit, _, true = _thirds(means)
    return np.asarray(hit[..., 1] / true[..., 1])


def _f1(means: Floats) -> Floats:
    hit, said, true = _thirds(means)
    return np.asarray(2 * hit[..., 1] / (said[..., 1] + true[..., 1]))


def _macro_f1(means: Floats) -> Floats:
    """Average the F1 of the classes that occur, in truth or in prediction."""
    hit, said, true = _thirds(means)
    return np.asarray(np.nanmean(np.where(said + true > 0, 2 * hit / (said + true), np.nan), axis=-1))


def _balanced_accuracy(means: Floats) -> Floats:
    """Average the recall of the classes that occur."""
    hit, _, true = _thirds(means)
    return np.asarray(np.nanmean(np.where(true > 0, hit / true, np.nan), axis=-1))


def _matthews(means: Floats) -> Floats:
    """Return the correlation of two classes (Matthews, 1975), of any number of them (Gorodkin, 2004)."""
    hit, said, true = _thirds(means)
    # Of shares rather than counts: hits less what independence would hit, over both standard deviations.
    covariance = hit.sum(axis=-1) - (said * true).sum(axis=-1)
    return np.asarray(covariance / np.sqrt((1 - np.square(said).sum(axis=-1)) * (1 - np.square(true).sum(axis=-1))))


def _of_scores(per_row: Callable[[NDArray[Any], Floats], Floats]) -> Sums:
    """Make the sums of what is computed row by row, or as each row's influence, from the class and the scores."""

    def sums(y_true: NDArray[Any], predicted: Predicted, units: Units, _: int) -> Floats:
        scores = predicted.scores
        if scores is None:
            raise EvaluationError("A metric of probabilities was asked for where there are none.")
        with np.errstate(all="ignore"):
            return sums_by_unit(units, per_row(y_true, scores))

    return sums


def _log_loss(y_true: NDArray[Any], scores: Floats) -> Floats:
    of_truth = np.take_along_axis(scores, y_true.astype(np.intp)[:, None], axis=1)[:, 0]
    # Clipped as scikit-learn does: one row of probability 0 would make the mean infinite.
    return np.asarray(-np.log(np.clip(of_truth, _EPSILON, 1.0)))


def _brier(y_true: NDArray[Any], scores: Floats) -> Floats:
    """Return the squared error of the probabilities (Brier, 1950), for two classes that of the second one's."""
    if scores.shape[1] == 2:
        return np.asarray(np.square(scores[:, 1] - y_true))
    of_truth = np.take_along_axis(scores, y_true.astype(np.intp)[:, None], axis=1)[:, 0]
    # The sum over classes of (score - truth) ** 2, where the truth is 1 for one class and 0 for all others.
    return np.asarray(np.square(scores).sum(axis=1) - 2 * of_truth + 1)


def _roc_auc(y_true: NDArray[Any], scores: Floats) -> Floats:
    """Average the classes, each against the rest; of two classes it is that of the second."""
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    return np.asarray(np.mean([_roc_influence(y_true == each, scores[:, each]) for each in classes], axis=0))


def _roc_influence(is_positive: NDArray[np.bool_], score: Floats) -> Floats:
    """Return for each row the area plus its influence on it, whose mean is the area; NaN if a class is absent."""
    positive, negative = np.sort(score[is_positive]), np.sort(score[~is_positive])
    if not len(positive) or not len(negative):
        return np.full(len(score), np.nan)
    # Placement values: of a positive row the share of negatives below it, of a negative the share of positives above.
    # The mean over either class is the area.
    placed = np.empty(len(score))
    placed[is_positive] = _share_below(negative, score[is_positive])
    placed[~is_positive] = 1 - _share_below(positive, score[~is_positive])
    area = placed[is_positive].mean()
    # A row moves the mean of its own class only, by its deviation over the size of that class. Times the number of
    # rows, so that the mean over all rows is the area again.
    n_of_class = np.where(is_positive, len(positive), len(negative))
    return np.asarray(area + len(score) * (placed - area) / n_of_class)


def _share_below(values: Floats, of: Floats) -> Floats:
    """Return which share of sorted values is smaller, those that are equal counted half."""
    return np.asarray((np.searchsorted(values, of, "left") + np.searchsorted(values, of, "right")) / 2 / len(values))


def _average_precision(y_true: NDArray[Any], scores: Floats) -> Floats:
    """Return for each row the average precision plus its influence on it, whose mean is the average precision."""
    is_positive, score = y_true == 1, scores[:, 1]
    if not is_positive.any():
        return np.full(len(score), np.nan)
    # From the highest score down; rows of equal score are one threshold, which selects all of them.
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.searchsorted(-ranked, -ranked, "right") - 1  # the last of those with the same score
    n_above = (last + 1).astype(np.float64)
    hits = is_positive[order]
    # The precision at each row's threshold; its mean over the positive rows is the average precision.
    precision = np.cumsum(hits)[last] / n_above
    n_positive = float(hits.sum())
    value = precision[hits].sum() / n_positive
    first = np.searchsorted(-ranked, -ranked, "left")
    # A row adds itself to what is above every threshold at or below its score.
    # A positive row raises the precision at all of these thresholds, any row lowers it by being selected.
    gained = _from(np.where(hits, 1 / n_above, 0.0))[first]
    diluted = _from(np.where(hits, precision / n_above, 0.0))[first]
    # The first order of what one row more does: to the numerator as a hit, to each precision, and to the number of
    # positives that it is divided by.
    influence = (np.where(hits, precision - value + gained, 0.0) - diluted) / n_positive
    of_row = np.empty(len(score))
    of_row[order] = value + len(score) * influence
    return of_row


def _from(values: Floats) -> Floats:
    """Return the sum of the values from each place on."""
    return np.cumsum(values[::-1])[::-1]


def _first(means: Floats) -> Floats:
    return means[..., 0]


def _classes(of_means: Callable[[Floats], Floats], *, of_two_classes: bool = False) -> Metric:
    return Metric(direction="higher_is_better", sums=_by_class, of_means=of_means, of_two_classes=of_two_classes)


def _scores(
    direction: Direction, per_row: Callable[[NDArray[Any], Floats], Floats], *, of_two_classes: bool = False
) -> Metric:
    return Metric(
        direction=direction,
        sums=_of_scores(per_row),
        of_means=_first,
        needs_scores=True,
        of_two_classes=of_two_classes,
    )


METRICS: dict[MetricName, Metric] = {
    "mean_absolute_error": Metric(
        direction="lower_is_better", sums=_of_rows(lambda y, p: (np.abs(y - p),)), of_means=_first
    ),
    "mean_squared_error": Metric(
        direction="lower_is_better", sums=_of_rows(lambda y, p: (np.square(y - p),)), of_means=_first
    ),
    "root_mean_squared_error": Metric(
        direction="lower_is_better",
        sums=_of_rows(lambda y, p: (np.square(y - p),)),
        of_means=lambda means: np.sqrt(means[..., 0]),
    ),
    "mean_absolute_percentage_error": Metric(
        direction="lower_is_better", sums=_of_rows(lambda y, p: (np.abs((y - p) / y),)), of_means=_first
    ),
    "r2": Metric(
        direction="higher_is_better",
        sums=_of_rows(_explained),
        of_means=lambda means: 1 - means[..., 0] / (means[..., 2] - np.square(means[..., 1])),
    ),
    "accuracy": _classes(lambda means: _thirds(means)[0].sum(axis=-1)),
    "balanced_accuracy": _classes(_balanced_accuracy),
    "precision": _classes(_precision, of_two_classes=True),
    "recall": _classes(_recall, of_two_classes=True),
    "f1": _classes(_f1, of_two_classes=True),
    "f1_macro": _classes(_macro_f1),
    "matthews_corrcoef": _classes(_matthews),
    "log_loss": _scores("lower_is_better", _log_loss),
    "brier_score": _scores("lower_is_better", _brier),
    "roc_auc": _scores("higher_is_better", _roc_auc),
    "average_precision": _scores("higher_is_better", _average_precision, of_two_classes=True),
}
"""The metrics that the package knows, by the names that scikit-learn gives them."""
