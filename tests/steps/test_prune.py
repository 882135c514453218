from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from airflow_mlops.adapters.mlflow import Mlflow
from airflow_mlops.errors import IntegrityError, MlopsError, SpecError
from airflow_mlops.steps import Platform
from airflow_mlops.steps.data import list_snapshots, snapshot_dataset
from airflow_mlops.steps.prune import needed_snapshots, prune_snapshots
from tests.steps.cases import Bench, run_named, small_frame

IN_A_YEAR = datetime.now(UTC) + timedelta(days=365)
MONTH = timedelta(days=30)


def _snapshot(bench: Bench, n_rows: int) -> str:
    bench.deliver(small_frame(n_rows))
    spec = bench.spec()
    return snapshot_dataset(
        spec.data, dataset="small", storage=bench.platform.storage, run=run_named(f"rows {n_rows}")
    ).digest


def _digests(bench: Bench) -> list[str]:
    return [snapshot.digest for snapshot in list_snapshots(bench.platform.storage, "small")]


def _prune(bench: Bench, *, keep: set[str] | None = None, **options) -> list[str]:
    settings = {"older_than": MONTH, "now": IN_A_YEAR} | options
    found = prune_snapshots("small", storage=bench.platform.storage, keep=keep or set(), **settings)
    return [snapshot.digest for snapshot in found]


def test_old_snapshots_go_but_for_the_needed_ones_and_the_newest(bench: Bench):
    first, needed, newest = (_snapshot(bench, n_rows) for n_rows in (10, 20, 30))
    assert _prune(bench, keep={needed}) == [first]
    assert _digests(bench) == [needed, newest]
    folder = bench.platform.storage.path("snapshots", "small")
    assert len(list(folder.iterdir())) == 2


def test_young_snapshots_stay(bench: Bench):
    digests = [_snapshot(bench, n_rows) for n_rows in (10, 20)]
    assert _prune(bench, now=datetime.now(UTC)) == []
    assert _digests(bench) == digests


def test_a_dry_run_says_what_would_go_and_removes_nothing(bench: Bench):
    digests = [_snapshot(bench, n_rows) for n_rows in (10, 20)]
    assert _prune(bench, dry_run=True) == digests[:1]
    assert _digests(bench) == digests


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=-1)])
def test_an_age_that_spares_nothing_is_refused(bench: Bench, age: timedelta):
    with pytest.raises(SpecError, match=r"it has to be positive. Nothing was pruned"):
        _prune(bench, older_than=age)


def test_what_versions_and_runs_learnt_from_is_needed_and_the_rest_goes_with_its_splits(serving: Bench):
    storage = serving.platform.storage
    (learnt_from,) = _digests(serving)
    splits = storage.names("splits", "small")
    unused = _snapshot(serving, 40)
    orphan = storage.path("splits", "small", "orphan")
    shutil.copytree(storage.path("splits", "small", splits[0]), orphan)
    (orphan / "split.json").write_text(f'{{"snapshot_digest": "{unused}"}}')
    newest = _snapshot(serving, 50)
    needed = needed_snapshots(platform=serving.platform)
    assert needed == {learnt_from}
    assert _prune(serving, keep=set(needed)) == [unused]
    assert _digests(serving) == [learnt_from, newest]
    assert storage.names("splits", "small") == splits


def test_a_registry_that_belongs_to_another_storage_is_no_reason_to_prune(
    serving: Bench, tmp_path: Path, mlflow_database
):
    shutil.copy(mlflow_database, tmp_path / "other.db")
    other = Platform(serving.platform.storage, Mlflow(f"sqlite:///{tmp_path}/other.db"))
    with pytest.raises(IntegrityError, match=r"refers to no snapshot at all.* Nothing was pruned"):
        needed_snapshots(platform=other)


def test_a_champion_that_the_registry_lost_is_no_reason_to_prune(serving: Bench):
    from mlflow import MlflowClient

    MlflowClient(serving.platform.mlflow.tracking_uri).delete_model_version("small", "1")
    with pytest.raises(IntegrityError, match=r"small v1 is champion, MLflow at .* has no such version"):
        needed_snapshots(platform=serving.platform)


def test_a_registry_that_can_not_be_read_is_no_reason_to_prune(serving: Bench, tmp_path: Path):
    (tmp_path / "broken.db").write_bytes(b"no database at all" * 100)
    broken = Platform(serving.platform.storage, Mlflow(f"sqlite:///{tmp_path}/broken.db"))
    with pytest.raises((MlopsError, SQLAlchemyError)):
        needed_snapshots(platform=broken)


def test_a_manifest_that_can_not_be_read_stops_the_pruning(bench: Bench):
    digests = [_snapshot(bench, n_rows) for n_rows in (10, 20)]
    folder = bench.platform.storage.path("snapshots", "small")
    damaged = next(path for path in folder.iterdir() if path.name in digests[1])
    (damaged / "manifest.json").write_text("{")
    with pytest.raises(IntegrityError, match="is damaged"):
        _prune(bench)
    assert len(list(folder.iterdir())) == 2
