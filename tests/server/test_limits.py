"""Requests that are malformed, huge, slow or too many, and callers that may not call."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.server.background import Background
from airflow_mlops.server.server import ModelServer
from airflow_mlops.specs import InferenceLogSpec, ServerSpec
from tests.processes import wait_until
from tests.server.cases import FRAME, Answer, Stage, body_of, request, request_on
from tests.server.models import PATIENT

ROW = body_of(FRAME.head(1))


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    host, _, port = urlsplit(url).netloc.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as raw:
        yield raw


def read_all(raw: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    return b"".join(iter(lambda: raw.recv(65536), b""))


def code_of(answer: Answer) -> str:
    return json.loads(answer.body)["error_code"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"dataframe_split": 7}',
        b'{"inputs": {"x": [[[1]]]}}',
        b"9" * 5000,
        b"[" * 99999,
    ],
)
def test_malformed_requests_are_errors_and_the_server_goes_on(stage: Stage, body: bytes):
    with stage.serving() as server:
        answer = request(server.url, body)
        assert 400 <= answer.status < 500
        assert b"Traceback" not in answer.body
        assert request(server.url, ROW).predictions == [1.0]


def test_what_is_no_http_is_refused(stage: Stage):
    with stage.serving() as server, connected(server.url) as raw:
        raw.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
        assert read_all(raw).startswith(b"HTTP/1.1 400 ")
        assert request(server.url, ROW).predictions == [1.0]


def test_a_huge_body_is_refused_and_the_connection_stays(stage: Stage):
    with stage.serving(max_body_mb=0.1) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        answer = request_on(connection, b" " * 20_000_000)
        assert (answer.status, code_of(answer)) == (413, "REQUEST_TOO_LARGE")
        assert request_on(connection, ROW).predictions == [1.0]
        connection.close()


def test_a_huge_body_whose_size_is_not_told_is_refused_too(stage: Stage):
    with stage.serving(max_body_mb=0.1) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        connection.request("POST", "/invocations", iter([b" " * 50_000] * 40), encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()


def test_too_many_rows_are_refused(stage: Stage):
    with stage.serving(max_rows=3) as server:
        assert request(server.url, body_of(FRAME)).predictions == [1.0] * 3
        answer = request(server.url, body_of(pd.concat([FRAME, FRAME])))
        assert (answer.status, code_of(answer)) == (413, "REQUEST_TOO_LARGE")
        assert b"6 rows" in answer.body


def test_a_slow_body_is_refused_and_a_slow_head_is_cut_off(stage: Stage):
    with stage.serving(read_timeout_s=0.2) as server, connected(server.url) as body, connected(server.url) as head:
        body.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        head.sendall(b"POST /invocations HTTP/1.1\r\nHost: ")
        assert request(server.url, ROW).predictions == [1.0]
        answer = read_all(body)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in answer
        assert read_all(head) == b""


def test_a_second_head_on_a_connection_has_its_deadline_too(stage: Stage):
    with stage.serving(read_timeout_s=0.2) as server, connected(server.url) as raw:
        raw.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 200 ")
        raw.sendall(b"GET /ping HT")
        assert read_all(raw) == b""


def test_a_request_that_takes_too_long_is_refused(stage: Stage):
    stage.deploy(champion_version=PATIENT)
    with stage.serving(timeout_s=0.1, threads=1) as server:
        answer = request(server.url, body_of(pd.DataFrame({"x": [0.5]})))
        assert (answer.status, code_of(answer), answer.headers["retry-after"]) == (503, "TEMPORARILY_UNAVAILABLE", "1")
        wait_until(lambda: request(server.url, body_of(pd.DataFrame({"x": [0.0]}))).status == 200)


def test_a_small_request_does_not_wait_for_a_large_one(stage: Stage):
    stage.deploy(champion_version=PATIENT)
    large = body_of(pd.DataFrame({"x": [3.0, *([0.0] * 9_999)]}))
    with stage.serving() as server:
        caller = threading.Thread(target=request, args=(server.url, large))
        caller.start()
        wait_until(lambda: b"mlops_requests_under_way 1.0" in server.metrics.text(()))
        assert request(server.url, ROW).predictions == [0.0]
        assert b"mlops_requests_under_way 1.0" in server.metrics.text(())
        caller.join()


def test_more_requests_than_are_allowed_are_refused_at_once(stage: Stage):
    stage.deploy(champion_version=PATIENT)
    with stage.serving(max_concurrent=2, threads=2) as server:
        slow = [threading.Thread(target=request, args=(server.url, body_of(pd.DataFrame({"x": [3.0]})))) for _ in "ab"]
        for each in slow:
            each.start()
        wait_until(lambda: b"mlops_requests_under_way 2.0" in server.metrics.text(()))
        answer = request(server.url, body_of(pd.DataFrame({"x": [0.0]})))
        assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
        assert request(server.url, path="/health").status == 200
        for each in slow:
            each.join()
        assert request(server.url, body_of(pd.DataFrame({"x": [0.0]}))).predictions == [0.0]


def test_who_does_not_show_the_token_learns_and_gets_nothing(stage: Stage, tmp_path, caplog):
    file = tmp_path / "token"
    file.write_text("s3cr3t-token\n")
    with caplog.at_level("DEBUG"), stage.serving(token_file=str(file)) as server:
        for shown in ({}, {"Authorization": "Bearer wr0ng"}, {"Authorization": "s3cr3t-token"}):
            answer = request(server.url, ROW, headers=shown)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            for path in ("/version", "/metrics"):
                assert request(server.url, path=path, headers=shown).status == 401
            assert request(server.url, path="/health", headers=shown).body == b'{"status":"ok"}'
            assert request(server.url, path="/live", headers=shown).body == b"\n"
        right = {"Authorization": "Bearer s3cr3t-token"}
        assert request(server.url, ROW, headers=right).predictions == [1.0]
        metrics = request(server.url, path="/metrics", headers=right).body
        assert b'mlops_requests_total{status="401"} 3.0' in metrics
    logged = caplog.text + stage.logged().to_string()
    assert "s3cr3t" not in logged
    assert "wr0ng" not in logged
    assert "s3cr3t" not in repr(server)


def test_a_host_that_others_reach_wants_a_token(tmp_path):
    with pytest.raises(SpecError, match="callers must show a token"):
        ServerSpec(model_name="m", host="0.0.0.0")
    assert ServerSpec(model_name="m", host="0.0.0.0", insecure=True).insecure
    assert ServerSpec(model_name="m", host="0.0.0.0", token_file="/t").token_file == "/t"


def test_a_token_file_that_can_not_be_used_is_no_open_door(stage: Stage, tmp_path):
    (tmp_path / "empty").write_text("\n")
    for name, words in (("empty", "is empty"), ("missing", "can't be read")):
        with pytest.raises(SpecError, match=words):
            ModelServer(
                ServerSpec(model_name="served", port=0, token_file=str(tmp_path / name)), platform=stage.platform
            )


def test_an_address_that_is_taken_is_said(stage: Stage):
    with stage.serving() as server, pytest.raises(SpecError, match="can't be listened on"):
        ModelServer(ServerSpec(model_name="served", port=int(server.url.rpartition(":")[2])), platform=stage.platform)


def test_a_path_or_method_that_is_none_is_refused(stage: Stage):
    with stage.serving() as server:
        assert request(server.url, path="/nothing").status == 404
        assert request(server.url, ROW, path="/health").status == 405
        assert request(server.url, method="DELETE").headers["allow"] == "POST"
        version = json.loads(request(server.url, path="/version").body)
        assert (version["model_name"], version["champion"]["version"], version["challenger"]) == ("served", 1, None)


def test_a_request_without_a_content_type_is_refused(stage: Stage):
    with stage.serving() as server, connected(server.url) as raw:
        raw.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        assert read_all(raw).startswith(b"HTTP/1.1 415 ")


def test_a_queue_that_is_full_drops_and_never_blocks():
    is_free, handled, dropped = threading.Event(), [], []

    def handle(items: object) -> None:
        is_free.wait()
        handled.extend(items)

    work: Background[int] = Background("test", handle, capacity=10, on_drop=dropped.append)
    work.offer(-1, 1)
    wait_until(lambda: work._weight == 0)  # the thread has taken it, and is stuck with it
    started = time.monotonic()
    offered = [work.offer(number, 1) for number in range(10_000)]
    assert time.monotonic() - started < 30
    assert (sum(offered), sum(dropped)) == (10, 9_990)
    is_free.set()
    assert work.close(30)
    assert handled == [-1, *range(10)]
    assert not work.offer(1, 1)


def test_work_that_fails_is_counted_and_does_not_end_the_thread(caplog):
    handled, dropped = [], []

    def handle(items: list[int]) -> None:
        if items == [0]:
            raise ValueError("s3cret row")
        handled.extend(items)

    work: Background[int] = Background("test", handle, capacity=10, on_drop=dropped.append)
    assert work.offer(0, 3)
    wait_until(lambda: dropped == [3])
    assert work.offer(1, 1)
    assert work.close(30)
    assert handled == [1]
    assert "ValueError" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_log_that_can_not_be_written_is_counted_and_requests_are_answered(stage: Stage, caplog):
    folder = stage.platform.storage.path("inference")
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file where the folder should be")
    with stage.serving() as server:
        assert request(server.url, ROW).predictions == [1.0]
    assert b"mlops_log_dropped_rows_total 1.0" in server.metrics.text(())
    assert "The inference log at" in caplog.text


def test_the_log_stays_within_its_size_on_disk(stage: Stage, monkeypatch):
    monkeypatch.setattr("airflow_mlops.server.prediction_log._BATCH_ROWS", 2_000)
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=9_000)})  # hardly to be compressed
    sizes = []
    with stage.serving(log=InferenceLogSpec(max_mb=1)) as server:
        folder = stage.platform.storage.path("inference", "served")
        for turn in range(16):
            body = body_of(frame + turn)
            assert len(request(server.url, body).predictions) == len(frame)
            sizes.append(sum(file.stat().st_size for file in folder.glob("*/*.parquet")))
    written = server.metrics.text(()).decode()
    assert f"mlops_logged_rows_total {16 * len(frame):.1f}" in written
    assert max(sizes) <= 1_000_000
    assert len(stage.logged()) < 16 * len(frame)


def test_what_is_under_way_at_the_end_is_answered_and_logged(stage: Stage):
    stage.deploy(champion_version=PATIENT)
    answers: list[Answer] = []
    with stage.serving() as server:
        body = body_of(pd.DataFrame({"x": [0.7]}))
        slow = threading.Thread(target=lambda: answers.append(request(server.url, body)))
        slow.start()
        wait_until(lambda: b"mlops_requests_under_way 1.0" in server.metrics.text(()))
        server.stop()
        slow.join()
    assert [answer.predictions for answer in answers] == [[0.7]]
    assert stage.logged()["mlops_prediction"].tolist() == [0.7]
