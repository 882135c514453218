from __future__ import annotations

import gzip
import os
import socket
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from airflow_mlops.adapters.duckdb_engine import files_in_window, scan_source
from airflow_mlops.adapters.s3.files import open_filesystem
from airflow_mlops.adapters.s3.objects import S3Access, list_objects
from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.errors import DataError, SpecError, UnavailableError
from airflow_mlops.specs import DatasetSpec

SECRET = "s3cr3t/of+the+tests"
BUCKET = "bucket-of-tests"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def access(endpoint) -> S3Access:
    return S3Access(access_key="AKIAOFTHETESTS", secret_key=SECRET, region="us-east-1", endpoint_url=endpoint)


@pytest.fixture
def bucket(access) -> Iterator[Any]:
    """The bucket, emptied afterwards."""
    settings = {"aws_access_key_id": access.access_key, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    found = boto3.resource("s3", endpoint_url=access.endpoint_url, **settings).Bucket(BUCKET)
    found.create()
    yield found
    found.objects.all().delete()
    found.delete()


def _put(bucket: Any, **contents: str | bytes) -> None:
    for key, content in contents.items():
        bucket.put_object(Key=key, Body=content if isinstance(content, bytes) else content.encode())


def _keys(access: S3Access, path: str, **settings: Any) -> list[str]:
    return [file.path.removeprefix(f"s3://{BUCKET}/") for file in list_objects(access, path, **settings)]


def _rows(access: S3Access, path: str, **settings: Any) -> list[dict[str, Any]]:
    data = DatasetSpec(path=path, **settings)
    files = [file.path for file in list_objects(access, path, recursive=data.partitioned)]
    with scan_source(data, files, filesystem=open_filesystem(access, path)) as rows:
        return rows.read_all().to_pylist()


NAMES = (
    "data/a.csv",
    "data/b.csv",
    "data/sub/c.csv",
    "data/_SUCCESS",
    "data/.d.csv",
    "data/_tmp/e.csv",
    "database.csv",
)


@pytest.mark.parametrize(
    ("path", "recursive", "keys"),
    [
        ("data", False, ["data/a.csv", "data/b.csv"]),
        ("data/", False, ["data/a.csv", "data/b.csv"]),
        ("data", True, ["data/a.csv", "data/b.csv", "data/sub/c.csv"]),
        ("data/a.csv", False, ["data/a.csv"]),
        ("data/*.csv", False, ["data/a.csv", "data/b.csv"]),
        ("data/**/*.csv", False, ["data/a.csv", "data/b.csv", "data/sub/c.csv"]),
        ("data/*/*.csv", False, ["data/sub/c.csv"]),
        ("data/[ab].csv", False, ["data/a.csv", "data/b.csv"]),
        ("dat*", False, ["database.csv"]),
        ("", False, ["database.csv"]),
        ("nothing", False, []),
    ],
)
def test_a_path_stands_for_an_object_a_folder_or_a_glob_without_hidden_names(access, bucket, path, recursive, keys):
    _put(bucket, **dict.fromkeys(NAMES, "a\n1\n"))
    assert _keys(access, f"s3://{BUCKET}/{path}", recursive=recursive) == keys


def test_a_stamp_stays_while_the_object_does_and_changes_with_its_content(access, bucket):
    path = f"s3://{BUCKET}/a.csv"
    _put(bucket, **{"a.csv": "a\n1\n"})
    before = list_objects(access, path)
    assert list_objects(access, path) == before
    _put(bucket, **{"a.csv": "a\n2\n"})
    (after,) = list_objects(access, path)
    assert after.stamp != before[0].stamp
    assert after.size == before[0].size == 4


@pytest.mark.parametrize("name", ["a.csv", "x=[1]/a*?.csv", "sub folder/ä.csv"])
def test_csv_is_read_whatever_its_name(access, bucket, name):
    _put(bucket, **{f"in/{name}": "a;b\n1;x\n2;y\n", "in/ab.csv": "a;b\n9;z\n"})
    data = DatasetSpec(path="x")
    with scan_source(data, [f"s3://{BUCKET}/in/{name}"], filesystem=open_filesystem(access, "x")) as rows:
        assert rows.read_all().to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_json_lines_and_another_encoding_are_read(access, bucket):
    _put(bucket, **{"a.jsonl": '{"a": 1}\n{"a": 2}\n', "b.csv": "a\nä\n".encode("cp1252")})
    assert _rows(access, f"s3://{BUCKET}/a.jsonl") == [{"a": 1}, {"a": 2}]
    assert _rows(access, f"s3://{BUCKET}/b.csv", csv={"encoding": "cp1252"}) == [{"a": "ä"}]


def test_partitions_are_columns_and_files_outside_the_window_are_not_even_listed_for_reading(access, bucket, tmp_path):
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        pq.write_table(pa.table({"n": [int(day[-2:])]}), tmp_path / "part.parquet")
        _put(bucket, **{f"in/day={day}/part.parquet": (tmp_path / "part.parquet").read_bytes()})
    _put(bucket, **{"in/_SUCCESS": ""})
    path, window = f"s3://{BUCKET}/in", Window(start=_utc("2026-01-02"), end=_utc("2026-01-03"))
    data = DatasetSpec(path=path, partitioned=True, timestamp="day")
    files = files_in_window(list_objects(access, path, recursive=True), "day", window)
    assert [file.path for file in files] == [f"{path}/day=2026-01-02/part.parquet"]
    with scan_source(data, [file.path for file in files], window, filesystem=open_filesystem(access, path)) as rows:
        assert rows.read_all().to_pylist() == [{"n": 2, "day": date(2026, 1, 2)}]


def test_a_large_object_is_streamed(access, bucket, tmp_path):
    pq.write_table(pa.table({"n": list(range(500_000))}), tmp_path / "a.parquet", row_group_size=50_000)
    bucket.upload_file(str(tmp_path / "a.parquet"), "a.parquet")
    filesystem = open_filesystem(access, "x")
    with scan_source(DatasetSpec(path="x"), [f"s3://{BUCKET}/a.parquet"], filesystem=filesystem) as rows:
        assert rows.read_next_batch().num_rows < 200_000
        assert sum(batch.num_rows for batch in rows) > 300_000


def test_threads_that_share_an_open_object_each_get_what_they_asked_for(access, bucket):
    block = 1000
    content = b"".join(f"{number:>{block}}".encode() for number in range(100))
    _put(bucket, **{"a.bin": content})
    with open_filesystem(access, "x").open(f"s3://{BUCKET}/a.bin") as file:

        def read(number: int) -> int:
            file.seek(number * block)
            return int(file.read(block))

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(read, range(100))) == list(range(100))


