"""New objects on S3: a real server that speaks it, reached by an Airflow connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from airflow_mlops.adapters.s3 import objects
from airflow_mlops.hooks.platform import get_watermark
from airflow_mlops.hooks.watch import S3Objects
from airflow_mlops.triggers.data import NewFilesTrigger
from tests.triggers.test_new_files import _until

KEYS = {"aws_access_key_id": "AKIAOFTHETESTS", "aws_secret_access_key": "s3cr3t", "region_name": "us-east-1"}


@pytest.fixture
def server() -> Iterator[ThreadedMotoServer]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def endpoint(server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch) -> str:
    host, port = server.get_host_and_port()
    extra = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "AKIAOFTHETESTS", "password": "s3cr3t", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    return f"http://{host}:{port}"


@pytest.fixture
def bucket(endpoint: str) -> Any:
    bucket = boto3.resource("s3", endpoint_url=endpoint, **KEYS).Bucket("lake-of-tests")
    bucket.create()
    bucket.objects.all().delete()
    return bucket


def _trigger(path: str, **settings: Any) -> NewFilesTrigger:
    known = {"watermark": "w", "conn_id": "lake", "poll_interval_s": 0.01}
    return NewFilesTrigger(path=path, **{**known, **settings})


async def _payload(events: Any) -> Any:
    return (await asyncio.wait_for(anext(events), 60)).payload


def test_an_object_is_announced_when_it_comes_and_when_it_changes_and_not_when_it_is_written_again(bucket: Any):
    bucket.put_object(Key="in/a.csv", Body=b"x\n1\n")
    bucket.put_object(Key="in/note.txt", Body=b"no")

    async def tell() -> list[Any]:
        events = _trigger("s3://lake-of-tests/in/*.csv").run()
        seen = [await _payload(events)]
        more = asyncio.ensure_future(_payload(events))
        await _until(get_watermark("w").handled)
        bucket.put_object(Key="in/a.csv", Body=b"x\n1\n")
        await asyncio.wait([more], timeout=0.3)  # some looks
        assert not more.done()
        bucket.put_object(Key="in/a.csv", Body=b"x\n2\n")
        return [*seen, await more]

    event = {"files": ["s3://lake-of-tests/in/a.csv"], "n_files": 1}
    assert asyncio.run(tell()) == [event, event]


def test_a_restart_announces_only_what_is_new_of_more_objects_than_a_page_has(bucket: Any):
    for number in range(1003):  # a page has 1,000
        bucket.put_object(Key=f"in/{number:04d}.csv", Body=b"x\n")

    async def tell() -> tuple[Any, Any]:
        events = _trigger("s3://lake-of-tests/in/").run()
        first = await _payload(events)
        more = asyncio.ensure_future(_payload(events))
        await _until(get_watermark("w").handled)
        more.cancel()
        await asyncio.gather(more, return_exceptions=True)
        bucket.put_object(Key="in/9999.csv", Body=b"x\n")
        return first, await _payload(_trigger("s3://lake-of-tests/in/").run())

    first, second = asyncio.run(tell())
    assert (first["n_files"], len(first["files"])) == (1003, 100)
    assert second == {"files": ["s3://lake-of-tests/in/9999.csv"], "n_files": 1}


def test_a_bucket_that_is_not_there_is_told_once_and_what_comes_once_it_is_there(endpoint: str):
    path = "s3://bucket-that-comes-late/in/"

    async def tell() -> tuple[Any, Any]:
        events = _trigger(path).run()
        problem = await _payload(events)
        more = asyncio.ensure_future(_payload(events))
        await _until(get_watermark("w").handled)
        more.cancel()
        await asyncio.gather(more, return_exceptions=True)
        again = asyncio.ensure_future(_payload(_trigger(path).run()))  # a restart
        await asyncio.wait([again], timeout=0.3)
        assert not again.done()
        bucket = boto3.resource("s3", endpoint_url=endpoint, **KEYS).Bucket("bucket-that-comes-late")
        bucket.create()
        bucket.put_object(Key="in/a.csv", Body=b"x\n")
        return problem, await again

    problem, event = asyncio.run(tell())
    assert "there is no such bucket" in problem["problem"]
    assert event["n_files"] == 1


def test_a_connection_that_is_not_defined_is_told(endpoint: str):
    problem = asyncio.run(_payload(_trigger("s3://lake-of-tests/", conn_id="nobody").run()))
    assert "There is no Airflow connection 'nobody'" in problem["problem"]


def test_a_service_that_is_away_is_waited_for(
    server: ThreadedMotoServer, bucket: Any, caplog: pytest.LogCaptureFixture
):
    bucket.put_object(Key="in/a.csv", Body=b"x\n")
    host, port = server.get_host_and_port()
    server.stop()

    async def tell() -> Any:
        waiting = asyncio.ensure_future(_payload(_trigger("s3://lake-of-tests/in/").run()))
        await _until(lambda: "S3 does not answer" in caplog.text)
        assert not waiting.done()
        again = ThreadedMotoServer(ip_address=host, port=port, verbose=False)
        again.start()
        try:
            return await waiting
        finally:
            again.stop()

    assert asyncio.run(tell())["n_files"] == 1


def test_many_that_look_at_the_same_share_one_look_and_one_client(bucket: Any, monkeypatch: pytest.MonkeyPatch):
    bucket.put_object(Key="in/a.csv", Body=b"x\n")
    clients: list[object] = []
    looks: list[object] = []
    open_client, object_stamps = objects.open_client, objects.object_stamps
    monkeypatch.setattr(objects, "open_client", lambda access: clients.append(access) or open_client(access))
    monkeypatch.setattr(objects, "object_stamps", lambda *a, **k: looks.append(a) or object_stamps(*a, **k))
    sources = [S3Objects("s3://lake-of-tests/in/", "lake", fresh_s=600.0) for _ in range(20)]
    assert {len(source.news({})[0]) for source in sources} == {1}
    assert (len(clients), len(looks)) == (1, 1)
    S3Objects("s3://lake-of-tests/", "lake", fresh_s=600.0).news({})
    assert (len(clients), len(looks)) == (1, 2)
