from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops.adapters.arrow import ParquetDigestWriter
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.errors import DataError, IntegrityError, SpecError
from airflow_mlops.specs import DatasetSpec, SplitSpec
from airflow_mlops.steps.splitting.split import split_dataset

DRAWN = [
    {"method": "random"},
    {"method": "random", "key": "id"},
    {"method": "group", "group": "shop"},
    {"method": "stratified", "stratify": "kind"},
]


def _frame(n_rows: int = 400, *, seed: int = 0, first_id: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": np.arange(first_id, first_id + n_rows),
            "at": pd.date_range("2026-01-01", periods=n_rows, freq="h"),
            "shop": rng.choice([f"shop {i}" for i in range(40)], n_rows),
            "kind": rng.choice(["a", "b", "c"], n_rows, p=[0.7, 0.2, 0.1]),
            "x": rng.normal(size=n_rows),
        }
    )


def _snapshot(frame: pd.DataFrame, folder: Path, n_batch: int = 100) -> DatasetSnapshot:
    """Write a snapshot as the step before does, without its source."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    folder.mkdir(parents=True, exist_ok=True)
    with ParquetDigestWriter(folder / "data.parquet", table.schema) as writer:
        for batch in table.to_batches(n_batch):
            writer.write(batch)
    document = {
        "kind": "DatasetSnapshot",
        "schema_version": 1,
        "dataset": "d",
        "uri": str(folder),
        "digest": writer.digest,
        "file_digest": writer.file_digest,
        "n_rows": writer.n_rows,
        "columns": [{"name": column.name, "type": column.type, "n_null": column.n_null} for column in writer.columns],
        "timestamp": "at",
        "source": {},
        "created_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        "created_by": "ada",
    }
    known = DatasetSnapshot.__dataclass_fields__.keys() | {"kind", "schema_version"}
    return DatasetSnapshot.from_dict({key: value for key, value in document.items() if key in known})


def _split(frame: pd.DataFrame, folder: Path, *, features: str | None = None, **settings: Any) -> DatasetSplit:
    snapshot = _snapshot(frame, folder / "snapshot")
    data = DatasetSpec(path="x", timestamp="at", features=features)
    return split_dataset(snapshot, data, SplitSpec.parse(settings), storage=Storage(str(folder / "storage")))


def _read(split: DatasetSplit) -> dict[str, pd.DataFrame]:
    return {name: pq.read_table(part.uri).to_pandas() for name, part in split.parts.items()}


def _sides(split: DatasetSplit) -> dict[int, str]:
    return {key: name for name, rows in _read(split).items() for key in rows["id"]}


def test_the_last_rows_are_held_back_and_those_before_them_tuned_on(tmp_path):
    split = _split(_frame(), tmp_path, test_fraction=0.2, validation_fraction=0.1)
    rows = _read(split)
    assert {name: len(part) for name, part in rows.items()} == {"train": 279, "validation": 40, "test": 81}
    assert rows["train"]["at"].max() < rows["validation"]["at"].min() == datetime.fromisoformat(split.validation_cut)
    assert rows["validation"]["at"].max() < rows["test"]["at"].min() == datetime.fromisoformat(split.cut)


def test_the_parts_say_what_their_files_hold(tmp_path):
    split = _split(_frame(), tmp_path, validation_fraction=0.1)
    for part in split.parts.values():
        assert pq.read_metadata(part.uri).num_rows == part.n_rows
        assert part.file_digest.startswith("sha256:")
    assert [column.name for column in split.columns] == ["id", "at", "shop", "kind", "x"]
    assert DatasetSplit.from_dict(split.to_dict()) == split


def test_a_gap_leaves_out_the_rows_before_each_cut_and_counts_them(tmp_path):
    split = _split(_frame(), tmp_path, validation_fraction=0.1, gap="PT6H")
    rows = _read(split)
    assert split.n_left_out == 12
    assert rows["test"]["at"].min() - rows["validation"]["at"].max() == pd.Timedelta(hours=7)
    assert rows["validation"]["at"].min() - rows["train"]["at"].max() == pd.Timedelta(hours=7)


@pytest.mark.parametrize("kind", ["datetime64[ns]", "datetime64[ms]", "datetime64[us, Europe/Berlin]", "date"])
def test_any_kind_of_moment_is_cut(tmp_path, kind):
    frame = _frame()
    days = pd.Series(pd.date_range("2026-01-01", periods=len(frame), freq="D", tz="UTC" if "," in kind else None))
    frame["at"] = days.dt.date if kind == "date" else days.astype(kind)
    split = _split(frame, tmp_path, gap="P2D")
    rows = _read(split)
    assert (len(rows["train"]), split.n_left_out, len(rows["test"])) == (317, 2, 81)
    assert split.cut.startswith("2026-11-16")


def test_rows_of_one_moment_are_never_parted(tmp_path):
    frame = _frame().assign(at=lambda f: f["at"].dt.floor("D"))
    rows = _read(_split(frame, tmp_path))
    assert not set(rows["train"]["at"]) & set(rows["test"]["at"])


@pytest.mark.parametrize("settings", DRAWN, ids=str)
def test_about_the_fractions_are_drawn_and_no_row_is_lost(tmp_path, settings):
    split = _split(_frame(4000), tmp_path, test_fraction=0.25, validation_fraction=0.15, **settings)
    rows = _read(split)
    assert sorted(key for part in rows.values() for key in part["id"]) == list(range(4000))
    tolerance = 0.2 if settings["method"] == "group" else 0.03
    assert len(rows["test"]) / 4000 == pytest.approx(0.25, abs=tolerance)
    assert len(rows["validation"]) / 4000 == pytest.approx(0.15, abs=tolerance)


@pytest.mark.parametrize("parameters", DRAWN, ids=str)
def test_the_same_rows_make_the_same_parts_in_any_order_and_in_any_pieces(tmp_path, parameters):
    frame = _frame()
    whole = _sides(_split(frame, tmp_path / "whole", validation_fraction=0.2, **parameters))
    shuffled = frame.sample(frac=1, random_state=3)
    assert _sides(_split(shuffled, tmp_path / "shuffled", validation_fraction=0.2, **parameters)) == whole


@pytest.mark.parametrize("parameters", DRAWN[:3], ids=str)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), n_more=st.integers(1, 300))
def test_a_row_keeps_its_side_when_the_data_grows(tmp_path_factory, parameters, seed, n_more):
    folder, frame = tmp_path_factory.mktemp("grows"), _frame(200)
    before = _sides(_split(frame, folder / "before", validation_fraction=0.2, seed=5, **parameters))
    more = pd.concat([_frame(n_more, seed=seed, first_id=1000), frame])
    after = _sides(_split(more, folder / "after", validation_fraction=0.2, seed=5, **parameters))
    assert {key: after[key] for key in before} == before


def test_a_row_that_is_delivered_again_later_stays_on_its_side(tmp_path):
    frame = _frame(300)
    again = frame.assign(at=frame["at"] + pd.Timedelta(days=400))
    split = _split(pd.concat([frame, again]), tmp_path, method="random")
    rows = _read(split)
    assert not set(rows["train"]["id"]) & set(rows["test"]["id"])


def test_a_row_whose_values_are_mended_keeps_its_side_by_its_key(tmp_path):
    frame = _frame(300)
    before = _sides(_split(frame, tmp_path / "a", method="random", key="id"))
    assert _sides(_split(frame.assign(x=0.0), tmp_path / "b", method="random", key="id")) == before


def test_a_group_is_never_parted_and_the_groups_are_counted(tmp_path):
    split = _split(_frame(), tmp_path, method="group", group="shop", validation_fraction=0.2)
    shops = {name: set(rows["shop"]) for name, rows in _read(split).items()}
    assert not shops["train"] & shops["test"]
    assert not shops["train"] & shops["validation"]
    assert split.n_groups == {name: len(found) for name, found in shops.items()}


def test_every_stratum_has_its_share_exact_to_a_row(tmp_path):
    frame = _frame(4000)
    split = _split(frame, tmp_path, method="stratified", stratify="kind", test_fraction=0.25)
    of_test = Counter(_read(split)["test"]["kind"])
    for value, n_rows in Counter(frame["kind"]).items():
        assert abs(of_test[value] - 0.25 * n_rows) <= 1
    assert [stratum.value for stratum in split.strata] == ["a", "b", "c"]
    assert {stratum.value: stratum.n_test for stratum in split.strata} == of_test


def test_missing_values_are_a_stratum_of_their_own(tmp_path):
    frame = _frame().assign(kind=lambda f: f["kind"].where(f["kind"] != "c"))
    split = _split(frame, tmp_path, method="stratified", stratify="kind")
    assert {stratum.value for stratum in split.strata} == {"a", "b", "null"}


def test_the_features_are_made_once_and_then_parted(tmp_path):
    # Another row at every run of the query: were it run twice, the cut would lie elsewhere than the parts say.
    query = 'SELECT "at", id, shop, kind, random() AS x FROM dataset WHERE random() < 0.5'
    split = _split(_frame(2000), tmp_path, features=query, validation_fraction=0.2)
    rows = _read(split)
    assert rows["test"]["at"].min() == datetime.fromisoformat(split.cut)
    assert sorted(path.name for path in Path(split.train.uri).parent.iterdir()) == [
        "split.json",
        "test.parquet",
        "train.parquet",
        "train_profile.json",
        "validation.parquet",
    ]


@pytest.mark.parametrize("damage", ["gone", "of other rows", "no JSON", "of another schema"])
def test_a_split_that_is_found_without_a_profile_that_can_be_used_gets_it_again(tmp_path, damage):
    split = _split(_frame(), tmp_path, validation_fraction=0.1)
    profile = Path(split.train.uri).with_name("train_profile.json")
    text = profile.read_text()
    damaged = {
        "gone": None,
        "of other rows": text.replace("sha256:", "sha256:0", 1),
        "no JSON": text[:100],
        "of another schema": text.replace('"n_distinct"', '"n_values"'),
    }[damage]
    profile.unlink()
    if damaged:
        profile.write_text(damaged)
    assert _split(_frame(), tmp_path, validation_fraction=0.1) == split
    assert profile.read_text() == text
    assert len(list(profile.parent.parent.iterdir())) == 1


def test_no_profile_is_made_of_rows_that_were_changed(tmp_path):
    split = _split(_frame(), tmp_path)
    Path(split.train.uri).with_name("train_profile.json").unlink()
    pq.write_table(pq.read_table(split.train.uri).slice(1), split.train.uri)
    with pytest.raises(IntegrityError, match="The file was changed after it was written"):
        _split(_frame(), tmp_path)


def test_what_the_leakage_check_looks_for_makes_no_other_split(tmp_path):
    first = _split(_frame(), tmp_path, leakage={"allow": ["x"]})
    assert _split(_frame(), tmp_path) == first


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({"shop": None}, {"method": "group", "group": "shop"}, "split.group: 'shop' is null in 400 of 400 rows"),
        ({"x": np.nan}, {"method": "random", "key": "x"}, "split.key: 'x' is null in 400 of 400 rows"),
        ({"shop": "one"}, {"method": "group", "group": "shop"}, "Whole groups of shop are drawn"),
        ({}, {"method": "stratified", "stratify": "id"}, "400 of 400 strata of 'id' have fewer than 2 rows"),
        ({"at": pd.Timestamp("2026-01-01")}, {}, "leaves 0 rows to train on and 400 to evaluate. Both need some"),
        (
            {},
            {"gap": "P300D"},
            "leaves 0 rows to train on and 81 to evaluate. Both need some; nothing was trained. The gap",
        ),
        ({}, {"validation_fraction": 0.1, "gap": "P2D"}, "0 to tune on and 81 to evaluate. All need some"),
    ],
)
def test_rows_that_can_not_be_parted_so_are_refused_and_nothing_is_left(tmp_path, change, settings, message):
    with pytest.raises(DataError) as caught:
        _split(_frame().assign(**change), tmp_path, **settings)
    assert message in str(caught.value)
    assert Storage(str(tmp_path / "storage")).names("splits", "d") == []


def test_a_column_of_more_than_a_thousand_values_is_no_stratum(tmp_path):
    with pytest.raises(
        DataError, match=r"'id' has more than 1000 different values, such as '0', '1', '10'\. Nothing was"
    ):
        _split(_frame(1100), tmp_path, method="stratified", stratify="id")


@pytest.mark.parametrize("settings", [{"method": "random", "key": "ide"}, {"method": "group", "group": ["shops"]}])
def test_a_column_that_is_not_there_is_a_mistake_in_the_spec(tmp_path, settings):
    with pytest.raises(SpecError, match=r"is not among the columns to train on: 'id', .* Did you mean '(id|shop)'\?"):
        _split(_frame(), tmp_path, **settings)


def test_a_null_timestamp_that_the_features_made_is_refused(tmp_path):
    query = 'SELECT CASE WHEN id > 2 THEN "at" END AS "at", x FROM dataset'
    with pytest.raises(DataError, match=r"'at' is null in 3 of 400 rows to train on\. Nothing was split"):
        _split(_frame(), tmp_path, features=query)