def test_an_open_object_is_read_on_by_whichever_thread_has_the_turn(access, bucket):
    _put(bucket, **{"a.bin": "0123456789"})
    with open_filesystem(access, "x").open(f"s3://{BUCKET}/a.bin") as file, ThreadPoolExecutor(1) as another:
        assert file.seek(2) == 2
        assert another.submit(file.read, 3).result() == b"234"
        assert (file.read(2), file.tell()) == (b"56", 7)
        assert (file.seek(-1, os.SEEK_CUR), file.read()) == (6, b"6789")
        assert (file.seek(-3, os.SEEK_END), file.read(), file.read(1)) == (7, b"789", b"")


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl"])
def test_large_text_is_read_whole_by_many_threads(access, bucket, suffix):
    lines = [f'{{"n": {number}, "text": "row {number} {"-" * 60}"}}' for number in range(80_000)]
    if not suffix.startswith("jsonl"):
        lines = ["n,text", *(f"{number},row {number} {'-' * 60}" for number in range(80_000))]
    text = ("\n".join(lines) + "\n").encode()
    bucket.put_object(Key=f"a.{suffix}", Body=gzip.compress(text, 1) if suffix.endswith("gz") else text)
    rows = _rows(access, f"s3://{BUCKET}/a.{suffix}")
    assert [row["n"] for row in rows] == list(range(80_000))
    assert all(row["text"].startswith(f"row {row['n']} -") for row in rows)


def test_a_bucket_that_is_not_there_is_the_specs_fault(access):
    with pytest.raises(SpecError, match=r"s3://no-such-bucket/a: there is no such bucket .* Fix data.path"):
        list_objects(access, "s3://no-such-bucket/a")


