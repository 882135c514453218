"""History, replayed through the real pipeline."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from airflow_mlops.core.backtest import BacktestReport
from airflow_mlops.errors import SpecError
from airflow_mlops.specs import RetrainPolicy
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.steps.backtest import backtest
from tests.steps.cases import small_frame, small_settings

SINCE, UNTIL, MONTH = datetime(2020, 5, 31, tzinfo=UTC), datetime(2020, 8, 29, tzinfo=UTC), timedelta(days=30)


def _spec(inbox: Path) -> PipelineSpec:
    settings = small_settings(inbox)
    settings["data"] |= {"trailing": "P90D"}
    settings["gate"] |= {"metrics": {"mean_absolute_error": {"change_threshold": 1}}, "min_rows": 10, "slices": None}
    return PipelineSpec.parse(settings | {"retraining": {"when": "evidence"}, "monitoring": {"min_rows": 50}})


def _replay(folder: Path, **settings: int) -> BacktestReport:
    spec = _spec(folder / "inbox")
    return backtest(spec, since=SINCE, until=UNTIL, every=MONTH, folder=folder / "backtest", **settings)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BacktestReport]:
    """Three months, and another world in them than in those before."""
    folder = tmp_path_factory.mktemp("backtest")
    (folder / "inbox").mkdir()
    before, after = small_frame(151, slope=2.0), small_frame(149, start="2020-05-31", slope=9.0, seed=1)
    pd.concat([before, after]).to_csv(folder / "inbox" / "part-1.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # without a server, MLflow keeps models below the working folder
        return folder, _replay(folder)


def test_each_track_does_what_its_name_says(replayed: tuple[Path, BacktestReport]):
    _, report = replayed
    summaries = {each.track: each for each in report.summaries}
    assert [each.n_moments for each in report.summaries] == [3, 3, 3]
    assert (summaries["never"].n_trained, summaries["always"].n_trained) == (1, 3)
    assert 1 <= summaries["policy"].n_trained < 3
    assert summaries["always"].mean_error < summaries["never"].mean_error
    points = [point for point in report.points if point.track == "policy"]
    assert [point.n_rows for point in points] == [30, 30, 30]
    idle = next(point for point in points if not point.is_trained)
    assert "The evidence does not ask for it" in idle.reason
    assert idle.serves is not None
    assert idle.serves < idle.at, "an earlier version goes on serving"


def test_what_is_interrupted_goes_on_from_what_was_finished_and_gives_the_same(
    replayed: tuple[Path, BacktestReport], monkeypatch: pytest.MonkeyPatch
):
    folder, report = replayed
    monkeypatch.chdir(folder)
    again = _replay(folder)
    assert again.points == report.points
    finished = sorted((folder / "backtest" / "policy" / "moments").iterdir())
    finished[-1].unlink()
    goes_on = [point for point in _replay(folder).points if point.track == "policy"]
    was = [point for point in report.points if point.track == "policy"]
    assert goes_on[:-1] == was[:-1]
    assert (goes_on[-1].error, goes_on[-1].serves) == (was[-1].error, was[-1].serves)


def test_another_spec_does_not_go_on_in_the_folder_of_the_first(
    replayed: tuple[Path, BacktestReport], monkeypatch: pytest.MonkeyPatch
):
    folder, _ = replayed
    monkeypatch.chdir(folder)
    spec = _spec(folder / "inbox").model_copy(update={"retraining": RetrainPolicy(cooldown=MONTH)})
    with pytest.raises(SpecError, match=r"holds a backtest of another spec.*Name another folder \(--out\)"):
        backtest(spec, since=SINCE, until=UNTIL, every=MONTH, folder=folder / "backtest")


def test_the_report_is_a_page_with_a_picture_and_json(replayed: tuple[Path, BacktestReport]):
    folder, report = replayed
    page = (folder / "backtest" / report.report_uri).read_text()
    assert "<svg" in page
    assert "Serves the model of" in page
    stored = json.loads((folder / "backtest" / "backtest.json").read_text())
    assert [point.error for point in BacktestReport.from_dict(stored).points] == [p.error for p in report.points]


def test_without_a_timestamp_there_is_nothing_to_replay_by(tmp_path: Path):
    settings = small_settings(tmp_path)
    settings["data"].pop("timestamp")
    spec = PipelineSpec.parse(settings | {"split": {"method": "random"}})
    with pytest.raises(SpecError, match=r"A backtest replays by time: set data\.timestamp"):
        backtest(spec, since=SINCE, until=UNTIL, every=MONTH, folder=tmp_path)
