"""What an evaluation costs: two models, 20 slices and 2,000 replicates on a million rows.

The plain way to predict is to call ``predict`` of both models. The plain way to resample is a loop that draws the rows
and computes both metrics again, for all rows and for each slice; of it a few replicates are timed.
"""

from __future__ import annotations

import functools
import os

from benchmarks import child
from benchmarks.entry import Entry

N_ROWS = int(os.environ.get("BENCH_ROWS", "1_000_000"))
N_RESAMPLES = 2000
N_PLAIN = 2

_PREPARE = f"""
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from airflow_mlops.core.stats.metrics import METRICS, Predicted
from airflow_mlops.core.stats.resample import Units
from airflow_mlops.core.evaluation.score import SliceRows, score_models
rng = np.random.default_rng(0)
frame = pd.DataFrame(rng.normal(size=({N_ROWS}, 15)), columns=[f"n{{i}}" for i in range(15)])
y_true = (frame["n0"] * 2 + np.sin(frame["n1"]) + rng.normal(size=len(frame))).to_numpy()
head = frame.head(20_000)
one, two = (
    HistGradientBoostingRegressor(max_iter=n, random_state=0, early_stopping=False).fit(head, y_true[:20_000])
    for n in (100, 120)
)
part = rng.integers(0, 20, len(frame))
"""
_PREDICT = """
one.predict(frame), two.predict(frame)
"""
_EVALUATE = f"""
models = {{"challenger": one.predict(frame), "champion": two.predict(frame), "baseline": np.zeros(len(frame))}}
score_models(
    y_true=y_true, models={{who: Predicted(values=said) for who, said in models.items()}},
    metrics={{name: METRICS[name] for name in ("mean_absolute_error", "root_mean_squared_error")}},
    units=Units.rows(len(frame), rng=rng), rng=rng, n_resamples={N_RESAMPLES},
    slices=[SliceRows(name=str(place), rows=np.flatnonzero(part == place)) for place in range(20)],
)
"""
_SAID = """
said = {"challenger": one.predict(frame), "champion": two.predict(frame), "baseline": np.zeros(len(frame))}
"""
_OURS = _EVALUATE.split("\n", 2)[2].replace("models.items()", "said.items()")
_PLAIN = f"""
for _ in range({N_PLAIN}):
    drawn = rng.integers(0, len(frame), len(frame))
    truth, place = y_true[drawn], part[drawn]
    for values in said.values():
        error = values[drawn] - truth
        np.abs(error).mean(), np.sqrt(np.square(error).mean())
    for each in range(20):
        of_slice = place == each
        for who in ("challenger", "champion"):
            np.abs(said[who][drawn][of_slice] - truth[of_slice]).mean()
"""


def measure() -> Entry:
    """Compare the evaluation with two calls of ``predict``."""
    ours = [child.run(_PREPARE, _EVALUATE) for _ in range(2)]
    bare = [child.run(_PREPARE, _PREDICT) for _ in range(2)]
    print(f"  at most {max(peak for _, peak in ours):.0f} MB, {max(peak for _, peak in bare):.0f} MB the plain way")
    return Entry(name="evaluate", ours=min(ours)[0], baseline=min(bare)[0], unit="s", better="lower")


def measure_speedup() -> Entry:
    """Say how many times faster the replicates are than the plain loop."""
    ours, plain = _resampling()
    print(f"  {ours:.2f} s, {plain:.0f} s the plain way (from {N_PLAIN} of {N_RESAMPLES} replicates)")
    return Entry(name="bootstrap_speedup", ours=plain / ours, baseline=None, unit="times", better="higher")


@functools.cache
def _resampling() -> tuple[float, float]:
    ours, _ = child.run(_PREPARE + _SAID, _OURS)
    plain, _ = child.run(_PREPARE + _SAID, _PLAIN)
    return ours, plain * N_RESAMPLES / N_PLAIN
