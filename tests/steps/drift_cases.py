"""An inference log, written as servers and batches write it, and checked for drift."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.core.monitoring.drift_report import DriftReport
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.specs import MonitoringSpec
from airflow_mlops.steps.monitoring.drift import check_log_drift
from tests.steps.cases import Bench, run_named

END = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATELY = END - timedelta(hours=1)


def asked(n_rows: int = 600, shift: float = 0.0, seed: int = 5) -> pd.DataFrame:
    return pd.DataFrame({"x": np.random.default_rng(seed).normal(shift, 1, n_rows)})


class Log:
    """The inference log of a model of the bench's, which is removed with the test."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.log = InferenceLog(bench.platform.storage.path("inference", "small"))

    def write(
        self,
        features: pd.DataFrame,
        predictions: Any = None,
        *,
        at: datetime = END - timedelta(hours=1),
        filed: datetime | None = None,
        **settings: Any,
    ) -> Path:
        known: dict[str, Any] = {"model_version": 1, "role": Role.CHAMPION, **settings}
        table = log_table(
            pa.Table.from_pandas(features, preserve_index=False),
            ids=[str(place) for place in range(len(features))],
            request_id="r",
            at=at,
            model_digest="sha256:m",
            predictions=None if predictions is None else np.asarray(predictions),
            **known,
        )
        return self.log.write(table, at=filed or at)

    def check(self, **monitoring: Any) -> DriftReport:
        return check_log_drift(
            MonitoringSpec(**monitoring),
            model_name="small",
            window_end=END,
            platform=self.bench.platform,
            run=run_named("watch"),
            draw=False,
        )
