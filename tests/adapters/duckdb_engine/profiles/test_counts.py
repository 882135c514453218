from __future__ import annotations

import math
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.duckdb_engine import count_columns, profile_columns
from airflow_mlops.core.data.profile import OTHER, ColumnProfile, bin_labels
from airflow_mlops.core.data.snapshot import Column, RowFilter
from airflow_mlops.errors import DataError


def _file(tmp_path: Path, columns: dict, row_group_size: int = 2) -> str:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return str(path)


def _counts(path: str, profile: ColumnProfile, **settings) -> dict[str, int]:
    _, (found,) = count_columns(path, [profile], **settings)
    return {name: count for name, count in found.counts.items() if count}


def test_numbers_are_counted_over_all_row_groups(tmp_path):
    path = _file(tmp_path, {"n": [1.0, 2.0, None, float("nan"), 9.0, 0.0, 2.0]})
    found = _counts(path, ColumnProfile(name="n", edges=(1.0, 2.0, 3.0)))
    assert found == {"null": 1, "nan": 1, "below": 1, "above": 1, "[1, 2)": 1, "[2, 3)": 2}


@pytest.mark.parametrize("kind", [pa.int64(), pa.float32(), pa.decimal128(25, 2), pa.uint8()])
def test_numbers_of_every_kind_are_counted(tmp_path, kind):
    path = _file(tmp_path, {"n": pa.array([1, 2, None]).cast(kind)})
    assert _counts(path, ColumnProfile(name="n", edges=(1.0, 2.0))) == {"null": 1, "[1, 2)": 2}


def test_categories_are_counted_by_value_and_null_is_not_the_text_null(tmp_path):
    path = _file(tmp_path, {"s": ["a", "b", "a", None, "null", "a"]})
    assert _counts(path, ColumnProfile(name="s")) == {"=a": 3, "=b": 1, "=null": 1, "null": 1}


def test_truth_values_are_categories(tmp_path):
    assert _counts(_file(tmp_path, {"b": [True, False, True]}), ColumnProfile(name="b")) == {"=true": 2, "=false": 1}


def test_categories_that_the_reference_did_not_have_go_in_one_bin(tmp_path):
    path = _file(tmp_path, {"s": ["a", "new", "newer", None]})
    reference = ColumnProfile(name="s", counts={"=a": 5, "=gone": 1})
    assert _counts(path, reference) == {"=a": 1, "null": 1, OTHER: 2}


def test_only_the_most_frequent_categories_of_a_reference_have_bins_of_their_own(tmp_path):
    values = [f"{i:03d}" for i in range(150) for _ in range(2 if i < 100 else 1)]
    found = _counts(_file(tmp_path, {"s": values}, row_group_size=40), ColumnProfile(name="s"))
    assert found.pop(OTHER) == 50
    assert found == {f"={i:03d}": 2 for i in range(100)}


@pytest.mark.parametrize(
    "moments",
    [
        [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3), None],
        [
            datetime.fromisoformat("2026-01-01"),
            datetime.fromisoformat("2026-01-02"),
            datetime.fromisoformat("2026-01-03"),
            None,
        ],
    ],
)
def test_only_rows_after_a_moment_count(tmp_path, moments):
    path = _file(tmp_path, {"at": moments, "s": ["a", "b", "c", "d"]})
    n_rows, (found,) = count_columns(
        path, [ColumnProfile(name="s")], only=RowFilter(timestamp="at", after=datetime.fromisoformat("2026-01-02"))
    )
    assert (n_rows, found.counts) == (1, {"=c": 1})


def test_all_columns_are_counted_in_one_pass_in_the_order_that_was_asked_for(tmp_path):
    path = _file(tmp_path, {"a": ["x", "y", "y"], "b": [1, 2, 3]})
    n_rows, found = count_columns(path, [ColumnProfile(name="b", edges=(1.0, 3.0)), ColumnProfile(name="a")])
    assert n_rows == 3
    assert [(column.name, column.n_rows) for column in found] == [("b", 3), ("a", 3)]


def test_infinities_have_bins_of_their_own(tmp_path):
    path = _file(tmp_path, {"n": [float("inf"), float("-inf"), float("-inf"), float("nan"), None, 0.5]})
    found = _counts(path, ColumnProfile(name="n", edges=(0.0, 1.0)))
    assert found == {"null": 1, "nan": 1, "-inf": 2, "+inf": 1, "[0, 1)": 1}


def test_a_reference_without_a_finite_value_counts_every_number_as_new(tmp_path):
    assert _counts(_file(tmp_path, {"n": [1.0, 2.0, None]}), ColumnProfile(name="n", edges=())) == {
        "above": 2,
        "null": 1,
    }


def test_a_column_without_categories_is_counted_by_null_alone(tmp_path):
    path = _file(tmp_path, {"s": ["a", "b", None]})
    assert _counts(path, ColumnProfile(name="s", counts={"null": 1, OTHER: 9})) == {"null": 1, OTHER: 2}


def test_names_with_quotes_are_names_and_categories_with_quotes_are_values(tmp_path):
    path = _file(tmp_path, {'a "b"': ["it's", "x"]})
    assert _counts(path, ColumnProfile(name='a "b"', counts={"=it's": 1})) == {"=it's": 1, OTHER: 1}


