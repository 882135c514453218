"""The adapter against servers that are gone, broken, or that record who asks."""

from __future__ import annotations

import pytest

from airflow_mlops.adapters.mlflow.auth import ConnectionHeaderProvider, sending
from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.errors import UnavailableError

NOBODY = "http://127.0.0.1:9"
SECRET = {"Authorization": "Bearer s3cr3t"}

USES = {
    "check": lambda server: server.check(),
    "find_run": lambda server: server.find_run("e", {}),
    "end_abandoned_runs": lambda server: server.end_abandoned_runs("e", {}),
    "start_run": lambda server: server.start_run("e", name="n", tags={}).__enter__(),
    "set_tags": lambda server: server.set_tags("r", {"a": "b"}),
    "log_metrics": lambda server: server.log_metrics("r", {"a": 1.0}),
    "digest_of_model": lambda server: server.digest_of_model("models:/m-1"),
    "find_version": lambda server: server.find_version("m", "sha256:1"),
    "get_version": lambda server: server.get_version("m", 1),
    "get_alias": lambda server: server.get_alias("m"),
    "set_alias": lambda server: server.set_alias("m", 1),
}

each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


@each_use
def test_a_server_that_is_gone_is_an_outage_and_never_an_empty_answer(use):
    with pytest.raises(UnavailableError, match=f"MLflow at {NOBODY} does not answer: .*The champion stays"):
        use(Mlflow(NOBODY))


@each_use
def test_a_server_that_is_broken_is_an_outage(broken_server, use):
    with pytest.raises(UnavailableError, match=f"MLflow at {broken_server.url} does not answer: "):
        use(Mlflow(broken_server.url))
    assert broken_server.requests


def test_a_check_says_with_which_status_a_broken_server_answered(broken_server):
    with pytest.raises(UnavailableError, match="HTTP status 500"):
        Mlflow(broken_server.url).check()


def test_a_check_of_a_healthy_server_passes(healthy_server):
    Mlflow(healthy_server.url).check()
    assert [path for path, _ in healthy_server.requests] == ["/health"]


def test_a_database_needs_no_server_to_be_there():
    Mlflow("sqlite:////nowhere/mlflow.db").check()


@each_use
def test_every_request_carries_the_headers_of_the_connection(broken_server, use):
    with pytest.raises(UnavailableError):
        use(Mlflow(broken_server.url, headers=SECRET))
    assert {authorization for _, authorization in broken_server.requests} == {"Bearer s3cr3t"}


def test_the_headers_of_one_connection_are_not_sent_to_the_next_server(broken_server):
    for headers in (SECRET, {}):
        with pytest.raises(UnavailableError):
            Mlflow(broken_server.url, headers=headers).get_alias("m")
    assert [authorization for _, authorization in broken_server.requests] == ["Bearer s3cr3t", None]


@pytest.mark.parametrize("use", [USES["check"], USES["get_alias"]])
def test_headers_are_shown_neither_by_repr_nor_by_an_error(use):
    server = Mlflow(NOBODY, headers=SECRET)
    assert "s3cr3t" not in repr(server)
    assert NOBODY in repr(server)
    with pytest.raises(UnavailableError) as caught:
        use(server)
    assert "s3cr3t" not in str(caught.value)


def test_headers_are_handed_out_only_while_the_block_runs_and_also_when_it_raises():
    provider = ConnectionHeaderProvider()
    seen = []

    def look_and_fail() -> None:
        with sending(SECRET):
            seen.extend([provider.in_context(), provider.request_headers()])
            raise KeyError

    with pytest.raises(KeyError):
        look_and_fail()
    assert seen == [True, SECRET]
    assert not provider.in_context()
    assert provider.request_headers() == {}


def test_an_inner_connection_gives_way_to_the_outer_one_again():
    provider = ConnectionHeaderProvider()
    with sending(SECRET):
        with sending({"Authorization": "Basic x"}):
            assert provider.request_headers() == {"Authorization": "Basic x"}
        assert provider.request_headers() == SECRET
