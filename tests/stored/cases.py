"""What the stored pipeline is made of, which its tests need too."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path("/tmp/airflow-mlops-stored")
"""Where the stored documents say that they lie: the same on every machine. ``unpack`` puts another folder there."""

NAME = "trips"

FIRST_LOOK, SECOND_LOOK = datetime(2026, 1, 8, tzinfo=UTC), datetime(2026, 2, 8, tzinfo=UTC)


def trips(n_rows: int, start: str, *, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Return days with a distance, a borough and a fare of about twice the distance."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, size=n_rows).round(3)
    return pd.DataFrame(
        {
            "id": [f"{start}/{number}" for number in range(n_rows)],
            "day": pd.date_range(start, periods=n_rows, freq="D"),
            "x": x,
            "part": np.resize(["north", "south"], n_rows),
            "y": (2 * x + rng.normal(scale=0.3, size=n_rows)).round(3),
        }
    )


def settings(inbox: Path) -> dict[str, Any]:
    """Return the pipeline's settings, as its YAML file has them."""
    return {
        "model_name": NAME,
        "description": "The fare of a trip.",
        "data": {
            "path": str(inbox / "trips"),
            "timestamp": "day",
            "feature_tables": [{"name": "rain", "source": {"path": str(inbox / "rain.csv"), "timestamp": "day"}}],
        },
        "validation": {
            "expectations": [
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "y"}},
                {
                    "type": "expect_column_values_to_be_between",
                    "kwargs": {"column": "x", "min_value": -20, "max_value": 20},
                    "meta": {"on_failure": "QUARANTINE"},
                },
            ]
        },
        "split": {"key": "id"},
        "training": {
            "target": "y",
            "features": ["x", "rain_mm"],
            "estimator": "tests.stored.model:ridge",
            "preprocessing": "none",
            "params": {"alpha": 0.1},
        },
        "gate": {
            "metrics": {"mean_absolute_error": {"value_threshold": 2.0}, "r2": {"change_threshold": 0.5}},
            "cold_start": True,
            "min_rows": 10,
            "n_resamples": 200,
            "slices": {"columns": ["part"], "min_rows": 10, "worst": 1},
        },
        "serving_check": None,
        "monitoring": {"min_rows": 20, "trailing": "P7D"},
        "performance": {
            "labels": {"path": str(inbox / "labels.csv")},
            "label": "y",
            "id": "id",
            "maturity": "P0D",
            "window": "P7D",
            "windows": {"n": 1, "of": 1},
            "min_rows": 20,
            "metrics": {"mean_absolute_error": {"change_threshold": 0.1}},
            "slices": {"columns": ["x"], "min_rows": 10},
        },
    }
