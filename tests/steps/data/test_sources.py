from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from moto.server import ThreadedMotoServer

from airflow_mlops.adapters.s3.objects import S3Access
from airflow_mlops.adapters.user_code.load import code_digest
from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.errors import DataError, SpecError
from airflow_mlops.specs import DatasetSpec
from airflow_mlops.steps.data.connections import Connections, NoConnections
from airflow_mlops.steps.data.sources import OpenSource, copy_source

OPEN = Window()
SECRET = "s3cr3t/of+the+tests"


class TestConnections(NoConnections):
    """Connections to a database file, to S3 and to an Athena that has unloaded already."""

    __test__ = False

    def __init__(self, *, database: str = "", access: S3Access | None = None, unloaded: str = "") -> None:
        self._database, self._access, self._unloaded = database, access, unloaded
        self.queries: list[str] = []

    def database(self, conn_id: str) -> sa.Engine:
        return sa.create_engine(self._database)

    def s3(self, conn_id: str | None) -> S3Access:
        assert self._access is not None
        return self._access

    def unload(self, data: DatasetSpec, query: str) -> str:
        self.queries.append(query)
        return self._unloaded


def load(window_start: datetime | None, window_end: datetime | None, *, n: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(n), "at": pd.date_range("2026-01-01", periods=n, tz="UTC")})


def login(window_start: datetime | None, window_end: datetime | None, *, password: str) -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


def _rows(source: OpenSource) -> list[dict[str, Any]]:
    return source.rows.read_all().to_pylist()


