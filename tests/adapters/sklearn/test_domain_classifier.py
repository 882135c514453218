from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_mlops.adapters.process.threads import limited_threads
from airflow_mlops.adapters.sklearn.domain_classifier import domain_score


@pytest.fixture(autouse=True)
def one_thread():
    with limited_threads(1):
        yield


def frame(rng: np.random.Generator, n_rows: int, correlation: float) -> pd.DataFrame:
    x = rng.normal(size=n_rows)
    y = correlation * x + np.sqrt(1 - correlation**2) * rng.normal(size=n_rows)
    return pd.DataFrame({"x": x, "y": y, "city": rng.choice(["Ulm", "Bonn", None], n_rows)})


def test_rows_of_one_distribution_can_not_be_told_apart():
    rng = np.random.default_rng(0)
    assert domain_score(reference=frame(rng, 2000, 0.0), current=frame(rng, 1000, 0.0)) == pytest.approx(0.5, abs=0.04)


def test_a_change_between_two_columns_that_look_the_same_is_seen():
    rng = np.random.default_rng(0)
    assert domain_score(reference=frame(rng, 2000, 0.9), current=frame(rng, 2000, -0.9)) > 0.9


def test_nulls_nan_infinities_and_new_texts_are_values_like_others():
    rng = np.random.default_rng(0)
    old = frame(rng, 600, 0.0)
    for changed in (
        {"x": np.where(rng.random(600) < 0.5, np.nan, old["x"])},
        {"x": np.where(rng.random(600) < 0.5, np.inf, old["x"])},
        {"city": np.where(rng.random(600) < 0.5, "Trier", old["city"])},
    ):
        assert domain_score(reference=old, current=frame(rng, 600, 0.0).assign(**changed)) > 0.65
