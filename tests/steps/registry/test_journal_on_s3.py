"""Promotions whose journal lies on S3: whole, and with an S3 that goes in the middle of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import boto3
import pytest

from airflow_mlops.adapters.s3.objects import S3Access
from airflow_mlops.adapters.s3.store import S3Place
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.cli import main
from airflow_mlops.steps.maintenance.verify import verify_model
from airflow_mlops.steps.promotion.promote import rollback_model
from tests.moto_server import Environ, S3Server, s3_server
from tests.stage import Stage
from tests.steps.cases import Bench, deliver, left_by, run_named
from tests.steps.interrupted import interrupt_everywhere, promote_held, promoted_and_held

KEYS = {"access_key": "AKIAOFTHETESTS", "secret_key": "s3cr3t", "region": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def on_s3(bench: Bench, stage: Stage, server: S3Server) -> Iterator[Bench]:
    """A delivery, and a bucket for the journals of what comes of it."""
    stage.after(bench, deliver)
    login = {"aws_access_key_id": KEYS["access_key"], "aws_secret_access_key": KEYS["secret_key"]}
    bucket = boto3.resource("s3", endpoint_url=server.url, region_name=KEYS["region"], **login).Bucket("journals")
    bucket.create()
    place = S3Place(S3Access(endpoint_url=server.url, max_attempts=1, **KEYS), "s3://journals/mlops")
    yield Bench(replace(bench.platform, storage=Storage(str(bench.platform.storage.root), place)), bench.inbox)
    server.faults.answer = server.faults.after = lambda _: None
    bucket.objects.all().delete()
    bucket.delete()


def test_a_promotion_and_a_rollback_are_kept_on_s3_and_all_of_it_holds(
    on_s3: Bench, server: S3Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    promote_held(on_s3, promoted_and_held(on_s3))
    rollback_model("small", reason="strange numbers", platform=on_s3.platform, run=run_named("back"))
    journal = (("promote", None, 1), ("promote", 1, 2), ("rollback", 2, 1))
    assert (left_by(on_s3.platform).alias, left_by(on_s3.platform).journal) == (1, journal)
    verify_model("small", platform=on_s3.platform).require_whole()
    root = on_s3.platform.storage.root
    assert not (root / "journals").exists()

    for name, value in {"ACCESS_KEY_ID": KEYS["access_key"], "SECRET_ACCESS_KEY": KEYS["secret_key"]}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", KEYS["region"])
    where = ["small", "--storage-root", str(root), "--journal-root", "s3://journals/mlops"]
    assert main(["history", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    entries = [line for line in lines if not line.startswith("      ")]  # the other lines are further reasons
    assert [line.split()[3] for line in entries] == ["promote", "promote", "rollback"]
    assert lines[-1].endswith("strange numbers")
    assert main(["verify", *where, "--tracking-uri", on_s3.platform.mlflow.tracking_uri]) == 0
    assert "as the journal says" in capsys.readouterr().out


def _gone_after(server: S3Server, n_requests: int) -> None:
    """Let S3 answer so many requests, and refuse connections from then on.

    Reads of entries do not count: they become more with each change.
    """
    asked = itertools.count(1)

    def after(request: Environ) -> None:
        is_counted = request["REQUEST_METHOD"] != "GET" or not request["PATH_INFO"].endswith(".json")
        if is_counted and next(asked) == n_requests:
            server.stop()

    server.faults.after = after


@pytest.mark.parametrize("what", ["promote", "rollback"])
def test_an_s3_that_refuses_connections_anywhere_in_a_change_loses_nothing_and_the_retry_finishes(
    on_s3: Bench, server: S3Server, what: str
):
    def mend() -> None:
        server.start()
        server.faults.after = lambda _: None

    left = interrupt_everywhere(on_s3, what, lambda n_requests: _gone_after(server, n_requests), mend)
    assert left[0] == []
    assert left[-1] == [what], "the last ones came after the entry"