@pytest.fixture
def inbox(tmp_path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def read(tmp_path):
    """Read a source whole, and return its rows and its lineage."""
    (tmp_path / "scratch").mkdir()

    def _read(window: Window = OPEN, connections: Connections | None = None, **settings: Any) -> Any:
        data, places = DatasetSpec(**settings), connections or NoConnections()
        made = copy_source(
            data,
            window,
            lambda source: (_rows(source), source.lineage),
            connections=places,
            scratch=tmp_path / "scratch",
        )
        json.dumps(made[1], allow_nan=False)
        return made

    return _read


def test_files_are_read_and_the_lineage_names_them(inbox, read):
    (inbox / "a.csv").write_text("n\n1\n")
    (inbox / "b.csv").write_text("n\n2\n")
    rows, lineage = read(path=str(inbox))
    assert rows == [{"n": 1}, {"n": 2}]
    assert lineage["path"] == str(inbox)
    assert lineage["n_files"] == 2
    assert [file["name"] for file in lineage["files"]] == [str(inbox / "a.csv"), str(inbox / "b.csv")]
    assert [file["size"] for file in lineage["files"]] == [4, 4]


def test_a_lineage_names_a_hundred_files_and_counts_all(inbox, read):
    for number in range(103):
        (inbox / f"{number:03d}.csv").write_text("n\n1\n")
    rows, lineage = read(path=str(inbox))
    assert (len(rows), lineage["n_files"], len(lineage["files"])) == (103, 103, 100)


def test_no_file_is_an_error_that_names_the_path(inbox, read):
    with pytest.raises(DataError, match=r"No file matches '.*inbox/\*\.csv'. Nothing was read. .* data\.path"):
        read(path=f"{inbox}/*.csv")


def test_an_empty_file_among_others_is_an_error_that_names_it(inbox, read):
    (inbox / "a.csv").write_text("n\n1\n")
    (inbox / "b.csv").write_text("")
    with pytest.raises(DataError, match=r"1 of 2 file\(s\) at .* are empty \(0 bytes\): 'b\.csv'"):
        read(path=str(inbox))


def test_a_late_value_of_another_type_is_read_from_the_beginning_with_the_type_of_all(inbox, read):
    (inbox / "a.csv").write_text("n\n" + "1\n" * 200_000 + "1.5\n")
    rows, _ = read(path=str(inbox))
    assert len(rows) == 200_001
    assert rows[-1] == {"n": 1.5}
    assert isinstance(rows[0]["n"], float)


@pytest.mark.parametrize("change", ["append", "rewrite", "add", "remove"])
def test_files_that_change_while_they_are_read_are_refused(inbox, tmp_path, change):
    for name in ("a.csv", "b.csv"):
        (inbox / name).write_text("n\n1\n")

    def disturb() -> None:
        if change == "append":
            (inbox / "a.csv").write_text("n\n1\n2\n")
        elif change == "rewrite":
            (inbox / "a.csv").write_text("n\n2\n")
        elif change == "add":
            (inbox / "c.csv").write_text("n\n1\n")
        else:
            (inbox / "b.csv").unlink()

    data = DatasetSpec(path=str(inbox))
    with pytest.raises(DataError, match=r"changed while they were read\. Nothing was kept; run again"):
        copy_source(data, OPEN, lambda _: disturb(), connections=NoConnections(), scratch=tmp_path)


def test_an_error_of_the_reader_is_not_hidden_by_a_change(inbox, tmp_path):
    (inbox / "a.csv").write_text("n\n1\n")
    data = DatasetSpec(path=str(inbox))

    def fail(source: OpenSource) -> None:
        (inbox / "a.csv").unlink()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        copy_source(data, OPEN, fail, connections=NoConnections(), scratch=tmp_path)


def test_partitions_outside_the_window_are_not_opened(inbox, read):
    for day, text in (("2026-01-01", "this is no Parquet file"), ("2026-01-02", None)):
        file = inbox / f"day={day}" / "part.parquet"
        file.parent.mkdir()
        if text:
            file.write_text(text)
        else:
            pq.write_table(pa.table({"n": [1]}), file)
    window = Window(start=datetime(2026, 1, 2, tzinfo=UTC))
    rows, lineage = read(window, path=str(inbox), partitioned=True, timestamp="day")
    assert len(rows) == lineage["n_files"] == 1


def test_a_window_in_which_no_partition_lies_is_an_error_that_names_it(inbox, read):
    (inbox / "day=2026-01-01").mkdir()
    (inbox / "day=2026-01-01" / "a.csv").write_text("n\n1\n")
    window = Window(start=datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(DataError, match=r"None of the 1 file\(s\) at .* lies in the window from 2027-01-01 .* 'day'"):
        read(window, path=str(inbox), partitioned=True, timestamp="day")


def test_a_window_cuts_files_queries_and_functions_alike(inbox, read, tmp_path):
    window = Window(start=datetime(2026, 1, 2, tzinfo=UTC), end=datetime(2026, 1, 4, tzinfo=UTC))
    frame = load(None, None, n=5)
    frame.to_csv(inbox / "a.csv", index=False)
    database = f"sqlite:///{tmp_path}/data.db"
    with sa.create_engine(database).begin() as connection:
        frame.assign(at=frame["at"].dt.strftime("%Y-%m-%d %H:%M:%S")).to_sql("t", connection, index=False)
    sources: list[dict[str, Any]] = [
        {"path": str(inbox)},
        {"query": "SELECT * FROM t", "conn_id": "db"},
        {"function": "tests.steps.data.test_sources:load", "function_params": {"n": 5}},
    ]
    for settings in sources:
        rows, _ = read(window, TestConnections(database=database), timestamp="at", **settings)
        assert [row["n"] for row in rows] == [1, 2], settings


def test_the_lineage_of_a_query_is_its_text_and_of_a_function_its_code(read, tmp_path):
    places = TestConnections(database=f"sqlite:///{tmp_path}/data.db")
    rows, lineage = read(connections=places, query="SELECT 1 AS n", conn_id="db")
    assert rows == [{"n": 1}]
    assert lineage == {"query": "SELECT 1 AS n", "conn_id": "db"}
    function = "tests.steps.data.test_sources:load"
    rows, lineage = read(function=function, function_params={"n": 2})
    assert [row["n"] for row in rows] == [0, 1]
    params_digest = lineage.pop("params_digest")
    assert lineage == {"function": function, "params": ["n"], "code_digest": code_digest(function)}
    assert read(function=function, function_params={"n": 2})[1]["params_digest"] == params_digest
    assert read(function=function, function_params={"n": 3})[1]["params_digest"] != params_digest


def test_the_lineage_of_a_function_has_no_value_of_its_parameters(read):
    _, lineage = read(function="tests.steps.data.test_sources:login", function_params={"password": "hunter2"})
    assert lineage["params"] == ["password"]
    assert "hunter2" not in json.dumps(lineage)


@pytest.mark.parametrize(
    "settings", [{"query": "SELECT 1", "conn_id": "db"}, {"path": "s3://bucket/a", "conn_id": "db"}]
)
def test_without_connections_what_needs_one_is_refused_by_its_name(read, settings):
    with pytest.raises(SpecError, match="The connection 'db' can't be opened here"):
        read(**settings)


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[S3Access, Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    access = S3Access(access_key="k", secret_key=SECRET, region="us-east-1", endpoint_url=f"http://{host}:{port}")
    settings = {"aws_access_key_id": "k", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=access.endpoint_url, **settings)
    client.create_bucket(Bucket="bucket-of-tests")
    yield access, client
    server.stop()


def test_objects_on_s3_are_read_and_the_lineage_has_their_tags_and_no_secret(s3, read):
    access, client = s3
    answer = client.put_object(Bucket="bucket-of-tests", Key="in/a.csv", Body=b"n\n1\n")
    rows, lineage = read(connections=TestConnections(access=access), path="s3://bucket-of-tests/in/*.csv")
    assert rows == [{"n": 1}]
    assert lineage["files"][0]["name"] == "s3://bucket-of-tests/in/a.csv"
    assert lineage["files"][0]["stamp"].startswith(answer["ETag"].strip('"'))
    assert SECRET not in json.dumps(lineage)


def test_objects_that_change_while_they_are_read_are_refused_even_at_the_same_size_and_second(s3, tmp_path):
    access, client = s3
    client.put_object(Bucket="bucket-of-tests", Key="changing/a.csv", Body=b"n\n1\n")
    data = DatasetSpec(path="s3://bucket-of-tests/changing")

    def disturb(source: OpenSource) -> None:
        assert _rows(source) == [{"n": 1}]
        client.put_object(Bucket="bucket-of-tests", Key="changing/a.csv", Body=b"n\n2\n")

    with pytest.raises(DataError, match="changed while they were read"):
        copy_source(data, OPEN, disturb, connections=TestConnections(access=access), scratch=tmp_path)


def test_what_athena_unloads_is_read_and_the_lineage_has_the_query(s3, read, tmp_path):
    access, client = s3
    pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "a.parquet")
    client.upload_file(str(tmp_path / "a.parquet"), "bucket-of-tests", "unloaded/20260101_x")
    places = TestConnections(access=access, unloaded="s3://bucket-of-tests/unloaded/")
    athena = {"database": "d", "output_location": "s3://bucket-of-tests/"}
    rows, lineage = read(connections=places, query="SELECT n FROM t", conn_id="aws", athena=athena)
    assert [row["n"] for row in rows] == [1, 2]
    assert lineage["query"] == places.queries[0] == "SELECT n FROM t"
    assert lineage["unloaded"]["n_files"] == 1


def test_numbered_files_are_read_in_the_order_of_their_numbers(tmp_path):
    for number in (1, 2, 10, 9):
        (tmp_path / f"part-{number}.csv").write_text(f"n\n{number}\n")
    rows = copy_source(DatasetSpec(path=str(tmp_path)), OPEN, _rows, connections=NoConnections(), scratch=tmp_path)
    assert [row["n"] for row in rows] == [1, 2, 9, 10]
