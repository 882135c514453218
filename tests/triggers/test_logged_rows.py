from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk.module_loading import import_string

from airflow_mlops.adapters.storage.inference_log import InferenceLog
from airflow_mlops.triggers.monitor import LoggedRowsTrigger


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InferenceLog:
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path))
    return InferenceLog(tmp_path / "inference" / "small")


def write(log: InferenceLog, n_rows: int, *, days_ago: int = 0) -> Path:
    return log.write(pa.table({"x": list(range(n_rows))}), at=datetime.now(UTC) - timedelta(days=days_ago))


def trigger(**settings: Any) -> LoggedRowsTrigger:
    known = {"model_name": "small", "min_rows": 100, "trailing_s": 3600.0, "deadline": 9e9, "poll_interval_s": 0.001}
    return LoggedRowsTrigger(**{**known, **settings})


async def event_of(waiting: LoggedRowsTrigger, meanwhile: Any = lambda: None) -> dict[str, Any]:
    task = asyncio.create_task(anext(waiting.run()))
    await asyncio.sleep(0.05)
    assert not task.done()
    await asyncio.to_thread(meanwhile)
    return (await asyncio.wait_for(task, timeout=60)).payload


def test_it_is_built_again_from_what_it_serializes():
    made = trigger(seen_until=12.5)
    path, settings = json.loads(json.dumps(made.serialize()))
    again = import_string(path)(**settings)
    assert type(again) is LoggedRowsTrigger
    assert again.serialize() == made.serialize()


def test_it_waits_until_there_are_enough_rows(log: InferenceLog):
    write(log, 99)
    started = time.time()
    event = asyncio.run(event_of(trigger(), lambda: write(log, 1)))
    assert (event["n_rows"], event["deadline"]) == (100, 9e9)
    assert started <= event["seen_until"] <= time.time()


def test_rows_of_files_that_were_seen_or_that_lie_too_far_back_do_not_count(log: InferenceLog):
    seen = write(log, 500)
    os.utime(seen, (1000.0, 1000.0))
    write(log, 500, days_ago=3)
    event = asyncio.run(event_of(trigger(seen_until=1000.0), lambda: write(log, 120)))
    assert event["n_rows"] == 120


def test_a_log_that_can_not_be_listed_does_not_stop_the_waiting(log: InferenceLog):
    log.folder.parent.mkdir()
    log.folder.write_text("no folder")

    def mend() -> None:
        log.folder.unlink()
        write(log, 100)

    assert asyncio.run(event_of(trigger(), mend))["n_rows"] == 100


def test_a_file_that_can_not_be_read_does_not_stop_the_waiting(log: InferenceLog):
    write(log, 50).write_bytes(b"")
    event = asyncio.run(event_of(trigger(), lambda: write(log, 100)))
    assert event["n_rows"] == 100
