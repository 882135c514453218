"""What the benchmarks stand on."""

from __future__ import annotations

import urllib.request

import pytest

from benchmarks import child
from include.demo.services import free_port


def test_a_server_that_dies_before_it_answers_is_not_waited_for_and_its_last_words_are_told(tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    with (
        pytest.raises(RuntimeError, match=r"(?s)ended with status 1:.*no room for it"),
        child.serving("-c", "raise SystemExit('no room for it')", url=url, log=tmp_path / "log"),
    ):
        pass


def test_a_server_is_there_once_it_answers_and_gone_after_the_block(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        child.serving("-m", "http.server", str(port), url=url, log=tmp_path / "log", folder=tmp_path),
        urllib.request.urlopen(url) as answer,
    ):
        assert b"log" in answer.read()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)
