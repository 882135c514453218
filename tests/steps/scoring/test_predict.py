"""Batch scoring: every row once, by one version, whatever happens on the way."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.arrow import ParquetDigestWriter, blocks
from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.scoring.batch import PredictionBatch
from airflow_mlops.errors import (
    DataError,
    DataHaltedError,
    EvaluationError,
    IntegrityError,
    NoRowsError,
    SpecError,
    UnavailableError,
    UntrustedModelError,
)
from airflow_mlops.specs import BatchScoringSpec, DatasetSpec, PredictionSpec, SplitSpec, TrainingSpec
from airflow_mlops.steps import Platform
from airflow_mlops.steps.data.connections import NoConnections
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.promotion.promote import promote_model
from airflow_mlops.steps.registry.models import load_model
from airflow_mlops.steps.scoring.predict import predict_batch, score_dataset
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.train import train_model
from tests.steps.cases import Bench, elsewhere, run_named, small_frame
from tests.steps.conftest import make_bench

FOREIGN = "tests.steps.trainers.ForeignModel"
UNFITTED = {
    "plain": {"function": "tests.steps.trainers:least_squares"},
    "foreign": {"estimator": "tests.steps.trainers:ForeignModel", "preprocessing": "none"},
    "parts": {"estimator": "sklearn.linear_model.LogisticRegression", "target": "part"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[tuple[Bench, Any]]:
    """Version 1 of ``small`` is champion, version 2 is blessed and waits; version 1 of the others was never judged."""
    folder = tmp_path_factory.mktemp("trained")
    before = Path.cwd()
    os.chdir(folder)
    bench = make_bench(folder, mlflow_database)
    frame = small_frame().assign(part=lambda rows: np.select([rows.x < -0.5, rows.x < 0.5], ["low", "middle"], "high"))
    bench.deliver(frame)
    spec = bench.spec(training={"features": ["x"]})
    assert bench.run("first", spec, params={"alpha": 50.0}).promotion is not None
    held = bench.run("second", bench.spec(training={"features": ["x"]}, promotion={"policy": "hold"}))
    trusting = replace(bench.platform, trusted_types=(FOREIGN,))
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=bench.platform.storage)
    split = split_dataset(snapshot, spec.data, SplitSpec(method="random"), storage=bench.platform.storage)
    for name, settings in UNFITTED.items():
        training = TrainingSpec(**{"target": "y", "features": ["x"], **settings})
        model = train_model(split, training, model_name=name, platform=trusting, run=run_named("train"))
        bench.platform.mlflow.create_version(model, {"mlops.model_digest": model.model_digest}, "")
    yield bench, held
    os.chdir(before)


@pytest.fixture
def bench(trained: tuple[Bench, Any], tmp_path: Path) -> Bench:
    """The same models, and records of this test's own."""
    source = trained[0].platform.storage.root.parent
    shutil.copy(source / "mlflow.db", tmp_path / "mlflow.db")
    shutil.copytree(source / "storage", tmp_path / "storage")
    (tmp_path / "inbox").mkdir()
    return Bench(
        Platform(Storage(str(tmp_path / "storage")), Mlflow(f"sqlite:///{tmp_path}/mlflow.db")), tmp_path / "inbox"
    )


def rows(n: int = 250, **columns: Any) -> pd.DataFrame:
    x = np.random.default_rng(1).normal(size=n)
    return pd.DataFrame({"id": np.arange(n) + 1000, "x": x, "place": np.resize(["north", "south"], n), **columns})


def scores(bench: Bench, frame: pd.DataFrame | None = None, run_id: str = "r", **settings: Any) -> PredictionBatch:
    """Deliver rows and score them."""
    bench.deliver(rows() if frame is None else frame)
    data = DatasetSpec(path=str(bench.inbox), **settings.pop("data", {}))
    options = {name: settings.pop(name) for name in ("connections", "platform") if name in settings}
    snapshot = snapshot_dataset(data, dataset="small.batch", storage=bench.platform.storage)
    prediction = PredictionSpec(**{"model_name": "small", "key": "id", "chunk_rows": 100, **settings})
    return predict_batch(
        snapshot, prediction, data=data, run=run_named(run_id), **{"platform": bench.platform, **options}
    )


