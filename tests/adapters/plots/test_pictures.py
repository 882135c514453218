from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import matplotlib
import numpy as np
import pytest

from airflow_mlops.adapters.plots import (
    backtest_plot,
    calibration_plot,
    confusion_matrix_plot,
    importance_plot,
    performance_plot,
    residuals_plot,
    score_curves_plot,
    slices_plot,
    timeline_plot,
)
from airflow_mlops.adapters.plots._canvas import plain
from airflow_mlops.core.backtesting.backtest import TRACKS, BacktestPoint, BacktestReport
from airflow_mlops.core.evaluation.slices import Slice, SliceScore, code_categories
from airflow_mlops.core.evaluation.timeline import ErrorTimeline, errors_by_time
from airflow_mlops.core.monitoring.performance_report import MetricPerformance, PerformanceStatus, WindowPerformance
from airflow_mlops.core.stats.calibration import measure_calibration
from airflow_mlops.core.stats.curves import score_curves
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.errors import EvaluationError
from tests.core.cases import score_slices

EVIL = "<script>alert('$1')</script>$x_{&\x00]]>"
LIMIT = 300_000
Plot = Callable[[int, str], str]


def _scored(n_rows: int, lift: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y_true = rng.random(n_rows) < 0.3
    return y_true, 1 / (1 + np.exp(-(rng.normal(size=n_rows) + lift * y_true - 1.5)))


def _confusion(n_rows: int, label: str) -> str:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 40, size=(2, n_rows))
    counts = np.bincount(codes[0] * 40 + codes[1], minlength=1600).reshape(40, 40)
    return confusion_matrix_plot({"challenger": counts, "champion": counts.T}, [f"{label}{i}" for i in range(40)])


def _curves(n_rows: int, label: str) -> str:
    y_true, good = _scored(n_rows)
    _, noise = _scored(n_rows, lift=0.0)
    curves = {"challenger": score_curves(y_true, good), "champion": score_curves(y_true, noise)}
    return score_curves_plot(curves, positive=label, positive_fraction=float(y_true.mean()))


def _calibration(n_rows: int, label: str) -> str:
    y_true, good = _scored(n_rows)
    found = {"challenger": measure_calibration(y_true, good), "champion": measure_calibration(y_true, good**2)}
    return calibration_plot(found, positive=label)


def _residuals(n_rows: int, label: str) -> str:
    rng = np.random.default_rng(0)
    y_true, noise = rng.normal(size=(2, n_rows))
    return residuals_plot(y_true, {"challenger": noise, "champion": y_true + noise}, target=label)


def _slices(n_rows: int, label: str) -> str:
    rng = np.random.default_rng(0)
    column = code_categories("c", rng.integers(0, 30, n_rows), [f"{label} {i:02}" for i in range(30)], max_values=30)
    losses = rng.exponential(size=(2, n_rows))
    return slices_plot(score_slices(column, challenger=losses[0], champion=losses[1]), loss=label, overall=1.0)


def _timeline(n_rows: int, label: str) -> str:
    moments = np.datetime64("2026-01-01", "s") + np.arange(n_rows) * np.timedelta64(7, "s")
    losses = np.random.default_rng(0).exponential(size=(2, n_rows))
    return timeline_plot(errors_by_time(moments, challenger=losses[0], champion=losses[1]), loss=label)


def _importance(n_rows: int, label: str) -> str:
    values = np.random.default_rng(0).exponential(size=(2, 40))
    named = [{f"{label}{index}": float(value) for index, value in enumerate(each)} for each in values]
    return importance_plot({"challenger": named[0], "champion": named[1]}, measure=label)


def test_windows_are_drawn_from_the_oldest_on_and_none_is_an_error():
    found = performance_plot(_windows([0.7, 0.8]))
    assert "2026-01-01" in _texts(found)
    assert _texts(found).index("2026-01-01") < _texts(found).index("2026-01-08")
    for words in ("at the blessing (0.9)", "naive baseline", "estimated without labels"):
        assert words in _texts(found)
    with pytest.raises(EvaluationError, match="no window to draw"):
        performance_plot([])


