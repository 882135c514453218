"""A triggerer that is killed in the middle of its work: a process of its own runs the trigger as Airflow's does."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.processes import wait_until

TRIGGERER = """
import asyncio, json, os, sys
from airflow_mlops.steps.data import watch
from airflow_mlops.triggers.data import NewFilesTrigger

watch.STORED_S = 0.0  # its database stores an event at once

async def run():
    trigger = NewFilesTrigger(path=sys.argv[1], watermark="w", poll_interval_s=0.02)
    with open(sys.argv[2], "a") as database:
        print("ready", flush=True)
        async for event in trigger.run():
            database.write(json.dumps(event.payload["files"]) + "\\n")
            database.flush()

asyncio.run(run())
"""


class _Triggerer:
    def __init__(self, inbox: Path, database: Path) -> None:
        self._inbox, self._database = inbox, database
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", TRIGGERER, str(self._inbox), str(self._database)],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout
        while self._process.stdout.readline() not in (b"ready\n", b""):
            pass

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def kill_and_restart(self) -> None:
        self.kill()
        self._start()

    def told(self) -> Counter[str]:
        lines = self._database.read_text().splitlines() if self._database.exists() else []
        return Counter(Path(name).name for line in lines for name in json.loads(line))


def _handled(storage: Path) -> set[str]:
    note = storage / "watermarks" / "w.json"
    return {Path(name).name for name in json.loads(note.read_text())["handled"]} if note.exists() else set()


def test_what_was_told_an_interval_ago_is_not_told_again_after_a_kill(tmp_path: Path, storage: Path):
    (tmp_path / "inbox").mkdir()
    triggerer = _Triggerer(tmp_path / "inbox", tmp_path / "events")
    try:
        for name in ("a.csv", "b.csv", "c.csv"):
            (tmp_path / "inbox" / name).write_text("x\n")
            wait_until(lambda name=name: name in _handled(storage))
            triggerer.kill_and_restart()
        (tmp_path / "inbox" / "d.csv").write_text("x\n")
        wait_until(lambda: "d.csv" in _handled(storage))
        assert triggerer.told() == Counter({"a.csv": 1, "b.csv": 1, "c.csv": 1, "d.csv": 1})
    finally:
        triggerer.kill()


def test_no_kill_at_any_moment_loses_an_event(tmp_path: Path, storage: Path):
    (tmp_path / "inbox").mkdir()
    moments, n_kills = random.Random(0), 4
    triggerer = _Triggerer(tmp_path / "inbox", tmp_path / "events")
    try:
        for number in range(n_kills):
            (tmp_path / "inbox" / f"{number}.csv").write_text("x\n")
            end = time.monotonic() + moments.uniform(0, 0.3)  # anywhere between the file and its note
            wait_until(lambda end=end: time.monotonic() > end)
            triggerer.kill_and_restart()
        names = {f"{number}.csv" for number in range(n_kills)}
        wait_until(lambda: _handled(storage) == names)
        assert triggerer.told().keys() == names
    finally:
        triggerer.kill()
