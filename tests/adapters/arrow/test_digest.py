from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.adapters.arrow import ParquetDigestWriter, check_file, check_rows, read_frame
from airflow_mlops.adapters.arrow.digest import BLOCK_ROWS
from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.errors import DataError, IntegrityError


def _write(path: Path, table: pa.Table, sizes: list[int] | None = None) -> ParquetDigestWriter:
    """Write a table in record batches of the given sizes, the last one taking what is left."""
    with ParquetDigestWriter(path, table.schema) as writer:
        start = 0
        for size in [*(sizes or []), table.num_rows]:
            for batch in table.slice(start, size).to_batches():
                writer.write(batch)
            start += size
    return writer


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("digests") / "x.parquet"


def _digest(place: Path, table: pa.Table, sizes: list[int] | None = None) -> str:
    return _write(place, table, sizes).digest


FEW = pa.table(
    {"n": pa.array([1, None, 3]), "f": [0.5, float("nan"), -1.0], "s": ["a", "", None], "b": [True, False, None]}
)


@given(st.lists(st.integers(0, 3), max_size=5))
def test_the_digest_is_the_same_however_few_rows_are_chunked(place, sizes):
    assert _digest(place, FEW, sizes) == _digest(place, FEW)


@pytest.fixture(scope="module")
def many() -> pa.Table:
    rng = np.random.default_rng(0)
    n = 2 * BLOCK_ROWS + 1234
    return pa.table({"n": rng.integers(0, 9, n), "f": rng.normal(size=n), "s": [f"row {i % 977}" for i in range(n)]})


@pytest.mark.parametrize("seed", range(4))
def test_the_digest_is_the_same_however_many_blocks_of_rows_are_chunked(place, many, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, [100, 5_000, BLOCK_ROWS, 2 * BLOCK_ROWS][seed], size=30).tolist()
    writer = _write(place, many, sizes)
    assert writer.n_rows == many.num_rows
    assert writer.digest == _digest(place.with_name("whole.parquet"), many)
    assert pq.ParquetFile(place).num_row_groups == 3
    assert pq.read_table(place).equals(many)


def test_a_digest_is_a_sha256_with_its_name(place):
    kind, _, digits = _digest(place, FEW).partition(":")
    assert (kind, len(digits)) == ("sha256", len(hashlib.sha256().hexdigest()))


@pytest.mark.parametrize(
    "changed",
    [
        FEW.set_column(0, "n", pa.array([1, None, 4])),
        FEW.set_column(0, "n", pa.array([1, 0, 3])),
        FEW.set_column(0, "n", pa.array([None, 1, 3])),
        FEW.set_column(1, "f", pa.array([0.5, None, -1.0])),
        FEW.set_column(1, "f", pa.array([0.5, float("inf"), -1.0])),
        FEW.set_column(2, "s", pa.array(["", "a", None])),
        FEW.set_column(2, "s", pa.array(["a", None, ""])),
        FEW.set_column(3, "b", pa.array([True, True, None])),
        FEW.rename_columns(["m", "f", "s", "b"]),
        FEW.set_column(0, "n", pa.array([1, None, 3], pa.int32())),
        FEW.take([1, 0, 2]),
        FEW.select(["f", "n", "s", "b"]),
        FEW.slice(0, 2),
        FEW.drop_columns(["b"]),
    ],
)
def test_the_digest_differs_when_a_value_a_name_a_type_or_the_order_does(place, changed):
    assert _digest(place, changed) != _digest(place, FEW)


@given(st.lists(st.none() | st.integers(0, 3), max_size=20), st.lists(st.none() | st.integers(0, 3), max_size=20))
def test_two_columns_have_the_same_digest_only_when_they_are_the_same(place, one, other):
    tables = [pa.table({"n": pa.array(values, pa.int64())}) for values in (one, other)]
    assert (_digest(place, tables[0]) == _digest(place, tables[1])) is (one == other)


