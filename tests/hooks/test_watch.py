from __future__ import annotations

import threading
import time

import pytest

from airflow_mlops.errors import UnavailableError
from airflow_mlops.hooks import watch


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch):
    """A connection through which somebody looks and has no answer."""
    monkeypatch.setattr(watch, "_PATIENCE_S", 0.2)
    connection, has_begun, answer = watch._Connection(), threading.Event(), threading.Event()

    def hang() -> str:
        has_begun.set()
        assert answer.wait(60)
        return "seen"

    somebody = threading.Thread(target=lambda: connection.see("rows", hang, fresh_s=60))
    somebody.start()
    assert has_begun.wait(60)
    yield connection
    answer.set()
    somebody.join()
    assert connection.see("rows", lambda: "asked again", fresh_s=60) == "seen"


def test_a_source_that_hangs_takes_one_thread_and_the_others_go_on(hanging: watch._Connection):
    with pytest.raises(UnavailableError, match="looked through the same connection for"):
        hanging.see("other rows", lambda: pytest.fail("two looked at once"), fresh_s=60)


def test_looks_that_are_quick_wait_for_each_other_however_many_they_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "_PATIENCE_S", 1.0)
    connection, seen = watch._Connection(), []

    def look(place: int) -> None:
        seen.append(connection.see(place, lambda: time.sleep(0.05) or place, fresh_s=0))

    threads = [threading.Thread(target=look, args=(place,)) for place in range(40)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(seen) == list(range(40)), "two seconds in all, which is more than one waits for a single look"
