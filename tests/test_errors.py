from __future__ import annotations

import pytest

from airflow_mlops import errors
from airflow_mlops.errors import MlopsError, UnavailableError, bounded, did_you_mean

LEAVES = {
    "SpecError": ValueError,
    "MissingExtraError": ImportError,
    "DataError": ValueError,
    "DataHaltedError": errors.DataError,
    "LeakageError": errors.DataError,
    "NoRowsError": errors.DataError,
    "NothingNewError": errors.DataError,
    "TrainingError": RuntimeError,
    "UntrustedModelError": ValueError,
    "EvaluationError": ValueError,
    "ConversionError": ValueError,
    "ServingCheckError": RuntimeError,
    "NotBlessedError": RuntimeError,
    "IntegrityError": RuntimeError,
    "PromotionConflictError": RuntimeError,
    "RunnerError": RuntimeError,
    "ReproductionError": RuntimeError,
    "UnavailableError": ConnectionError,
}


@pytest.mark.parametrize(("name", "builtin"), LEAVES.items())
def test_a_leaf_is_caught_by_the_root_and_by_the_builtin_that_callers_expect(name, builtin):
    with pytest.raises(MlopsError):
        raise getattr(errors, name)("x")
    with pytest.raises(builtin):
        raise getattr(errors, name)("x")


def test_the_module_exports_its_whole_tree():
    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, MlopsError)
    }
    assert defined == {*LEAVES, "MlopsError"}
    assert set(errors.__all__) == {*defined, "bounded", "bounded_lines", "closest", "counted", "did_you_mean"}
    assert errors.__all__ == sorted(errors.__all__)


def test_the_tree_in_the_docstring_names_every_exception():
    assert all(f" {name}(" in errors.__doc__ or f" {name} " in errors.__doc__ for name in LEAVES)


def test_only_an_outage_is_a_connection_error_so_that_nothing_else_is_retried():
    outages = [name for name in LEAVES if issubclass(getattr(errors, name), ConnectionError)]
    assert [getattr(errors, name) for name in outages] == [UnavailableError]


def test_a_long_list_is_cut_after_ten_and_says_how_many_more_there_are():
    text = bounded(range(13))
    assert text.startswith("0, 1, 2, ")
    assert text.endswith("9 and 3 more")


def test_a_list_that_fits_is_shown_whole():
    assert bounded(["a", "b"], limit=2) == "'a', 'b'"


def test_an_empty_list_says_none():
    assert bounded([]) == "none"


def test_a_close_name_is_suggested():
    assert did_you_mean("timstamp", ["path", "timestamp"]) == " Did you mean 'timestamp'?"


def test_nothing_is_suggested_for_a_name_that_is_far_from_all():
    assert did_you_mean("zzz", ["path", "timestamp"]) == ""
