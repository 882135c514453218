"""``make bench`` runs all benchmarks, ``make bench ONLY=parse`` one of them; both write results.json."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from benchmarks import (
    batch_predict,
    drift,
    evaluate,
    gate_errors,
    parse,
    profile,
    promotion,
    run_overhead,
    sensors,
    server,
    snapshot,
    train,
    validation,
)
from benchmarks.entry import RESULTS, Entry, write

BENCHMARKS: dict[str, Callable[[], Entry]] = {
    "batch_predict_memory_growth": batch_predict.measure_memory_growth,
    "batch_predict_speed": batch_predict.measure_speed,
    "bootstrap_speedup": evaluate.measure_speedup,
    "drift_memory": drift.measure_memory,
    "drift_memory_growth": drift.measure_memory_growth,
    "drift_over_scan": drift.measure_over_scan,
    "drift_speedup": drift.measure_speedup,
    "evaluate": evaluate.measure,
    "gate_false_blessing": gate_errors.measure_false_blessing,
    "gate_power": gate_errors.measure_power,
    "parse": parse.measure,
    "profile": profile.measure,
    "promotion": promotion.measure,
    "promotion_blind": promotion.measure_blind,
    "run_overhead_s_per_task": run_overhead.measure,
    "sensors_cpu_percent": sensors.measure_cpu,
    "sensors_event_polls": sensors.measure_delay,
    "sensors_memory_mib": sensors.measure_memory,
    "server_p95": server.measure_p95,
    "server_throughput": server.measure_throughput,
    "snapshot_csv": snapshot.measure_csv,
    "snapshot_memory_growth": snapshot.measure_memory_growth,
    "snapshot_parquet": snapshot.measure_parquet,
    "train": train.measure,
    "validation_memory": validation.measure_memory,
    "validation_time": validation.measure_time,
}


def main(only: list[str]) -> int:
    """Run the named benchmarks, or all, and return the exit status."""
    unknown = [name for name in only if name not in BENCHMARKS]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}. There are: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    for name in only or BENCHMARKS:
        started = time.perf_counter()
        entry = BENCHMARKS[name]()
        write([entry])
        against = "" if entry.baseline is None else f", {entry.baseline:.4g} the plain way: ratio {entry.ratio:.3g}"
        print(f"{name}: {entry.ours:.4g} {entry.unit}{against}  ({time.perf_counter() - started:.0f} s)")
    print(f"Written to {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
