"""What a validation says: what it found, and what it expected, each once."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.core.wording.validation import found_and_expected
from tests.core.reasons import reread

reason = partial(Reason, stage="validation")
NEW = {"kind": "new", "n_rows": 3, "known": ["Rome", "Oslo"], "n_known": 3}
ROWS = {"observed": 0.03, "n": 100}


def check(kind: str, observed: Any = None, n: int | None = None, **facts: Any) -> Reason:
    return reason(rule="expect_it", observed=observed, n=n, facts={"kind": kind, "kwargs": {"max_value": 10}, **facts})


@pytest.mark.parametrize(
    ("found", "texts"),
    [
        (reason(rule="timestamp_type", observed="string"), ("type string", "a date or a timestamp")),
        (reason(rule="timestamp_null", observed=3, n=100), ("3 of 100 rows null", "none")),
        (
            reason(rule="timestamp_order", facts={"has_champion": True}),
            ("times that go back from one row to the next", "rows in order, as the champion's are"),
        ),
        (
            reason(rule="timestamp_order", facts={"has_champion": False}),
            (
                "times that go back from one row to the next",
                "rows in order, as long as no champion was trained on others",
            ),
        ),
        (
            reason(rule="column_missing", required="double", facts={"similar": "co2_pm"}),
            ("no such column (Did you mean 'co2_pm'?)", "type double"),
        ),
        (
            reason(rule="column_missing", facts={"similar": None}),
            ("no such column", "the column that the suite checks"),
        ),
        (reason(rule="column_empty", n=9), ("all 9 values missing", "values for the suite to check")),
        (
            reason(rule="column_empty", n=9, facts={"n_reference": 90}),
            ("all 9 values missing", "values, as 90 of the champion's rows have"),
        ),
        (reason(rule="column_new", observed="double"), ("type double", "no such column")),
        (reason(rule="column_retyped", observed="string", required="double"), ("type string", "type double")),
        (
            reason(rule="column_retyped", observed="int64", required="string", facts={"may_be_either": True}),
            ("type int64", "type string; data.csv.types can say so where the values don't"),
        ),
        (
            reason(rule="row_count", observed=1, required=10.0, facts={"n_reference": 101}),
            ("1 rows", "at most 10 times more or fewer than the champion's 101"),
        ),
        (
            reason(rule="value_range", **ROWS, facts={"n_rows": 3, "range": [100.5, 249.0], "champion": [150, 199.5]}),
            (
                "3 of 100 rows (3.00%) below 100.5 or above 249",
                "values near to the champion's, which are from 150 to 199.5",
            ),
        ),
        (
            reason(rule="category_new", **ROWS, facts=NEW),
            ("3 of 100 rows (3.00%) with categories that are new", "one of 'Rome', 'Oslo' and 1 more"),
        ),
        (
            reason(rule="serving_category_new", **ROWS, facts=NEW),
            ("3 of 100 rows (3.00%) with categories that are new", "one of 'Rome', 'Oslo' and 1 more"),
        ),
        (
            reason(rule="category_new", **ROWS, facts={**NEW, "kind": "numbers", "known": [0.0, 1.0], "n_known": 2}),
            ("3 of 100 rows (3.00%) with numbers that are new", "one of '0', '1'"),
        ),
        (
            reason(rule="category_new", required=0.8, **ROWS, facts={**NEW, "kind": "frequent"}),
            (
                "3 of 100 rows (3.00%) with one of the champion's frequent categories",
                "one of 'Rome', 'Oslo' and 1 more in about 80%, as the champion's rows have",
            ),
        ),
        (
            reason(rule="nothing_checked"),
            ("no expectation and no champion's data to infer one from", "something to hold the data against"),
        ),
        (reason(rule="serving_rows", observed=9, required=10), ("9 requests", "at least 10")),
        (
            reason(rule="serving_column_missing", n=6, facts={"columns": ["a", "b"]}),
            ("'a', 'b' and 4 more", "a column that is trained on"),
        ),
        (
            reason(rule="serving_column_missing", subject="x", facts={"missing_in": "requests", "similar": "xs"}),
            ("not in the requests (Did you mean 'xs'?)", "in both"),
        ),
        (
            reason(rule="serving_column_retyped", observed="int64", required="string"),
            ("type int64 in the requests", "type string"),
        ),
        (reason(rule="serving_skew", observed=3.14159, required=0.2), ("PSI 3.14", "below 0.2")),
        (
            reason(rule="quarantine", observed=0.15, required=0.1, n=200, facts={"n_rows": 30}),
            ("30 of 200 rows (15.00%) are bad", "at least one, at most 10.00%"),
        ),
        (reason(rule="quarantine", facts={"error": "It broke"}), ("It broke", "rows that can be set aside")),
        (check("values", 0.5, 4, n_broken=2), ("2 of 4 values break it (50 %)", "max_value=10")),
        (check("values", None, 0, n_broken=0), ("no value to look at", "max_value=10")),
        (check("figure", 4), ("4", "max_value=10")),
        (check("figure", float("inf")), ("inf", "max_value=10")),
        (check("no_value"), ("no value", "max_value=10")),
        (check("columns", columns=["a"], n_columns=2), ("columns 'a' and 1 more", "max_value=10")),
        (check("column_at", "b"), ("column 'b' there", "max_value=10")),
        (
            check("column_set", missing=["a"], n_missing=1, unexpected=[], n_unexpected=0),
            ("missing: 'a'; unexpected: none", "max_value=10"),
        ),
        (
            check("column_order", 3, displaced=["a"], n_displaced=1),
            ("3 columns; not in their place: 'a'", "max_value=10"),
        ),
        (check("quantiles", quantiles=[[0.5, 1.5], [1.0, 2.0]]), ("0.5: 1.5, 1.0: 2.0", "max_value=10")),
        (
            check("distinct", n_outside=1, n_absent=2),
            ("1 different values outside the set, 2 of the set not there", "max_value=10"),
        ),
        (check("most_common", "a", n_values=1, n_rows=5), ("'a', 5 times", "max_value=10")),
        (check("most_common", "a", n_values=3, n_rows=5), ("'a' and 2 other values, 5 times", "max_value=10")),
        (check("unchecked", error="no such column"), ("can't be checked: no such column", "max_value=10")),
        (
            reason(rule="expect_it", facts={"kind": "no_value", "kwargs": {}, "is_of_no_row": True}),
            ("no value, which no row can be told by", "to hold"),
        ),
        (
            reason(rule="expect_it", observed=1, facts={"kind": "figure", "kwargs": {"a": [1, "x"], "b": "y"}}),
            ("1", "a=[1, 'x'], b=y"),
        ),
    ],
)
def test_what_was_found_and_what_was_expected_are_made_of_the_numbers(found: Reason, texts: tuple[str, str]):
    assert found_and_expected(found) == texts
    assert [found_and_expected(each) for each in reread(found)] == [texts]


def test_a_finding_is_a_sentence_with_its_column_and_its_examples():
    found = reason(rule="serving_skew", subject="x", observed=3, required=0.2, facts={"examples": ["a", "b"]})
    assert sentence_of(found) == "x: serving_skew: found PSI 3, expected below 0.2 (for example 'a', 'b')."
    in_the_rest = reason(rule="nothing_checked", facts={"finding": "nothing_checked (in the rest)", "examples": []})
    assert sentence_of(in_the_rest).startswith("nothing_checked (in the rest): found no expectation and ")