def _windows(values: list[float]) -> list[WindowPerformance]:
    """Return a week for each value, the newest first."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        WindowPerformance(
            start=first + place * timedelta(days=7),
            end=first + (place + 1) * timedelta(days=7),
            status=PerformanceStatus.OK,
            reasons=(),
            metrics=(
                MetricPerformance(
                    metric="accuracy",
                    direction="higher_is_better",
                    value=Interval(difference=value, low=value - 0.1, high=value + 0.1),
                    at_blessing=0.9,
                    against_blessing=Interval(difference=value - 0.9, low=-0.3, high=0.0),
                    baseline=0.5,
                ),
            ),
            estimates={"accuracy": 0.85},
        )
        for place, value in reversed(list(enumerate(values)))
    ]


@cache
def _drawn(plot: Plot, label: str) -> str:
    return plot(2000, label)


each_plot = pytest.mark.parametrize(
    "plot", [_confusion, _curves, _calibration, _residuals, _slices, _timeline, _importance]
)


def _texts(svg: str) -> str:
    return " ".join("".join(element.itertext()) for element in ElementTree.fromstring(svg).iter())


@each_plot
def test_a_picture_is_of_one_size_however_many_rows_there_are(plot: Plot):
    assert 1000 < len(_drawn(plot, "visits")) < LIMIT
    assert len(plot(1_000_000, "visits")) < LIMIT


@each_plot
def test_nothing_that_comes_from_the_data_becomes_markup_or_mathematics(plot: Plot):
    svg = _drawn(plot, EVIL)
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "$" in _texts(svg)


@each_plot
def test_a_picture_names_its_axes_and_says_what_it_shows(plot: Plot):
    svg = _drawn(plot, "visits")
    assert svg.startswith("<svg ")
    assert ElementTree.fromstring(svg).findtext("{http://www.w3.org/2000/svg}title")
    assert "visits" in _texts(svg)
    assert "challenger" in _texts(svg)


@each_plot
def test_a_picture_needs_nothing_from_elsewhere_and_runs_nothing(plot: Plot):
    svg = _drawn(plot, "visits")
    links = re.findall(r'href="([^"]{0,30})', svg)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert not re.search(r"\son\w+=", svg)


@each_plot
def test_the_same_rows_give_the_same_picture(plot: Plot):
    assert plot(2000, "visits") == _drawn(plot, "visits")


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    before = dict(matplotlib.rcParams)
    _residuals(500, "visits")
    assert dict(matplotlib.rcParams) == before


def test_a_label_is_one_line_of_a_bearable_length():
    assert plain("a\n\tb  c") == "a b c"
    assert plain("\x00\ud800") == "\ufffd\ufffd"
    assert plain("x" * 100) == "x" * 43 + "…"


def test_a_confusion_matrix_shows_counts_and_shares():
    svg = confusion_matrix_plot({"challenger": np.array([[1500, 500], [0, 10]])}, ["no", "yes"])
    for text in ("1,500", "75%", "500", "25%", "100%", "predicted class", "true class", "no", "yes"):
        assert text in _texts(svg)


def test_of_many_classes_the_frequent_ones_are_shown_and_the_others_together():
    counts = np.diag(np.arange(40))
    texts = _texts(confusion_matrix_plot({"challenger": counts}, [f"class{i:02}" for i in range(40)]))
    assert [name for name in re.findall(r"class\d\d", texts) if name < "class29"] == []
    assert "class39" in texts
    assert "(other)" in texts


def test_a_class_that_no_row_has_is_drawn_without_a_division_by_zero():
    assert "0%" in _texts(confusion_matrix_plot({"challenger": np.array([[0, 0], [1, 1]])}, ["a", "b"]))


def test_the_areas_of_challenger_and_champion_stand_in_the_legend():
    y_true, score = _scored(3000)
    curves = score_curves(y_true, score)
    texts = _texts(score_curves_plot({"challenger": curves}, positive=">50K", positive_fraction=0.3))
    assert f"challenger ({curves.roc_auc:.4g})" in texts
    assert f"challenger ({curves.average_precision:.4g})" in texts
    assert "champion" not in texts
    assert "'>50K'" in texts


def test_rows_far_out_do_not_take_the_room_of_all_the_others():
    y_true = np.zeros(10_000)
    predicted = np.random.default_rng(0).normal(size=10_000)
    predicted[:3] = 1e12
    assert "1e" not in _texts(residuals_plot(y_true, {"champion": predicted}, target="y")).split("mean")[0]


def test_constant_predictions_without_an_error_are_drawn():
    ones = np.ones(50)
    assert "mean +0" in _texts(residuals_plot(ones, {"challenger": ones}, target="y"))


def test_slices_are_drawn_from_the_worst_on_and_the_rest_is_said_to_be_left_out():
    texts = _texts(_slices(3000, "visits"))
    assert "the worst 24 of 30" in texts


def test_a_slice_of_one_row_is_drawn_without_an_interval():
    alone = Slice(columns=("c",), conditions=("c=a",), n_rows=1)
    score = SliceScore(slice=alone, challenger=1.0, challenger_error=float("nan"))
    assert "c=a (1)" in _texts(slices_plot([score], loss="error", overall=1.0)).replace("  ", " ")


def test_rows_without_a_timestamp_are_mentioned():
    moments = np.array(["2026-01-01", "2026-01-02", "NaT"], dtype="datetime64[s]")
    texts = _texts(timeline_plot(errors_by_time(moments, challenger=np.ones(3)), loss="error"))
    assert "1 rows without a timestamp are left out" in texts


def test_a_feature_that_the_champion_does_not_have_has_no_bar_of_it():
    svg = importance_plot({"challenger": {"a": 1.0, "b": 2.0}, "champion": {"a": 3.0}}, measure="drop")
    assert "nan" not in svg.lower()


@pytest.mark.parametrize(
    "draw_nothing",
    [
        lambda: slices_plot([], loss="x", overall=1.0),
        lambda: timeline_plot(ErrorTimeline(step="", bins=(), n_null=3), loss="x"),
        lambda: importance_plot({"challenger": {}}, measure="x"),
        lambda: importance_plot({}, measure="x"),
        lambda: residuals_plot(np.zeros(0), {"challenger": np.zeros(0)}, target="y"),
    ],
)
def test_nothing_is_no_picture(draw_nothing):
    with pytest.raises(EvaluationError, match=r"no |No "):
        draw_nothing()


def test_the_policy_of_a_backtest_is_drawn_over_the_other_tracks():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    known = {"at": at, "until": at, "error": 1.0, "n_rows": 1, "is_trained": True, "is_promoted": True, "seconds": 1.0}
    report = BacktestReport(
        model_name="m",
        metric="mean_absolute_error",
        direction="lower_is_better",
        since=at,
        until=at,
        every_seconds=1.0,
        summaries=(),
        points=tuple(BacktestPoint(track=track, serves=at, **known) for track in TRACKS),
    )
    drawn = backtest_plot(report)
    assert "time, in UTC" in _texts(drawn)
    last_of = [drawn.rindex(colour, 0, drawn.index("legend_1")) for colour in ("#d55e00", "#0072b2")]
    assert last_of == sorted(last_of)
