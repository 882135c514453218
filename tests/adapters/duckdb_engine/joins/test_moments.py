from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.duckdb_engine.joins.moments import latest_moment

NEW_YEAR, NOON = datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2020-01-01 12:00")


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("ns")])
def test_the_latest_moment_is_the_largest_that_is_not_later_than_asked(tmp_path: Path, kind: pa.DataType):
    moments = [NEW_YEAR, NOON, datetime.fromisoformat("2204-01-01"), None]
    pq.write_table(pa.table({'a "day"': pa.array(moments, kind)}), tmp_path / "rows.parquet")
    parquet = str(tmp_path / "rows.parquet")
    assert latest_moment(parquet, 'a "day"', until=datetime(2020, 6, 1, tzinfo=UTC)) == NOON
    assert latest_moment(parquet, 'a "day"', until=NOON.replace(tzinfo=UTC)) == NOON
    assert latest_moment(parquet, 'a "day"', until=datetime(2019, 1, 1, tzinfo=UTC)) is None


def test_text_that_is_no_moment_is_passed_over(tmp_path: Path):
    pq.write_table(pa.table({"day": ["2020-01-01", "soon", None]}), tmp_path / "rows.parquet")
    assert latest_moment(str(tmp_path / "rows.parquet"), "day", until=datetime(2021, 1, 1, tzinfo=UTC)) == NEW_YEAR