def test_a_column_that_is_not_there_is_an_error_and_no_count(tmp_path):
    with pytest.raises(DataError, match="nope"):
        count_columns(_file(tmp_path, {"n": [1]}), [ColumnProfile(name="nope", edges=(0.0, 1.0))])


def test_a_file_without_rows_counts_nothing(tmp_path):
    path = _file(tmp_path, {"n": pa.array([], pa.float64()), "s": pa.array([], pa.string())})
    n_rows, found = count_columns(path, [ColumnProfile(name="n", edges=(0.0, 1.0)), ColumnProfile(name="s")])
    assert (n_rows, [column.n_rows for column in found]) == (0, [0, 0])


def _by_numpy(edges: tuple[float, ...], values: np.ndarray, n_null: int) -> dict[str, int]:
    """Count as the docstring says it is counted, value by value."""
    finite = values[np.isfinite(values)]
    inside = finite[(finite >= edges[0]) & (finite <= edges[-1])]
    places = np.clip(np.searchsorted(edges, inside, side="right") - 1, 0, len(edges) - 2)
    specials = {
        "null": n_null,
        "nan": int(np.isnan(values).sum()),
        "-inf": int((values == -np.inf).sum()),
        "+inf": int((values == np.inf).sum()),
        "below": int((finite < edges[0]).sum()),
        "above": int((finite > edges[-1]).sum()),
    }
    labels = bin_labels(edges)
    return specials | {label: int((places == place).sum()) for place, label in enumerate(labels)}


EDGES = {
    "whole": (-3.5, -1.0, 0.0, 2.0, 3.25),  # cells
    "fine": (0.1, 0.2, 0.30000000000000004, 0.7),  # too fine for cells
    "constant": (1.0, math.nextafter(1.0, 2.0)),
    "large": (0.0, 1000.0, 250_000.0, 1_000_000.0),
    "many": tuple(float(edge) for edge in range(300)),
}


@pytest.mark.parametrize("kind", EDGES)
def test_every_value_is_in_the_bin_that_numpy_puts_it_in(tmp_path, kind):
    rng, edges = np.random.default_rng(0), EDGES[kind]
    width = edges[-1] - edges[0]
    values = np.concatenate(
        [
            rng.normal(edges[0], max(width, 1.0), 500),
            *([edge, np.nextafter(edge, -np.inf), np.nextafter(edge, np.inf)] for edge in edges),
            [np.nan, np.nan, np.inf, -np.inf, 1e300, -1e300, 40_000.0, -40_000.0, -0.0, 0.0],
        ]
    )
    path = _file(tmp_path, {"n": pa.array([*rng.permutation(values), None, None, None])}, row_group_size=100)
    _, (found,) = count_columns(path, [ColumnProfile(name="n", edges=edges)])
    assert found.counts == _by_numpy(edges, values, 3)
    assert found.n_rows == len(values) + 3


def test_the_bins_of_a_stored_profile_are_counted_as_numpy_counts_them(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.lognormal(0, 1, 4000)
    (profile,) = profile_columns(
        _file(tmp_path, {"n": values}, 1000),
        [Column(name="n", type="double")],
        pa.table({"n": values}),
        spreads={},
    )
    assert profile.edges is not None
    moved = rng.lognormal(0.1, 1.1, 4000)
    _, (found,) = count_columns(_file(tmp_path, {"n": moved}, 1000), [profile])
    assert found.counts == _by_numpy(profile.edges, moved, 0)


def test_new_categories_are_named_and_a_flood_of_them_is_not_carried_out_of_the_engine(tmp_path):
    path = _file(tmp_path, {"s": ["new"] * 3 + ["a", None] + [f"{i:05d}" for i in range(5000)]}, row_group_size=1000)
    _, (found,) = count_columns(path, [ColumnProfile(name="s", counts={"=a": 5, "=gone": 1})])
    assert found.counts == {"=a": 1, "null": 1, OTHER: 5003}
    assert found.top_values[0] == ("new", 3)
    assert len(found.top_values) == 20


def test_rows_are_chosen_by_moment_and_by_value_over_several_files_whose_folders_are_no_columns(tmp_path):
    at = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(4)]
    paths = []
    for day in (1, 2):
        place = tmp_path / f"date=2026-01-0{day}" / "x.parquet"
        place.parent.mkdir()
        table = {"at": at, "role": ["batch", "shadow", "batch", "batch"], "version": [3, 3, 3, 2], "date": list("abcd")}
        pq.write_table(pa.table(table), place)
        paths.append(str(place))
    only = RowFilter(timestamp="at", after=at[0], until=at[3], among={"role": ("batch", "canary"), "version": (3, 4)})
    n_rows, (found,) = count_columns(paths, [ColumnProfile(name="date")], only=only)
    assert (n_rows, found.counts) == (2, {"=c": 2})


@pytest.mark.parametrize("n_distinct", [200, 20_000, None])
def test_the_frequent_values_of_many_are_counted_however_many_there_were(tmp_path, n_distinct):
    path = _file(tmp_path, {"s": ["a", "a", "b", "new", None]})
    reference = ColumnProfile(name="s", counts={"=a": 5, "=b": 1, OTHER: 9}, n_distinct=n_distinct)
    assert _counts(path, reference) == {"=a": 2, "=b": 1, "null": 1, OTHER: 1}
