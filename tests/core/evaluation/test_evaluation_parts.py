"""What is said about an evaluation is part of a report, which is stored as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np

from airflow_mlops.core.evaluation.fairness import FairnessReport, regression_fairness
from airflow_mlops.core.evaluation.slices import SliceScore, code_categories
from airflow_mlops.core.evaluation.timeline import ErrorTimeline, errors_by_time
from airflow_mlops.core.evaluation.worst_slices import WorstSlice, find_worst_slices
from airflow_mlops.core.stats.calibration import Calibration, measure_calibration
from airflow_mlops.core.stats.curves import ScoreCurves, score_curves
from airflow_mlops.core.values import Value
from tests.core.cases import score_slices


@dataclass(frozen=True, kw_only=True)
class Parts(Value):
    slices: tuple[SliceScore, ...]
    worst: tuple[WorstSlice, ...]
    fairness: FairnessReport
    timeline: ErrorTimeline
    curves: ScoreCurves
    calibration: Calibration


def test_the_parts_of_a_report_survive_the_way_through_json():
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.integers(0, 2, 999), [2]])
    column = code_categories("c", places, ["a", "b", "alone"])
    loss = rng.uniform(size=1000) + 2 * (places == 1)
    y_true, score = rng.random(1000) < 0.5, rng.random(1000)
    parts = Parts(
        slices=score_slices(column, challenger=loss, champion=loss / 2),
        worst=find_worst_slices(loss, [column], min_rows=10),
        fairness=regression_fairness(column, y_true=loss, y_pred=loss + 1, min_rows=900),
        timeline=errors_by_time(np.datetime64("2026-01-01", "s") + np.arange(1000), challenger=loss),
        curves=score_curves(y_true, score),
        calibration=measure_calibration(y_true, score),
    )
    assert len(parts.worst) == 1
    assert math.isnan(parts.slices[2].challenger_error)
    assert math.isnan(parts.fairness.measures["mean_error_difference"])
    again = Parts.from_dict(json.loads(json.dumps(parts.to_dict(), allow_nan=False)))
    assert repr(again) == repr(parts)
