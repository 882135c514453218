from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from moto.server import ThreadedMotoServer

from airflow_mlops.adapters.sql import stream_query
from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.errors import DataError, MlopsError, SpecError, UnavailableError
from airflow_mlops.hooks import sources
from airflow_mlops.hooks.sources import AirflowConnections
from airflow_mlops.hooks.storage import open_storage
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.steps.data.sources import open_source

POSTGRES = sa.make_url(os.environ.get("MLOPS_TEST_POSTGRES", "postgresql+psycopg2://postgres@127.0.0.1:5432/test"))
KEYS = {"login": "AKIAEXAMPLE", "password": "s3cret"}


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials but those that a test sets, and no waiting for a metadata service."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setattr(sources, "_PAUSES_S", (0.0,))


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define an Airflow connection, as the environment does."""

    def define(conn_id: str, **settings: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(settings))

    return define


@pytest.fixture
def warehouse(define: Callable[..., None]) -> dict[str, Any]:
    """A connection to a real PostgreSQL."""
    try:
        sa.create_engine(POSTGRES, connect_args={"connect_timeout": 3}).connect().close()
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL answers at MLOPS_TEST_POSTGRES")
    settings = {
        "conn_type": "postgres",
        "host": POSTGRES.host,
        "port": POSTGRES.port,
        "login": POSTGRES.username,
        "password": POSTGRES.password or "s3cret",
        "schema": POSTGRES.database,
    }
    define("warehouse", **settings)
    return settings


def _fails(kind: type[MlopsError], call: Callable[..., Any], *settings: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*settings)
    message = str(caught.value)
    assert "s3cret" not in message
    assert "Nothing was" in message
    return message


# Databases


def _read(engine: sa.Engine, query: str) -> list[dict[str, Any]]:
    with stream_query(engine, query, timestamp=None, window=Window()) as rows:
        found: list[dict[str, Any]] = rows.read_all().to_pylist()
        return found


def test_a_database_is_read_through_its_connection(warehouse: dict[str, Any]):
    engine = AirflowConnections().database("warehouse")
    assert _read(engine, "SELECT current_database() AS name") == [{"name": POSTGRES.database}]
    assert "s3cret" not in repr(engine)


def test_no_connection_is_kept_open(warehouse: dict[str, Any]):
    engine = AirflowConnections().database("warehouse")
    pids = {_read(engine, "SELECT pg_backend_pid() AS pid")[0]["pid"] for _ in range(2)}
    assert len(pids) == 2


def test_what_the_extra_says_to_the_driver_holds(warehouse: dict[str, Any], define: Callable[..., None]):
    define("warehouse", **warehouse, extra={"application_name": "mlops", "cursor": "dictcursor"})
    found = _read(AirflowConnections().database("warehouse"), "SELECT current_setting('application_name') AS name")
    assert found == [{"name": "mlops"}]


def test_encryption_that_the_extra_requires_is_required(warehouse: dict[str, Any], define: Callable[..., None]):
    define("warehouse", **warehouse, extra={"sslmode": "verify-full", "sslrootcert": "/nonexistent/root.crt"})
    message = _fails(UnavailableError, _read, AirflowConnections().database("warehouse"), "SELECT 1 AS a")
    assert "root" in message or "SSL" in message


def test_another_driver_can_be_chosen(warehouse: dict[str, Any], define: Callable[..., None]):
    define("warehouse", **warehouse, extra={"sqlalchemy_scheme": "postgresql+psycopg2"})
    engine = AirflowConnections().database("warehouse")
    assert engine.driver == "psycopg2"
    assert _read(engine, "SELECT 1 AS a") == [{"a": 1}]


def test_a_database_that_does_not_answer_is_an_outage(define: Callable[..., None]):
    define("warehouse", conn_type="postgres", host="127.0.0.1", port=1, login="ada", password="s3cret", schema="d")
    engine = AirflowConnections().database("warehouse")
    message = _fails(UnavailableError, _read, engine, "SELECT 1 AS a")
    assert message.startswith("The postgresql database 'd' at 127.0.0.1 does not answer: ")


def test_a_connection_that_is_not_defined_is_told():
    message = _fails(SpecError, AirflowConnections().database, "nowhere")
    assert message.startswith("There is no Airflow connection 'nowhere'")
    assert "AIRFLOW_CONN_NOWHERE" in message


def test_a_connection_of_a_type_that_nobody_knows_names_the_provider(define: Callable[..., None]):
    define("lake", conn_type="no_such_lake", host="lake", password="s3cret")
    message = _fails(SpecError, AirflowConnections().database, "lake")
    assert "Nothing was read or written. Install apache-airflow-providers-no-such-lake where tasks run" in message
    assert "and restart Airflow" in message


def test_a_connection_to_no_database_is_told(define: Callable[..., None]):
    define("web", conn_type="http", host="http://web", password="s3cret")
    message = _fails(SpecError, AirflowConnections().database, "web")
    assert "is of type 'http', which is no SQL database" in message
    assert message.endswith("Name one that is in data.conn_id.")
    define("web", conn_type="aws")
    assert _fails(SpecError, AirflowConnections().database, "web").endswith("To read from Athena, set data.athena.")


def test_a_wrong_connection_is_named_by_the_setting_that_it_stands_in(define: Callable[..., None]):
    message = _fails(SpecError, open_storage, "/tmp", "s3://bucket/folder", "nowhere")
    assert message.endswith("or fix [mlops] journal_conn_id.")


def test_a_driver_that_is_not_installed_is_told(warehouse: dict[str, Any], define: Callable[..., None]):
    define("warehouse", **warehouse, extra={"sqlalchemy_scheme": "postgresql+pg8000"})
    assert "gives no SQLAlchemy engine" in _fails(SpecError, AirflowConnections().database, "warehouse")
    define("warehouse", **warehouse, extra={"sqlalchemy_scheme": "mysql://"})
    assert "gives no SQLAlchemy engine" in _fails(SpecError, AirflowConnections().database, "warehouse")


# S3


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """A server that speaks S3 and Athena."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_keys_region_and_endpoint_come_from_the_connection(define: Callable[..., None]):
    define("aws", conn_type="aws", **KEYS, extra={"region_name": "eu-west-1", "endpoint_url": "http://minio:9000"})
    access = AirflowConnections().s3("aws")
    assert (access.access_key, access.secret_key, access.session_token) == ("AKIAEXAMPLE", "s3cret", None)
    assert (access.region, access.endpoint_url) == ("eu-west-1", "http://minio:9000")
    assert "s3cret" not in repr(access)


