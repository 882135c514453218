"""matplotlib: the pictures that people look at, as SVG.

A picture is made of summaries, so that it is of one size at any number of rows. Text stays text in it.
"""

from __future__ import annotations

from airflow_mlops.adapters.plots._canvas import Who
from airflow_mlops.adapters.plots.classification import calibration_plot, confusion_matrix_plot, score_curves_plot
from airflow_mlops.adapters.plots.performance import performance_plot
from airflow_mlops.adapters.plots.regression import residuals_plot
from airflow_mlops.adapters.plots.summaries import backtest_plot, importance_plot, slices_plot, timeline_plot

__all__ = [
    "Who",
    "backtest_plot",
    "calibration_plot",
    "confusion_matrix_plot",
    "importance_plot",
    "performance_plot",
    "residuals_plot",
    "score_curves_plot",
    "slices_plot",
    "timeline_plot",
]