def logged(bench: Bench, model_name: str = "small") -> pd.DataFrame:
    folder = bench.platform.storage.path("inference", model_name)
    return ds.dataset(folder, partitioning="hive").to_table().to_pandas() if folder.exists() else pd.DataFrame()


def published(bench: Bench, model_name: str = "small") -> list[str]:
    """Return the names of finished batches."""
    names = bench.platform.storage.names("predictions", model_name)
    return [name for name in names if not name.startswith(".") and not name.endswith(".json")]


def said_by(bench: Bench, version: int, frame: pd.DataFrame) -> np.ndarray:
    model = load_model("It", f"models:/small/{version}", "", platform=bench.platform)
    return np.asarray(model.model.predict(frame[["x"]]))


def promote_the_second(bench: Bench, trained: tuple[Bench, Any]) -> None:
    held = trained[1]
    promote_model(held.version, held.blessing, platform=bench.platform, run=run_named("second"))


def test_every_row_is_scored_by_the_champion_and_says_by_what_and_when(bench: Bench):
    frame = rows()
    batch = scores(bench, frame, keep="place")
    found = pq.read_table(batch.data_uri).to_pandas()
    assert list(found) == ["id", "place", "prediction", "model_version", "model_digest", "predicted_at"]
    assert found["id"].tolist() == frame["id"].tolist()
    assert found["place"].tolist() == frame["place"].tolist()
    assert found["prediction"].to_numpy() == pytest.approx(said_by(bench, 1, frame), rel=1e-12)
    assert set(found["model_version"]) == {1} == {batch.model_version}
    assert set(found["model_digest"]) == {bench.platform.mlflow.get_version("small", 1).model_digest}
    assert set(found["predicted_at"]) == {pd.Timestamp(batch.started_at)}
    assert (batch.n_rows, batch.n_logged) == (250, 250)
    page = bench.platform.storage.path(batch.report_uri).read_text()
    assert batch.digest in page
    assert "Predictions of small v1" in page


def test_the_log_has_each_row_with_what_was_asked_and_what_was_said(bench: Bench):
    frame = rows()
    batch = scores(bench, frame)
    log = logged(bench).sort_values("mlops_id")
    assert log["mlops_id"].tolist() == [str(key) for key in frame["id"]]
    assert log["x"].tolist() == frame["x"].tolist()
    assert log["mlops_prediction"].to_numpy() == pytest.approx(said_by(bench, 1, frame), rel=1e-12)
    assert set(log["mlops_role"]) == {"batch"}
    assert set(log["mlops_request_id"]) == {f"batch-{Path(batch.uri).name}"}
    assert not list(Path(batch.uri).rglob("log/**/*.parquet"))


def test_a_log_can_be_a_sample_without_what_is_secret_or_nothing_at_all(bench: Bench):
    settings = {"log": {"sample_fraction": 0.3, "redact": ["x"]}}
    batch = scores(bench, **settings)
    first = logged(bench)
    assert 30 < len(first) == batch.n_logged < 130
    assert first["x"].isna().all()
    scores(bench, run_id="other", **settings)
    again = logged(bench)
    assert set(again["mlops_id"]) == set(first["mlops_id"])
    assert scores(bench, run_id="none", log=None).n_logged == 0
    assert len(logged(bench)) == len(again)


def test_how_many_rows_are_held_changes_nothing(bench: Bench):
    digests = set()
    for chunk_rows in (1000, 7):
        batch = scores(bench, run_id=f"by {chunk_rows}", chunk_rows=chunk_rows, log=None)
        table = pq.read_table(batch.data_uri).drop_columns("predicted_at")
        digests.add(str(table.to_pandas().round(9).to_dict("list")))
    assert len(digests) == 1


