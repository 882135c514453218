from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from airflow_mlops.core.maintenance.reproduction import (
    Agreement,
    Difference,
    DifferenceKind,
    ReproductionReport,
    compare_code,
    compare_environments,
    compare_outputs,
    compare_params,
)
from airflow_mlops.core.registry.training_record import UNKNOWN, CodeModule, Environment
from airflow_mlops.errors import ReproductionError

NUMBERS = arrays.arrays(
    np.float64, st.integers(1, 20), elements=st.floats(allow_nan=False, allow_infinity=False, width=32)
)
HERE = Environment(python="3.11.7", platform="Linux-x86_64", blas="openblas 0.3.30 Haswell", packages_digest="sha256:1")
CODE = CodeModule(import_path="mine:train", digest="sha256:" + "a" * 64, commit="c0ffee" * 6, remote="git.org/mine")
WRONG = Difference(kind=DifferenceKind.PREDICTIONS, subject="held-out rows", recorded="the same", found="1 of 3")


def _report(**changes) -> ReproductionReport:
    agreement = Agreement(is_exact=True, is_within=True, n_rows=3, n_differing=0, max_absolute=0.0, max_relative=0.0)
    report = ReproductionReport(
        model_name="m",
        model_version=7,
        is_reproduced=True,
        agreement=agreement,
        tolerance=0.0,
        n_threads=1,
        differences=(),
        record_digest="sha256:1",
    )
    return dataclasses.replace(report, **changes)


@given(NUMBERS)
def test_the_same_answers_agree_to_the_bit(outputs):
    agreement = compare_outputs(stored=outputs, again=outputs.copy(), tolerance=0.0)
    assert (agreement.is_exact, agreement.is_within, agreement.n_differing) == (True, True, 0)
    assert (agreement.max_absolute, agreement.max_relative) == (0.0, 0.0)


@given(NUMBERS, st.integers(0, 19))
def test_one_bit_in_one_row_is_not_exact_and_is_within_a_tolerance(outputs, place):
    again = outputs.copy()
    again[place % len(again)] = np.nextafter(again[place % len(again)], np.inf)
    agreement = compare_outputs(stored=outputs, again=again, tolerance=1e-6)
    assert not agreement.is_exact
    assert agreement.n_differing == 1
    assert agreement.is_within == (outputs != 0).any()  # the size of nothing but zeros is zero


@given(NUMBERS, NUMBERS, st.sampled_from([1e-3, 7.0, 1e6]))
def test_the_unit_of_the_target_does_not_matter(stored, again, factor):
    n_rows = min(len(stored), len(again))
    stored, again = stored[:n_rows], again[:n_rows]
    in_one_unit = compare_outputs(stored=stored, again=again, tolerance=0.1)
    in_another = compare_outputs(stored=stored * factor, again=again * factor, tolerance=0.1 * (1 + 1e-9))
    assert in_another.is_within or not in_one_unit.is_within


def test_the_sign_of_zero_and_the_type_are_bits_too():
    zeros = np.zeros(2)
    assert not compare_outputs(stored=zeros, again=-zeros, tolerance=0.0).is_exact
    assert not compare_outputs(stored=zeros, again=zeros.astype(np.float32), tolerance=0.0).is_exact


def test_a_value_near_zero_is_measured_by_the_size_of_all_of_them():
    stored, again = np.array([1e-12, 100.0, -100.0]), np.array([2e-12, 100.0, -100.0])
    agreement = compare_outputs(stored=stored, again=again, tolerance=1e-6)
    assert (agreement.is_within, agreement.n_differing) == (True, 1)
    assert agreement.max_relative == 0.5


def test_labels_have_to_be_equal():
    stored, again = np.array(["yes", "no", "no"]), np.array(["yes", "no", "yes"])
    assert compare_outputs(stored=stored, again=stored.copy(), tolerance=0.0).is_exact
    agreement = compare_outputs(stored=stored, again=again, tolerance=1.0)
    assert not agreement.is_within
    assert str(agreement) == "1 of 3 rows differ"


def test_probabilities_of_another_number_of_classes_do_not_agree():
    agreement = compare_outputs(stored=np.zeros((4, 2)), again=np.zeros((4, 3)), tolerance=1.0)
    assert (agreement.is_within, agreement.n_differing) == (False, 4)


def test_a_row_differs_when_one_of_its_probabilities_does():
    stored = np.array([[0.5, 0.5], [0.2, 0.8]])
    again = np.array([[0.5, 0.5], [0.3, 0.7]])
    agreement = compare_outputs(stored=stored, again=again, tolerance=0.0)
    assert str(agreement) == "1 of 2 rows differ, by at most 0.1 (relative 0.333)"


