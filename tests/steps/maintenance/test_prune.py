from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy.exc import SQLAlchemyError

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.errors import IntegrityError, MlopsError, SpecError
from airflow_mlops.steps import Platform
from airflow_mlops.steps.data.snapshot import list_snapshots, load_snapshot, note_verdict, snapshot_dataset, store_rows
from airflow_mlops.steps.maintenance import prune
from airflow_mlops.steps.maintenance._orphans import hide
from airflow_mlops.steps.maintenance.prune import needed_snapshots, prune_snapshots
from airflow_mlops.steps.splitting.split import split_dataset
from tests.steps.cases import Bench, run_named, small_frame

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
IN_A_YEAR = datetime.now(UTC) + timedelta(days=365)
MONTH = timedelta(days=30)


def _snapshot(bench: Bench, n_rows: int) -> str:
    bench.deliver(small_frame(n_rows))
    spec = bench.spec()
    return snapshot_dataset(
        spec.data, dataset="small", storage=bench.platform.storage, run=run_named(f"rows {n_rows}")
    ).digest


def _age(bench: Bench, digest: str, *, is_used_too: bool = True) -> None:
    """Make a snapshot one that was made in 2020, and not used since."""
    snapshot = load_snapshot(bench.platform.storage, "small", digest)
    manifest = Path(snapshot.uri) / "manifest.json"
    document = json.loads(manifest.read_text()) | {"created_at": "2020-01-01T00:00:00Z"}
    manifest.write_text(json.dumps(document))
    if is_used_too:
        name = f"{Path(snapshot.uri).name}.json"
        bench.platform.storage.write_json({"used_at": "2020-01-01T00:00:00+00:00"}, "uses", "small", name)


def _split(bench: Bench, digest: str) -> str:
    """Split a snapshot, and return the name of the split's folder."""
    storage, spec = bench.platform.storage, bench.spec()
    before = set(storage.names("splits", "small"))
    split_dataset(load_snapshot(storage, "small", digest), spec.data, spec.split, storage=storage)
    (name,) = set(storage.names("splits", "small")) - before
    return name


def _touch(folder: Path, moment: datetime) -> None:
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (moment.timestamp(), moment.timestamp()))


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
    assert len(bench.platform.storage.names("uses", "small")) == 2


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


def test_an_old_snapshot_that_a_run_was_given_again_is_young(bench: Bench):
    reused, unused, newest = (_snapshot(bench, n_rows) for n_rows in (10, 20, 30))
    for digest in (reused, unused):
        _age(bench, digest)
    assert _snapshot(bench, 10) == reused
    assert _prune(bench, now=datetime.now(UTC)) == [unused]
    assert _digests(bench) == [reused, newest]


def test_a_snapshot_without_a_note_of_its_use_is_judged_by_when_it_was_made(bench: Bench):
    old, young, newest = (_snapshot(bench, n_rows) for n_rows in (10, 20, 30))
    _age(bench, old, is_used_too=False)
    shutil.rmtree(bench.platform.storage.path("uses"))
    assert _prune(bench, now=datetime.now(UTC)) == [old]
    assert _digests(bench) == [young, newest]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_run_that_is_given_a_snapshot_while_it_is_being_removed_has_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_first: bool
):
    """The run comes just before the folder disappears, or just after."""
    taken, newest = (_snapshot(bench, n_rows) for n_rows in (10, 20))
    _age(bench, taken)

    def meanwhile(folder: Path) -> Path:
        if is_first:
            assert _snapshot(bench, 10) == taken
            return hide(folder)
        hidden = hide(folder)
        assert _snapshot(bench, 10) == taken
        return hidden

    monkeypatch.setattr(prune, "hide", meanwhile)
    assert _prune(bench, now=datetime.now(UTC)) == []
    assert set(_digests(bench)) == {taken, newest}
    assert len(list(bench.platform.storage.path("snapshots", "small").iterdir())) == 2


def test_a_snapshot_of_which_a_young_split_was_made_stays_with_it(bench: Bench):
    old, newest = (_snapshot(bench, n_rows) for n_rows in (40, 50))
    _age(bench, old)
    young = _split(bench, old)
    assert _prune(bench, now=datetime.now(UTC)) == []
    assert bench.platform.storage.names("splits", "small") == [young]
    _touch(bench.platform.storage.path("splits", "small", young), LONG_AGO)
    assert _prune(bench, now=datetime.now(UTC)) == [old]
    assert bench.platform.storage.names("splits", "small") == []
    assert _digests(bench) == [newest]


