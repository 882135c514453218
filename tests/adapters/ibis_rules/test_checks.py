from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.ibis_rules import bad_rows, check_rules, column_of, columns_of, good_rows, is_row_wise
from airflow_mlops.core.validation.findings import Check, Outcome
from airflow_mlops.errors import DataError, IntegrityError, UnavailableError

NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"
UNIQUE = "expect_column_values_to_be_unique"


def _rule(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs}


def _file(folder: Path, **columns: Any) -> str:
    table = pa.table(columns)
    pq.write_table(table, folder / "it's.parquet", row_group_size=max(3, table.num_rows // 3))
    return str(folder / "it's.parquet")


def _one(parquet: str, kind: str, **kwargs: Any) -> Check:
    (check,) = check_rules(parquet, [_rule(kind, **kwargs)])
    assert check is not None
    return check


def test_nan_is_missing_and_infinities_and_empty_texts_are_values(tmp_path):
    parquet = _file(tmp_path, n=[1.0, None, math.nan, math.inf], s=["", "x", None, ""])
    numbers, texts = check_rules(parquet, [_rule(NOT_NULL, column="n"), _rule(NOT_NULL, column="s")])
    assert (numbers.n_elements, numbers.n_unexpected, texts.n_unexpected) == (4, 2, 1)
    found = _one(parquet, BETWEEN, column="n", max_value=10).found
    assert (found.subject, found.observed, found.n) == ("n", 0.5, 2)
    assert found.facts == {"kind": "values", "n_broken": 1, "kwargs": {"max_value": 10}}


def test_nan_is_found_though_the_extremes_in_the_file_do_not_know_it(tmp_path):
    parquet = _file(tmp_path, g=[0.0, -1.5, math.nan, 2.0])
    check = _one(parquet, "expect_column_values_to_not_be_in_set", column="g", value_set=[2.0])
    assert (check.n_missing, check.n_unexpected) == (1, 1)


def test_whole_numbers_stay_whole_next_to_missing_ones(tmp_path):
    parquet = _file(tmp_path, n=[2**53, 2**53 + 1, None])
    assert _one(parquet, UNIQUE, column="n").outcome is Outcome.MET
    assert _one(parquet, "expect_column_values_to_be_of_type", column="n", type_="int64").outcome is Outcome.MET
    assert _one(parquet, BETWEEN, column="n", max_value=2**53).n_unexpected == 1


def test_dates_and_timestamps_are_compared_with_iso_text(tmp_path):
    moments = [dt.datetime.fromisoformat("2020-01-01"), dt.datetime.fromisoformat("2021-01-01")]
    parquet = _file(
        tmp_path,
        d=[dt.date(2020, 1, 1), dt.date(2021, 1, 1)],
        t=moments,
        n=pa.array(moments, pa.timestamp("ns")),
        z=pa.array(moments, pa.timestamp("ns", "Europe/Berlin")),
    )
    for column in "dtn":
        assert _one(parquet, BETWEEN, column=column, min_value="2020-06-01").n_unexpected == 1
    assert _one(parquet, BETWEEN, column="z", min_value="2020-06-01T00:00:00Z").n_unexpected == 1
    assert check_rules(parquet, [_rule(BETWEEN, column="z", min_value="2020-06-01")]) == [None]


def test_examples_are_the_first_different_ones_short_and_few(tmp_path):
    parquet = _file(tmp_path, s=["ok", "b" * 100, "a", "a", "c", "d"])
    check = _one(parquet, "expect_column_values_to_be_in_set", column="s", value_set=["ok", "it's"])
    assert check.examples == ("b" * 80, "a", "c")


def test_a_missing_column_or_one_of_the_wrong_kind_is_unchecked_and_hides_nothing(tmp_path):
    parquet = _file(tmp_path, number=[1], s=["x"])
    rules = [_rule(NOT_NULL, column="numbr"), _rule(BETWEEN, column="s", min_value=0), _rule(NOT_NULL, column="s")]
    gone, text, met = check_rules(parquet, rules)
    assert [check.outcome for check in (gone, text, met)] == [Outcome.UNCHECKED, Outcome.UNCHECKED, Outcome.MET]
    assert (gone.found.facts["kind"], text.found.facts["kind"]) == ("unchecked", "unchecked")
    assert "there is no column 'numbr'. Did you mean 'number'?" in gone.found.facts["error"]
    assert "column 's' holds text, and the bounds are numbers" in text.found.facts["error"]


@pytest.mark.parametrize(
    "rule",
    [
        _rule("expect_column_values_to_be_increasing", column="n"),
        _rule(NOT_NULL, column="n", row_condition="n > 1"),
        _rule(NOT_NULL, column="n", result_format="COMPLETE"),
        _rule("expect_column_values_to_match_regex", column="s", regex=r"\bx"),
        _rule("expect_column_values_to_match_regex", column="s", regex="(?i)x"),
        _rule("expect_column_values_to_match_regex", column="s", regex="(?=x)"),
        _rule("expect_column_values_to_be_in_set", column="n", value_set=[True]),
        _rule(BETWEEN, column="b", min_value=0),
        _rule("expect_column_value_lengths_to_equal", column="n", value=1),
    ],
)
def test_what_means_something_else_to_the_engine_is_left_to_great_expectations(tmp_path, rule):
    assert check_rules(_file(tmp_path, n=[1], s=["x"], b=[True]), [rule]) == [None]


def test_one_rule_that_the_engine_can_not_compute_leaves_the_others_theirs(tmp_path):
    parquet = _file(tmp_path, a=[2**62], b=[2**62])
    total = _rule("expect_multicolumn_sum_to_equal", column_list=["a", "b"], sum_total=1)
    left, met = check_rules(parquet, [total, _rule(NOT_NULL, column="a")])
    assert left is None
    assert met.outcome is Outcome.MET


@pytest.mark.parametrize("n_rows", [1, 2, 4999, 200_001])
@pytest.mark.parametrize("make", ["normal", "ties", "wild"])
def test_medians_and_quantiles_are_exact(tmp_path, n_rows, make):
    rng = np.random.default_rng(7)
    values = {
        "normal": rng.normal(size=n_rows),
        "ties": rng.integers(0, 3, n_rows).astype(float),
        "wild": np.exp(rng.normal(size=n_rows) * 80) * rng.choice([-1, 1], n_rows),
    }[make]
    if n_rows > 10:
        values[:3] = -np.inf, np.inf, np.nan
    parquet = _file(tmp_path, v=values)
    known = values[~np.isnan(values)]
    median = float(np.median(known))
    check = _one(parquet, "expect_column_median_to_be_between", column="v", min_value=median, max_value=median)
    assert check.outcome is Outcome.MET, check
    shares = [0.0, 0.05, 0.5, 0.987, 1.0]
    expected = np.percentile(known, [share * 100 for share in shares], method="nearest")
    check = _one(
        parquet,
        "expect_column_quantile_values_to_be_between",
        column="v",
        quantile_ranges={"quantiles": shares, "value_ranges": [[float(v), float(v)] for v in expected]},
    )
    assert check.found.facts["quantiles"] == [[s, float(v)] for s, v in zip(shares, expected, strict=True)]


def test_a_file_that_is_gone_or_damaged_is_never_bad_data(tmp_path):
    with pytest.raises(UnavailableError, match="Nothing was checked and nothing was decided"):
        check_rules(str(tmp_path / "gone.parquet"), [_rule(NOT_NULL, column="n")])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 this is none PAR1")
    with pytest.raises(IntegrityError, match=r"bad\.parquet is damaged"):
        check_rules(str(tmp_path / "bad.parquet"), [_rule(NOT_NULL, column="n")])


def test_a_file_that_is_damaged_in_the_middle_is_never_bad_data(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"s": [f"{index * 7919 % 10_007}" for index in range(50_000)]}), path)
    content = bytearray(path.read_bytes())
    content[200:4000] = b"\xff" * 3800
    path.write_bytes(content)
    with pytest.raises((IntegrityError, UnavailableError)):
        check_rules(str(path), [_rule("expect_column_value_lengths_to_equal", column="s", value=3)])