def test_a_version_that_is_named_scores_whoever_is_champion(bench: Bench):
    frame = rows()
    batch = scores(bench, frame, model_uri="models:/small/2")
    found = pq.read_table(batch.data_uri).to_pandas()
    assert batch.model_version == 2
    assert found["prediction"].to_numpy() == pytest.approx(said_by(bench, 2, frame), rel=1e-12)
    assert found["prediction"].to_numpy() != pytest.approx(said_by(bench, 1, frame), rel=1e-3)


def test_a_classifier_s_label_comes_with_its_probability(bench: Bench):
    frame = rows()
    batch = scores(bench, frame, model_name="parts", model_uri="models:/parts/1")
    found = pq.read_table(batch.data_uri).to_pandas()
    model = load_model("It", "models:/parts/1", "", platform=bench.platform).model
    assert found["prediction"].tolist() == model.predict(frame[["x"]]).tolist()
    assert found["score"].to_numpy() == pytest.approx(model.predict_proba(frame[["x"]]).max(axis=1))
    assert logged(bench, "parts")["mlops_score"].notna().all()


def test_features_are_made_of_the_rows_before_they_are_scored(bench: Bench):
    frame = rows().rename(columns={"x": "half_x"})
    data = {"features": "SELECT id, place, 2 * half_x AS x FROM dataset WHERE place = 'north'"}
    found = pq.read_table(scores(bench, frame, data=data).data_uri).to_pandas()
    north = frame[frame["place"] == "north"]
    assert found["id"].tolist() == north["id"].tolist()
    expected = said_by(bench, 1, pd.DataFrame({"x": 2 * north["half_x"]}))
    assert found["prediction"].to_numpy() == pytest.approx(expected, rel=1e-12)


def test_a_key_of_several_columns_tells_rows_apart(bench: Bench):
    frame = rows(4).assign(id=[1, 1, 2, 2], place=["a/b", "a", "b", "a"])
    scores(bench, frame, key=["place", "id"])
    assert sorted(logged(bench)["mlops_id"]) == ["a/1", "a/2", r"a\/b/1", "b/2"]


# -- what does not fit --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        pytest.param(rows().rename(columns={"x": "X"}), r"column 'x' is missing\.", id="a column is missing"),
        pytest.param(rows(x="far"), r"column 'x' holds text \(string\); the model reads numbers", id="of another type"),
        pytest.param(rows().drop(columns="id"), r"column 'id' is missing", id="no key"),
        pytest.param(rows(id=[None, *range(249)]), r"key column 'id' is null in 1 of 250 rows", id="a null key"),
        pytest.param(rows(id=[7, 7, 7, *range(100, 347)]), r"1 key\(s\) stand in 3 of 250 rows", id="a key twice"),
    ],
)
def test_rows_that_do_not_fit_are_refused_before_the_first_is_scored(
    bench: Bench, frame: pd.DataFrame, message: str, tmp_path: Path
):
    database = Database(f"sqlite:///{tmp_path}/out.db")
    with pytest.raises(DataError, match=message) as caught:
        scores(bench, frame, output=OUTPUT, connections=database)
    assert "Nothing was scored or written." in str(caught.value)
    assert published(bench) == []
    assert logged(bench).empty
    assert not (tmp_path / "out.db").exists()


def test_a_missing_number_where_the_model_can_take_none_says_where(bench: Bench):
    frame = rows()
    frame.loc[120, "x"] = np.nan
    with pytest.raises(EvaluationError, match=r"plain v1 can't predict the rows: .*NaN") as caught:
        scores(bench, frame, model_name="plain", model_uri="models:/plain/1")
    assert "This was in rows 101 to 200 of 250. No prediction was written." in str(caught.value)
    assert published(bench, "plain") == []
    assert logged(bench, "plain").empty


def test_a_missing_number_is_scored_where_the_model_knows_what_to_do(bench: Bench):
    assert scores(bench, rows(x=[np.nan, *np.ones(249)])).n_rows == 250


def test_no_rows_are_no_success(bench: Bench):
    with pytest.raises(NoRowsError, match="hold no row"):
        scores(bench, rows(0))
    with pytest.raises(NoRowsError, match="no row is left to keep"):
        scores(bench, data={"features": "SELECT * FROM dataset WHERE x > 1e9"})
    assert published(bench) == []


