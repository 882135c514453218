"""Makes what the package stores, and keeps it as an archive beside this file.

    OMP_NUM_THREADS=1 python -m tests.stored.make 0.2.0

It is run once for a version, before the version's documents change, in a clone whose remote may be known to everybody
(the records of training keep its address). It takes a minute. What is in an archive is never made again: made by later
code, it would not show that the later code reads what the earlier one has stored.

``0.1.0.dev1.tar.gz`` was made with the package of commit 69ba7c9.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_mlops import BatchScoring, ContinuousTraining
from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.adapters.storage.store import Storage, Watermark
from airflow_mlops.core.retraining.alert import MonitoringDecision
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.core.values import PipelineRun, Value
from airflow_mlops.errors import DataHaltedError
from airflow_mlops.specs import RolloutSpec
from airflow_mlops.steps import Platform
from airflow_mlops.steps.backtesting.backtest import backtest
from airflow_mlops.steps.monitoring.drift import check_log_drift
from airflow_mlops.steps.monitoring.performance import check_performance
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.approve import record_answer
from airflow_mlops.steps.promotion.champion import describe_change
from airflow_mlops.steps.promotion.promote import mark_unhealthy, promote_model, rollback_model
from airflow_mlops.steps.retraining.alert import raise_alert
from airflow_mlops.steps.rollout.online_validation import look_at_rollout, start_rollout
from tests.stored.cases import FIRST_LOOK, NAME, ROOT, SECOND_LOOK, settings, trips

ROLLOUT: dict[str, Any] = {
    "share": 0.5,
    "checks": 1,
    "min_requests": 100,
    "max_error_rate_increase": 0.2,
    "max_latency_p95_increase": None,
    "max_prediction_shift": None,
}


class Story:
    """The life of one model: two promotions, a rejection, a halted batch, a rollback, a canary, and two alerts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.inbox = folder, folder / "inbox"
        (self.inbox / "trips").mkdir(parents=True)
        self.settings = settings(self.inbox)
        self.platform = Platform(Storage(str(folder / "storage")), Mlflow(f"sqlite:///{folder}/mlflow.db"), draws=False)
        rain = pd.DataFrame({"day": pd.date_range("2019-12-31", periods=40, freq="10D"), "mm": np.arange(40) % 7 / 2})
        rain.to_csv(self.inbox / "rain.csv", index=False)
        self.labels: list[pd.DataFrame] = []
        self._label(trips(5, "2019-01-01", seed=9))

    def tell(self) -> None:
        """Tell all chapters."""
        self._two_versions()
        self._bad_batches()
        self._rollback_and_first_alert()
        self._answer()
        self._second_alert()
        self._batch()
        self._watch()
        self._backtest()

    def _two_versions(self) -> None:
        self._deliver(trips(100, "2020-01-01", seed=0), "1.csv")
        serving = {"n_golden_rows": 5, "n_requests": 20, "batch_rows": 100}
        self._run("cold start", params={"alpha": 50.0}, serving=serving, conversion={"format": "onnx"})
        later = trips(80, "2020-04-10", seed=1, shift=3.0)
        later.loc[7, "x"] = 99.0
        self._deliver(later, "2.csv")
        tuning = {
            "space": {"alpha": {"type": "float", "low": 0.01, "high": 1.0, "log": True}},
            "metric": "neg_mean_absolute_error",
            "n_trials": 2,
            "n_folds": 2,
        }
        gated = {"promotion": {"approval": "required"}, "rollout": ROLLOUT, "tuning": tuning}
        self._promote(self._run("new data", **gated))
        self._run("nothing new", tuning=tuning)

    def _promote(self, result: PipelineResult) -> None:
        """Approve a version, try it on live requests, and make it champion."""
        candidate, at = (result.version, result.blessing), self._at("new data")
        approval = record_answer(*candidate, is_approved=True, by="grace", note="Looks right.", **at)
        rollout = RolloutSpec.parse(ROLLOUT)
        deployment = start_rollout(*candidate, rollout, approval=approval, needs_approval=True, **at)
        self._serve(120, deployment.since, seed=2, versions=(1, 2))
        canary = look_at_rollout(deployment, rollout, look=1, now=deployment.since + timedelta(hours=1), **at)
        promoted = promote_model(*candidate, approval=approval, needs_approval=True, canary=canary, **at)
        self._keep(describe_change(promoted, platform=self.platform))

    def _bad_batches(self) -> None:
        broken = trips(20, "2020-07-01", seed=3).astype({"x": object})
        broken.loc[3, "x"], broken.loc[5, "y"] = "far", None
        file = self._deliver(broken, "3.csv")
        try:
            self._run("broken batch")
        except DataHaltedError:
            file.unlink()
        else:
            raise AssertionError("the broken batch was not halted")
        self._run("worse", params={"alpha": 1e6})

    def _rollback_and_first_alert(self) -> None:
        rollback_model(NAME, reason="v2 answers strangely", **self._at("rollback"))
        served = self._serve(60, FIRST_LOOK - timedelta(days=1), seed=4, shift=4.0)
        self._label(served.assign(y=served["y"] + 5))
        self._look("look 1", FIRST_LOOK)

    def _answer(self) -> None:
        """Answer the alert by a version that a person declines while it is tried."""
        self._deliver(trips(80, "2020-07-01", seed=5, shift=4.0), "3.csv")
        result = self._run("answer", rollout=ROLLOUT | {"mode": "shadow"})
        candidate, at = (result.version, result.blessing), self._at("answer")
        start_rollout(*candidate, RolloutSpec.parse(ROLLOUT | {"mode": "shadow"}), **at)
        self._keep(result.version)
        record_answer(*candidate, is_approved=False, by="grace", note="Not before the holidays.", **at)
        mark_unhealthy(NAME, 3, reason="trained on test fares", **self._at("mark"))

    def _second_alert(self) -> None:
        self._serve(60, SECOND_LOOK - timedelta(days=1), seed=6, shift=6.0)
        self._look("look 2", SECOND_LOOK)

    def _batch(self) -> None:
        trips(30, "2020-10-01", seed=7).drop(columns="y").to_csv(self.inbox / "batch.csv", index=False)
        data = self.settings["data"] | {"path": str(self.inbox / "batch.csv"), "trailing": "P3650D"}
        BatchScoring(model_name=NAME, data=data, key="id").run(run_id="batch", **self._where())

    def _watch(self) -> None:
        """Note what a trigger has told of, and what it has only announced."""
        first, second = (str(self.inbox / "trips" / name) for name in ("1.csv", "2.csv"))
        note = Watermark(self.platform.storage, f"{NAME}_data")
        note.announce({first: "1-4382", second: "1-3426"})
        note.confirm({first: "1-4382"})

    def _backtest(self) -> None:
        rows = trips(120, "2020-01-01", seed=8)
        rows.to_csv(self.folder / "history.csv", index=False)
        spec = ContinuousTraining(
            model_name="history",
            data={"path": str(self.folder / "history.csv"), "timestamp": "day"},
            validation={"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "x"}}]},
            training={
                "target": "y",
                "features": ["x"],
                "estimator": "tests.stored.model:ridge",
                "preprocessing": "none",
            },
            gate={"metrics": {"mean_absolute_error": {}}, "cold_start": True, "min_rows": 10, "slices": None},
            serving_check=None,
        )
        since, every = datetime(2020, 3, 1, tzinfo=UTC), timedelta(days=30)
        backtest(spec, since=since, until=since + 2 * every, every=every, folder=self.folder / "backtest")

    def _label(self, rows: pd.DataFrame) -> None:
        """Deliver what is known of these rows by now, beside what was known before."""
        self.labels.append(rows[["id", "y"]])
        pd.concat(self.labels).to_csv(self.inbox / "labels.csv", index=False)

    def _look(self, run_id: str, at: datetime) -> MonitoringDecision:
        """Look at production, as the monitoring DAG does."""
        spec, given = (
            ContinuousTraining(**self.settings),
            {"model_name": NAME, **self._at(run_id, f"{NAME}_monitoring")},
        )
        drift = check_log_drift(spec.monitoring, window_end=at, draw=False, **given)
        performance = check_performance(spec.performance, now=at, **given)
        checks: Sequence[str] = ("drift", "performance")
        return raise_alert(
            kinds=checks, drift=drift, performance=performance, checks=checks, monitoring=spec.monitoring, **given
        )

    def _serve(
        self, n_rows: int, at: datetime, *, seed: int, shift: float = 0.0, versions: Sequence[int] = (1,)
    ) -> pd.DataFrame:
        """Log what a server would have: what each version was asked, and said."""
        rows = trips(n_rows, f"2021-{seed:02d}-01", seed=seed, shift=shift).assign(rain_mm=1.0)
        log = InferenceLog(self.platform.storage.path("inference", NAME), writer=f"server-{seed}")
        features = pa.Table.from_pandas(rows[["x", "rain_mm"]], preserve_index=False)
        for version in versions:
            ids = [f"{version}/{each}" for each in rows["id"]] if len(versions) > 1 else rows["id"].tolist()
            table = log_table(
                features,
                ids=ids,
                request_id=[f"{version}-{number}" for number in range(n_rows)],
                at=at + timedelta(minutes=1),
                model_version=version,
                model_digest="sha256:0",
                role=Role.CHAMPION if version == 1 else Role.CANARY,
                predictions=(2 * rows["x"]).to_numpy(),
                latency_ms=[2.0] * n_rows,
            )
            log.write(table, at=at)
        return rows

    def _keep(self, value: Value) -> None:
        """Keep what Airflow stores: a result that a later task is given, or what an event carries."""
        (self.folder / "values").mkdir(exist_ok=True)
        document = json.dumps(value.to_dict(), indent=2) + "\n"
        (self.folder / "values" / f"{type(value).__name__}.json").write_text(document)

    def _run(self, run_id: str, params: dict[str, Any] | None = None, **changes: Any) -> PipelineResult:
        pipeline = ContinuousTraining(**self.settings | changes)
        return pipeline.run(run_id=run_id, params=params, **self._where())

    def _where(self) -> dict[str, Any]:
        return {"storage_root": self.folder / "storage", "tracking_uri": self.platform.mlflow.tracking_uri}

    def _at(self, run_id: str, pipeline: str = NAME) -> dict[str, Any]:
        run = PipelineRun(pipeline=pipeline, run_id=run_id, trigger="scheduled", actor="ada")
        return {"platform": self.platform, "run": run}

    def _deliver(self, frame: pd.DataFrame, name: str) -> Path:
        frame.to_csv(self.inbox / "trips" / name, index=False)
        return self.inbox / "trips" / name


def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out pictures and pages, which only people read (a card is looked for), and who has made the files."""
    path = Path(member.name)
    if path.name.startswith("drift_evidently") or "evaluation" in path.parts:
        return None
    if path.suffix == ".html" and path.name != "model_card.html":
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def rows_of(database: Path) -> Iterator[str]:
    """Return the rows of MLflow's tables as statements, for tables that MLflow makes."""
    with closing(sqlite3.connect(database)) as db:
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'")
        for (table,) in sorted(tables):
            names = [column[1] for column in db.execute(f"PRAGMA table_info({table})")]
            quoted = ", ".join(f"quote({name})" for name in names)
            for row in db.execute(f"SELECT {quoted} FROM {table}"):
                yield f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({', '.join(row)});\n"


def pack(folder: Path, archive: Path) -> None:
    """Keep what was stored: the storage root, MLflow's files and rows, the deliveries, the notes of the backtest."""
    (folder / "mlflow.sql").write_text("".join(rows_of(folder / "mlflow.db")))
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("storage", "artifacts", "inbox", "values", "mlflow.sql", "backtest/backtest.json"):
            tar.add(folder / name, name, filter=wanted)
        for moments in sorted(folder.glob("backtest/*/*/moments")):
            tar.add(moments, str(moments.relative_to(folder)))


def main(version: str) -> None:
    """Tell the story in :data:`ROOT`, and keep what is left of it as the archive of a version."""
    archive = Path(__file__).with_name(f"{version}.tar.gz")
    if archive.exists():
        raise SystemExit(f"{archive} is there, and it is never made again.")
    os.environ |= {"AIRFLOW_HOME": tempfile.mkdtemp(), "LOGNAME": "ada"}  # read once Airflow is imported, and by MLflow
    sys.argv[0] = "make.py"  # as MLflow notes what runs
    ROOT.mkdir()
    os.chdir(ROOT)
    Story(ROOT).tell()
    pack(ROOT, archive)
    shutil.rmtree(ROOT)


if __name__ == "__main__":
    main(sys.argv[1])
