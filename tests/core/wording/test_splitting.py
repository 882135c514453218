"""What a leakage check says, each sentence once."""

from __future__ import annotations

from functools import partial

import pytest

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording import sentence_of, sentences_of
from airflow_mlops.core.wording.splitting import found_and_expected
from tests.core.reasons import reread

reason = partial(Reason, stage="splitting")
SHARED = {"n_shared": 20, "part": "test"}
SUM = reason(
    rule="combination_reproduces_target",
    observed=1.234e-9,
    n=90,
    facts={"terms": [[1.0, "a"], [-0.5, "b"]], "n_terms": 3},
)
A_SUM = "the target = 1*a + -0.5*b + 1 more, which leaves 1e-09 of its variance open on rows that it was not fitted on"


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        (
            reason(rule="no_column_left"),
            "no column is left beside target, timestamp, key and ids: rows were not compared",
        ),
        (
            reason(rule="rows_repeat", observed=0.2, n=100, facts={**SHARED, "columns": ["a"], "n_columns": 2}),
            "rows repeat too often to tell duplicates: 20 of 100 test rows (20.00%) in the training part too, by the "
            "values of 'a' and 1 more alone",
        ),
        (
            reason(rule="row_ids", n=2, facts={"columns": ["id", "name"]}),
            "'id', 'name': another value in every row, so rows were compared without",
        ),
        (
            reason(rule="too_few_rows", observed=9, required=40, n=9),
            "9 rows with a target: too few to tell whether a feature reproduces it",
        ),
        (
            reason(rule="one_value", subject="y"),
            "the target 'y' has one value only, which every feature would reproduce",
        ),
        (
            reason(rule="trend", subject="y"),
            "'y' follows the order of the rows, as a trend does: features were not compared by rank",
        ),
        (
            reason(rule="rare_classes", observed=5, required=10, n=4000),
            "5 of 4000 rows have another value of the target than the most frequent one: too few to tell whether a "
            "feature reproduces it",
        ),
        (
            reason(rule="many_values", observed=300, n=600),
            "the target has 300 values in 600 rows: too many to tell whether a feature stands for one of them each",
        ),
        (
            reason(rule="judged_alone", n=7, facts={"columns": ["a", "b"]}),
            "7 numeric feature(s) were judged alone and in no combination, for their gaps or their number: a, b",
        ),
        (reason(rule="recorded", recorded="As it was"), "As it was"),
    ],
)
def test_a_note_is_made_of_the_numbers(note: Reason, sentence: str):
    assert sentence_of(note) == sentence
    assert sentences_of(reread(note)) == (sentence,)


@pytest.mark.parametrize(
    ("found", "texts"),
    [
        (
            reason(rule="shared_rows", observed=20 / 105, required=0.01, n=105, facts=SHARED),
            ("20 of 105 test rows (19.05%) in the training part too", "at most 1.00%"),
        ),
        (
            reason(rule="shared_groups", observed=27, required=0, n=27, facts={"part": "test"}),
            ("27 of 27 test groups in the training part too", "none"),
        ),
        (
            reason(rule="reproduces_target", observed=1.0, n=90),
            (
                "90 rows in the same order as by the target (rank correlation 1.0000000)",
                "another order: no feature that is the target itself, scaled or transformed",
            ),
        ),
        (
            reason(rule="reproduces_target", observed=-1.0, n=90),
            (
                "90 rows in the opposite order as by the target (rank correlation -1.0000000)",
                "another order: no feature that is the target itself, scaled or transformed",
            ),
        ),
        (
            reason(rule="determines_class", n=90, facts={"how": "ranges"}),
            (
                "ranges of values that part the classes without an error, in 90 rows",
                "values that leave the class open",
            ),
        ),
        (
            reason(rule="determines_class", n=90, facts={"how": "values"}),
            (
                "values that stand for one class each, in all of 90 rows that were judged by other rows",
                "values that leave the class open",
            ),
        ),
        (
            reason(
                rule="determines_class",
                n=90,
                facts={"how": "gaps", "n_missing": 10, "classes": ["a"], "n_classes": 2},
            ),
            (
                "a value in all 90 rows of class 'a' and 1 more and in none of the other 10 rows",
                "values that leave the class open",
            ),
        ),
        (SUM, (A_SUM, "no weighted sum of features that is the target")),
        (
            reason(rule="combination_reproduces_target", facts={"n_classes": 3}, because=(SUM,)),
            (
                f"3 classes, each of which a weighted sum tells from the others: {A_SUM}",
                "no weighted sum of features that is the target",
            ),
        ),
        (
            reason(rule="prediction_time_null", observed=3, required=0, n=9),
            ("3 of 9 rows without it", "a time in every row"),
        ),
        (
            reason(
                rule="known_too_late", observed=5, required=0, n=500, facts={"known_at": "seen", "predicted": "day"}
            ),
            ("5 of 500 rows with a value known after the prediction (seen > day)", "none"),
        ),
        (
            reason(rule="known_at_null", observed=5, required=0, n=500, facts={"known_at": "seen"}),
            ("5 of 500 rows with a value where seen is null", "none: when a value became known has to be known"),
        ),
    ],
)
def test_what_was_found_and_what_was_expected_are_made_of_the_numbers(found: Reason, texts: tuple[str, str]):
    assert found_and_expected(found) == texts
    assert [found_and_expected(each) for each in reread(found)] == [texts]


def test_a_finding_is_a_sentence_with_its_columns_and_its_examples():
    found = reason(
        rule="shared_groups", subject="a, b", observed=1, n=2, facts={"part": "test", "examples": ["x", "y"]}
    )
    assert sentence_of(found) == (
        "a, b: shared_groups: found 1 of 2 test groups in the training part too, expected none (for example 'x', 'y')."
    )