def test_an_environment_is_like_itself():
    packages = "numpy==2.4.6\n"
    assert not compare_environments(recorded=HERE, found=HERE, recorded_packages=packages, found_packages=packages)


def test_of_the_packages_that_changed_those_that_compute_come_first_and_ten_are_listed():
    names = [f"a{number:02}" for number in range(12)]
    before = "".join(f"{name}==1\n" for name in [*names, "numpy", "gone"])
    now = "".join(f"{name}==2\n" for name in [*names, "numpy", "xgboost"])
    found = compare_environments(
        recorded=HERE,
        found=dataclasses.replace(HERE, python="3.12.1"),
        recorded_packages=before,
        found_packages=now,
    )
    assert {each.kind for each in found} == {DifferenceKind.ENVIRONMENT}
    shown = [(each.subject, each.recorded, each.found) for each in found]
    assert shown[:4] == [
        ("python", "3.11.7", "3.12.1"),
        ("numpy", "1", "2"),
        ("xgboost", "not installed", "2"),
        ("a00", "1", "2"),
    ]
    assert len(shown) == 12
    assert shown[-1][0] == "5 more packages"


def test_a_module_is_like_itself():
    assert not compare_code(recorded=CODE, found=CODE, knows_commit=False)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"digest": "sha256:" + "b" * 64}, "sha256:bbbbbbbbbbbb…, commit c0ffeec0ffee"),
        ({"commit": "decade" * 6}, "sha256:aaaaaaaaaaaa…, commit decadedecade"),
        ({"is_dirty": True}, "sha256:aaaaaaaaaaaa…, commit c0ffeec0ffee with changes"),
        ({"commit": ""}, "sha256:aaaaaaaaaaaa…, in no repository"),
        ({"commit": UNKNOWN}, "sha256:aaaaaaaaaaaa…, unknown"),
    ],
)
def test_another_module_is_shown_with_its_commit(found, words):
    (difference,) = compare_code(recorded=CODE, found=dataclasses.replace(CODE, **found), knows_commit=True)
    assert (difference.kind, difference.subject) == (DifferenceKind.CODE, "mine:train")
    assert difference.recorded == "sha256:aaaaaaaaaaaa…, commit c0ffeec0ffee"
    assert difference.found == words


def test_a_commit_that_is_not_here_is_said():
    (difference,) = compare_code(recorded=CODE, found=dataclasses.replace(CODE, commit=""), knows_commit=False)
    assert difference.found.endswith("; the recorded commit is not known here")


def test_a_default_that_a_library_changed_is_a_parameter_that_differs():
    found = compare_params(
        recorded={"max_iter": "100", "tol": "0.1", "old": "1"}, found={"max_iter": "200", "tol": "0.1", "new": "'a'"}
    )
    assert [(each.subject, each.recorded, each.found) for each in found] == [
        ("max_iter", "100", "200"),
        ("new", "(none)", "'a'"),
        ("old", "1", "(none)"),
    ]


def test_a_reproduced_version_says_so_in_a_line_without_a_table():
    report = _report()
    assert str(report) == (
        "m v7 reproduced. Predictions: the same in all 3 rows, bit for bit. Required: bit for bit, as it was trained "
        "with 1 thread(s)."
    )
    assert report.table() == []
    report.require_reproduced()


def test_what_differs_is_a_table_in_columns():
    other = Difference(kind=DifferenceKind.CODE, subject="mine:train", recorded="sha256:1", found="sha256:2")
    report = _report(is_reproduced=False, agreement=None, differences=(other, WRONG), tolerance=1e-6, n_threads=4)
    assert str(report) == (
        "m v7 NOT reproduced. Predictions: none, no model could be made to compare with. Required: within 1e-06, as it "
        "was trained with 4 thread(s)."
    )
    assert report.table() == [
        "kind         what           recorded  found",
        "code         mine:train     sha256:1  sha256:2",
        "predictions  held-out rows  the same  1 of 3",
    ]


def test_a_version_that_is_not_reproduced_is_an_error_that_says_what_differs():
    with pytest.raises(ReproductionError) as caught:
        _report(is_reproduced=False, differences=(WRONG, WRONG)).require_reproduced()
    assert str(caught.value) == (
        "m v7 could not be reproduced. What differs: 'predictions'. The registry was not touched. Restore what the "
        "table names, then run it again."
    )
