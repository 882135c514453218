"""matplotlib: how a classifier decides, ranks and estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from airflow_mlops.adapters.plots._canvas import DASHES, GREY, HUES, MARKERS, Who, draw, explain, plain
from airflow_mlops.core.evaluation.slices import OTHER_VALUES
from airflow_mlops.core.stats.calibration import Calibration
from airflow_mlops.core.stats.curves import ScoreCurves

__all__ = ["calibration_plot", "confusion_matrix_plot", "score_curves_plot"]

_MAX_CLASSES = 12
_Z = 1.96


def confusion_matrix_plot(counts: Mapping[Who, NDArray[np.int64]], labels: Sequence[str]) -> str:
    """Draw how many rows of each class are predicted as which, a panel for each model.

    :param counts: by model ``(n_classes, n_classes) int64``: true classes in the rows, predicted ones in the columns.
        Of more than twelve classes the most frequent ones are shown, and the others together.
    """
    shown, matrices = _largest_classes(counts, labels)
    names = [plain(label, 18) for label in shown]

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, len(matrices), squeeze=False)[0]
        for axes, (who, matrix) in zip(panels, matrices.items(), strict=True):
            _paint_matrix(axes, who, matrix, names)

    side = 2.4 + 0.32 * len(names)
    title = "Confusion matrix: rows, and their share of the true class"
    return draw(title, paint, width=max(6.6, side * len(matrices) + 0.8), height=side + 0.6)


def _largest_classes(
    counts: Mapping[Who, NDArray[np.int64]], labels: Sequence[str]
) -> tuple[list[str], dict[Who, NDArray[np.int64]]]:
    if len(labels) <= _MAX_CLASSES:
        return list(labels), dict(counts)
    sizes = next(iter(counts.values())).sum(axis=1)
    kept = np.sort(np.argsort(-sizes, kind="stable")[: _MAX_CLASSES - 1])
    place = np.full(len(labels), len(kept))
    place[kept] = np.arange(len(kept))
    small = {}
    for who, matrix in counts.items():
        small[who] = np.zeros((_MAX_CLASSES, _MAX_CLASSES), dtype=np.int64)
        np.add.at(small[who], (place[:, None], place[None, :]), matrix)
    return [*(labels[index] for index in kept), OTHER_VALUES], small


def _paint_matrix(axes: Any, who: Who, matrix: NDArray[np.int64], names: Sequence[str]) -> None:
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
    size = 9.5 if len(names) <= 6 else 7
    for (row, column), share in np.ndenumerate(shares):
        text = f"{matrix[row, column]:,}\n{share:.0%}" if len(names) <= 8 else f"{share:.0%}"
        hue = "white" if share > 0.55 else "#333333"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=hue, fontsize=size)
    places = np.arange(len(names)) + 0.5
    axes.set_xticks(places, names, rotation=0 if max(map(len, names)) * len(names) < 36 else 90)
    axes.set_yticks(places, names)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted class", ylabel="true class", title=who)


def score_curves_plot(curves: Mapping[Who, ScoreCurves], *, positive: str, positive_fraction: float) -> str:
    """Draw the ROC curve and the precision-recall curve, all models in one picture.

    :param positive: the positive class.
    :param positive_fraction: how many of the rows are of it, in [0, 1]: the precision of a guess.
    """

    def paint(figure: Figure) -> None:
        roc, precision = figure.subplots(1, 2)
        roc.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="a guess (0.5)")
        precision.axhline(
            positive_fraction, color=GREY, linewidth=1, linestyle=":", label=f"a guess ({positive_fraction:.3g})"
        )
        for who, curve in curves.items():
            line = {"color": HUES[who], "linestyle": DASHES[who]}
            roc.plot(curve.false_positive_rate, curve.true_positive_rate, label=f"{who} ({curve.roc_auc:.4g})", **line)
            label = f"{who} ({curve.average_precision:.4g})"
            precision.step(curve.true_positive_rate[1:], curve.precision[1:], where="pre", label=label, **line)
        roc.set(
            xlabel="false positive rate",
            ylabel="true positive rate",
            title="ROC (area under the curve)",
            aspect="equal",
        )
        precision.set(
            xlabel="recall (true positive rate)",
            ylabel="precision",
            title="Precision and recall (average precision)",
            aspect="equal",
        )
        for axes in (roc, precision):
            axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        roc.legend(loc="lower right")
        precision.legend(loc="lower left")

    return draw(f"How well scores rank {plain(positive)!r} first", paint, height=4.9)


def calibration_plot(found: Mapping[Who, Calibration], *, positive: str) -> str:
    """Draw what was predicted against what happened, and how many rows were predicted so.

    :param positive: the positive class.
    """

    def paint(figure: Figure) -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        top.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="perfect")
        for who, each in found.items():
            score = np.array([part.mean_score for part in each.bins])
            observed = np.array([part.observed_fraction for part in each.bins])
            low, high = _wilson(observed, np.array([part.n_rows for part in each.bins]))
            top.errorbar(
                score,
                observed,
                yerr=np.maximum([observed - low, high - observed], 0),
                color=HUES[who],
                linestyle=DASHES[who],
                marker=MARKERS[who],
                markersize=4.5,
                elinewidth=1,
                label=f"{who} (expected error {each.expected_error:.3f}, Brier score {each.brier_score:.4f})",
            )
            edges = np.linspace(0, 1, len(each.score_counts) + 1)
            bottom.stairs(each.score_counts, edges, color=HUES[who], linestyle=DASHES[who], linewidth=1.6)
        top.set(ylabel=f"observed share of {plain(positive, 24)!r}", ylim=(-0.02, 1.02))
        explain(top, n_columns=1)
        bottom.set(xlabel=f"predicted probability of {plain(positive)!r}", ylabel="rows", xlim=(-0.01, 1.01))
        bottom.yaxis.set_major_formatter("{x:,.0f}")

    return draw("Calibration: predicted and observed shares, with 95 % intervals", paint, width=7.6, height=6.4)


def _wilson(share: NDArray[np.float64], n_rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the interval of a share (Wilson, 1927), which stays within [0, 1]."""
    middle = (share + _Z**2 / (2 * n_rows)) / (1 + _Z**2 / n_rows)
    half = _Z / (1 + _Z**2 / n_rows) * np.sqrt(share * (1 - share) / n_rows + _Z**2 / (4 * n_rows**2))
    return middle - half, middle + half
