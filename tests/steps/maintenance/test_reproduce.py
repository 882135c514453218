"""Versions made again from their records, in fresh processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from airflow_mlops.adapters.process.threads import limited_threads
from airflow_mlops.core.maintenance.reproduction import DifferenceKind, ReproductionReport
from airflow_mlops.core.registry.training_record import RECORD_TAG, packages_digest
from airflow_mlops.core.values import digest_of
from airflow_mlops.errors import IntegrityError, SpecError
from airflow_mlops.steps.maintenance.reproduce import reproduce_version
from tests.stage import Stage
from tests.steps import trainers
from tests.steps.cases import Bench, deliver, left_by, promote_first, runs_by_status, small_frame

MINE = """
from sklearn.linear_model import Ridge


def train(data, params):
    return Ridge({alpha}).fit(data[["x"]], data["y"])
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Train with one thread, so that a version has to be reproduced to the bit."""
    with limited_threads(1):
        yield


def _promote_first(bench: Bench) -> None:
    with limited_threads(1):
        promote_first(bench)


@pytest.fixture
def serving(bench: Bench, stage: Stage) -> Bench:
    """Version 1, which one thread trained, is champion."""
    stage.after(bench, deliver, _promote_first)
    return bench


def _by_function(bench: Bench, function: Any) -> Any:
    return bench.spec(training={"estimator": None, "params": {}, "function": function})


def _reproduce(bench: Bench, version: int = 1, **options: Any) -> ReproductionReport:
    """Reproduce a version, having seen that it leaves nothing behind."""
    left, runs = left_by(bench.platform), runs_by_status(bench.platform)
    files = sorted(bench.platform.storage.root.rglob("*"))
    report = reproduce_version(f"models:/small/{version}", platform=bench.platform, **options)
    assert (left_by(bench.platform), runs_by_status(bench.platform)) == (left, runs)
    assert sorted(bench.platform.storage.root.rglob("*")) == files
    return report


def _kinds(report: ReproductionReport) -> list[tuple[str, str]]:
    return [(each.kind.value, each.subject) for each in report.differences]


def _change_record(bench: Bench, *, packages: str | None = None, **changes: Any) -> None:
    """Write another record for version 1, with digests that verify it."""
    mlflow = bench.platform.mlflow
    client, run_id = MlflowClient(mlflow.tracking_uri), mlflow.get_version("small", 1).run_id
    document = json.loads(mlflow.read_text(run_id, "training_record.json")) | changes
    if packages:
        client.log_text(run_id, packages, "environment.txt")
        document["environment"]["packages_digest"] = packages_digest(packages)
    client.log_text(run_id, json.dumps(document), "training_record.json")
    client.set_model_version_tag("small", "1", RECORD_TAG, digest_of(document))


def test_a_version_of_the_whole_pipeline_is_reproduced_bit_for_bit(serving: Bench):
    report = _reproduce(serving)
    assert (report.n_threads, report.tolerance) == (1, 0.0)
    assert report.differences == ()
    assert report.agreement is not None
    assert (report.agreement.is_exact, report.agreement.n_rows) == (True, 61)
    assert report.is_reproduced
    assert report.record_digest == serving.platform.mlflow.get_version("small", 1).tags[RECORD_TAG]


def test_probabilities_are_compared_where_a_model_has_them_and_the_champion_is_found_by_its_alias(bench: Bench):
    frame = small_frame()
    bench.deliver(frame.assign(shop=["north", "south", None] * 100, y=(frame["y"] > 0).map({True: "yes", False: "no"})))
    forest = {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 5}}
    spec = bench.spec(
        training=forest,
        split={"method": "random", "test_fraction": 0.3},
        gate={"metrics": {"accuracy": {"value_threshold": 0.5}}, "baseline": "most_frequent"},
    )
    assert bench.run("first", spec).promotion is not None
    report = reproduce_version("models:/small@champion", platform=bench.platform)
    assert report.model_version == 1
    assert report.agreement is not None
    assert report.agreement.is_exact
    assert report.agreement.max_absolute == 0.0  # labels have no such difference


def test_a_model_that_draws_without_a_seed_is_not_reproduced(delivered: Bench):
    delivered.run("first", _by_function(delivered, trainers.draws_without_a_seed))
    report = _reproduce(delivered, tolerance=0.5)  # which is for several threads only
    assert not report.is_reproduced
    (difference,) = (each for each in report.differences if each.kind is DifferenceKind.PREDICTIONS)
    assert "of 61 rows differ, by at most " in difference.found


def test_a_module_that_was_changed_is_named_with_both_digests(
    delivered: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "mine_of_reproduce.py").write_text(MINE.format(alpha=0.1))
    monkeypatch.syspath_prepend(str(tmp_path))
    delivered.run("first", _by_function(delivered, "mine_of_reproduce:train"))
    (tmp_path / "mine_of_reproduce.py").write_text(MINE.format(alpha=100.0))
    report = _reproduce(delivered)
    assert not report.is_reproduced
    assert _kinds(report) == [
        ("code", "mine_of_reproduce:train"),
        ("parameters", "alpha"),
        ("predictions", "held-out rows"),
    ]
    assert (report.differences[1].recorded, report.differences[1].found) == ("0.1", "100.0")

    (tmp_path / "mine_of_reproduce.py").unlink()
    report = _reproduce(delivered)
    assert not report.is_reproduced
    assert report.agreement is None
    assert "there is no module 'mine_of_reproduce'" in report.differences[0].found
    assert _kinds(report)[-1] == ("code", "training")


def test_a_split_that_was_pruned_is_made_again_and_other_libraries_are_listed(serving: Bench):
    storage = serving.platform.storage
    version = serving.platform.mlflow.get_version("small", 1)
    packages = serving.platform.mlflow.read_text(version.run_id, "environment.txt")
    lines = ["numpy==1.0" if line.startswith("numpy==") else line for line in packages.splitlines()]
    _change_record(serving, packages="\n".join(["left-pad==1.3", *lines]) + "\n")
    shutil.rmtree(storage.path("splits"))
    report = _reproduce(serving)
    assert _kinds(report) == [("environment", "numpy"), ("environment", "left-pad"), ("data", "split")]
    assert report.differences[0].recorded == "1.0"
    assert report.differences[1].found == "not installed"
    assert "can't be read" in report.differences[2].found
    assert report.is_reproduced  # to the bit, in spite of it
    assert report.table()[0].split() == ["kind", "what", "recorded", "found"]


def test_a_split_with_joined_features_is_made_again_from_the_snapshots(delivered: Bench):
    table = small_frame(seed=3)[["day", "x"]].rename(columns={"x": "rain"})
    table.to_csv(delivered.inbox.parent / "weather.csv", index=False)
    source = {"path": str(delivered.inbox.parent / "weather.csv"), "timestamp": "day"}
    query = "SELECT day, x, weather_rain, y FROM dataset"
    data = {"feature_tables": [{"name": "weather", "source": source}], "features": query}
    delivered.run("first", delivered.spec(data=data, split={"test_fraction": 0.3, "gap": "P2D"}))
    shutil.rmtree(delivered.platform.storage.path("splits"))
    (delivered.inbox.parent / "weather.csv").unlink()
    report = _reproduce(delivered)
    assert _kinds(report) == [("data", "split")]
    assert report.is_reproduced


@pytest.mark.parametrize("fault", ["pruned", "altered"])
def test_without_split_and_snapshot_nothing_is_trained_and_both_are_named(serving: Bench, fault: str):
    storage = serving.platform.storage
    shutil.rmtree(storage.path("splits"))
    (snapshot,) = storage.path("snapshots", "small").iterdir()
    if fault == "pruned":
        shutil.rmtree(snapshot)
    else:
        rows = pq.read_table(snapshot / "data.parquet")
        pq.write_table(rows.set_column(2, "y", rows.column("x")), snapshot / "data.parquet")
    report = _reproduce(serving)
    assert not report.is_reproduced
    assert report.agreement is None
    assert _kinds(report) == [("data", "split"), ("data", "snapshot")]
    words = {"pruned": "is missing from the storage", "altered": "was verified. The file was changed"}
    assert words[fault] in report.differences[1].found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe": None}, "The split can't be made again: no recipe."),
        ({"feature_digests": {"store": "sha256:1"}}, "can't be made again: features of a feature store were joined."),
    ],
)
def test_a_split_that_nobody_knows_how_to_make_again_is_named(serving: Bench, changes: dict[str, Any], words: str):
    mlflow = serving.platform.mlflow
    record = json.loads(mlflow.read_text(mlflow.get_version("small", 1).run_id, "training_record.json"))
    _change_record(serving, split=record["split"] | changes)
    shutil.rmtree(serving.platform.storage.path("splits"))
    report = _reproduce(serving)
    assert not report.is_reproduced
    assert words in report.differences[-1].found


def test_a_part_that_was_altered_is_made_again_from_its_snapshot(serving: Bench):
    (split,) = serving.platform.storage.path("splits", "small").iterdir()
    pq.write_table(pq.read_table(split / "train.parquet").slice(3), split / "train.parquet")
    report = _reproduce(serving)
    assert _kinds(report) == [("data", "split")]
    assert report.is_reproduced


def test_a_version_of_several_threads_is_compared_within_the_tolerance(delivered: Bench):
    forest = {"estimator": "sklearn.ensemble.RandomForestRegressor", "params": {"n_estimators": 12, "n_jobs": 2}}
    delivered.run("first", delivered.spec(training=forest))
    report = _reproduce(delivered, tolerance=1e-9)
    assert (report.n_threads, report.tolerance) == (2, 1e-9)
    assert report.is_reproduced  # though threads that end in another order give other last bits
    assert report.agreement is not None
    assert report.agreement.is_within


def test_a_training_that_is_killed_is_said(delivered: Bench, monkeypatch: pytest.MonkeyPatch):
    delivered.run("first", _by_function(delivered, trainers.kills_itself_if_asked))
    monkeypatch.setenv(trainers.KILL_IN_TRAINING, "1")
    report = _reproduce(delivered)
    assert not report.is_reproduced
    assert report.differences[-1].found == (
        "The process that trained again was killed by signal 9. What it said is in the log."
    )


def test_a_stored_model_that_a_library_can_not_read_any_more_is_named(serving: Bench, monkeypatch: pytest.MonkeyPatch):
    client = MlflowClient(serving.platform.mlflow.tracking_uri)
    version = client.get_model_version("small", "1")
    location = client.get_logged_model(version.source.rpartition("/")[2]).artifact_location
    (Path(urlparse(location).path) / "model.skops").write_bytes(b"of another time")
    digest = serving.platform.mlflow.digest_of_model("models:/small/1")
    client.set_model_version_tag("small", "1", "mlops.model_digest", digest)
    _change_record(serving, model_digest=digest)
    report = _reproduce(serving)
    assert not report.is_reproduced
    (difference,) = report.differences
    assert (difference.kind, difference.subject) == (DifferenceKind.ENVIRONMENT, "stored model")
    assert "The stored version can't be loaded: " in difference.found


@pytest.mark.parametrize("uri", ["small", "models:/small", "models:/small@challenger", "runs:/1/model", "models:/s/x"])
def test_what_names_no_version_is_refused(serving: Bench, uri: str):
    with pytest.raises(SpecError, match="names no version"):
        reproduce_version(uri, platform=serving.platform)


def test_a_version_or_a_champion_that_there_is_not_is_refused(serving: Bench):
    with pytest.raises(IntegrityError, match="MLflow has no version 9 of 'small'"):
        reproduce_version("models:/small/9", platform=serving.platform)
    with pytest.raises(SpecError, match="models:/nobody@champion: no version of 'nobody' is champion"):
        reproduce_version("models:/nobody@champion", platform=serving.platform)