def test_rows_of_nulls_at_the_end_are_rows_too(place):
    one, two = pa.table({"n": pa.array([5])}), pa.table({"n": pa.array([5, None])})
    assert _digest(place, one) != _digest(place, two)


def test_text_that_moves_between_neighbouring_values_shows(place):
    assert _digest(place, pa.table({"s": ["ab", "c"]})) != _digest(place, pa.table({"s": ["a", "bc"]}))
    nested = [pa.table({"s": [["a\0b"]]}), pa.table({"s": [["a", "b"]]})]
    assert _digest(place, nested[0]) != _digest(place, nested[1])


def test_what_lies_under_a_null_does_not_matter(place):
    validity = pa.array([True, False]).buffers()[1]
    one, other = (
        pa.Array.from_buffers(pa.int64(), 2, [validity, pa.py_buffer(np.array([7, under]).tobytes())])
        for under in (0, 999)
    )
    assert one.to_pylist() == other.to_pylist() == [7, None]
    assert _digest(place, pa.table({"n": one})) == _digest(place, pa.table({"n": other}))


def test_every_nan_is_the_same_nan(place):
    bits = np.array([0x7FF8000000000000, 0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    one, other = (pa.table({"f": np.array([value])}) for value in bits)
    assert _digest(place, one) == _digest(place, other)


def test_a_slice_has_the_digest_of_the_same_rows_alone(place):
    rows = pa.table({"s": ["x", "a", "b"], "b": [True, False, True], "n": pa.array([None, 1, None], pa.int8())})
    alone = pa.table({"s": ["a", "b"], "b": [False, True], "n": pa.array([1, None], pa.int8())})
    assert _digest(place, rows.slice(1)) == _digest(place, alone)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int8(), [1, None]),
        (pa.uint64(), [2**63, None]),
        (pa.float32(), [0.5, None]),
        (pa.bool_(), [True, None]),
        (pa.string(), ["ä", None]),
        (pa.large_string(), ["ä", None]),
        (pa.binary(), [b"\0", None]),
        (pa.date32(), [date(2026, 1, 2), None]),
        (pa.time64("us"), [time(1, 2), None]),
        (pa.timestamp("ms"), [datetime.fromisoformat("2026-01-02"), None]),
        (pa.timestamp("us"), [datetime.fromisoformat("2026-01-02"), None]),
        (pa.timestamp("ns"), [datetime.fromisoformat("2026-01-02"), None]),
        (pa.timestamp("us", tz="UTC"), [datetime(2026, 1, 2, tzinfo=UTC), None]),
        (pa.decimal128(10, 2), [Decimal("1.50"), None]),
        (pa.dictionary(pa.uint8(), pa.string()), ["a", None]),
        (pa.list_(pa.field("l", pa.int32())), [[1, 2], None]),
        (pa.struct({"a": pa.int32()}), [{"a": 1}, None]),
        (pa.null(), [None, None]),
        (pa.timestamp("s"), [datetime.fromisoformat("2026-01-02"), None]),
        (pa.timestamp("s", tz="UTC"), [datetime(2026, 1, 2, tzinfo=UTC), None]),
        (pa.timestamp("ns", tz="UTC"), [datetime(2026, 1, 2, tzinfo=UTC), None]),
        (pa.time32("s"), [time(1, 2), None]),
        (pa.time64("ns"), [time(1, 2), None]),
        (pa.date64(), [date(2026, 1, 2), None]),
        (pa.duration("s"), [timedelta(1), None]),
        (pa.float16(), [np.float16(0.5), None]),
        (pa.decimal32(5, 2), [Decimal("1.50"), None]),
        (pa.decimal256(50, 2), [Decimal("1.50"), None]),
        (pa.string_view(), ["ä", None]),
        (pa.large_binary(), [b"\0", None]),
        (pa.binary(2), [b"ab", None]),
        (pa.large_list(pa.int8()), [[1, 2], None]),
        (pa.list_view(pa.int8()), [[1, 2], None]),
        (pa.list_(pa.int8(), 2), [[1, 2], None]),
        (pa.list_(pa.timestamp("s")), [[datetime.fromisoformat("2026-01-02")], None]),
        (pa.map_(pa.string(), pa.int8()), [[("a", 1)], None]),
        (pa.dictionary(pa.int32(), pa.int64()), [7, None]),
    ],
    ids=str,
)
def test_what_was_written_is_vouched_for_when_it_is_read_back(place, kind, values):
    table = pa.table({"x": pa.array(values, kind)})
    writer = _write(place, table)
    assert len(read_frame(str(place), writer.digest)) == 2
    check_rows(str(place), writer.digest)
    stored = str(pq.read_schema(place).field("x").type).replace(" ('x')", "")  # of a map, the name of its entries
    assert writer.columns == (Column(name="x", type=stored, n_null=values.count(None)),)