def test_an_endpoint_for_s3_alone_goes_before_the_common_one(define: Callable[..., None]):
    extra = {"endpoint_url": "http://all", "service_config": {"s3": {"endpoint_url": "http://minio:9000"}}}
    define("aws", conn_type="aws", **KEYS, extra=extra)
    assert AirflowConnections().s3("aws").endpoint_url == "http://minio:9000"


def test_keys_of_a_session_and_of_the_extra_are_taken(define: Callable[..., None]):
    extra = {"aws_access_key_id": "AKIAOTHER", "aws_secret_access_key": "s3cret", "aws_session_token": "t0ken"}
    define("aws", conn_type="aws", extra=extra)
    access = AirflowConnections().s3("aws")
    assert (access.access_key, access.session_token) == ("AKIAOTHER", "t0ken")
    assert "t0ken" not in repr(access)


def test_a_role_is_assumed(define: Callable[..., None], moto: str):
    extra = {
        "region_name": "us-east-1",
        "role_arn": "arn:aws:iam::123456789012:role/reader",
        "service_config": {"sts": {"endpoint_url": moto}},
    }
    define("aws", conn_type="aws", **KEYS, extra=extra)
    access = AirflowConnections().s3("aws")
    assert access.access_key not in (None, "AKIAEXAMPLE")
    assert access.session_token