@pytest.mark.parametrize("path", ["s3://", "s3:///a.csv", "s3://*/a.csv", "/a.csv"])
def test_a_path_without_a_bucket_is_refused(access, path):
    with pytest.raises(SpecError, match="is no path on S3"):
        list_objects(access, path)


def test_an_object_that_is_gone_once_it_is_read_has_changed(access, bucket):
    filesystem = open_filesystem(access, "s3://the/path")
    with (
        pytest.raises(DataError, match="The files at 's3://the/path' changed while they were read"),
        scan_source(DatasetSpec(path="x"), [f"s3://{BUCKET}/gone.csv"], filesystem=filesystem),
    ):
        pass


def test_a_damaged_object_is_bad_data_and_no_outage(access, bucket, tmp_path):
    pq.write_table(pa.table({"n": range(50_000)}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    _put(bucket, **{"a.parquet": content[:4] + bytes([0xFF] * 8) + content[12:]})
    with pytest.raises(DataError, match=rf"(?s)'s3://{BUCKET}' can't be read: .*ain"):
        _rows(access, f"s3://{BUCKET}")


@pytest.fixture
def nobody(access) -> S3Access:
    """An endpoint at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"secret_key": SECRET, "region": "us-east-1", "timeout_s": 1.0, "max_attempts": 1}
    return S3Access(access_key="AKIAOFTHETESTS", endpoint_url=f"http://127.0.0.1:{port}", **settings)


def test_an_endpoint_that_is_down_is_an_outage_and_no_bad_data(nobody):
    with pytest.raises(UnavailableError, match=r"S3 does not answer for s3://a-bucket/a\.csv") as caught:
        list_objects(nobody, "s3://a-bucket/a.csv")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_an_endpoint_that_goes_down_after_the_listing_is_an_outage_too(nobody, name):
    filesystem = open_filesystem(nobody, "s3://a-bucket")
    with (
        pytest.raises(UnavailableError, match="The files at 's3://a-bucket': S3 does not answer") as caught,
        scan_source(DatasetSpec(path="x"), [f"s3://a-bucket/{name}"], filesystem=filesystem),
    ):
        pass
    assert SECRET not in str(caught.value)


def test_an_endpoint_that_goes_down_while_rows_are_read_is_an_outage(tmp_path):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"secret_key": SECRET, "region": "us-east-1", "timeout_s": 1.0, "max_attempts": 1}
    access = S3Access(access_key="AKIAOFTHETESTS", endpoint_url=f"http://{host}:{port}", **settings)
    client = boto3.client(
        "s3",
        endpoint_url=access.endpoint_url,
        aws_access_key_id="k",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="another-bucket")
    columns = {f"n{number}": pa.array(range(2_000_000)) for number in range(4)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=50_000, compression="none")
    client.upload_file(str(tmp_path / "a.parquet"), "another-bucket", "a.parquet")
    filesystem = open_filesystem(access, "s3://another-bucket")
    with scan_source(DatasetSpec(path="x"), ["s3://another-bucket/a.parquet"], filesystem=filesystem) as rows:
        rows.read_next_batch()
        server.stop()
        with pytest.raises(UnavailableError, match="S3 does not answer"):
            rows.read_all()


@pytest.mark.parametrize("name", ["access_key", "secret_key", "session_token"])
def test_credentials_are_not_shown(name):
    assert SECRET not in repr(S3Access(**{name: SECRET}))


def test_a_refusal_says_which_rights_are_missing(access, bucket):
    # moto checks rights from the next call on, for keys that it knows; it knows none.
    _post(f"{access.endpoint_url}/moto-api/reset-auth", b"0")
    try:
        with pytest.raises(DataError, match=r"S3 refuses to list it .* s3:ListBucket and s3:GetObject") as caught:
            list_objects(access, f"s3://{BUCKET}/a.csv")
        assert SECRET not in str(caught.value)
        filesystem = open_filesystem(access, "s3://the/path")
        with (
            pytest.raises(DataError, match="The files at 's3://the/path': S3 refuses to give them"),
            scan_source(DatasetSpec(path="x"), [f"s3://{BUCKET}/a.csv"], filesystem=filesystem),
        ):
            pass
    finally:
        _post(f"{access.endpoint_url}/moto-api/reset-auth", b"inf")


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, data=body, method="POST", headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