def test_nanoseconds_with_a_time_zone_are_kept_as_microseconds_or_not_at_all(place):
    def write(nanoseconds: int) -> str:
        return _write(place, pa.table({"at": pa.array([nanoseconds], pa.timestamp("ns", "UTC"))})).columns[0].type

    assert write(1_000) == "timestamp[us, tz=UTC]"
    with pytest.raises(DataError, match=r"Column 'at' can't be kept as timestamp\[us, tz=UTC\]: .* would lose data: 1"):
        write(1_001)


def test_rows_come_back_as_a_frame_of_all_blocks(place, many):
    writer = _write(place, many)
    frame = read_frame(str(place), writer.digest)
    assert frame["n"].tolist() == many["n"].to_pylist()


def test_some_columns_are_read_in_the_order_that_was_asked_for(place):
    writer = _write(place, FEW)
    for digest in (writer.digest, ""):
        assert list(read_frame(str(place), digest, columns=["s", "n"]).columns) == ["s", "n"]
    with pytest.raises(IntegrityError, match="can't be read"):
        read_frame(str(place.with_name("gone")), columns=["s"])


def test_rows_that_are_not_those_that_were_vouched_for_are_refused(place):
    vouched = _digest(place, FEW)
    _write(place, FEW.set_column(0, "n", pa.array([1, None, 4])))
    with pytest.raises(IntegrityError, match=f"{vouched[:19]}… was verified. The file was changed") as caught:
        read_frame(str(place), vouched)
    assert str(place) in str(caught.value)


def test_a_file_that_is_gone_or_damaged_is_refused(tmp_path):
    gone, cut = tmp_path / "gone.parquet", tmp_path / "cut.parquet"
    digest = _digest(cut, FEW)
    cut.write_bytes(cut.read_bytes()[:-10])
    for path in (gone, cut):
        with pytest.raises(IntegrityError, match="can't be read"):
            read_frame(str(path), digest)


