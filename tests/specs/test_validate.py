from __future__ import annotations

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import PolicySpec, ValidationSpec

EXPECTATION = {"type": "expect_column_to_exist", "kwargs": {"column": "a"}}


@pytest.mark.parametrize("settings", [{}, {"suite": ""}, {"inferred": False}, {"expectations": []}])
def test_a_validation_that_checks_nothing_is_refused(settings):
    with pytest.raises(SpecError, match="nothing to check: give `suite`"):
        ValidationSpec(**settings)


def test_a_suite_may_come_from_several_places_at_once():
    spec = ValidationSpec(suite="s.json", expectations=[EXPECTATION], function="pkg.rules:make", inferred=True)
    assert spec.function == "pkg.rules:make"


@pytest.mark.parametrize("broken", [{"kwargs": {}}, {"type": 3}])
def test_an_expectation_without_a_type_is_named_by_its_place(broken):
    with pytest.raises(SpecError, match=r"expectations\[1\] has no `type`"):
        ValidationSpec(expectations=[EXPECTATION, broken])


def test_the_path_of_a_suite_is_expanded(monkeypatch):
    monkeypatch.setenv("MLOPS_TEST_ROOT", "/suites")
    assert ValidationSpec(suite="$MLOPS_TEST_ROOT/a.json").suite == "/suites/a.json"


def test_a_policy_takes_verdicts_only():
    with pytest.raises(SpecError, match=r"rules\.column_new"):
        PolicySpec(rules={"column_new": "IGNORE"})


def test_requests_are_never_validated_so_they_can_not_be_counted_from_the_last_validation():
    data = {"path": "/requests.csv", "timestamp": "at", "since_last_snapshot": True}
    with pytest.raises(SpecError, match="set `trailing`"):
        ValidationSpec(expectations=[EXPECTATION], skew={"data": data})
