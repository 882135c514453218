from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from airflow_mlops.errors import IntegrityError, UnavailableError
from airflow_mlops.triggers import _looks
from airflow_mlops.triggers._looks import SPREAD, looks


async def _take(n_seen: int, look, *, every_s: float = 0.0) -> list[object]:
    seen: list[object] = []
    async for what in looks(look, every_s=every_s, subject="place=here"):
        seen.append(what)
        if len(seen) == n_seen:
            break
    return seen


def test_an_outage_is_said_and_looked_again_after(caplog: pytest.LogCaptureFixture):
    answers = iter([1, UnavailableError("the disk is away"), 2])

    def look() -> int:
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(_take(2, look)) == [1, 2]
    assert [record.getMessage() for record in caplog.records] == ["looked in vain: place=here error=the disk is away"]


def test_what_is_no_outage_ends_the_looking():
    def look() -> int:
        raise IntegrityError("damaged")

    with pytest.raises(IntegrityError, match="damaged"):
        asyncio.run(_take(1, look))


def test_intervals_are_spread_on_both_sides_of_what_was_asked_for(monkeypatch: pytest.MonkeyPatch):
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(_looks.asyncio, "sleep", sleep)
    asyncio.run(_take(200, lambda: 1, every_s=60.0))
    assert 60 * (1 - SPREAD) <= min(slept) < 54 < 66 < max(slept) <= 60 * (1 + SPREAD)


def test_a_look_that_hangs_takes_no_thread_of_the_event_loop_s_own():
    held = threading.Event()

    async def hang() -> str:
        waiting = [asyncio.ensure_future(_take(1, held.wait)) for _ in range(60)]
        try:
            return await asyncio.wait_for(asyncio.to_thread(lambda: "still there"), 60)
        finally:
            held.set()
            await asyncio.gather(*waiting)

    assert asyncio.run(hang()) == "still there"