def test_bad_rows_and_good_rows_are_all_rows_in_the_order_of_the_file_with_their_types(tmp_path):
    parquet = _file(
        tmp_path,
        n=pa.array([5, None, 7, 5, 99, 5], pa.int16()),
        s=pa.array(["a", "b", None, "d", "e", "f"], pa.large_string()),
    )
    rules = [_rule(UNIQUE, column="n"), _rule(NOT_NULL, column="s"), _rule(BETWEEN, column="n", max_value=10)]
    with bad_rows(parquet, rules) as rows:
        bad = rows.read_all()
    assert bad["n"].to_pylist() == [7, 5, 99, 5]
    assert bad["broken_rules"].to_pylist() == [f"{NOT_NULL}(s)", f"{UNIQUE}(n)", f"{BETWEEN}(n)", f"{UNIQUE}(n)"]
    with good_rows(parquet, rules) as rows:
        good = rows.read_all()
    assert good.to_pylist() == [{"n": 5, "s": "a"}, {"n": None, "s": "b"}]
    assert good.schema == pq.read_schema(parquet)
    assert bad.schema.remove(2) == good.schema


def test_a_row_says_every_rule_that_it_breaks(tmp_path):
    parquet = _file(tmp_path, n=[1, -5])
    rules = [_rule(BETWEEN, column="n", min_value=0), _rule("expect_column_values_to_be_null", column="n")]
    with bad_rows(parquet, rules) as rows:
        texts = rows.read_all()["broken_rules"].to_pylist()
    assert texts == ["expect_column_values_to_be_null(n)", f"{BETWEEN}(n); expect_column_values_to_be_null(n)"]


