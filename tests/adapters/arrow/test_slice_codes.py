from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_mlops.adapters.arrow.slice_codes import common_slices, moments_of, slice_columns
from airflow_mlops.errors import SpecError

NOON = np.datetime64("2026-01-01T12:00", "us")


def _slices(values: object, **settings: int) -> dict[str, int]:
    [column] = slice_columns(pd.DataFrame({"c": values}), ["c"], **settings)
    return {each.name: each.n_rows for each in column.slices}


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b", None, "a"],
        ["a", "b", np.nan, "a"],
        pd.Categorical(["a", "b", None, "a"], categories=["z", "b", "a"]),
        pd.array(["a", "b", None, "a"], dtype="string"),
        pd.array(["a", "b", None, "a"], dtype=pd.ArrowDtype(pa.large_string())),
        pd.array(["a", "b", None, "a"], dtype=pd.ArrowDtype(pa.string_view())),
    ],
    ids=["none", "nan", "categorical", "string", "large_string", "string_view"],
)
def test_text_has_a_slice_for_each_value_however_it_is_held(values):
    assert _slices(values) == {"c=a": 2, "c=b": 1, "c=(missing)": 1}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False, True], {"c=true": 2, "c=false": 1}),
        ([True, None, True], {"c=true": 2, "c=(missing)": 1}),
        ([None, None], {"c=(missing)": 2}),
        ([1, 2, 1], {"c=1": 2, "c=2": 1}),
        (np.array([3, 3], dtype=np.int8), {"c=3": 2}),
        ([1.5, np.nan, 1.5], {"c=1.5": 2, "c=(missing)": 1}),
        (pd.array([1, None, 1], dtype="Int64"), {"c=1": 2, "c=(missing)": 1}),
        ([Decimal("1.5"), None], {"c=1.5": 1, "c=(missing)": 1}),
        (pd.Categorical([7, 8, None]), {"c=7": 1, "c=8": 1, "c=(missing)": 1}),
        (pd.Categorical([True, False, None]), {"c=true": 1, "c=false": 1, "c=(missing)": 1}),
    ],
)
def test_numbers_and_booleans_have_slices(values, expected):
    assert _slices(values) == expected


def test_limits_are_those_that_were_asked_for():
    assert len(_slices(np.arange(100), n_bins=7)) == 7
    assert list(_slices(list("aaabbc"), max_values=2)) == ["c=a", "c=b", "c=(other)"]


def test_an_arrow_table_has_the_slices_of_its_data_frame():
    blocks = [{"t": ["a", "b"], "n": [1, 2]}, {"t": ["c", None], "n": [3, None]}]
    table = pa.concat_tables(pa.table(block) for block in blocks)
    coded = table.set_column(0, "t", table["t"].dictionary_encode())
    frame = table.to_pandas()
    for rows in (table, coded):
        for ours, theirs in zip(slice_columns(rows, ["t", "n"]), slice_columns(frame, ["t", "n"]), strict=True):
            assert ours.conditions == theirs.conditions
            assert ours.codes.tolist() == theirs.codes.tolist()


def test_dictionaries_that_differ_between_blocks_are_one():
    blocks = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", "c"]).dictionary_encode()]
    [column] = slice_columns(pa.table({"c": pa.chunked_array(blocks)}), ["c"])
    assert {each.name: each.n_rows for each in column.slices} == {"c=b": 2, "c=a": 1, "c=c": 1}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pd.to_datetime(["2026-01-01"]), "of type timestamp"),
        ([[1, 2]], "of type list"),
        (["a", 1], "its values are of several types"),
    ],
)
def test_a_column_that_has_no_slices_is_refused(values, reason):
    with pytest.raises(SpecError, match=f"Can't slice by 'c'.* {reason}"):
        _slices(values)


def test_a_column_that_is_not_there_is_refused_with_the_name_that_was_meant():
    with pytest.raises(SpecError, match=r"Can't slice by 'regoin': .*Did you mean 'region'"):
        slice_columns(pd.DataFrame({"region": ["a"]}), ["regoin"])


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(pd.to_datetime(["2026-01-01T12:00", None])),
        pd.Series(pd.to_datetime(["2026-01-01T13:00+01:00", None])),
        pa.chunked_array([pa.array([NOON, None]).cast(pa.timestamp("ns"))]),
        pa.chunked_array([pa.array([NOON, None]).cast(pa.timestamp("ms", tz="Asia/Tokyo"))]),
    ],
    ids=["naive", "zone", "arrow", "arrow-zone"],
)
def test_moments_are_in_utc_and_missing_ones_stay_missing(values):
    moments = moments_of(values)
    assert moments.dtype == "datetime64[us]"
    assert moments[0] == np.datetime64("2026-01-01T12:00")
    assert np.isnat(moments[1])


def test_dates_are_moments_too():
    for values in (pd.Series([date(2026, 1, 2)]), pa.chunked_array([pa.array([date(2026, 1, 2)])])):
        assert moments_of(values)[0] == np.datetime64("2026-01-02")


@pytest.mark.parametrize("values", [[1], ["2026-01-01"], [pd.Timedelta("1h")]])
def test_what_is_no_time_is_refused(values):
    with pytest.raises(SpecError, match="Errors by time need dates or timestamps, found a column of type"):
        moments_of(pd.Series(values))


def test_two_samples_are_sliced_alike_and_what_is_too_small_in_either_is_left_out():
    reference = pd.DataFrame({"age": np.arange(100.0), "region": ["north"] * 95 + ["south"] * 5})
    current = pa.table({"c0": [99.0] * 20 + [0.0] * 20, "c1": ["north"] * 40})
    then, now = common_slices(reference=reference, current=current, names=["age", "region"], min_rows=6)
    assert list(then) == list(now)
    assert {name: rows.tolist() for name, rows in now.items()} == {
        "age < 8": list(range(20, 40)),
        "age >= 92": list(range(20)),
        "region=north": list(range(40)),
    }
    assert then["age < 8"].tolist() == list(range(8))


def test_two_samples_of_other_kinds_are_not_sliced():
    with pytest.raises(SpecError, match="the samples' types differ"):
        common_slices(reference=pd.DataFrame({"a": [1]}), current=pa.table({"c0": ["x"]}), names=["a"], min_rows=1)