def test_a_model_without_a_champion_scores_nothing(bench: Bench):
    with pytest.raises(SpecError, match=r"plain has no champion yet.*Nothing was written.*models:/plain/1"):
        scores(bench, model_name="plain")
    assert bench.platform.storage.names("predictions", "plain") == []


def test_a_type_that_the_platform_does_not_trust_is_not_loaded(bench: Bench):
    settings = {"model_name": "foreign", "model_uri": "models:/foreign/1"}
    with pytest.raises(UntrustedModelError, match="ForeignModel"):
        scores(bench, **settings)
    assert published(bench, "foreign") == []
    trusting = replace(bench.platform, trusted_types=(FOREIGN,))
    assert scores(bench, platform=trusting, **settings).n_rows == 250


def test_a_model_whose_files_were_changed_scores_nothing(bench: Bench):
    client = MlflowClient(bench.platform.mlflow.tracking_uri)
    source = client.get_model_version("small", "1").source
    folder = client.get_logged_model(source.rpartition("/")[2]).artifact_location.removeprefix("file://")
    (Path(folder) / "more").write_text("not there when it was trained")
    try:
        with pytest.raises(IntegrityError, match="was verified"):
            scores(bench)
    finally:
        (Path(folder) / "more").unlink()
    assert published(bench) == []


def test_an_outage_of_mlflow_is_over_at_the_retry(bench: Bench):
    bench.deliver(rows())
    spec = BatchScoringSpec(model_name="small", key="id", data={"path": str(bench.inbox)})
    with pytest.raises(UnavailableError, match="does not answer"):
        score_dataset(spec, platform=elsewhere(bench.platform, "http://127.0.0.1:9"), run=run_named("r"))
    assert score_dataset(spec, platform=bench.platform, run=run_named("r")).n_rows == 250


def test_a_storage_that_can_not_be_written_is_an_outage_and_leaves_nothing(bench: Bench):
    blocked = bench.platform.storage.path("predictions")
    blocked.write_text("not a folder")
    with pytest.raises(UnavailableError, match="Nothing was changed"):
        scores(bench)
    assert logged(bench).empty
    blocked.unlink()
    assert scores(bench).n_rows == 250


def test_a_snapshot_that_was_changed_is_not_scored(bench: Bench):
    bench.deliver(rows())
    data = DatasetSpec(path=str(bench.inbox))
    snapshot = snapshot_dataset(data, dataset="small.batch", storage=bench.platform.storage)
    pq.write_table(pq.read_table(snapshot.data_uri).slice(1), snapshot.data_uri)
    with pytest.raises(IntegrityError, match="was verified"):
        predict_batch(
            snapshot, PredictionSpec(model_name="small", key="id"), platform=bench.platform, run=run_named("r")
        )


def test_a_validation_that_halts_scores_nothing(bench: Bench):
    bench.deliver(rows())
    spec = BatchScoringSpec(
        model_name="small",
        key="id",
        data={"path": str(bench.inbox)},
        validation={
            "expectations": [
                {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 100}}
            ]
        },
    )
    with pytest.raises(DataHaltedError):
        score_dataset(spec, platform=bench.platform, run=run_named("r"))
    assert published(bench) == []
    assert score_dataset(spec.model_copy(update={"validation": None}), platform=bench.platform, run=run_named("r"))


# -- retries ------------------------------------------------------------------------------------------------


class Database(NoConnections):
    """One database, whatever the connection's name."""

    def __init__(self, url: str | sa.URL) -> None:
        self.url = url

    def database(self, conn_id: str) -> sa.Engine:
        return sa.create_engine(self.url, poolclass=sa.NullPool, hide_parameters=True)


