from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_mlops.adapters.arrow import ParquetDigestWriter
from airflow_mlops.adapters.duckdb_engine import count_columns, profile_columns, time_range
from airflow_mlops.core.data.profile import OTHER, ColumnProfile, bin_labels


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("profiles") / "x.parquet"


def _profiles(place: Path, table: pa.Table) -> dict[str, ColumnProfile]:
    with ParquetDigestWriter(place, table.schema) as writer:
        for batch in table.to_batches():
            writer.write(batch)
    found = profile_columns(
        str(place), writer.columns, writer.sample, spreads=writer.spreads, is_ordered=writer.is_ordered
    )
    return {column.name: column for column in found}


def _profile(place: Path, values: pa.Array) -> ColumnProfile:
    return _profiles(place, pa.table({"x": values}))["x"]


def _check_numbers(profile: ColumnProfile, values: list[float | None]) -> None:
    """Compare with what numpy says."""
    array = np.array([value for value in values if value is not None], dtype=float)
    finite = array[np.isfinite(array)]
    assert profile.n_rows == len(values)
    assert profile.n_null == sum(value is None for value in values)
    assert profile.n_nan == np.isnan(array).sum()
    assert (profile.counts["-inf"], profile.counts["+inf"]) == (np.isneginf(array).sum(), np.isposinf(array).sum())
    assert profile.counts["below"] == profile.counts["above"] == 0
    if not len(finite):
        assert (profile.edges, profile.minimum, profile.mean) == ((), None, None)
        return
    assert (profile.minimum, profile.maximum) == (finite.min(), finite.max())
    expected, _ = np.histogram(finite, profile.edges)
    assert [profile.counts[label] for label in bin_labels(profile.edges or ())] == expected.tolist()


doubles = st.lists(
    st.none()
    | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, 1.0])
    | st.floats(allow_subnormal=True)
    | st.floats(-100, 100),
    max_size=120,
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(doubles)
def test_any_numbers_are_counted_as_numpy_counts_them(place, values):
    profile = _profile(place, pa.array(values, pa.float64()))
    _check_numbers(profile, values)
    n_rows, (again,) = count_columns(str(place), [profile])
    assert (n_rows, again.counts) == (len(values), profile.counts)


@pytest.mark.parametrize("seed", range(6))
def test_many_numbers_are_counted_as_numpy_counts_them(place, seed):
    rng = np.random.default_rng(seed)
    n = 70_000
    values = [
        rng.normal(1e9, 1.0, n),
        rng.lognormal(0, 4, n),
        np.where(rng.random(n) < 0.9, 0.0, rng.normal(size=n)),
        rng.integers(0, 50, n) / 10,
        np.sort(rng.standard_cauchy(n)),
        rng.normal(size=n) * 1e-100,
    ][seed]
    values[rng.random(n) < 0.01] = np.nan
    values[5], values[6] = np.inf, -np.inf
    column = pa.array(values, mask=rng.random(n) < 0.02)
    profile = _profile(place, column)
    _check_numbers(profile, column.to_pylist())
    present = values[~np.isnan(values) & column.is_valid().to_numpy(zero_copy_only=False)]
    finite = present[np.isfinite(present)]
    assert profile.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-12 * np.abs(finite).max())
    assert profile.std == pytest.approx(finite.std(), rel=1e-6)
    _, (again,) = count_columns(str(place), [profile])
    assert again.counts == profile.counts
    largest = max(profile.counts[label] for label in bin_labels(profile.edges or ())) / len(finite)
    for share, found in profile.quantiles:
        assert (finite < found).mean() - largest <= share <= (finite <= found).mean() + largest


@pytest.mark.parametrize("kind", ["gains", "hours"])
def test_the_quantiles_of_whole_numbers_are_exact(place, kind):
    rng = np.random.default_rng(0)
    hours = np.where(rng.random(50_000) < 0.5, 40, rng.integers(1, 99, 50_000))
    gains = np.where(rng.random(50_000) < 0.9, 0, rng.integers(100, 20_000, 50_000))
    values = {"gains": gains, "hours": hours}[kind]
    profile = _profile(place, pa.array(values))
    for share, found in profile.quantiles:
        expected = np.quantile(values, share, method="inverted_cdf")
        assert found == expected or (kind == "gains" and share > 0.9 and abs((values <= found).mean() - share) < 0.005)


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(25, 3)])
def test_numbers_of_every_kind_have_a_profile(place, kind):
    profile = _profile(place, pa.array([1, 2, 2, None]).cast(kind))
    assert (profile.minimum, profile.maximum, profile.n_distinct) == (1.0, 2.0, 2)
    assert profile.top_values == (("2", 2), ("1", 1))
    assert (profile.mean, profile.std) == (pytest.approx(5 / 3), pytest.approx(math.sqrt(2) / 3))


def test_numbers_that_are_too_large_for_their_sums_have_no_mean(place):
    profile = _profile(place, pa.array([1.7e308, -1.7e308, 1.7e308, 1.6e308]))
    assert (profile.std, profile.n_rows, profile.maximum) == (None, 4, 1.7e308)


