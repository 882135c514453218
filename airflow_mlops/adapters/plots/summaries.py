"""matplotlib: what was computed by slice, by time and by feature."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from airflow_mlops.adapters.plots._canvas import DASHES, GREY, HUES, MARKERS, Who, draw, explain, plain
from airflow_mlops.core.backtesting.backtest import BacktestReport
from airflow_mlops.core.evaluation.slices import SliceScore
from airflow_mlops.core.evaluation.timeline import ErrorTimeline
from airflow_mlops.errors import EvaluationError

__all__ = ["backtest_plot", "importance_plot", "slices_plot", "timeline_plot"]

_MAX_BARS = 24
_Z = 1.96
_TRACKS = {"never": (GREY, ":"), "always": ("#d55e00", "--"), "policy": ("#0072b2", "-")}
"""The last one is drawn over the others."""


def slices_plot(scores: Sequence[SliceScore], *, loss: str, overall: float) -> str:
    """Draw the models' mean losses by slice, with 95 % intervals.

    :param scores: at most 24 are drawn: those with the highest loss of the challenger.
    :param loss: what is drawn, with its unit.
    :param overall: the challenger's mean loss over all rows.
    :raises EvaluationError: when there is no slice.
    """
    if not scores:
        raise EvaluationError("There is no slice to draw.")
    shown = sorted(scores, key=lambda score: (-score.challenger, score.slice.name))[:_MAX_BARS]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        places = np.arange(len(shown))
        _paint_challenger(axes, places, shown)
        _paint_champion(axes, places, shown)
        axes.axvline(overall, color=GREY, linewidth=1.2, linestyle=":", label=f"challenger, all rows ({overall:.4g})")
        axes.set_yticks(places, [f"{plain(score.slice.name)}  ({score.slice.n_rows:,})" for score in shown])
        _finish_bars(axes, f"mean {plain(loss)}", len(shown))
        explain(axes)

    more = f" (the worst {len(shown)} of {len(scores)})" if len(scores) > len(shown) else ""
    return draw(f"Errors by slice{more}, with the number of rows", paint, height=1.7 + 0.33 * len(shown))


def _paint_challenger(axes: Any, places: Any, shown: Sequence[SliceScore]) -> None:
    means = [score.challenger for score in shown]
    whiskers = [0.0 if math.isnan(score.challenger_error) else _Z * score.challenger_error for score in shown]
    bars = {"height": 0.62, "color": HUES["challenger"], "alpha": 0.6, "label": "challenger (95 % interval)"}
    axes.barh(places, means, xerr=whiskers, ecolor="#222222", capsize=2.5, **bars)


def _paint_champion(axes: Any, places: Any, shown: Sequence[SliceScore]) -> None:
    known = [(place, score.champion) for place, score in zip(places, shown, strict=True) if score.champion is not None]
    if known:
        rows, means = zip(*known, strict=True)
        look = {"marker": "D", "s": 34, "color": HUES["champion"], "edgecolor": "white", "zorder": 3}
        axes.scatter(means, rows, label="champion", **look)


def backtest_plot(report: BacktestReport) -> str:
    """Draw the error of each track by time, with a mark where another model began to serve."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for layer, (track, (colour, dash)) in enumerate(_TRACKS.items(), start=3):
            points = [point for point in report.points if point.track == track]
            at = np.array([point.at.replace(tzinfo=None) for point in points], dtype="datetime64[s]")
            errors = np.array([np.nan if point.error is None else point.error for point in points])
            axes.plot(at, errors, color=colour, linestyle=dash, label=track, zorder=layer)
            new = [place for place, point in enumerate(points) if point.serves == point.at]
            axes.scatter(at[new], errors[new], color=colour, s=22, zorder=layer)
        axes.set(ylabel=plain(report.metric), xlabel="time, in UTC")
        axes.figure.autofmt_xdate(rotation=0, ha="center")
        explain(axes)

    return draw(f"{plain(report.metric)} of what served; a dot is another model", paint)


def timeline_plot(timeline: ErrorTimeline, *, loss: str) -> str:
    """Draw the models' mean losses by time, and how many rows there are.

    :param loss: what is drawn, with its unit.
    :raises EvaluationError: when no row has a timestamp.
    """
    if not timeline.bins:
        raise EvaluationError("No row has a timestamp; there are no errors by time to draw.")
    starts = np.array([each.start for each in timeline.bins], dtype="datetime64[s]")
    losses: dict[Who, list[float]] = {"challenger": [each.challenger for each in timeline.bins]}
    champion = [each.champion for each in timeline.bins if each.champion is not None]
    if champion:
        losses["champion"] = champion

    def paint(figure: Figure) -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        for who, values in losses.items():
            top.plot(
                starts, values, color=HUES[who], linestyle=DASHES[who], marker=MARKERS[who], markersize=4.5, label=who
            )
        top.set_ylim(bottom=min(0.0, top.get_ylim()[0]))
        top.set(ylabel=f"mean {plain(loss)}")
        explain(top)
        counts = [each.n_rows for each in timeline.bins]
        bottom.vlines(starts, 0, counts, color=GREY, linewidth=6)
        bottom.set_ylim(bottom=0)
        bottom.set(ylabel="rows", xlabel=f"time, in steps of {timeline.step}{_left_out(timeline)}")
        bottom.yaxis.set_major_formatter("{x:,.0f}")

    return draw("Errors by time", paint, height=5.0)


def _left_out(timeline: ErrorTimeline) -> str:
    return f" ({timeline.n_null:,} rows without a timestamp are left out)" if timeline.n_null else ""


def importance_plot(importances: Mapping[Who, Mapping[str, float]], *, measure: str) -> str:
    """Draw how much each feature matters, in the first model's order; at most the first 24.

    :param importances: by model and feature, the challenger first.
    :param measure: how it is measured, such as ``increase of the mean absolute error``.
    :raises EvaluationError: when there is no feature.
    """
    first = next(iter(importances.values()), {})
    if not first:
        raise EvaluationError("There is no feature whose importance could be drawn.")
    features = sorted(first, key=lambda name: (-first[name], name))
    shown = features[:_MAX_BARS]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        places, height = np.arange(len(shown)), 0.76 / len(importances)
        for turn, (who, values) in enumerate(importances.items()):
            offset = (turn - (len(importances) - 1) / 2) * height
            widths = [values.get(name, math.nan) for name in shown]
            axes.barh(places + offset, widths, height=height * 0.94, color=HUES[who], label=who)
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_yticks(places, [plain(name) for name in shown])
        _finish_bars(axes, plain(measure, 60), len(shown))
        explain(axes)

    more = f" (the first {len(shown)} of {len(features)})" if len(features) > len(shown) else ""
    return draw(f"Importance of the features{more}", paint, height=1.6 + 0.33 * len(shown))


def _finish_bars(axes: Any, label: str, n_bars: int) -> None:
    axes.set(xlabel=label, ylim=(n_bars - 0.5, -0.5))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.04)
