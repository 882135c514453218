"""Feast is an extra: these tests are skipped where it is not installed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

feast = pytest.importorskip("feast")

from airflow_mlops.adapters import feast as adapter  # noqa: E402
from airflow_mlops.errors import DataError, SpecError, UnavailableError  # noqa: E402

NOON = datetime.fromisoformat("2026-01-01T12:00")
HOUR = timedelta(hours=1)
SETTINGS = """
project: shops
provider: local
registry: registry.db
offline_store: {{type: {offline}}}
online_store: {{type: sqlite, path: online.db}}
entity_key_serialization_version: 3
"""


@pytest.fixture(params=["duckdb", "file"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A local store that knows the temperature at two shops."""
    (tmp_path / "feature_store.yaml").write_text(SETTINGS.format(offline=request.param))
    moments = pa.array([NOON, NOON + 2 * HOUR, NOON - HOUR], pa.timestamp("us", "UTC"))
    table = pa.table({"shop": [1, 1, 2], "at": moments, "temperature": [1.0, 2.0, 3.0]})
    pq.write_table(table, tmp_path / "weather.parquet")
    shop = feast.Entity(name="shop", join_keys=["shop"], value_type=feast.ValueType.INT64)
    view = feast.FeatureView(
        name="weather",
        entities=[shop],
        ttl=5 * HOUR,
        schema=[feast.Field(name="temperature", dtype=feast.types.Float64)],
        source=feast.FileSource(path=str(tmp_path / "weather.parquet"), timestamp_field="at"),
    )
    feast.FeatureStore(repo_path=str(tmp_path)).apply([shop, view])
    return tmp_path


def _source(repository: Path, *features: str) -> adapter.FeastFeatures:
    chosen = features or ("weather:temperature",)
    return adapter.FeastFeatures(repository=str(repository), features=chosen, version="2026-01-02")


def _joined(source: adapter.FeastFeatures, folder: Path, rows: pa.Table) -> pa.Table:
    pq.write_table(rows, folder / "rows.parquet")
    with source.historical_features(str(folder / "rows.parquet"), timestamp="t") as reader:
        return reader.read_all()


def _rows() -> pa.Table:
    hours = [3, -1, 0, 1, 1, None, 1, 9]
    moments = pa.array([None if hour is None else NOON + hour * HOUR for hour in hours], pa.timestamp("us"))
    return pa.table({"shop": pa.array([1, 1, 1, 2, 3, 1, None, 1]), "t": moments, "n": list(range(8))})


def test_rows_get_what_was_known_at_their_moment_in_their_order(repository, tmp_path, monkeypatch):
    for chunk in (1000, 3):
        monkeypatch.setattr(adapter, "_CHUNK_ROWS", chunk)
        found = _joined(_source(repository), tmp_path, _rows())
        assert found.select(["shop", "t", "n"]).to_pylist() == _rows().to_pylist()
        assert found["weather__temperature"].to_pylist() == [2.0, None, 1.0, 3.0, None, None, None, None]


def test_a_feature_or_a_store_that_is_not_there_is_a_mistake_in_the_spec(repository, tmp_path):
    with pytest.raises(SpecError, match="wether"):
        _joined(_source(repository, "wether:temperature"), tmp_path, _rows())
    with pytest.raises(SpecError, match=r"has no feature 'temprature'.* Did you mean 'temperature'"):
        _joined(_source(repository, "weather:temprature"), tmp_path, _rows())
    with pytest.raises(SpecError, match="nowhere"):
        _joined(_source(tmp_path / "nowhere"), tmp_path, _rows())


def test_rows_without_the_key_are_refused(repository, tmp_path):
    with pytest.raises(DataError, match="columns that the dataset does not have: 'shop'"):
        _joined(_source(repository), tmp_path, _rows().drop_columns(["shop"]))


def test_a_store_whose_data_is_gone_does_not_look_like_bad_data(repository, tmp_path):
    (repository / "weather.parquet").unlink()
    with pytest.raises(UnavailableError, match="gave no features"):
        _joined(_source(repository), tmp_path, _rows())


def test_the_version_is_the_identity(repository):
    assert _source(repository).digests == {"weather:temperature": "2026-01-02"}
