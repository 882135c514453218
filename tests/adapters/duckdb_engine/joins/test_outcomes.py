"""The join of late labels to the log, where the edges are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.duckdb_engine import open_outcomes
from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.errors import DataError
from airflow_mlops.specs import PerformanceSpec

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def log(
    folder: Path, ids: list[str], *, at: datetime = NOW - DAY, features: pa.Table | None = None, **own: Any
) -> None:
    known = {"model_version": 1, "model_digest": "d", "role": Role.CHAMPION, "predictions": ["yes"] * len(ids)}
    table = log_table(features or pa.table({"shop": [1] * len(ids)}), ids=ids, request_id="r", at=at, **known | own)
    InferenceLog(folder / "log").write(table, at=at)


def joined(folder: Path, labels: dict[str, Any] | None, columns: tuple[str, ...] = (), **settings: Any) -> Any:
    """Return what the engine says of the labels, and the rows of the last two days."""
    known = {
        "labels": {"path": "x", "timestamp": "known"},
        "label": "y",
        "maturity": "P0D",
        "metrics": {"accuracy": {}},
    }
    spec = PerformanceSpec.parse(known | ({"id": "id", "known_at": "known"} | settings))
    path = folder / "labels.parquet"
    if labels is not None:
        pq.write_table(pa.table(labels), path)
    files = [str(file) for file in sorted((folder / "log").glob("date=*/*.parquet"))]
    with open_outcomes(
        files,
        None if labels is None else str(path),
        spec,
        recent=files,
        model_version=1,
        start=NOW - 2 * DAY,
        now=NOW,
        columns=columns,
    ) as found:
        return found, found.between(NOW - 2 * DAY, NOW).to_pylist()


def test_a_prediction_without_a_label_is_there_without_one(tmp_path: Path):
    log(tmp_path, ["a", "b"])
    found, rows = joined(tmp_path, {"id": ["b"], "y": ["no"], "known": [NOW]})
    assert [(row["prediction"], row["label"]) for row in rows] == [("yes", None), ("yes", "no")]
    assert (found.n_repeated, found.n_future, found.examples) == (0, 0, None)
    assert [row["label"] for row in joined(tmp_path, None)[1]] == [None, None]


def test_ids_are_compared_as_text(tmp_path: Path):
    log(tmp_path, ["1", "2"])
    assert [row["label"] for row in joined(tmp_path, {"id": [2, 1], "y": ["b", "a"], "known": [NOW, NOW]})[1]] == [
        "a",
        "b",
    ]


@pytest.mark.parametrize("moment", [NOW, NOW.replace(tzinfo=None), NOW.astimezone().date()])
def test_moments_with_and_without_a_zone_and_days_are_moments_in_utc(tmp_path: Path, moment: Any):
    log(tmp_path, ["a"])
    found, rows = joined(tmp_path, {"id": ["a"], "y": ["no"], "known": [moment]})
    assert (rows[0]["label"], rows[0]["is_early"], found.labels.n_future) == ("no", False, 0)


@pytest.mark.parametrize(
    "text", ["2026-03-01", "2026-03-01 00:00:00", "2026-03-01T01:00:00+01:00", "2026-03-01T00:00Z"]
)
def test_moments_may_be_text_in_iso_8601(tmp_path: Path, text: str):
    log(tmp_path, ["a", "b"])
    found, rows = joined(tmp_path, {"id": ["a", "b"], "y": ["no", "no"], "known": [text, None]})
    assert ([row["label"] for row in rows], found.labels.n_future) == (["no", "no"], 0)
    found, rows = joined(tmp_path, {"id": ["a", "b"], "y": ["no", "no"], "known": [text.replace("03", "04", 1), None]})
    assert ([row["label"] for row in rows], found.labels.n_future) == ([None, "no"], 1)


@pytest.mark.parametrize("text", ["01/03/2026", "20260301", "2026-13-01", "2026-03-01 later", ""])
def test_text_that_is_no_moment_is_told_with_an_example(tmp_path: Path, text: str):
    log(tmp_path, ["a"])
    with pytest.raises(DataError, match=r"The labels: 'known' is text, of which 1 value\(s\) are no date") as caught:
        joined(tmp_path, {"id": ["a", "a"], "y": ["no", "no"], "known": ["2026-03-01", text]})
    assert f"such as {text!r}. Nothing was decided." in str(caught.value)


def test_a_number_is_no_moment(tmp_path: Path):
    log(tmp_path, ["a"])
    with pytest.raises(DataError, match=r"'known' is BIGINT, a date or a timestamp is required"):
        joined(tmp_path, {"id": ["a"], "y": ["no"], "known": [1772323200]})


def test_a_label_whose_moment_is_null_is_older_than_any_other_and_never_too_early(tmp_path: Path):
    log(tmp_path, ["a", "b"])
    labels = {
        "id": ["a", "a", "b"],
        "y": ["late", "none", "none"],
        "known": pa.array([NOW, None, None], pa.timestamp("us")),
    }
    found, rows = joined(tmp_path, labels)
    assert [(row["label"], row["is_early"]) for row in rows] == [("late", False), ("none", False)]
    assert (found.labels.n_changed, found.labels.n_contradicting) == (1, 0)


def test_nan_is_no_label_and_a_null_id_is_nobodys(tmp_path: Path):
    log(tmp_path, ["a", "b"])
    found, rows = joined(tmp_path, {"id": ["a", None], "y": [float("nan"), 1.0], "known": [NOW, NOW]})
    assert [row["label"] for row in rows] == [None, None]
    assert (found.labels.n_null, found.labels.n_unknown) == (1, 1)


def test_clocks_may_be_five_minutes_apart(tmp_path: Path):
    log(tmp_path, ["a", "b"])
    ahead = [NOW - DAY - timedelta(minutes=5), NOW - DAY - timedelta(minutes=6)]
    _, rows = joined(tmp_path, {"id": ["a", "b"], "y": ["no", "no"], "known": ahead})
    assert [row["is_early"] for row in rows] == [False, True]
    late = [NOW + timedelta(minutes=5), NOW + timedelta(minutes=6)]
    found, rows = joined(tmp_path, {"id": ["a", "b"], "y": ["no", "no"], "known": late})
    assert [row["label"] for row in rows] == ["no", None]
    assert found.labels.n_future == 1


def test_of_answers_that_are_logged_again_the_last_one_counts_but_a_failure_hides_none(tmp_path: Path):
    log(tmp_path, ["a"], predictions=["first"], at=NOW - DAY - timedelta(hours=2))
    log(tmp_path, ["a"], predictions=["second"], at=NOW - DAY - timedelta(hours=1))
    log(tmp_path, ["a"], predictions=None, error="down")
    found, rows = joined(tmp_path, None)
    assert [row["prediction"] for row in rows] == ["second"]
    assert found.n_repeated == 2


def test_within_the_tolerance_the_first_label_that_follows_counts(tmp_path: Path):
    log(tmp_path, ["a"], at=NOW - DAY)
    log(tmp_path, ["b"], at=NOW - DAY + timedelta(hours=2))
    log(tmp_path, ["c"], at=NOW - DAY + timedelta(hours=9))
    known = [NOW - DAY - timedelta(hours=1), NOW - DAY, NOW - DAY + timedelta(hours=3)]
    by_shop = {"id": None, "known_at": None, "entity": ["shop"], "tolerance": "PT3H"}
    _, rows = joined(tmp_path, {"shop": [1, 1, 1], "y": ["before", "now", "after"], "known": known}, **by_shop)
    assert [row["label"] for row in rows] == ["now", "after", None]


def test_features_that_are_asked_for_come_along_under_any_name(tmp_path: Path):
    log(tmp_path, ["a"], features=pa.table({"shop": [1], "label": ["x"], 'a "b"': [2.5]}))
    _, rows = joined(tmp_path, {"id": ["a"], "y": ["no"], "known": [NOW]}, ("label", 'a "b"'))
    assert (rows[0]["label"], rows[0]["c0"], rows[0]["c1"]) == ("no", "x", 2.5)


def test_columns_stand_in_the_same_order_before_and_after_the_first_label(tmp_path: Path):
    """Whoever reads them names the last ones: before any label had come those were the wrong ones."""
    log(tmp_path, ["a"])
    _, before = joined(tmp_path, None, columns=("shop",))
    _, after = joined(tmp_path, {"id": ["a"], "y": ["no"], "known": [NOW]}, columns=("shop",))
    assert list(before[0]) == list(after[0])
    assert (before[0]["c0"], before[0]["label"], before[0]["is_early"]) == (1, None, False)


def test_an_entity_that_is_of_two_kinds_is_an_error(tmp_path: Path):
    log(tmp_path, ["a"])
    by_shop = {"id": None, "known_at": None, "entity": ["shop"], "tolerance": "PT3H"}
    with pytest.raises(DataError, match="The labels: 'shop' is VARCHAR, in the inference log it is BIGINT"):
        joined(tmp_path, {"shop": ["north"], "y": ["a"], "known": [NOW]}, **by_shop)