def test_nulls_are_counted_over_all_blocks(place):
    n = BLOCK_ROWS + 10
    writer = _write(place, pa.table({"n": pa.array([None if i % 2 else i for i in range(n)]), "s": ["x"] * n}), [7, 9])
    assert [column.n_null for column in writer.columns] == [n // 2, 0]


@pytest.mark.parametrize(
    "expression",
    [
        "TIMESTAMP_S '2026-01-02'",
        "TIMESTAMP_MS '2026-01-02'",
        "TIMESTAMP_NS '2026-01-02'",
        "TIMESTAMPTZ '2026-01-02'",
        "TIMETZ '12:00:00+02'",
        "MAP {'a': 1}",
        "170141183460469231731687303715884105727::UHUGEINT / 1000",
        "1::HUGEINT",
        "'a'::ENUM ('a', 'b')",
        "uuid()",
        "'101'::BIT",
        "[1, 2]::INT[2]",
        "'{}'::JSON",
        "12::BIGNUM",
        "{'a': [TIMESTAMP_S '2026-01-02']}",
    ],
)
def test_what_the_engine_gives_is_vouched_for_when_it_is_read_back(place, expression):
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT {expression} AS x FROM range(3)").to_arrow_table()
    writer = _write(place, rows)
    check_rows(str(place), writer.digest)
    assert writer.n_rows == pq.read_metadata(place).num_rows == 3


@pytest.mark.parametrize("expression", ["INTERVAL 1 DAY", "union_value(a := 1)", "[INTERVAL 1 DAY]"])
def test_a_type_that_parquet_can_not_hold_is_refused_by_column(place, expression):
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT {expression} AS x").to_arrow_table()
    with pytest.raises(
        DataError, match=r"Column 'x' is of type .*, which Parquet can't hold. Nothing was kept. Cast it"
    ):
        _write(place, rows)


def test_a_value_that_would_change_is_refused(place):
    rows = pa.table({"x": pa.array([2**62], pa.timestamp("s"))})
    with pytest.raises(DataError, match=r"Column 'x' can't be kept as timestamp\[ms\]: .* Nothing was kept"):
        _write(place, rows)


@pytest.mark.parametrize("other", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_the_same_text_has_the_same_digest_whatever_it_is_called(place, other):
    text = pa.array(["a", "", None, "ä"])
    assert _digest(place, pa.table({"s": text.cast(other)})) == _digest(place, pa.table({"s": text}))


def test_a_file_is_vouched_for_by_its_bytes(place):
    writer = _write(place, FEW)
    check_file(str(place), writer.file_digest)
    assert writer.file_digest == f"sha256:{hashlib.sha256(place.read_bytes()).hexdigest()}"
    place.write_bytes(place.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match=f"the file has digest .*, {writer.file_digest[:19]}… was verified"):
        check_file(str(place), writer.file_digest)
    with pytest.raises(IntegrityError, match="can't be read"):
        check_file(str(place.with_name("gone")), writer.file_digest)


def _write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with ParquetDigestWriter(path, schema) as writer:
        for batch in batches:
            writer.write(batch)


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("snapshot-")}


def test_nothing_is_left_running_after_a_failure(tmp_path, many):
    class SourceBroke(Exception):
        pass

    def batches() -> Iterator[pa.RecordBatch]:
        yield many.to_batches()[0]
        assert _threads()
        raise SourceBroke

    with pytest.raises(SourceBroke):
        _write_batches(tmp_path / "x.parquet", many.schema, batches())
    assert not _threads()


def test_a_disk_that_takes_nothing_more_is_an_error_of_the_write(many):
    with pytest.raises(OSError, match="No space left"):
        _write_batches(Path("/dev/full"), many.schema, many.to_batches())
    assert not _threads()


def test_a_sample_is_spread_over_the_rows_however_they_were_chunked(tmp_path, many):
    samples = [_write(tmp_path / "x.parquet", many, sizes).sample for sizes in ([], [7, 70_000, 3])]
    assert samples[0].equals(samples[1])
    kept = samples[0].num_rows
    assert 15_000 < kept <= 32_768
    step = -(-many.num_rows // kept)
    assert samples[0]["f"].to_pylist() == many["f"].take(np.arange(0, many.num_rows, step)).to_pylist()


@pytest.mark.parametrize(
    ("days", "is_ordered"), [([1, 1, None, 2], True), ([2, 1], False), ([None, None], True), ([1, 3, 2], False)]
)
def test_it_is_known_whether_moments_go_back(place, days, is_ordered):
    moments = pa.array([day and datetime(2026, 1, day) for day in days], pa.timestamp("us"))  # noqa: DTZ001
    dates = moments.cast(pa.date32())
    writer = _write(place, pa.table({"at": moments, "day": dates, "n": [0] * len(days)}), [1] * len(days))
    assert writer.is_ordered == {"at": is_ordered, "day": is_ordered}