def test_without_a_connection_it_is_aws_default(define: Callable[..., None]):
    define("aws_default", conn_type="aws", **KEYS)
    assert AirflowConnections().s3(None).access_key == "AKIAEXAMPLE"


def test_without_aws_default_it_is_what_the_machine_has(monkeypatch: pytest.MonkeyPatch):
    access = AirflowConnections().s3(None)
    assert (access.access_key, access.secret_key) == (None, None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMACHINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    assert AirflowConnections().s3(None).access_key == "AKIAMACHINE"


def test_a_connection_without_keys_is_told(define: Callable[..., None]):
    define("aws", conn_type="aws")
    assert "gives no AWS credentials" in _fails(SpecError, AirflowConnections().s3, "aws")


@pytest.mark.parametrize("name", ["s3", "unload"])
def test_an_aws_connection_that_is_not_there_is_told(name: str):
    call = AirflowConnections().s3 if name == "s3" else lambda conn_id: _unload(conn_id)
    assert "There is no Airflow connection 'nowhere'" in _fails(SpecError, call, "nowhere")


def test_a_connection_of_another_type_is_no_aws(define: Callable[..., None]):
    define("web", conn_type="http", host="http://web")
    assert "is of type 'http'; 'aws' was expected" in _fails(SpecError, AirflowConnections().s3, "web")


def test_a_profile_that_is_not_there_is_told(define: Callable[..., None]):
    define("aws", conn_type="aws", extra={"profile_name": "nobody"})
    assert "ProfileNotFound" in _fails(SpecError, AirflowConnections().s3, "aws")


# Athena

QUERY = "SELECT * FROM rides"


def _unload(conn_id: str = "aws", folder: str = "s3://lake/out/") -> str:
    data = DatasetSpec(query=QUERY, conn_id=conn_id, athena={"database": "bikes", "output_location": folder})
    return AirflowConnections().unload(data, QUERY)


def _aws(define: Callable[..., None], url: str) -> None:
    extra = {"region_name": "us-east-1", "endpoint_url": url, "config_kwargs": {"retries": {"total_max_attempts": 1}}}
    define("aws", conn_type="aws", **KEYS, extra=extra)


def test_athena_unloads_into_a_folder_of_its_own(define: Callable[..., None], moto: str):
    _aws(define, moto)
    folders = {_unload(), _unload()}
    assert len(folders) == 2
    athena = boto3.client(
        "athena", endpoint_url=moto, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    for execution in athena.list_query_executions()["QueryExecutionIds"]:
        found = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
        folder = found["Query"].split("'")[1]
        assert folder in folders
        assert folder.startswith("s3://lake/out/")
        assert folder.endswith("/")
        assert found["Query"] == (
            f"UNLOAD (\n{QUERY}\n) TO '{folder}' WITH (format = 'PARQUET', compression = 'SNAPPY')"
        )
        assert found["QueryExecutionContext"] == {"Database": "bikes", "Catalog": "AwsDataCatalog"}


def test_what_athena_unloads_is_read_from_s3(define: Callable[..., None], moto: str, tmp_path: Path):
    _aws(define, moto)
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    s3 = boto3.client("s3", endpoint_url=moto, **keys)
    s3.create_bucket(Bucket="lake")

    class Unloading(AirflowConnections):
        """moto's Athena writes no rows, so this writes those that the real one would."""

        def unload(self, data: DatasetSpec, query: str) -> str:
            folder = super().unload(data, query)
            pq.write_table(pa.table({"ride": [1, 2, 3]}), tmp_path / "rows")
            s3.upload_file(str(tmp_path / "rows"), "lake", f"{folder.removeprefix('s3://lake/')}20260101_00001_rows")
            return folder

    data = DatasetSpec(query=QUERY, conn_id="aws", athena={"database": "bikes", "output_location": "s3://lake/out"})
    with open_source(data, Window(), connections=Unloading(), scratch=tmp_path) as source:
        assert source.rows.read_all().to_pydict() == {"ride": [1, 2, 3]}
    assert source.lineage["query"] == QUERY


@dataclass
class Athena:
    """What Athena is to answer, and what it was asked. moto's Athena can't fail."""

    url: str = ""
    states: list[dict[str, Any]] = field(default_factory=list)
    error: tuple[int, str, str] | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, action: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(action)
        if self.error:
            return self.error[0], {"__type": self.error[1], "message": self.error[2]}
        if action == "GetQueryExecution":
            status = self.states.pop(0)
            return 200, {"QueryExecution": {"QueryExecutionId": "q-1", "Status": status}}
        return 200, {"QueryExecutionId": "q-1"} if action == "StartQueryExecution" else {}


@pytest.fixture
def athena(define: Callable[..., None]) -> Iterator[Athena]:
    fake = Athena()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, document = fake.answer(self.headers["X-Amz-Target"].partition(".")[2])
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_port}"
        _aws(define, fake.url)
        yield fake
        server.shutdown()
        thread.join()


def test_athena_is_waited_for(athena: Athena):
    athena.states = [{"State": state} for state in ("QUEUED", "RUNNING", "RUNNING", "SUCCEEDED")]
    assert _unload().startswith("s3://lake/out/")
    assert athena.asked == ["StartQueryExecution", *["GetQueryExecution"] * 4]


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (
            {"State": "FAILED", "StateChangeReason": "SYNTAX_ERROR: line 1:8: Column 'nope' cannot be resolved\nmore"},
            DataError,
            "Athena can't run the query q-1: SYNTAX_ERROR: line 1:8: Column 'nope' cannot be resolved. Nothing",
        ),
        (
            {"State": "FAILED", "AthenaError": {"ErrorCategory": 2, "ErrorMessage": "TABLE_NOT_FOUND: rides"}},
            DataError,
            "TABLE_NOT_FOUND: rides",
        ),
        (
            {"State": "FAILED", "AthenaError": {"ErrorCategory": 1, "ErrorMessage": "Internal error"}},
            UnavailableError,
            "Internal error. Nothing was kept. Retry.",
        ),
        (
            {"State": "FAILED", "AthenaError": {"ErrorCategory": 3, "Retryable": True, "ErrorMessage": "SlowDown"}},
            UnavailableError,
            "SlowDown",
        ),
        ({"State": "CANCELLED"}, UnavailableError, "was cancelled: no reason given"),
    ],
)
def test_a_query_that_fails_is_told_with_its_reason(
    athena: Athena, status: dict[str, Any], kind: type[MlopsError], words: str
):
    athena.states = [{"State": "RUNNING"}, status]
    assert words in _fails(kind, _unload)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ((400, "ThrottlingException", "Rate exceeded"), UnavailableError, "ThrottlingException: Rate exceeded"),
        ((400, "TooManyRequestsException", "busy"), UnavailableError, "TooManyRequestsException: busy"),
        ((500, "InternalServerException", "oops"), UnavailableError, "InternalServerException: oops"),
        ((400, "InvalidRequestException", "WorkGroup is not found"), SpecError, "WorkGroup is not found"),
        ((400, "AccessDeniedException", "not authorized"), SpecError, "AccessDeniedException: not authorized"),
        ((400, "ExpiredTokenException", "expired"), SpecError, "ExpiredTokenException: expired"),
    ],
)
def test_what_athena_refuses_is_told_from_an_outage(
    athena: Athena, error: tuple[int, str, str], kind: type[MlopsError], words: str
):
    athena.error = error
    assert words in _fails(kind, _unload)


def test_an_athena_that_is_not_there_is_an_outage(define: Callable[..., None]):
    _aws(define, "http://127.0.0.1:1")
    assert "EndpointConnectionError" in _fails(UnavailableError, _unload)


def test_a_query_that_nobody_waits_for_any_more_is_stopped(athena: Athena, monkeypatch: pytest.MonkeyPatch):
    athena.states = [{"State": "RUNNING"}]

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sources.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _unload()
    assert athena.asked == ["StartQueryExecution", "GetQueryExecution", "StopQueryExecution"]