texts = st.lists(st.none() | st.text(max_size=4) | st.sampled_from(["", "a", "ä", "null", "it's", "a"]), max_size=60)


@settings(deadline=None, max_examples=50)
@given(texts)
def test_any_texts_are_counted_as_python_counts_them(place, values):
    values = [value and value.replace("\0", "0") for value in values]  # no text of an engine holds it
    profile = _profile(place, pa.array(values, pa.string()))
    present = [value for value in values if value is not None]
    expected = {f"={value}": present.count(value) for value in present}
    if None in values:
        expected["null"] = values.count(None)
    assert profile.counts == expected
    assert profile.n_distinct == len(set(present))
    lengths = [len(value) for value in present] or [None]
    assert (profile.min_length, profile.max_length) == (min(lengths), max(lengths))
    assert dict(profile.top_values).items() <= {value: present.count(value) for value in present}.items()


def test_of_many_texts_the_frequent_ones_are_counted_exactly_and_the_rest_together(place):
    values = [f"user {i}" for i in range(90_000)] + ["often"] * 9_000 + ["also often"] * 4_000 + [None] * 10
    np.random.default_rng(0).shuffle(values)
    profile = _profile(place, pa.array(values))
    assert profile.top_values[:2] == (("often", 9_000), ("also often", 4_000))
    assert profile.n_rows == len(values)
    assert len(profile.counts) <= 102
    assert profile.counts[OTHER] > 80_000
    assert profile.n_distinct == pytest.approx(90_002, rel=0.1)


def test_prose_is_no_category(place):
    profile = _profile(place, pa.array(["x" * 300, "short", None]))
    assert (profile.counts, profile.max_length) == ({"null": 1, OTHER: 2}, 300)


def test_truth_values_are_categories(place):
    profile = _profile(place, pa.array([True, False, True, None]))
    assert (profile.counts, profile.min_length) == ({"=true": 2, "=false": 1, "null": 1}, None)


def test_moments_have_bounds_and_an_order(place):
    found = _profiles(
        place,
        pa.table(
            {
                "day": [date(2026, 1, 2), date(2026, 1, 1), None],
                "at": pa.array([datetime(2026, 1, 1), None, datetime(2026, 1, 2)], pa.timestamp("us")),  # noqa: DTZ001
                "utc": pa.array([0, 1, 2]).cast(pa.timestamp("us", tz="UTC")),
            }
        ),
    )
    assert (found["day"].minimum, found["day"].maximum, found["day"].is_ordered) == ("2026-01-01", "2026-01-02", False)
    assert (found["at"].minimum, found["at"].is_ordered) == ("2026-01-01T00:00:00", True)
    assert found["utc"].minimum == "1970-01-01T00:00:00+00:00"
    assert found["day"].counts == {"null": 1, OTHER: 2}


def test_moments_that_no_calendar_of_python_holds_have_bounds(place):
    columns = {
        "at": pa.array([0, 10**18], pa.timestamp("us")),
        "utc": pa.array([0, 10**18], pa.timestamp("us", "UTC")),
        "day": pa.array([0, 10**8], pa.date32()),
    }
    found = _profiles(place, pa.table(columns))
    assert found["at"].maximum == "33658-09-27T01:46:40"
    assert found["utc"].maximum == "33658-09-27T01:46:40+00"
    assert (found["day"].minimum, found["day"].maximum) == ("1970-01-01", "275760-09-13")
    assert time_range(str(place), "at") == (datetime.fromisoformat("1970-01-01"),) * 2


def test_what_has_no_profile_is_counted_by_null_alone(place):
    columns = {"list": [[1], None], "bytes": [b"x", None], "nothing": [None, None], "decimal": [Decimal("1.5"), None]}
    found = _profiles(place, pa.table(columns))
    assert found["list"].counts == found["bytes"].counts == {"null": 1, OTHER: 1}
    assert found["nothing"].counts == {"null": 2}
    assert found["decimal"].mean == 1.5


def test_the_columns_of_an_empty_file_are_empty(place):
    schema = pa.schema({"n": pa.float64(), "s": pa.string(), "at": pa.timestamp("us"), "b": pa.bool_()})
    assert [column.n_rows for column in _profiles(place, schema.empty_table()).values()] == [0, 0, 0, 0]


def test_a_rare_value_late_in_a_sorted_file_is_counted(place):
    values = np.concatenate([np.zeros(200_000), [7.0]])
    profile = _profile(place, pa.array(values))
    assert (profile.maximum, profile.n_distinct) == (7.0, 2)
    assert dict(profile.top_values) == {"0": 200_000, "7": 1}


@pytest.mark.parametrize("values", [[1.0, 2.0, 2.0], ["a", "b", "b"]], ids=["numbers", "text"])
def test_columns_may_have_the_names_that_the_queries_use_themselves(place, values):
    names = ("key", "n", "n_distinct", "rows", "value", "place", "sample", "x")
    found = _profiles(place, pa.table(dict.fromkeys(names, values)))
    counts = [sorted(count for count in found[name].counts.values() if count) for name in names]
    assert counts == [[1, 2]] * len(names)
