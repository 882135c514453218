"""Logs on S3."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import boto3
import pytest

from airflow_mlops.adapters.s3.objects import S3Access
from airflow_mlops.adapters.s3.store import S3Place
from airflow_mlops.adapters.storage.store import AppendOnlyLog, Storage
from airflow_mlops.errors import IntegrityError, SpecError, UnavailableError
from tests.moto_server import Faults, S3Server, s3_server

SECRET = "s3cr3t/of+the+tests"
BUCKET = "bucket-of-journals"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def faults(server) -> Iterator[Faults]:
    yield server.faults
    server.faults.answer = server.faults.after = lambda _: None


@pytest.fixture
def access(server) -> S3Access:
    return S3Access(access_key="AKIAOFTHETESTS", secret_key=SECRET, region="us-east-1", endpoint_url=server.url)


@pytest.fixture
def place(access) -> Iterator[S3Place]:
    keys = {"aws_access_key_id": access.access_key, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=access.endpoint_url, **keys).Bucket(BUCKET)
    bucket.create()
    yield S3Place(access, f"s3://{BUCKET}/the mlops")
    bucket.objects.all().delete()
    bucket.delete()


def _log(place: S3Place) -> AppendOnlyLog:
    return AppendOnlyLog(place, ("journals", "small"))


def test_a_log_is_read_back_in_order_with_what_was_settled(place):
    log = _log(place)
    assert (log.entries(), len(log)) == ([], 0)
    for number in range(1, 13):
        assert log.append({"n": number, "who": "ä"}, number=number)
        log.settle(number)
    assert [entry["n"] for entry in log.entries()] == list(range(1, 13))
    assert (len(log), log.is_settled(12), log.is_settled(13)) == (12, True, False)
    assert place.names("journals") == ["small"]
    assert place.names("nothing") == []


def test_a_storage_keeps_its_logs_there_and_all_else_in_its_root(place, tmp_path):
    storage = Storage(str(tmp_path), place)
    storage.log("decisions", "small").append({"n": 1}, number=1)
    storage.write_json({}, "reports", "r.json")
    assert storage.names() == ["reports"]
    assert place.names() == ["decisions"]
    assert AppendOnlyLog(place, ("decisions", "small")).entries() == [{"n": 1}]


def test_an_entry_is_never_overwritten(place):
    log = _log(place)
    assert log.append({"by": "ada"}, number=1)
    assert not log.append({"by": "eve"}, number=1)
    assert log.entries() == [{"by": "ada"}]


def test_of_twenty_writers_exactly_one_creates_the_entry_and_it_is_the_one_that_was_told_so(place):
    barrier = threading.Barrier(20)

    def append(number: int) -> bool:
        barrier.wait()
        return _log(place).append({"writer": number}, number=1)

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(append, range(20)))
    assert won.count(True) == 1
    assert _log(place).entries() == [{"writer": won.index(True)}]


def test_more_entries_than_s3_lists_at_once_are_all_found(place, monkeypatch):
    for number in range(1, 8):
        _log(place).append({"n": number}, number=number)
    listed = place._s3.list_objects_v2
    monkeypatch.setattr(place._s3, "list_objects_v2", lambda **wanted: listed(**wanted, MaxKeys=3))
    assert [entry["n"] for entry in _log(place).entries()] == list(range(1, 8))


def test_an_entry_that_is_missing_or_damaged_is_noticed(place):
    for number in (1, 2):
        _log(place).append({"n": number}, number=number)
    where = {"Bucket": BUCKET, "Key": "the mlops/journals/small/000001.json"}
    place._s3.put_object(**where, Body=b"{")
    with pytest.raises(IntegrityError, match=rf"s3://{BUCKET}/the mlops/journals/small/000001\.json is damaged"):
        _log(place).entries()
    place._s3.delete_object(**where)
    with pytest.raises(IntegrityError, match=rf"s3://{BUCKET}/the mlops/journals/small: entry 1 is missing"):
        _log(place).entries()
    with pytest.raises(IntegrityError, match=r"000001\.json is missing from the storage"):
        place.read_json("journals", "small", "000001.json")


def test_two_writes_that_meet_are_tried_again(place, faults):
    conflicts = iter([("409 Conflict", "ConditionalRequestConflict")] * 2)
    faults.answer = lambda request: next(conflicts, None) if request["REQUEST_METHOD"] == "PUT" else None
    assert _log(place).append({"n": 1}, number=1)
    assert _log(place).entries() == [{"n": 1}]


def test_a_write_whose_answer_was_lost_is_not_taken_for_a_second_entry(place, faults):
    lost = iter([("503 Service Unavailable", "SlowDown")])
    faults.after = lambda request: next(lost, None) if request["REQUEST_METHOD"] == "PUT" else None
    assert not _log(place).append({"n": 1}, number=1)  # boto tries again, and finds what its first try has written
    assert _log(place).entries() == [{"n": 1}]


USES = {
    "append": lambda place: _log(place).append({}, number=1),
    "entries": lambda place: _log(place).entries(),
    "is_settled": lambda place: _log(place).is_settled(1),
    "read_json": lambda place: place.read_json("a.json"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        ("500 Internal Server Error", "InternalError", UnavailableError, "can't be used: .*then retry"),
        ("503 Service Unavailable", "SlowDown", UnavailableError, "can't be used: .*then retry"),
        ("403 Forbidden", "AccessDenied", SpecError, "S3 refuses it .*s3:PutObject"),
    ],
)
def test_what_s3_answers_is_told_apart_and_never_an_empty_log(place, faults, use, status, code, kind, words):
    faults.answer = lambda _: (status, code)
    quick = replace(place, access=replace(place.access, max_attempts=1))
    with pytest.raises(kind, match=words) as caught:
        use(quick)
    assert "Nothing was changed." in str(caught.value)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_s3_that_is_gone_is_an_outage_and_shows_no_secret(access, use):
    gone = replace(access, endpoint_url="http://127.0.0.1:9", max_attempts=1, timeout_s=1.0)
    with pytest.raises(UnavailableError, match="s3://b can't be used: EndpointConnectionError") as caught:
        use(S3Place(gone, "s3://b"))
    assert SECRET not in str(caught.value)


def test_a_bucket_that_is_not_there_is_a_mistake(access):
    with pytest.raises(SpecError, match=r"s3://no-such-bucket: there is no such bucket.*journal_root"):
        S3Place(access, "s3://no-such-bucket").names()


@pytest.mark.parametrize("root", ["s3://", "s3:///a", "s3://*/a", "/a"])
def test_a_root_without_a_bucket_is_refused(access, root):
    with pytest.raises(SpecError, match="is no folder on S3"):
        S3Place(access, root)


def test_the_keys_are_not_shown(place):
    assert SECRET not in repr(place)