def test_a_split_that_is_made_while_one_prunes_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    _snapshot(bench, 40)
    made = []

    def meanwhile(*args, **kwargs):
        found = list_snapshots(*args, **kwargs)
        made.append(_split(bench, _snapshot(bench, 50)))
        return found

    monkeypatch.setattr(prune, "list_snapshots", meanwhile)
    assert _prune(bench, now=datetime.now(UTC), older_than=timedelta(microseconds=1)) == []
    assert bench.platform.storage.names("splits", "small") == made
    assert len(_digests(bench)) == 2


def test_the_snapshot_that_the_next_one_counts_from_stays(bench: Bench):
    earlier, accepted, halted, newest = (_snapshot(bench, n_rows) for n_rows in (10, 20, 30, 40))
    for digest, is_accepted in ((earlier, True), (accepted, True), (halted, False)):
        snapshot = load_snapshot(bench.platform.storage, "small", digest)
        note_verdict(bench.platform.storage, snapshot, is_accepted=is_accepted, report_uri="")
    assert _prune(bench) == [earlier, halted]
    assert _digests(bench) == [accepted, newest]


def test_what_was_set_aside_goes_with_its_snapshot_and_with_the_rest_of_it(bench: Bench):
    storage = bench.platform.storage
    halted, whole, newest = (_snapshot(bench, n_rows) for n_rows in (10, 20, 30))
    for digest, name in ((halted, "a"), (whole, "b"), (newest, "c")):
        storage.write_json({"snapshot_digest": digest}, "quarantine", "small", name, "quarantine.json")
    storage.write_text("", "quarantine", "small", "nobody knows of what", "rows.parquet")
    rows = pq.read_table(load_snapshot(storage, "small", whole).data_uri).slice(1).to_reader()
    rest = store_rows(rows, dataset="small", storage=storage, source={"rest_of": whole}).digest
    _snapshot(bench, 40)
    assert set(_prune(bench, keep={rest})) == {halted, whole, newest}
    assert storage.names("quarantine", "small") == ["b", "nobody knows of what"]
    assert _prune(bench) == [rest]
    assert storage.names("quarantine", "small") == ["nobody knows of what"]


def test_notes_of_old_windows_go_and_young_ones_stay(bench: Bench):
    _snapshot(bench, 10)
    data = bench.spec(data={"since_last_snapshot": True}).data
    for run_id in ("old", "young"):
        snapshot_dataset(data, dataset="small", storage=bench.platform.storage, run=run_named(run_id))
    folder = bench.platform.storage.path("windows", "small")
    old, young = sorted(folder.iterdir(), key=lambda path: "young" in path.read_text())
    _touch(old, LONG_AGO)
    _prune(bench, now=datetime.now(UTC), dry_run=True)
    assert set(folder.iterdir()) == {old, young}
    _prune(bench, now=datetime.now(UTC))
    assert list(folder.iterdir()) == [young]


KILLED = """
import os, signal, sys
from airflow_mlops.adapters.storage.store import Storage

with Storage(sys.argv[1]).staging(sys.argv[2], "small") as staged:
    (staged / "data.parquet").write_text("half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["snapshots", "splits", "quarantine"])
def test_what_a_killed_process_left_half_written_goes_after_a_day(bench: Bench, kind: str):
    digest = _snapshot(bench, 10)
    root = str(bench.platform.storage.root)
    done = subprocess.run([sys.executable, "-c", KILLED, root, kind], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = [path for path in bench.platform.storage.path(kind, "small").iterdir() if path.name.startswith(".")]
    _prune(bench, now=datetime.now(UTC), older_than=timedelta(microseconds=1))
    assert left.exists()
    _prune(bench, now=datetime.now(UTC) + timedelta(days=2), older_than=timedelta(microseconds=1))
    assert not left.exists()
    assert _digests(bench) == [digest]


def test_what_an_interrupted_pruning_hid_goes_with_the_next(bench: Bench):
    old, newest = (_snapshot(bench, n_rows) for n_rows in (10, 20))
    hidden = hide(Path(load_snapshot(bench.platform.storage, "small", old).uri))
    assert _prune(bench) == []
    assert not hidden.exists()
    assert _digests(bench) == [newest]
