"""The trigger form's choices, made in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from airflow_mlops import ContinuousTraining
from airflow_mlops.errors import DataError, SpecError
from tests.steps.cases import small_frame, small_settings


@pytest.fixture
def small(tmp_path: Path) -> ContinuousTraining:
    (tmp_path / "inbox").mkdir()
    small_frame().to_csv(tmp_path / "inbox" / "part-1.csv", index=False)
    return ContinuousTraining(**small_settings(tmp_path / "inbox"))


@pytest.fixture
def tracking_uri(tmp_path: Path, mlflow_database: Path) -> str:
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_a_window_and_a_held_promotion_replace_what_the_spec_says(
    small: ContinuousTraining, tmp_path: Path, tracking_uri: str
):
    result = small.run(
        storage_root=tmp_path / "storage",
        tracking_uri=tracking_uri,
        window_start="2020-01-10",
        window_end="2020-10-01T00:00:00Z",
        promotion="hold",
    )
    assert result.snapshot.n_rows == 265
    assert result.version is not None
    assert result.promotion is None


def test_a_window_without_rows_is_refused(small: ContinuousTraining, tmp_path: Path, tracking_uri: str):
    with pytest.raises(DataError, match=r"The 1 file\(s\) at .* hold no row from 2030-01-01 00:00:00 UTC on\."):
        small.run(storage_root=tmp_path / "storage", tracking_uri=tracking_uri, window_start="2030-01-01")


def test_a_policy_that_is_none_is_refused(small: ContinuousTraining, tmp_path: Path, tracking_uri: str):
    with pytest.raises(SpecError, match=r"promotion\.policy"):
        small.run(storage_root=tmp_path / "storage", tracking_uri=tracking_uri, promotion="perhaps")
