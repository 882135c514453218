"""History, replayed through the real pipeline."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import yaml

from airflow_mlops.core.backtesting.backtest import TRACKS, BacktestPoint, BacktestReport, Track
from airflow_mlops.errors import EvaluationError, SpecError
from airflow_mlops.specs import RetrainPolicy
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.steps.backtesting import backtest as module
from airflow_mlops.steps.backtesting.backtest import backtest
from tests.conftest import REPOSITORY
from tests.processes import wait_until
from tests.steps import dying
from tests.steps.cases import small_frame, small_settings

SINCE, UNTIL, MONTH = datetime(2020, 5, 31, tzinfo=UTC), datetime(2020, 8, 29, tzinfo=UTC), timedelta(days=30)


def _settings(inbox: Path) -> dict[str, Any]:
    """Train when the champion became worse, and not because the data looks otherwise."""
    settings = small_settings(inbox)
    settings["data"] |= {"trailing": "P90D"}
    settings["training"] |= {"features": ["x"]}
    settings["gate"] |= {"metrics": {"mean_absolute_error": {"change_threshold": 1}}, "min_rows": 10, "slices": None}
    labels = {"path": str(inbox), "timestamp": "day"}
    performance = {
        "labels": labels,
        "label": "y",
        "id": "id",
        "maturity": "P0D",
        "window": "P30D",
        "windows": {"n": 1, "of": 1},
        "min_rows": 20,
        "metrics": {"mean_absolute_error": {"relative_change_threshold": 0.5}},
    }
    return settings | {
        "retraining": {"when": "evidence"},
        "monitoring": {"min_rows": 10_000},  # so that drift is never judged
        "performance": performance,
    }


class Archive:
    """A folder with eight months of rows, a spec of them, and an MLflow database for each fold of a backtest."""

    def __init__(self, folder: Path, database: Path) -> None:
        self.folder, self._database = folder, database
        (folder / "inbox").mkdir()
        before, after = small_frame(181, slope=2.0), small_frame(119, start="2020-06-30", slope=9.0, seed=1)
        rows = pd.concat([before, after])
        rows.insert(0, "id", range(len(rows)))
        rows.to_csv(folder / "inbox" / "part-1.csv", index=False)

    def arguments(self, name: str, *, fold: int = 25, **changes: Any) -> dict[str, Any]:
        """Return the arguments of a backtest in a folder of its own."""
        spec = PipelineSpec.parse(_settings(self.folder / "inbox") | changes)
        for track in TRACKS:
            for number in range(0, 3, fold if track == "always" else 3):
                root = self.folder / name / track / f"{SINCE + number * MONTH:%Y%m%dT%H%M%S}--2592000s"
                if not root.exists():  # MLflow would need seconds to make each of them
                    root.mkdir(parents=True)
                    shutil.copy(self._database, root / "mlflow.db")
        return {"spec": spec, "since": SINCE, "until": UNTIL, "every": MONTH, "folder": self.folder / name}

    def notes(self, name: str, track: Track) -> list[Path]:
        return sorted((self.folder / name / track).glob("*/moments/*.json"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[Archive]:
    """Where history is. The world changes after the first of the three months that are replayed."""
    archive = Archive(tmp_path_factory.mktemp("backtest"), mlflow_database)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(archive.folder)  # without a server, MLflow keeps models below the working folder
        yield archive


@pytest.fixture(scope="module")
def replayed(archive: Archive) -> BacktestReport:
    """The three months, replayed in one go in the folder ``whole``."""
    return backtest(**archive.arguments("whole"))


def _of(report: BacktestReport, track: Track) -> list[BacktestPoint]:
    return [point for point in report.points if point.track == track]


def _without_clock(points: tuple[BacktestPoint, ...]) -> list[BacktestPoint]:
    return [replace(point, seconds=0.0) for point in points]


def test_each_track_does_what_its_name_says(replayed: BacktestReport):
    summaries = {each.track: each for each in replayed.summaries}
    assert [each.n_moments for each in replayed.summaries] == [3, 3, 3]
    assert [summaries[track].n_trained for track in TRACKS] == [2, 1, 3]
    assert (summaries["always"].n_promoted, summaries["always"].n_not_promoted) == (3, 0)
    assert summaries["always"].mean_error < summaries["never"].mean_error
    assert [point.n_rows for point in _of(replayed, "never")] == [30, 30, 30]
    assert {point.serves for point in _of(replayed, "never")} == {SINCE}
    assert [point.serves for point in _of(replayed, "always")] == [point.at for point in _of(replayed, "always")]


def test_what_served_is_held_against_labels_and_the_champion_that_became_worse_is_trained_anew(
    archive: Archive, replayed: BacktestReport
):
    first, idle, trained = _of(replayed, "policy")
    assert "Cold start" in first.reason
    assert "The evidence does not ask for it (drift TOO_FEW_ROWS, performance OK)" in idle.reason
    assert idle.serves == first.at, "the first version goes on serving"
    assert "DEGRADED in the last run" in trained.reason
    assert trained.is_promoted
    assert trained.error < _of(replayed, "never")[2].error
    blind = backtest(**archive.arguments("blind", performance=None))
    assert sum(point.is_trained for point in _of(blind, "policy")) == 1, "without that evidence nothing asks for it"


def test_no_label_is_known_before_its_moment(archive: Archive, replayed: BacktestReport):
    reports = sorted((archive.folder / "whole" / "policy").glob("*/reports/small/*/performance.json"))
    known = [json.loads(report.read_text())["labels"]["n_rows"] for report in reports]
    assert known == [0, 181, 211], "of 300 rows; before there is a champion none is read"


def test_the_error_of_a_month_is_that_of_its_rows(replayed: BacktestReport):
    months = [part for point in _of(replayed, "never") for part in point.months]
    assert [(part.month, part.n_rows) for part in months] == [
        ("2020-05", 1),
        ("2020-06", 29),
        ("2020-06", 1),
        ("2020-07", 29),
        ("2020-07", 2),
        ("2020-08", 28),
    ]
    for point in _of(replayed, "never"):
        total = sum(part.error * part.n_rows for part in point.months)
        assert total == pytest.approx(point.error * point.n_rows)


def test_what_is_there_is_not_replayed_again(archive: Archive, replayed: BacktestReport):
    assert backtest(**archive.arguments("whole")).points == replayed.points, "to the second"


@pytest.mark.parametrize(
    ("kill_before", "nth"),
    [
        ("log_training", 1),
        ("write_json", 30),
    ],
)
def test_whatever_it_was_at_when_it_was_killed_it_goes_on_and_gives_the_same(
    archive: Archive, replayed: BacktestReport, kill_before: str, nth: int
):
    name = f"killed-{kill_before}-{nth}"
    arguments = archive.arguments(name)
    dying.assert_killed(dying.replay, arguments, str(archive.folder), kill_before, nth)
    assert not (archive.folder / name / "backtest.json").exists()
    report = backtest(**arguments)
    assert _without_clock(report.points) == _without_clock(replayed.points)


def test_processes_end_with_the_command_that_was_killed_and_others_finish_its_work(
    archive: Archive, replayed: BacktestReport
):
    archive.arguments("parallel")
    spec = archive.folder / "small.yaml"
    spec.write_text(yaml.safe_dump(_settings(archive.folder / "inbox")))
    command = [sys.executable, "-m", "airflow_mlops.cli", "backtest", str(spec)]
    command += ["--from", "2020-05-31", "--to", "2020-08-29", "--every", "P30D", "--out", "parallel", "--jobs", "2"]
    how = {"cwd": archive.folder, "env": os.environ | {"PYTHONPATH": str(REPOSITORY)}, "text": True}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, **how) as first:
        wait_until(lambda: bool(archive.notes("parallel", "policy")), timeout_s=300)
        children = psutil.Process(first.pid).children(recursive=True)
        next(child for child in children if "spawn_main" in " ".join(child.cmdline())).kill()
        assert "A process of the backtest was killed" in first.communicate()[1]
    assert first.returncode == 1
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **how) as second:
        wait_until(lambda: len(archive.notes("parallel", "policy")) > 1, timeout_s=300)
        children = psutil.Process(second.pid).children(recursive=True)
        second.send_signal(signal.SIGKILL)
    assert len(children) >= 2
    wait_until(lambda: not any(child.is_running() for child in children))
    done = subprocess.run(command, capture_output=True, check=True, **how)
    stored = BacktestReport.from_dict(json.loads((archive.folder / "parallel" / "backtest.json").read_text()))
    assert _without_clock(stored.points) == _without_clock(replayed.points)
    assert "track=always time=3/3 at=2020-07-30T00:00+00:00 error=" in done.stderr
    assert "remaining_s=0" in done.stderr
    assert "outcome=TRAINED" in done.stderr
    assert "outcome=NOT_TRAINED" in done.stderr
    assert "snapshot" not in done.stderr, "progress, and not what each step says"
    assert done.stdout.splitlines()[4] == replayed.conclusion


def test_a_fold_that_can_not_train_at_its_beginning_serves_what_the_one_before_left(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
):
    many = {"expectations": [{"type": "expect_column_max_to_be_between", "kwargs": {"column": "y", "max_value": 10}}]}
    in_one_go = backtest(**archive.arguments("one-fold", validation=many))
    assert [point.outcome for point in _of(in_one_go, "always")] == ["", "", "HALTED"]
    monkeypatch.setattr(module, "_FOLD", 2)
    in_folds = backtest(**archive.arguments("two-folds", validation=many, fold=2))
    assert len(list((archive.folder / "two-folds" / "always").iterdir())) == 2
    assert _without_clock(in_folds.points) == _without_clock(in_one_go.points)


def test_another_spec_does_not_go_on_in_the_folder_of_the_first(archive: Archive, replayed: BacktestReport):
    arguments = archive.arguments("whole")
    spec = arguments["spec"].model_copy(update={"retraining": RetrainPolicy(cooldown=MONTH)})
    with pytest.raises(SpecError, match=r"holds a backtest of another spec.*Name another folder \(--out\)"):
        backtest(**arguments | {"spec": spec})


def test_a_report_of_another_range_is_not_overwritten_and_a_longer_one_goes_on(archive: Archive):
    arguments = archive.arguments("ranges") | {"until": SINCE + MONTH}
    first = backtest(**arguments)
    for change in ({"since": SINCE + MONTH, "until": UNTIL}, {"every": MONTH / 2}):
        with pytest.raises(
            SpecError, match=r"holds the report of another range: from 2020-05-31 .* every P30D\. Nothing"
        ):
            backtest(**arguments | change)
    assert BacktestReport.from_dict(json.loads((archive.folder / "ranges" / "backtest.json").read_text())) == first
    longer = backtest(**arguments | {"until": SINCE + 2 * MONTH})
    assert _of(longer, "policy")[0] == _of(first, "policy")[0]
    with pytest.raises(SpecError, match=r"remove backtest\.json"):
        backtest(**arguments)


def test_a_range_without_rows_is_not_replayed_and_the_message_says_where_the_data_ends(archive: Archive):
    arguments = archive.arguments("whole") | {"folder": archive.folder / "too-late"}
    with pytest.raises(SpecError, match=r"no row from 2021-05-31 .* It begins at 2020-01-01 .* ends at 2020-10-26 "):
        backtest(**arguments | {"since": SINCE.replace(year=2021), "until": UNTIL.replace(year=2021)})
    assert not (archive.folder / "too-late").exists()


def test_the_report_is_a_page_with_a_picture_and_json(archive: Archive, replayed: BacktestReport):
    page = (archive.folder / "whole" / replayed.report_uri).read_text()
    assert "<svg" in page
    assert "Serves the model of (UTC)" in page
    assert "2020-05-31 00:00 UTC" in page
    assert "NOT_TRAINED" in page
    assert replayed.conclusion in page
    assert "2020-07" in page
    stored = json.loads((archive.folder / "whole" / "backtest.json").read_text())
    assert BacktestReport.from_dict(stored) == replayed


def test_no_picture_of_a_single_run_is_drawn(archive: Archive, replayed: BacktestReport):
    pages = list((archive.folder / "whole" / "policy").glob("*/reports/small/*/*.html"))
    assert pages
    assert not [page for page in pages if "<svg" in page.read_text()]


def test_labels_that_no_row_can_be_found_by_are_refused(archive: Archive):
    performance = _settings(archive.folder / "inbox")["performance"] | {"id": "idd"}
    with pytest.raises(SpecError, match=r"performance\.id 'idd' is no column of the data.*Did you mean 'id'"):
        backtest(**archive.arguments("without-id", performance=performance))


def test_rows_without_a_target_end_the_replay_with_what_to_do(archive: Archive):
    inbox = archive.folder / "not-known-yet"
    inbox.mkdir()
    rows = pd.read_csv(archive.folder / "inbox" / "part-1.csv")
    rows.loc[rows["day"] == "2020-08-28", "y"] = None
    rows.to_csv(inbox / "part-1.csv", index=False)
    arguments = archive.arguments("null-target", data=_settings(inbox)["data"])
    with pytest.raises(EvaluationError, match=r"The target 'y' is null in 1 of 30 rows .*End it earlier \(--to\)"):
        backtest(**arguments)


def test_without_a_timestamp_there_is_nothing_to_replay_by(tmp_path: Path):
    settings = small_settings(tmp_path)
    settings["data"].pop("timestamp")
    spec = PipelineSpec.parse(settings | {"split": {"method": "random"}})
    with pytest.raises(SpecError, match=r"A backtest replays by time: set data\.timestamp"):
        backtest(spec, since=SINCE, until=UNTIL, every=MONTH, folder=tmp_path)


def test_no_job_replays_nothing(archive: Archive):
    with pytest.raises(SpecError, match="Give --jobs at least 1"):
        backtest(**archive.arguments("whole"), n_jobs=0)
