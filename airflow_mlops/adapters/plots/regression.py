"""matplotlib: how far predicted numbers are off, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from airflow_mlops.adapters.plots._canvas import DASHES, GREY, HUES, Who, draw, plain
from airflow_mlops.errors import EvaluationError

__all__ = ["residuals_plot"]

Floats = NDArray[np.float64]

_CELLS = (70, 46)
_N_BANDS = 12
_N_BARS = 60
_SHOWN = (0.002, 0.998)
"""The quantiles between which a picture is drawn: a few rows far out would leave no room for all the others."""


def residuals_plot(y_true: Floats, y_pred: Mapping[Who, Floats], *, target: str) -> str:
    """Draw the errors against the prediction for the first model, and how often which error is made for all.

    :param y_true: ``(n_rows,) float64``.
    :param y_pred: by model ``(n_rows,) float64``, the challenger first.
    :param target: the target's name, with its unit.
    :raises EvaluationError: when there is no row.
    """
    if not len(y_true):
        raise EvaluationError("There is no row to draw errors of.")
    who, predicted = next(iter(y_pred.items()))
    errors = {name: values - y_true for name, values in y_pred.items()}

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
        mesh = _paint_density(left, predicted, errors[who])
        figure.colorbar(mesh, ax=left, label="rows", pad=0.01, format="{x:,.0f}", aspect=30)
        name = plain(target, 28)
        left.set(xlabel=f"predicted {name}", ylabel="error", title=f"{who}: error by prediction")
        _paint_histogram(right, errors)
        right.set(
            xlabel=f"error in {name}\n(the outer bars hold all beyond)",
            ylabel="rows",
            title="How often which error is made",
        )

    return draw("Errors: prediction minus truth", paint, width=10.4, height=4.8)


def _limits(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, _SHOWN).tolist()
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _paint_density(axes: Any, predicted: Floats, error: Floats) -> Any:
    """Draw the rows as a density, with the median error and the middle 80 % by bands of the prediction."""
    limits = (_limits(predicted), _limits(error))
    counts, across, up = np.histogram2d(predicted, error, bins=_CELLS, range=limits)
    shown = np.ma.masked_equal(counts.T, 0)
    norm = LogNorm(vmin=1, vmax=max(float(counts.max()), 2))
    mesh = axes.pcolormesh(across, up, shown, cmap="Blues", norm=norm, rasterized=True)
    axes.axhline(0, color=GREY, linewidth=1)
    middle, bands = _bands(predicted, error)
    axes.plot(middle, bands[1], color="#222222", linewidth=1.6, marker="o", markersize=3.5, label="median")
    for line, label in ((bands[0], "middle 80 %"), (bands[2], None)):
        axes.plot(middle, line, color="#222222", linewidth=1, linestyle=(0, (4, 2)), label=label)
    axes.set(xlim=limits[0], ylim=limits[1])
    axes.legend(loc="upper left", fontsize=8.5, frameon=True, framealpha=0.85, edgecolor="none")
    return mesh


def _bands(predicted: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Return the median prediction of bands of equally many rows, and three quantiles of the error in each."""
    edges = np.unique(np.quantile(predicted, np.arange(1, _N_BANDS) / _N_BANDS))
    places = np.searchsorted(edges, predicted, side="right")
    order = np.argsort(places, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(places))[:-1])
    used = [part for part in parts if len(part)]
    middle = np.array([np.median(predicted[part]) for part in used])
    return middle, np.array([np.quantile(error[part], [0.1, 0.5, 0.9]) for part in used]).T


def _paint_histogram(axes: Any, errors: Mapping[Who, Floats]) -> None:
    """Draw the errors' frequencies; those beyond the picture are in its outermost bars."""
    ranges = [_limits(values) for values in errors.values()]
    low, high = min(limits[0] for limits in ranges), max(limits[1] for limits in ranges)
    axes.axvline(0, color=GREY, linewidth=1)
    for who, values in errors.items():
        counts, edges = np.histogram(np.clip(values, low, high), bins=_N_BARS, range=(low, high))
        label = f"{who}\nmean {values.mean():+.3g}\nabsolute {np.abs(values).mean():.3g}"
        axes.stairs(counts, edges, color=HUES[who], linestyle=DASHES[who], linewidth=1.6, label=label)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(loc="upper left", fontsize=8.5, handlelength=1.4)
