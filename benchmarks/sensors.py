"""What a thousand waiting sensors cost one triggerer, over the same triggerer while it is idle.

A third each waits for rows in an inference log, for another champion, and for files, each at a place of its own. The
process that is measured is Airflow's runner, in which all triggers live; see ``benchmarks/triggerer.py``. Looks come
every 10 seconds in place of the 60 that are the default, so that two rounds of them are over soon: the share of a core
is that of the 10 seconds divided by six.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.entry import Entry

N_SENSORS, N_EVENTS = 1000, 30
INTERVAL_S, DEFAULT_INTERVAL_S = 10.0, 60.0
WATCHED_S = 2.5 * INTERVAL_S


@dataclass(frozen=True)
class Costs:
    """What was measured, over the idle process.

    :param polls: from what happened to the trigger's event, in intervals, for each of the events.
    """

    mib: float
    cpu_percent: float
    polls: tuple[float, ...]


def measure_memory() -> Entry:
    """Return how much larger the process is."""
    return Entry(name="sensors_memory_mib", ours=_costs().mib, baseline=None, unit="MiB", better="lower")


def measure_cpu() -> Entry:
    """Return what the looks take of one core."""
    return Entry(name="sensors_cpu_percent", ours=_costs().cpu_percent, baseline=None, unit="%", better="lower")


def measure_delay() -> Entry:
    """Return how many intervals the slowest event took."""
    return Entry(name="sensors_event_polls", ours=max(_costs().polls), baseline=None, unit="polls", better="lower")


@cache
def _costs() -> Costs:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        watched = Watched(Path(folder))
        triggers = [watched.trigger(number) for number in range(1, N_SENSORS + 1)]
        runner = Runner(Path(folder), stack)
        time.sleep(5)
        idle, idle_cpu = runner.mib(), runner.cpu_during(10)
        runner.start(triggers)
        time.sleep(1.5 * INTERVAL_S)  # the first check of each, and what it imports
        cpu = (runner.cpu_during(WATCHED_S) - idle_cpu) * INTERVAL_S / DEFAULT_INTERVAL_S
        chosen = range(1, N_SENSORS + 1, N_SENSORS // N_EVENTS)[:N_EVENTS]
        happened = {}
        for number in chosen:
            watched.let_happen(number)
            happened[number] = time.time()
        told = runner.events(set(chosen))
        polls = tuple((told[number] - happened[number]) / INTERVAL_S for number in chosen)
        grown = runner.mib() - idle
    print(f"+{grown:.1f} MiB, {cpu:.2%} of a core, events after {statistics.median(polls):.2f} polls", file=sys.stderr)
    return Costs(grown, 100 * cpu, polls)


class Watched:
    """A storage and an inbox with a place for each sensor."""

    def __init__(self, folder: Path) -> None:
        from airflow_mlops.adapters.storage.store import Storage

        self._folder = folder
        self._storage = Storage(str(folder / "storage"))

    def trigger(self, number: int) -> tuple[int, str, dict[str, Any]]:
        """Make the place of a sensor, and return what it waits with."""
        kind, settings = self._kind(number)[0](number)
        return number, f"airflow_mlops.triggers.{kind}", settings | {"poll_interval_s": INTERVAL_S}

    def let_happen(self, number: int) -> None:
        """Let that happen which a sensor waits for."""
        self._kind(number)[1](number)

    def _kind(self, number: int) -> tuple[Callable[[int], tuple[str, dict[str, Any]]], Callable[[int], None]]:
        kinds = (self._rows, self._log), (self._champion, self._promote), (self._files, self._deliver)
        return kinds[number % 3]

    def _rows(self, number: int) -> tuple[str, dict[str, Any]]:
        for _ in range(10):
            self._log(number, 10)
        settings = {"model_name": f"m{number}", "min_rows": 200, "trailing_s": 86400.0, "deadline": 9e9}
        return "monitor.LoggedRowsTrigger", settings

    def _log(self, number: int, n_rows: int = 150) -> None:
        import pyarrow as pa

        from airflow_mlops.adapters.storage.inference_log import InferenceLog

        log = InferenceLog(self._folder / "storage" / "inference" / f"m{number}")
        log.write(pa.table({"x": [1.0] * n_rows}), at=datetime.now(UTC))

    def _champion(self, number: int) -> tuple[str, dict[str, Any]]:
        for _ in range(3):
            self._promote(number)
        return "model.ModelVersionTrigger", {"model_name": f"m{number}", "other_than": 3}

    def _promote(self, number: int) -> None:
        from airflow_mlops.core.registry.journal import PromotionRecord

        log = self._storage.log("journals", f"m{number}")
        entries = log.entries()
        version = len(entries) + 1
        record = PromotionRecord(
            sequence=version,
            action="promote",
            model_name=f"m{number}",
            from_version=version - 1 or None,
            to_version=version,
            reason="better",
            actor="ada",
            run_id="r",
            at=datetime.now(UTC),
            key=str(version),
            previous_digest=PromotionRecord.from_dict(entries[-1]).content_digest if entries else "",
        )
        log.append(record.to_dict(), number=version)
        log.settle(version)

    def _files(self, number: int) -> tuple[str, dict[str, Any]]:
        from airflow_mlops.adapters.storage.local_files import file_stamps
        from airflow_mlops.adapters.storage.store import Watermark

        for name in range(10):
            self._deliver(number, f"{name}.csv")
        note, path = Watermark(self._storage, f"m{number}"), str(self._folder / "inbox" / f"m{number}")
        note.announce(file_stamps(path))
        note.confirm()
        return "data.NewFilesTrigger", {"path": path, "watermark": f"m{number}"}

    def _deliver(self, number: int, name: str = "new.csv") -> None:
        file = self._folder / "inbox" / f"m{number}" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x\n1\n")


class Runner:
    """Airflow's runner of triggers, which waits for some."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        settings = {
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__MLOPS__STORAGE_ROOT": str(folder / "storage"),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        files = [str(folder / name) for name in ("triggers", "events", "pid")]
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.triggerer", *files, str(os.getpid())],
            env=os.environ | settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(self._stop)
        self._wait(lambda: (folder / "pid").exists(), "The triggerer did not start.")
        self._proc = Path("/proc") / (folder / "pid").read_text()

    def start(self, triggers: list[tuple[int, str, dict[str, Any]]]) -> None:
        """Hand over what is to run."""
        (self._folder / "new").write_text(json.dumps(triggers))
        (self._folder / "new").replace(self._folder / "triggers")

    def mib(self) -> float:
        """Return the resident memory of the process."""
        line = next(line for line in (self._proc / "status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def cpu_during(self, seconds: float) -> float:
        """Return the share of one core that it takes in the next seconds."""
        started, before = time.monotonic(), self._cpu_s()
        time.sleep(seconds)
        return (self._cpu_s() - before) / (time.monotonic() - started)

    def events(self, numbers: set[int]) -> dict[int, float]:
        """Wait until these have fired, and return when each did."""
        file = self._folder / "events"

        def told() -> dict[int, float]:
            events = [json.loads(line) for line in file.read_text().splitlines()]
            failed = [event for event in events if "failure" in event or event["trigger_id"] not in numbers]
            if failed:
                raise RuntimeError(f"{len(failed)} triggers fired or failed that should wait, such as {failed[0]}")
            return {event["trigger_id"]: event["at"] for event in events}

        self._wait(lambda: told().keys() == numbers, "Some did not fire.")
        return told()

    def _cpu_s(self) -> float:
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _wait(self, is_so: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + 60
        while not is_so():
            if time.monotonic() > end or self._supervisor.poll() is not None:
                raise RuntimeError(otherwise)
            time.sleep(0.1)

    def _stop(self) -> None:
        self._supervisor.terminate()
        self._supervisor.wait(30)
