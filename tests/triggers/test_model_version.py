from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.sdk.module_loading import import_string

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.registry.journal import PromotionRecord
from airflow_mlops.errors import IntegrityError
from airflow_mlops.triggers.model import ModelVersionTrigger


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path / "storage"))
    return Storage(str(tmp_path / "storage"))


def _promote(storage: Storage, version: int, *, is_settled: bool = True) -> None:
    log = storage.log("journals", "small")
    number = len(log) + 1
    record = PromotionRecord(
        sequence=number,
        action="promote",
        model_name="small",
        from_version=version - 1 or None,
        to_version=version,
        reason="better",
        actor="ada",
        run_id="r",
        at=datetime(2026, 1, number, tzinfo=UTC),
        key=str(number),
        previous_digest=PromotionRecord.from_dict(log.entries()[-1]).content_digest if number > 1 else "",
    )
    assert log.append(record.to_dict(), number=number)
    if is_settled:
        log.settle(number)


def _trigger(**settings: int) -> ModelVersionTrigger:
    return ModelVersionTrigger(model_name="small", poll_interval_s=0.001, **settings)


async def _looks(trigger: ModelVersionTrigger, n_looks: int) -> asyncio.Task[object]:
    """Start to wait, and return once it has looked so often."""
    seen: list[object] = []
    look = trigger._look

    def count() -> int | None:
        seen.append(None)
        return look()

    trigger._look = count  # type: ignore[method-assign]
    waiting = asyncio.ensure_future(anext(trigger.run()))
    async with asyncio.timeout(60):
        while len(seen) < n_looks and not waiting.done():
            await asyncio.sleep(0.001)
    return waiting


async def _event(waiting: asyncio.Task[object]) -> object:
    return (await asyncio.wait_for(waiting, 60)).payload  # type: ignore[attr-defined]


def test_it_is_built_again_from_what_it_serializes():
    trigger = ModelVersionTrigger(model_name="m", other_than=3, at_least=2, poll_interval_s=5.0)
    path, settings = json.loads(json.dumps(trigger.serialize()))
    again = import_string(path)(**settings)
    assert type(again) is ModelVersionTrigger
    assert again.serialize() == trigger.serialize()


@pytest.mark.parametrize("settings", [{"other_than": 1}, {"at_least": 2}, {"other_than": 1, "at_least": 2}])
def test_it_waits_for_another_champion_until_the_alias_has_followed(storage: Storage, settings: dict[str, int]):
    async def tell() -> object:
        _promote(storage, 1)
        waiting = await _looks(_trigger(**settings), 3)
        _promote(storage, 2, is_settled=False)
        await asyncio.sleep(0.05)
        assert not waiting.done()
        storage.log("journals", "small").settle(2)
        return await _event(waiting)

    assert asyncio.run(tell()) == 2


def test_it_waits_for_the_first_champion(storage: Storage):
    async def tell() -> object:
        waiting = await _looks(_trigger(), 3)
        assert not waiting.done()
        _promote(storage, 1)
        return await _event(waiting)

    assert asyncio.run(tell()) == 1


def test_a_storage_that_comes_back_is_asked_again(storage: Storage):
    storage.root.write_text("a file where the folder should be")

    async def tell() -> object:
        waiting = await _looks(_trigger(), 2)
        assert not waiting.done()
        storage.root.unlink()
        _promote(storage, 1)
        return await _event(waiting)

    assert asyncio.run(tell()) == 1


def test_a_damaged_journal_ends_the_waiting(storage: Storage):
    _promote(storage, 1)
    storage.path("journals", "small", "000001.json").write_text("{")

    async def wait() -> object:
        return await anext(_trigger(at_least=2).run())

    with pytest.raises(IntegrityError, match="is damaged"):
        asyncio.run(wait())


def test_a_journal_that_has_not_grown_is_not_read_again(storage: Storage, monkeypatch: pytest.MonkeyPatch):
    reads: list[object] = []
    read = Storage.read_json
    monkeypatch.setattr(Storage, "read_json", lambda self, *parts: reads.append(parts) or read(self, *parts))

    async def tell() -> object:
        _promote(storage, 1)
        reads.clear()
        waiting = await _looks(_trigger(at_least=2), 5)
        assert len(reads) == 1
        _promote(storage, 2)
        return await _event(waiting)

    assert asyncio.run(tell()) == 2