def test_many_rows_are_parted_without_a_slip(tmp_path):
    numbers = np.arange(200_000)
    pq.write_table(pa.table({"n": numbers, "k": numbers % 150_000}), tmp_path / "r.parquet", row_group_size=70_001)
    rules = [_rule(BETWEEN, column="n", max_value=100_000), _rule(UNIQUE, column="k")]
    with bad_rows(str(tmp_path / "r.parquet"), rules) as rows:
        assert rows.read_all()["n"].to_pylist() == list(range(100_001, 200_000))
    with good_rows(str(tmp_path / "r.parquet"), rules[1:]) as rows:
        assert rows.read_all()["n"].to_pylist() == list(range(150_000))


def test_without_rules_all_rows_are_good(tmp_path):
    parquet = _file(tmp_path, n=[1, 2, 3, 4])
    with good_rows(parquet, []) as rows:
        assert rows.read_all()["n"].to_pylist() == [1, 2, 3, 4]
    with bad_rows(parquet, []) as rows:
        assert rows.read_all().num_rows == 0


def test_rows_of_a_rule_that_can_not_be_told_apart_are_an_error(tmp_path):
    parquet = _file(tmp_path, s=["x"])
    with (
        pytest.raises(DataError, match=r"_values_to_be_between\(s\) can't be told: column 's' holds text"),
        bad_rows(parquet, [_rule(BETWEEN, column="s", min_value=1)]) as rows,
    ):
        rows.read_all()


def test_rules_about_rows_are_told_from_rules_about_columns():
    assert is_row_wise(_rule(NOT_NULL, column="n"))
    assert is_row_wise(_rule("expect_compound_columns_to_be_unique", column_list=["a", "b"]))
    assert not is_row_wise(_rule(NOT_NULL, column="n", row_condition="a > 1"))
    assert not is_row_wise(_rule("expect_column_mean_to_be_between", column="n", min_value=1))
    assert not is_row_wise(_rule("expect_column_values_to_be_increasing", column="n"))


def test_a_rule_names_the_columns_that_it_needs():
    assert columns_of(_rule("expect_compound_columns_to_be_unique", column_list=["a", "b"])) == ("a", "b")
    assert columns_of(_rule("expect_table_columns_to_match_ordered_list", column_list=["a"])) == ()
    assert columns_of(_rule("expect_column_to_exist", column="a")) == ()
    assert column_of(_rule("expect_column_to_exist", column="a")) == "a"
    assert column_of(_rule("expect_compound_columns_to_be_unique", column_list=["a", "b"])) == "a, b"
    assert column_of(_rule("expect_table_row_count_to_equal", value=1)) is None
