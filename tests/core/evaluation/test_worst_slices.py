from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.evaluation.slices import SlicedColumn, code_categories
from airflow_mlops.core.evaluation.worst_slices import find_worst_slices
from airflow_mlops.errors import EvaluationError

N = 4000
seeds = st.integers(0, 10_000)


def _columns(rng: np.random.Generator, n_columns: int = 4, n_rows: int = N) -> list[SlicedColumn]:
    values = ["p", "q", "r", "s"]
    codes = rng.integers(0, 4, size=(n_columns, n_rows))
    return [code_categories(f"c{index}", each, values) for index, each in enumerate(codes)]


def _rows(column: SlicedColumn, condition: str) -> np.ndarray:
    return column.codes == column.conditions.index(condition)


def _planted(seed: int) -> tuple[np.ndarray, list[SlicedColumn]]:
    """Losses that are four times as high where both c1=q and c3=s."""
    rng = np.random.default_rng(seed)
    columns = _columns(rng)
    is_bad = _rows(columns[1], "c1=q") & _rows(columns[3], "c3=s")
    return rng.exponential(size=N) * np.where(is_bad, 4.0, 1.0), columns


def _found(loss: np.ndarray, columns: list[SlicedColumn], **settings: int) -> list[tuple[str, int]]:
    worst = find_worst_slices(loss, columns, **{"min_rows": 50, **settings})
    return [(each.slice.name, each.slice.n_rows) for each in worst]


@given(seeds)
def test_a_bad_slice_of_two_columns_is_found_and_is_the_worst(seed):
    loss, columns = _planted(seed)
    worst = find_worst_slices(loss, columns, min_rows=50)
    assert worst[0].slice.conditions == ("c1=q", "c3=s")
    assert worst[0].slice.columns == ("c1", "c3")
    assert worst[0].lift == pytest.approx(worst[0].loss / loss.mean())
    is_bad = _rows(columns[1], "c1=q") & _rows(columns[3], "c3=s")
    assert worst[0].slice.n_rows == is_bad.sum()
    assert worst[0].loss == pytest.approx(loss[is_bad].mean())


@given(seeds)
def test_a_bad_slice_of_one_column_is_found_alone(seed):
    rng = np.random.default_rng(seed)
    columns = _columns(rng)
    loss = rng.uniform(0.9, 1.1, size=N) + _rows(columns[2], "c2=r")
    assert [name for name, _ in _found(loss, columns)] == ["c2=r"]


@given(seeds)
def test_nothing_is_found_in_noise(seed):
    rng = np.random.default_rng(seed)
    assert _found(rng.uniform(size=N), _columns(rng)) == []


@given(seeds, st.integers(1, 600))
def test_no_slice_is_smaller_than_wanted(seed, min_rows):
    loss, columns = _planted(seed)
    assert all(n_rows >= min_rows for _, n_rows in _found(loss, columns, min_rows=min_rows))


@given(seeds)
def test_the_order_of_the_rows_does_not_matter(seed):
    loss, columns = _planted(seed)
    order = np.random.default_rng(seed + 1).permutation(N)
    shuffled = [SlicedColumn(name=c.name, conditions=c.conditions, codes=c.codes[order]) for c in columns]
    assert _found(loss[order], shuffled) == _found(loss, columns)


@given(seeds)
def test_the_order_of_the_columns_changes_only_the_order_of_the_conditions(seed):
    loss, columns = _planted(seed)
    forth = find_worst_slices(loss, columns, min_rows=50)
    back = find_worst_slices(loss, columns[::-1], min_rows=50)
    assert {frozenset(each.slice.conditions) for each in back} == {frozenset(each.slice.conditions) for each in forth}


@given(seeds)
def test_what_the_values_are_called_does_not_matter(seed):
    loss, columns = _planted(seed)
    renamed = []
    for column in columns:
        turn = np.random.default_rng(seed).permutation(4).astype(np.int32)
        conditions = [""] * 4
        for code, text in enumerate(column.conditions):
            conditions[turn[code]] = text
        renamed.append(SlicedColumn(name=column.name, conditions=tuple(conditions), codes=turn[column.codes]))
    assert _found(loss, renamed) == _found(loss, columns)


@given(seeds, st.floats(0.001, 1000))
def test_the_unit_of_the_loss_does_not_matter(seed, factor):
    loss, columns = _planted(seed)
    assert _found(loss * factor, columns) == _found(loss, columns)


@given(seeds, st.integers(1, 5))
def test_pruning_loses_nothing(seed, top):
    """With room for all, no pair of columns is left uncounted; a short list must be the head of that one."""
    rng = np.random.default_rng(seed)
    columns = _columns(rng, n_columns=5)
    loss = rng.exponential(size=N)
    for a, b in itertools.combinations(columns, 2):
        loss *= np.where((a.codes == rng.integers(4)) & (b.codes == rng.integers(4)), rng.uniform(0.2, 4), 1)
    assert _found(loss, columns, top=top) == _found(loss, columns, top=10_000)[:top]


def test_a_pair_that_is_no_worse_than_its_parents_is_left_out():
    rng = np.random.default_rng(0)
    columns = _columns(rng, n_columns=2)
    loss = rng.uniform(0.5, 1.5, size=N) * np.where(_rows(columns[0], "c0=p"), 3.0, 1.0)
    assert [name for name, _ in _found(loss, columns)] == ["c0=p"]
    loss *= np.where(_rows(columns[0], "c0=p") & _rows(columns[1], "c1=p"), 3.0, 1.0)
    assert _found(loss, columns)[0][0] == "c0=p & c1=p"


def test_pairs_are_looked_for_only_if_wanted():
    loss, columns = _planted(3)
    assert all("&" not in name for name, _ in _found(loss, columns, max_order=1))


def test_the_list_is_no_longer_than_wanted():
    loss, columns = _planted(3)
    assert len(_found(loss, columns)) > 1
    assert _found(loss, columns, top=1) == _found(loss, columns)[:1]


@pytest.mark.parametrize("loss", [0.0, 1.0, 0.1])
def test_without_errors_or_with_the_same_everywhere_there_is_no_worst_slice(loss):
    everywhere = code_categories("all", np.zeros(N, dtype=int), ["x"])
    assert _found(np.full(N, loss), [everywhere, *_columns(np.random.default_rng(0))]) == []


def test_a_large_loss_that_differs_by_little_is_told_apart_all_the_same():
    rng = np.random.default_rng(0)
    columns = _columns(rng)
    loss = 1e8 + rng.normal(size=N) + 3 * _rows(columns[0], "c0=p")
    assert _found(loss, columns) == []  # a part in a hundred million is no reason to look there
    assert _found(loss - loss.min(), columns)[0][0] == "c0=p"


def test_without_rows_or_columns_there_is_no_worst_slice():
    assert _found(np.zeros(0), []) == []
    assert _found(np.ones(3), []) == []


@pytest.mark.parametrize(("bad", "reason"), [(-0.5, "negative"), (np.nan, "NaN or infinite"), (np.inf, "NaN or inf")])
def test_losses_that_can_not_be_ranked_are_refused(bad, reason):
    loss, columns = _planted(0)
    loss[7] = bad
    with pytest.raises(EvaluationError, match=reason):
        find_worst_slices(loss, columns, min_rows=50)


def test_losses_of_other_rows_are_refused():
    loss, columns = _planted(0)
    with pytest.raises(EvaluationError, match="one for each row"):
        find_worst_slices(loss[1:], columns, min_rows=50)
