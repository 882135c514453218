from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from airflow_mlops.adapters.storage import local_files as files
from airflow_mlops.errors import SpecError, UnavailableError
from airflow_mlops.hooks.platform import get_watermark
from airflow_mlops.steps.data import watch
from airflow_mlops.steps.data.watch import News
from airflow_mlops.triggers.data import NewFilesTrigger


@pytest.fixture(autouse=True)
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path / "storage"))
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def _trigger(inbox: Path) -> NewFilesTrigger:
    return NewFilesTrigger(path=str(inbox), watermark="small_data", poll_interval_s=0.001)


async def _next(events: AsyncIterator[Any]) -> list[str]:
    """Return the names of the files in the next event."""
    event = await asyncio.wait_for(anext(events), timeout=60)
    assert event.payload["n_files"] == len(event.payload["files"])
    return [Path(name).name for name in event.payload["files"]]


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


async def _event_that_is_confirmed(inbox: Path) -> list[str]:
    """Return what a trigger announces first; like the triggerer, come back to it for more, then stop it."""
    events = _trigger(inbox).run()
    names = await _next(events)
    more = asyncio.create_task(anext(events))
    handled = get_watermark("small_data").handled
    await _until(lambda: {Path(name).name for name in handled()} >= set(names))
    more.cancel()
    await asyncio.gather(more, return_exceptions=True)
    return names


async def _event_before_a_crash(inbox: Path) -> list[str]:
    """Return what a trigger announces first, and never come back to it."""
    events = _trigger(inbox).run()
    names = await _next(events)
    await events.aclose()
    return names


def test_it_is_built_again_from_what_it_serializes():
    trigger = NewFilesTrigger(
        path="s3://b/*.csv", watermark="co2_data", conn_id="lake", recursive=True, poll_interval_s=5.0
    )
    path, settings = json.loads(json.dumps(trigger.serialize()))
    again = import_string(path)(**settings)
    assert type(again) is NewFilesTrigger
    assert again.serialize() == trigger.serialize()


def test_all_files_that_are_there_are_one_event(inbox: Path):
    for name in ("b.csv", "a.csv", ".c.csv.part"):
        (inbox / name).write_text("x\n1\n")
    assert asyncio.run(_event_that_is_confirmed(inbox)) == ["a.csv", "b.csv"]


def test_a_file_that_is_still_being_written_is_not_announced(inbox: Path, monkeypatch: pytest.MonkeyPatch):
    file = inbox / "a.csv"
    file.write_text("x\n")
    looks: list[int] = []
    look = files.file_stamps

    def look_while_somebody_writes(path: str, **settings: Any) -> dict[str, str]:
        stamps = look(path, **settings)
        looks.append(file.stat().st_size)
        if len(looks) < 5:
            with file.open("a") as stream:
                stream.write("1\n")
        return stamps

    monkeypatch.setattr(files, "file_stamps", look_while_somebody_writes)
    assert asyncio.run(_event_before_a_crash(inbox)) == ["a.csv"]
    assert looks == [2, 4, 6, 8, 10, 10]


def test_a_restart_announces_only_what_is_new(inbox: Path):
    (inbox / "a.csv").write_text("x\n1\n")
    assert asyncio.run(_event_that_is_confirmed(inbox)) == ["a.csv"]
    (inbox / "b.csv").write_text("x\n1\n")
    assert asyncio.run(_event_that_is_confirmed(inbox)) == ["b.csv"]


def test_a_file_that_changed_is_announced_again(inbox: Path):
    (inbox / "a.csv").write_text("x\n1\n")
    (inbox / "b.csv").write_text("x\n1\n")
    assert asyncio.run(_event_that_is_confirmed(inbox)) == ["a.csv", "b.csv"]
    (inbox / "a.csv").write_text("x\n1\n2\n")
    assert asyncio.run(_event_that_is_confirmed(inbox)) == ["a.csv"]


def test_a_crash_between_the_event_and_its_note_announces_again(inbox: Path):
    (inbox / "a.csv").write_text("x\n1\n")
    assert asyncio.run(_event_before_a_crash(inbox)) == ["a.csv"]
    assert get_watermark("small_data").handled() == {}
    assert asyncio.run(_event_that_is_confirmed(inbox)) == ["a.csv"]


def test_an_event_names_at_most_a_hundred_files_and_counts_them_all(inbox: Path):
    for number in range(103):
        (inbox / f"{number:03d}.csv").write_text("x\n")

    async def first() -> Any:
        return await anext(_trigger(inbox).run())

    payload = asyncio.run(first()).payload
    assert (len(payload["files"]), payload["n_files"]) == (100, 103)
    assert len(get_watermark("small_data")._read()["announced"]) == 103


def test_files_in_folders_of_the_folder_are_seen_where_that_is_wanted(inbox: Path):
    (inbox / "day=1").mkdir()
    (inbox / "day=1" / "a.csv").write_text("x\n1\n")
    trigger = NewFilesTrigger(path=str(inbox), watermark="w", recursive=True, poll_interval_s=0.001)
    assert asyncio.run(_next(trigger.run())) == ["a.csv"]