OUTPUT = {"conn_id": "out", "table": "predictions"}
POSTGRES = os.environ.get("MLOPS_TEST_POSTGRES", "postgresql+psycopg2://postgres@127.0.0.1:5432/test")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A table's place of this test's own, in each of the databases."""
    if request.param == "sqlite":
        yield Database(f"sqlite:///{tmp_path}/out.db")
        return
    schema = f"mlops_{os.getpid()}_{abs(hash(tmp_path)) % 10**9}"
    engine = sa.create_engine(POSTGRES, connect_args={"connect_timeout": 3}, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL answers at MLOPS_TEST_POSTGRES")
    yield Database(sa.make_url(POSTGRES).update_query_dict({"options": f"-c search_path={schema}"}))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")


def in_table(database: Database) -> pd.DataFrame:
    engine = database.database("out")
    if not sa.inspect(engine).has_table("predictions"):
        return pd.DataFrame()
    return pd.read_sql("SELECT * FROM predictions ORDER BY id", engine)


def killed(act: Callable[[], object]) -> None:
    """Do something in a fork of this process that is to die by SIGKILL on the way, as Airflow's tasks are forks."""
    child = os.fork()
    if not child:
        try:
            act()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def dies(owner: Any, method: str, at_call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a process die right after a call of a method."""
    real, calls = getattr(owner, method), iter(range(1, 1000))

    def call_and_die(*args: Any, **kwargs: Any) -> Any:
        made = real(*args, **kwargs)
        if next(calls) == at_call:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    monkeypatch.setattr(owner, method, call_and_die)


def two_and_then_death(path: str) -> Iterator[Any]:
    """Give two blocks of a file, and die when they have been written."""
    yield from itertools.islice(blocks.read_blocks(path), 2)
    os.kill(os.getpid(), signal.SIGKILL)


def check_whole(bench: Bench, frame: pd.DataFrame, version: int = 1) -> None:
    """See that there is one batch, all of it by one version, and each row in the log once."""
    (name,) = published(bench)
    found = pq.read_table(bench.platform.storage.path("predictions", "small", name, "data.parquet")).to_pandas()
    assert found["id"].tolist() == frame["id"].tolist()
    assert found["prediction"].to_numpy() == pytest.approx(said_by(bench, version, frame), rel=1e-12)
    assert set(found["model_version"]) == {version}
    log = logged(bench)
    assert sorted(log["mlops_id"]) == [str(key) for key in frame["id"]]
    assert set(log["mlops_model_version"]) == {version}


@pytest.mark.parametrize(
    ("owner", "method", "at_call", "n_published"),
    [
        pytest.param(ParquetDigestWriter, "write", 2, 0, id="between two chunks"),
        pytest.param(Storage, "publish", 2, 1, id="before the log has its files"),
        pytest.param(os, "replace", 5, 1, id="when the log has some of its files"),
    ],
)
def test_a_killed_try_leaves_nothing_half_way_and_its_retry_makes_one_batch_of_one_version(
    bench: Bench,
    trained: tuple[Bench, Any],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    method: str,
    at_call: int,
    n_published: int,
):
    frame = rows()
    with monkeypatch.context() as patched:
        dies(owner, method, at_call, patched)
        killed(lambda: scores(bench, frame))
    assert len(published(bench)) == n_published
    assert logged(bench).empty or n_published
    promote_the_second(bench, trained)
    version = 1 if n_published else 2  # what is there stays, and what is not is made anew
    batch = scores(bench, frame)
    check_whole(bench, frame, version)
    assert scores(bench, frame) == batch
    check_whole(bench, frame, version)
    assert scores(bench, frame, run_id="next").model_version == 2


def test_a_table_gets_all_rows_once_though_a_try_was_killed_amid_them(
    bench: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
):
    frame = rows()
    with monkeypatch.context() as patched:
        patched.setattr(blocks, "_MAX_BLOCK_ROWS", 100)
        patched.setattr(arrow, "read_blocks", two_and_then_death)
        killed(lambda: scores(bench, frame, output=OUTPUT, connections=database))
    assert len(in_table(database)) == 0
    assert len(published(bench)) == 1
    batch = scores(bench, frame, output=OUTPUT, connections=database)
    for _ in range(2):
        found = in_table(database)
        assert found["id"].tolist() == frame["id"].tolist()
        assert found["prediction"].to_numpy() == pytest.approx(said_by(bench, 1, frame), rel=1e-12)
        assert set(found["model_version"]) == {1}
        assert pd.to_datetime(found["predicted_at"], utc=True).unique().tolist() == [pd.Timestamp(batch.started_at)]
        assert scores(bench, frame, output=OUTPUT, connections=database) == batch


def test_a_later_run_replaces_its_rows_and_an_earlier_one_that_is_repeated_does_not(
    bench: Bench, trained: tuple[Bench, Any], database: Database
):
    frame = rows()
    settings = {"output": OUTPUT, "connections": database}
    scores(bench, frame, **settings)
    promote_the_second(bench, trained)
    scores(bench, frame.tail(100), run_id="later", **settings)
    expected = [1] * 150 + [2] * 100
    assert in_table(database)["model_version"].tolist() == expected
    scores(bench, frame, **settings)
    assert in_table(database)["model_version"].tolist() == expected


def test_a_table_that_has_no_key_is_refused_and_stays_as_it_was(bench: Bench, database: Database):
    scores(bench, output=OUTPUT, connections=database)
    with database.database("out").begin() as connection:
        connection.exec_driver_sql("CREATE TABLE copied AS SELECT * FROM predictions WHERE id < 1003")
        connection.exec_driver_sql("DROP TABLE predictions")
        connection.exec_driver_sql("ALTER TABLE copied RENAME TO predictions")
    with pytest.raises(SpecError, match=r"refuses the rows: .*The table is as it was\. Fix the table .*unique"):
        scores(bench, output=OUTPUT, connections=database)
    assert len(in_table(database)) == 3


def test_a_database_that_can_not_write_by_key_is_refused_before_anything_is_scored(bench: Bench):
    import sqlite3

    class Other(NoConnections):
        def database(self, conn_id: str) -> sa.Engine:
            return sa.create_engine("mysql://host/shop", module=sqlite3)

    with pytest.raises(SpecError, match=r"The mysql database 'shop' at host can't be written by key"):
        scores(bench, output=OUTPUT, connections=Other())
    assert published(bench) == []


def test_without_connections_a_table_is_refused_before_anything_is_scored(bench: Bench):
    with pytest.raises(SpecError, match="this step was given no connections"):
        scores(bench, output=OUTPUT)
    assert published(bench) == []


def test_a_wrong_connection_of_the_table_is_named_by_its_setting(bench: Bench):
    class Wrong(NoConnections):
        def database(self, conn_id: str) -> sa.Engine:
            raise SpecError(f"There is no Airflow connection {conn_id!r}. Define it, or fix data.conn_id.")

    with pytest.raises(SpecError, match=r"or fix output\.conn_id\.$"):
        scores(bench, output=OUTPUT, connections=Wrong())


def test_predictions_that_were_changed_are_not_given_out(bench: Bench, tmp_path: Path):
    batch = scores(bench)
    table = pq.read_table(batch.data_uri)
    pq.write_table(table.set_column(1, "prediction", table.column("id")), batch.data_uri)
    with pytest.raises(IntegrityError, match="was verified"):
        scores(bench, output=OUTPUT, connections=Database(f"sqlite:///{tmp_path}/out.db"))
    assert not (tmp_path / "out.db").exists()


def test_two_tries_at_the_same_time_make_one_batch(bench: Bench):
    from concurrent.futures import ThreadPoolExecutor

    frame = rows()
    bench.deliver(frame)
    data = DatasetSpec(path=str(bench.inbox))
    snapshot = snapshot_dataset(data, dataset="small.batch", storage=bench.platform.storage)
    spec = PredictionSpec(model_name="small", key="id", chunk_rows=100)
    with ThreadPoolExecutor(2) as pool:
        tries = [
            pool.submit(predict_batch, snapshot, spec, platform=bench.platform, run=run_named("r")) for _ in range(2)
        ]
    assert {each.result().digest for each in tries} == {each.result().digest for each in tries[:1]}
    check_whole(bench, frame)


def test_a_batch_that_another_try_scored_at_another_moment_is_never_mixed(bench: Bench):
    first = scores(bench)
    assert first.started_at < datetime.now(UTC)
    assert scores(bench, run_id="another").digest != first.digest
