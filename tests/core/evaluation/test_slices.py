from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.evaluation.slices import SlicedColumn, check_losses, code_categories, code_numbers
from airflow_mlops.errors import EvaluationError
from tests.core.cases import score_slices

texts = st.lists(st.none() | st.sampled_from(["north", "south", "east", "west", "mid"]), min_size=1, max_size=60)
numbers = st.lists(st.floats(width=32) | st.sampled_from([1.0, 2.0]), min_size=1, max_size=60)


def _coded(values: list[str | None], **settings: int) -> SlicedColumn:
    known = sorted({value for value in values if value is not None})
    codes = np.array([-1 if value is None else known.index(value) for value in values])
    return code_categories("c", codes, known, **settings)


def _condition_of_each_row(column: SlicedColumn) -> list[str]:
    return [column.conditions[code] for code in column.codes]


@given(texts)
def test_every_value_has_a_slice_and_a_missing_one_too(values):
    column = _coded(values)
    assert _condition_of_each_row(column) == [f"c={'(missing)' if value is None else value}" for value in values]


@given(texts, st.integers(1, 4))
def test_the_rare_values_are_together_and_none_of_them_is_more_frequent_than_one_that_is_not(values, max_values):
    column = _coded(values, max_values=max_values)
    by_row = dict(zip(values, _condition_of_each_row(column), strict=True))
    rare = [value for value, text in by_row.items() if text == "c=(other)"]
    kept = [value for value, text in by_row.items() if text == f"c={value}"]
    assert len(kept) <= max_values
    assert not rare or len(kept) == max_values
    assert max(map(values.count, rare), default=0) <= min(map(values.count, kept), default=0)


@given(texts)
def test_slices_are_named_counted_and_never_empty(values):
    column = _coded(values, max_values=2)
    assert [each.name for each in column.slices] == list(column.conditions)
    assert sum(each.n_rows for each in column.slices) == len(values)
    assert min(each.n_rows for each in column.slices) > 0


def test_a_value_that_no_row_has_is_no_slice():
    assert code_categories("c", np.array([1, 1]), ["a", "b"]).conditions == ("c=b",)


def test_a_value_that_is_called_like_the_missing_ones_is_with_them():
    column = code_categories("c", np.array([0, -1, 1]), ["(missing)", "a"])
    assert {each.name: each.n_rows for each in column.slices} == {"c=(missing)": 2, "c=a": 1}


@given(numbers, st.integers(1, 6))
def test_each_number_is_in_the_interval_that_its_slice_names(values, n_bins):
    values = np.array(values, dtype=np.float64)
    column = code_numbers("x", values, n_bins=n_bins)
    assert len(column.conditions) <= n_bins + 1 + 2 * np.isinf(values).any()
    order = np.argsort(values, kind="stable")
    assert (np.diff(column.codes[order]) >= 0).all()  # NaN sorts last, and (missing) is the last slice
    assert [text == "x=(missing)" for text in _condition_of_each_row(column)] == np.isnan(values).tolist()


def test_numbers_of_many_values_are_cut_into_intervals_of_equally_many_rows():
    column = code_numbers("age", np.random.default_rng(0).permutation(1000).astype(float), n_bins=4)
    assert [(each.name, each.n_rows) for each in column.slices] == [
        ("age < 250", 250),
        ("age in [250, 500)", 250),
        ("age in [500, 750)", 250),
        ("age >= 750", 250),
    ]


def test_numbers_of_few_values_have_a_slice_each():
    column = code_numbers("flag", np.array([0.0, 1.0, -0.0, np.nan]))
    assert [(each.name, each.n_rows) for each in column.slices] == [("flag=0", 2), ("flag=1", 1), ("flag=(missing)", 1)]


def test_few_values_at_the_head_of_a_sorted_column_do_not_make_it_one_of_few():
    column = code_numbers("x", np.repeat(np.arange(10.0), 1000), n_bins=3)
    assert column.conditions == ("x < 3", "x in [3, 6)", "x >= 6")


def test_edges_that_differ_in_the_last_digits_are_told_apart():
    values = np.array([1_000_000.1, 1_000_000.2, 1_000_000.3])
    assert code_numbers("x", values).conditions == ("x=1000000.1", "x=1000000.2", "x=1000000.3")


def test_whole_numbers_are_written_as_such_and_others_with_the_digits_that_they_need():
    assert code_numbers("pay", np.array([50_000.0, 1_234_567.0])).conditions == ("pay=50000", "pay=1234567")
    assert code_numbers("x", np.arange(999) / 3, n_bins=2).conditions == ("x < 166.3", "x >= 166.3")
    assert code_numbers("x", np.array([1e300, -0.0])).conditions == ("x=0", "x=1e+300")


def test_infinite_numbers_are_in_the_outer_slices():
    column = code_numbers("x", np.array([-np.inf, *range(100), np.inf]), n_bins=2)
    assert [(each.name, each.n_rows) for each in column.slices] == [("x < 50", 51), ("x >= 50", 51)]


@pytest.mark.parametrize("values", [[np.nan, np.nan], [np.inf, np.nan], [3.0]])
def test_a_column_without_variety_still_has_a_slice_for_each_row(values):
    column = code_numbers("x", np.array(values))
    assert sum(each.n_rows for each in column.slices) == len(values)


def test_scores_are_the_means_and_errors_of_the_rows_of_each_slice():
    rng = np.random.default_rng(1)
    column = _coded([["a", "b", "c"][place] for place in rng.integers(0, 3, 500)])
    ours, theirs = rng.exponential(size=(2, 500))
    for code, score in enumerate(score_slices(column, challenger=ours, champion=theirs)):
        mine, gap = ours[column.codes == code], (ours - theirs)[column.codes == code]
        assert score.slice.n_rows == len(mine)
        assert score.challenger == pytest.approx(mine.mean())
        assert score.challenger_error == pytest.approx(mine.std(ddof=1) / np.sqrt(len(mine)))
        assert score.champion == pytest.approx(theirs[column.codes == code].mean())
        assert score.difference == pytest.approx(gap.mean())
        assert score.difference_error == pytest.approx(gap.std(ddof=1) / np.sqrt(len(gap)))


def test_without_a_champion_there_is_no_difference():
    [score] = score_slices(_coded(["a", "a"]), challenger=np.array([1.0, 3.0]))
    assert (score.challenger, score.challenger_error) == (2.0, 1.0)
    assert (score.champion, score.difference, score.difference_error) == (None, None, None)


def test_a_single_row_has_no_standard_error():
    [score] = score_slices(_coded(["a"]), challenger=np.ones(1), champion=np.zeros(1))
    assert score.difference == 1.0
    assert np.isnan([score.challenger_error, score.difference_error]).all()


@pytest.mark.parametrize(
    ("loss", "reason"),
    [([1.0, np.nan], "1 of 2 rows is NaN"), ([1.0, np.inf], "1 of 2 rows is NaN"), ([1.0], "for 2 rows")],
)
def test_losses_that_say_nothing_are_refused(loss, reason):
    with pytest.raises(EvaluationError, match=reason):
        check_losses(np.array(loss), 2)