async def _event_after(inbox: Path, mend: Callable[[], object], caplog: pytest.LogCaptureFixture) -> list[str]:
    waiting = asyncio.create_task(_next(_trigger(inbox).run()))
    await _until(lambda: "looked in vain: watermark=small_data" in caplog.text)
    assert not waiting.done()
    mend()
    return await waiting


def test_a_storage_that_is_away_is_waited_for(inbox: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (inbox / "a.csv").write_text("x\n1\n")
    (tmp_path / "storage").write_text("a file where the folder should be")
    event = _event_after(inbox, (tmp_path / "storage").unlink, caplog)
    assert asyncio.run(event) == ["a.csv"]


def test_a_storage_that_goes_away_after_the_event_gets_its_note_once_it_is_back(
    inbox: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (inbox / "a.csv").write_text("x\n1\n")

    async def tell() -> list[str]:
        events = _trigger(inbox).run()
        assert await _next(events) == ["a.csv"]
        (tmp_path / "storage").rename(tmp_path / "away")
        (tmp_path / "storage").write_text("in the way")
        more = asyncio.create_task(_next(events))
        await _until(lambda: "looked in vain" in caplog.text)
        (tmp_path / "storage").unlink()
        (tmp_path / "away").rename(tmp_path / "storage")
        await _until(get_watermark("small_data").handled)
        assert not more.done()
        (inbox / "b.csv").write_text("x\n1\n")
        return await more

    assert asyncio.run(tell()) == ["b.csv"]


def test_a_disk_that_fails_is_waited_for(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    (inbox / "a.csv").write_text("x\n1\n")
    stat = Path.stat
    broken = [True]

    def failing_stat(self: Path, **settings: Any) -> os.stat_result:
        if broken and self.name == "a.csv":
            raise OSError(errno.EIO, "Input/output error")
        return stat(self, **settings)

    monkeypatch.setattr(Path, "stat", failing_stat)
    assert asyncio.run(_event_after(inbox, broken.clear, caplog)) == ["a.csv"]


def test_a_note_that_is_damaged_is_told_once_and_not_taken_for_nothing(inbox: Path, tmp_path: Path):
    (inbox / "a.csv").write_text("x\n1\n")
    note = tmp_path / "storage" / "watermarks" / "small_data.json"
    note.parent.mkdir(parents=True)
    note.write_text("{")

    async def tell() -> tuple[Any, list[str]]:
        events = _trigger(inbox).run()
        problem = (await asyncio.wait_for(anext(events), 60)).payload
        more = asyncio.create_task(_next(events))
        await asyncio.wait([more], timeout=0.1)  # long enough to look some fifty times
        assert not more.done()
        note.unlink()
        return problem, await more

    problem, files = asyncio.run(tell())
    assert "small_data.json is damaged" in problem["problem"]
    assert files == ["a.csv"]


def test_a_task_is_told_once_and_what_comes_meanwhile_is_left_for_the_next_one(inbox: Path):
    (inbox / "a.csv").write_text("x\n1\n")

    async def told_to_a_task() -> list[list[str]]:
        trigger = _trigger(inbox)
        trigger.task_instance = SimpleNamespace(task_id="wait")  # as the triggerer sets it
        async with asyncio.timeout(60):
            return [event.payload["files"] async for event in trigger.run()]

    assert asyncio.run(told_to_a_task()) == [[str(inbox / "a.csv")]]
    (inbox / "b.csv").write_text("x\n1\n")
    assert get_watermark("small_data").handled() == {}
    get_watermark("small_data").confirm()  # as the task does
    assert asyncio.run(told_to_a_task()) == [[str(inbox / "b.csv")]]


def test_what_airflow_may_not_have_stored_yet_is_told_again_after_a_crash_and_holds_nothing_up(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watch, "STORED_S", 3600.0)
    (inbox / "a.csv").write_text("x\n1\n")

    async def tell() -> list[list[str]]:
        events = _trigger(inbox).run()
        told = [await _next(events)]
        more = asyncio.create_task(_next(events))
        await asyncio.wait([more], timeout=0.1)  # long enough to look some fifty times
        (inbox / "b.csv").write_text("x\n1\n")
        return [*told, await more]

    assert asyncio.run(tell()) == [["a.csv"], ["b.csv"]]
    assert get_watermark("small_data").handled() == {}
    assert asyncio.run(_event_before_a_crash(inbox)) == ["a.csv", "b.csv"]


def test_a_mistake_that_could_not_be_noted_is_told_later(inbox: Path, tmp_path: Path):
    class Nowhere:
        def news(self, handled: Mapping[str, str]) -> News:
            raise SpecError("there is no such table")

    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "watermarks").write_text("a file where the folder should be")
    looking = watch.DataWatch(Nowhere(), get_watermark("small_data"))
    with pytest.raises(UnavailableError):
        looking.look()
    (storage / "watermarks").unlink()
    assert looking.look() == {"problem": "there is no such table"}
    assert looking.look() is None
