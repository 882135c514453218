"""matplotlib: how well a model does over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from airflow_mlops.adapters.plots._canvas import GREY, HUES, draw, explain, plain
from airflow_mlops.core.monitoring.performance_report import WindowPerformance
from airflow_mlops.errors import EvaluationError

__all__ = ["performance_plot"]


def performance_plot(windows: Sequence[WindowPerformance]) -> str:
    """Draw the first metric by window with its interval, beside what it was at the blessing and what is expected.

    :param windows: those that have metrics, the newest first.
    :raises EvaluationError: when there is none.
    """
    if not windows:
        raise EvaluationError("There is no window to draw.")
    shown = list(reversed(windows))
    firsts = [window.metrics[0] for window in shown]
    name = firsts[0].metric

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        places = np.arange(len(shown))
        values = np.array([each.value.difference for each in firsts])
        bounds = np.array([(each.value.low, each.value.high) for each in firsts])
        errors = np.nan_to_num(np.abs(bounds.T - values))
        axes.errorbar(places, values, yerr=errors, color=HUES["champion"], marker="o", capsize=3, label="by its labels")
        estimates = [window.estimates.get(name, np.nan) for window in shown]
        if np.isfinite(estimates).any():
            axes.plot(places, estimates, "o", mfc="none", color=HUES["challenger"], label="estimated without labels")
        known = [each.baseline for each in firsts if each.baseline is not None]
        if len(known) == len(shown):
            axes.plot(places, known, color=GREY, linestyle=":", marker="s", markersize=4, label="naive baseline")
        at_blessing = firsts[0].at_blessing
        axes.axhline(at_blessing, color=GREY, linewidth=1.2, label=f"at the blessing ({at_blessing:.4g})")
        axes.set_xticks(places, [f"{window.start:%Y-%m-%d}" for window in shown])
        axes.set(xlabel="window from", ylabel=plain(name))
        axes.margins(x=0.1)
        explain(axes, n_columns=4)

    return draw(f"{plain(name)} in production", paint, height=3.6)
