from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.errors import DataError, IntegrityError, SpecError
from airflow_mlops.specs import DatasetSpec
from airflow_mlops.steps.data.features import FeatureSource, feature_rows, feature_source
from airflow_mlops.steps.data.snapshot import snapshot_dataset


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


@pytest.fixture
def data(tmp_path: Path) -> DatasetSpec:
    """Sales by shop, with the weather of the place and the prices of the day before."""
    (tmp_path / "sales.csv").write_text(
        "sold_at,place,sold\n2026-01-01 12:00:00,north,3\n2026-01-02 12:00:00,south,4\n2026-01-02 12:00:00,north,5\n"
    )
    (tmp_path / "weather.csv").write_text(
        "measured_at,place,temperature\n2026-01-01 11:00:00,north,1.5\n2026-01-02 13:00:00,north,9.0\n"
        "2026-01-02 10:00:00,south,7.0\n"
    )
    pq.write_table(
        pa.table({"day": [date(2026, 1, 1), date(2026, 1, 2)], "price": [10, 11]}), tmp_path / "prices.parquet"
    )
    weather = {"path": str(tmp_path / "weather.csv"), "timestamp": "measured_at"}
    prices = {"path": str(tmp_path / "prices.parquet"), "timestamp": "day"}
    return DatasetSpec(
        path=str(tmp_path / "sales.csv"),
        timestamp="sold_at",
        feature_tables=[
            {"name": "weather", "source": weather, "key": ["place"]},
            {"name": "prices", "source": prices, "available_after": "P1D", "columns": ["price"], "prefix": ""},
        ],
    )


def _all_rows(data: DatasetSpec, storage: Storage, source: FeatureSource | None = None) -> list[dict[str, Any]]:
    snapshot = snapshot_dataset(data, dataset="sales", storage=storage)
    source = source or feature_source(data, dataset="sales", storage=storage)
    with feature_rows(snapshot, data, storage=storage, source=source) as rows:
        return rows.read_all().drop_columns(["sold_at"] if data.features is None else []).to_pylist()


def test_tables_of_different_kinds_are_joined_to_the_dataset(data, storage):
    assert _all_rows(data, storage) == [
        {"place": "north", "sold": 3, "weather_temperature": 1.5, "price": None},
        {"place": "south", "sold": 4, "weather_temperature": 7.0, "price": 10},
        {"place": "north", "sold": 5, "weather_temperature": 1.5, "price": 10},
    ]


def test_the_features_query_sees_what_was_joined_as_often_as_it_looks(data, storage):
    query = (
        "SELECT sold_at, sold, price - (SELECT min(price) FROM dataset) AS above FROM dataset "
        "WHERE weather_temperature < 5"
    )
    rows = _all_rows(data.model_copy(update={"features": query}), storage)
    assert [(row["sold"], row["above"]) for row in rows] == [(3, None), (5, 0)]
    assert [name for name in storage.names("splits", "sales") if name.startswith(".")] == []


def test_each_table_has_snapshots_of_its_own_and_its_digest_is_part_of_the_identity(data, storage, tmp_path):
    first = feature_source(data, dataset="sales", storage=storage)
    assert sorted(first.digests) == ["prices", "weather"]
    assert storage.names("snapshots") == ["sales.prices", "sales.weather"]
    assert feature_source(data, dataset="sales", storage=storage).digests == first.digests
    (tmp_path / "weather.csv").write_text("measured_at,place,temperature\n2026-01-01 11:00:00,north,2.5\n")
    second = feature_source(data, dataset="sales", storage=storage)
    assert second.digests["prices"] == first.digests["prices"]
    assert second.digests["weather"] != first.digests["weather"]
    assert [row["weather_temperature"] for row in _all_rows(data, storage, first)] == [1.5, 7.0, 1.5]


def test_a_snapshot_of_a_table_that_was_changed_is_not_joined(data, storage):
    source = feature_source(data, dataset="sales", storage=storage)
    path = source.snapshots["weather"].data_uri
    rows = pq.read_table(path)
    pq.write_table(rows.set_column(2, "temperature", pa.array([0.0] * rows.num_rows)), path)
    with pytest.raises(IntegrityError, match="weather"):
        _all_rows(data, storage, source)


def test_an_empty_table_is_refused(data, storage, tmp_path):
    (tmp_path / "weather.csv").write_text("measured_at,place,temperature\n")
    with pytest.raises(DataError, match="hold no row"):
        feature_source(data, dataset="sales", storage=storage)


def test_a_mistake_in_a_tables_source_is_named_by_its_place(data, storage, tmp_path):
    (tmp_path / "prices.parquet").unlink()
    with pytest.raises(DataError, match=r"No file matches .*, or fix data\.feature_tables\.1\.source\.path\."):
        feature_source(data, dataset="sales", storage=storage)


def test_tables_without_a_source_are_not_left_out_silently(data, storage):
    snapshot = snapshot_dataset(data, dataset="sales", storage=storage)
    with pytest.raises(SpecError, match="no source for them"), feature_rows(snapshot, data, storage=storage):
        pass


def test_without_tables_the_rows_are_the_snapshots(data, storage):
    plain = data.model_copy(update={"feature_tables": ()})
    assert [row["sold"] for row in _all_rows(plain, storage)] == [3, 4, 5]


def test_a_store_of_ones_own_can_be_the_source(data, storage):
    class Store:
        digests = {"store": "v1"}

        def historical_features(self, rows, *, timestamp):
            table = pq.read_table(rows)
            return table.append_column("answer", pa.array([42] * table.num_rows)).to_reader()

    plain = data.model_copy(update={"feature_tables": ()})
    assert [row["answer"] for row in _all_rows(plain, storage, Store())] == [42, 42, 42]
