from __future__ import annotations

import dataclasses

import pytest

from airflow_mlops.core.data.profile import OTHER, ColumnProfile, DatasetProfile
from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.validation.against_champion import (
    BUILT_IN_RULES,
    check_order,
    check_timestamp,
    compare_schemas,
    compare_with_reference,
    compare_with_requests,
    empty_columns,
    missing_columns,
    no_requests,
    nothing_checked,
)
from airflow_mlops.core.validation.findings import Severity, Verdict
from airflow_mlops.specs.validate import PolicySpec, SkewSpec, ValidationSpec

CO2 = Column(name="co2_ppm", type="double")
DATE = Column(name="date", type="date32[day]")
CITY = Column(name="city", type="string")
POLICY = PolicySpec()
SPEC = ValidationSpec(inferred=True)
SERVING = SkewSpec(data={"path": "/requests.csv"}, min_rows=10)


def _snapshot(*columns: Column, n_rows: int = 100, timestamp: str | None = None) -> DatasetSnapshot:
    return DatasetSnapshot(
        dataset="d",
        uri="/d",
        digest="sha256:1",
        n_rows=n_rows,
        columns=columns,
        timestamp=timestamp,
        source={},
        created_at="2026-01-01T00:00:00Z",
        created_by="ada",
    )


def _profile(n_rows: int = 100, **counts: dict[str, int]) -> DatasetProfile:
    columns = tuple(ColumnProfile(name=name, counts=found) for name, found in counts.items())
    return DatasetProfile(snapshot_digest="sha256:1", n_rows=n_rows, columns=columns)


def _compare(reference: dict[str, int], current: dict[str, int], **settings: object):
    n_reference, n_current = sum(reference.values()), sum(current.values())
    return compare_with_reference(
        reference=_snapshot(CITY, n_rows=n_reference),
        reference_profile=_profile(n_reference, city=reference),
        current=_snapshot(CITY, n_rows=n_current),
        current_profile=_profile(n_current, city=current),
        validation=ValidationSpec(inferred=True, **settings),
    )


def test_equal_schemas_have_no_findings_whatever_the_order_and_the_nulls():
    current = (DATE, Column(name="co2_ppm", type="double", n_null=5))
    assert compare_schemas(reference=(CO2, DATE), current=current, policy=POLICY) == ()


def test_a_renamed_column_is_missing_and_new_and_the_new_name_is_suggested():
    current = (Column(name="co2_pm", type="double"), DATE)
    missing, new = compare_schemas(reference=(CO2, DATE), current=current, policy=POLICY)
    assert (missing.rule, missing.column, missing.action) == ("column_missing", "co2_ppm", Verdict.HALT)
    assert (missing.found.required, missing.found.facts) == ("double", {"similar": "co2_pm"})
    assert new.found.observed == "double"
    assert (new.rule, new.column, new.action) == ("column_new", "co2_pm", Verdict.HALT)


def test_a_column_that_is_gone_is_not_taken_for_one_that_both_have():
    reference = (CO2, Column(name="co2_ppb", type="double"))
    (missing,) = compare_schemas(reference=reference, current=(CO2,), policy=POLICY)
    assert missing.column == "co2_ppb"
    assert missing.found.facts == {"similar": None}


def test_a_column_of_another_type_says_both_types():
    current = (Column(name="co2_ppm", type="string"),)
    (finding,) = compare_schemas(reference=(CO2,), current=current, policy=POLICY)
    assert finding.found == Reason(
        stage="validation", rule="column_retyped", subject="co2_ppm", observed="string", required="double"
    )


def test_a_new_column_may_be_let_in_by_the_policy():
    policy = PolicySpec(rules={"column_new": "PROCEED"})
    (new,) = compare_schemas(reference=(), current=(CO2,), policy=policy)
    assert new.action is Verdict.PROCEED


def test_a_timestamp_must_be_one_and_be_there_in_every_row():
    assert check_timestamp(_snapshot(DATE, timestamp="date"), POLICY) == ()
    (text,) = check_timestamp(_snapshot(Column(name="date", type="string"), timestamp="date"), POLICY)
    assert (text.rule, text.column, text.found.observed) == ("timestamp_type", "date", "string")
    (null,) = check_timestamp(_snapshot(Column(name="date", type="date32[day]", n_null=3), timestamp="date"), POLICY)
    assert (null.rule, null.column) == ("timestamp_null", "date")
    assert (null.found.observed, null.found.required, null.found.n) == (3, 0, 100)


def test_a_column_that_the_suite_is_about_and_that_is_not_there_is_reported_once():
    snapshot = _snapshot(CO2)
    (finding,) = missing_columns(["co2_ppm", "co2_pm", "co2_pm"], [], snapshot, POLICY)
    assert (finding.rule, finding.column) == ("column_missing", "co2_pm")
    assert (finding.found.required, finding.found.facts) == (None, {"similar": "co2_ppm"})
    assert missing_columns(["co2_pm"], [finding], snapshot, POLICY) == ()


def test_the_same_categories_in_other_shares_have_no_findings():
    assert _compare({"=Rome": 90, "=Oslo": 10}, {"=Rome": 5, "=Oslo": 95, "null": 2}) == ()


def test_a_few_rows_with_a_new_category_are_a_reason_to_retrain():
    (finding,) = _compare({"=Rome": 90, "=Oslo": 10}, {"=Rome": 97, "=Bonn": 3})
    assert (finding.severity, finding.action) == (Severity.WARNING, Verdict.RETRAIN)
    assert (finding.column, finding.examples) == ("city", ("Bonn",))
    found = finding.found
    assert (found.rule, found.observed, found.required, found.n) == (
        "category_new",
        0.03,
        SPEC.max_new_category_fraction,
        100,
    )
    assert found.facts == {"kind": "new", "n_rows": 3, "known": ["Rome", "Oslo"], "n_known": 2}


def test_many_rows_with_new_categories_halt():
    (finding,) = _compare({"=Rome": 90, "=Oslo": 10}, {"=Rome.": 50, "=Oslo.": 50})
    assert (finding.severity, finding.action) == (Severity.CRITICAL, Verdict.HALT)
    assert finding.examples == ("Rome.", "Oslo.")


def test_a_column_whose_categories_are_not_all_known_has_no_new_ones():
    assert _compare({"=Rome": 90, OTHER: 10}, {"=Rome": 90, "=Bonn": 10}) == ()


def test_a_column_that_became_empty_halts_but_one_that_always_was_does_not():
    (finding,) = _compare({"=Rome": 90, "null": 10}, {"null": 100})
    assert (finding.rule, finding.action) == ("column_empty", Verdict.HALT)
    assert (finding.found.observed, finding.found.n, finding.found.facts) == (100, 100, {"n_reference": 90})
    assert _compare({"null": 90}, {"null": 100}) == ()


@pytest.mark.parametrize("n_rows", [100_000, 1])
def test_a_batch_a_thousand_times_larger_or_a_hundred_times_smaller_than_usual_halts(n_rows):
    (finding,) = _compare({"=Rome": 101}, {"=Rome": n_rows})
    assert (finding.rule, finding.action) == ("row_count", Verdict.HALT)
    assert (finding.found.observed, finding.found.required) == (n_rows, SPEC.max_size_factor)
    assert finding.found.facts == {"n_reference": 101}
    assert _compare({"=Rome": 101}, {"=Rome": n_rows}, max_size_factor=1000) == ()


def _serve(training: dict[str, int], serving: dict[str, int], *columns: Column, spec: SkewSpec = SERVING):
    n_rows = sum(serving.values())
    return compare_with_requests(
        training=_snapshot(CITY, CO2),
        training_profile=_profile(city=training),
        serving=_snapshot(*(columns or (CITY,)), n_rows=n_rows),
        serving_profile=_profile(n_rows, city=serving),
        serving_counts=_profile(n_rows, city=serving).columns,
        spec=spec,
        validation=SPEC,
    )


def test_requests_like_the_training_data_have_no_skew():
    assert _serve({"=Rome": 50, "=Oslo": 50}, {"=Rome": 52, "=Oslo": 48}) == ()


def test_requests_in_other_shares_are_a_skew_that_retrains():
    (finding,) = _serve({"=Rome": 90, "=Oslo": 10}, {"=Rome": 10, "=Oslo": 90})
    assert (finding.rule, finding.column, finding.action) == ("serving_skew", "city", Verdict.RETRAIN)
    assert (int(finding.found.observed), finding.found.required) == (3, SERVING.psi_threshold)


def test_a_category_that_is_asked_for_and_was_never_learnt_is_found():
    (finding,) = _serve({"=Rome": 50, "=Oslo": 50}, {"=Rome": 49, "=Oslo": 50, "=Bonn": 1})
    assert (finding.rule, finding.action) == ("serving_category_new", Verdict.RETRAIN)


def test_a_column_that_is_asked_in_another_type_or_not_at_all_halts():
    (retyped,) = _serve({"=1": 50}, {"=1": 50}, Column(name="city", type="int64"))
    assert (retyped.rule, retyped.action) == ("serving_column_retyped", Verdict.HALT)
    wanted = SkewSpec(data={"path": "/requests.csv"}, columns=("city", "co2_ppm"), min_rows=10)
    (missing,) = _serve({"=Rome": 50}, {"=Rome": 50}, spec=wanted)
    assert (missing.rule, missing.column) == ("serving_column_missing", "co2_ppm")
    assert missing.found.facts == {"missing_in": "requests", "similar": None}


def test_requests_that_share_no_column_with_the_training_data_are_no_pass():
    (finding,) = _serve({"=Rome": 50}, {"=x": 50}, Column(name="town", type="string"))
    assert (finding.rule, finding.action) == ("serving_column_missing", Verdict.HALT)
    assert (finding.found.n, finding.found.facts) == (1, {"columns": ["town"]})


def test_too_few_requests_are_said_to_be_too_few():
    (finding,) = _serve({"=Rome": 50}, {"=Rome": 9})
    assert (finding.rule, finding.column) == ("serving_rows", None)
    assert (finding.found.observed, finding.found.required) == (9, 10)


def test_whole_numbers_where_floats_were_are_noted_and_floats_where_integers_were_halt():
    whole, real = Column(name="x", type="int64"), Column(name="x", type="double")
    (noted,) = compare_schemas(reference=(real,), current=(whole,), policy=POLICY)
    assert (noted.severity, noted.action) == (Severity.INFO, Verdict.PROCEED)
    (halted,) = compare_schemas(reference=(whole,), current=(real,), policy=POLICY)
    assert halted.action is Verdict.HALT


def test_a_column_without_any_value_is_no_pass_for_the_rules_about_it():
    (finding,) = empty_columns(["city", "city"], [], _profile(city={"null": 100}), POLICY)
    assert (finding.rule, finding.column) == ("column_empty", "city")
    assert (finding.found.observed, finding.found.n, finding.found.facts) == (100, 100, {})
    assert empty_columns(["city"], [finding], _profile(city={"null": 100}), POLICY) == ()
    assert empty_columns(["city"], [], _profile(city={"null": 99, "=Rome": 1}), POLICY) == ()


def test_a_policy_can_name_every_built_in_rule():
    assert list(BUILT_IN_RULES) == sorted(BUILT_IN_RULES)
    assert nothing_checked(POLICY).rule in BUILT_IN_RULES
    assert no_requests(SERVING, POLICY).rule in BUILT_IN_RULES


@pytest.mark.parametrize(
    ("was", "now", "severity"),
    [
        ("int64", "int32", Severity.INFO),
        ("double", "float", Severity.INFO),
        ("timestamp[us]", "timestamp[ns]", Severity.INFO),
        ("timestamp[us, tz=UTC]", "timestamp[ns, tz=Europe/Rome]", Severity.INFO),
        ("decimal128(9, 2)", "decimal128(12, 2)", Severity.INFO),
        ("string", "null", Severity.INFO),
        ("timestamp[us]", "date32[day]", Severity.WARNING),
        ("date32[day]", "timestamp[us]", Severity.WARNING),
        ("timestamp[us]", "timestamp[us, tz=UTC]", Severity.CRITICAL),
        ("bool", "int64", Severity.CRITICAL),
        ("int64", "string", Severity.CRITICAL),
        ("date32[day]", "string", Severity.CRITICAL),
    ],
)
def test_another_type_is_as_grave_as_what_it_means(was, now, severity):
    reference, current = Column(name="x", type=was), Column(name="x", type=now)
    (finding,) = compare_schemas(reference=(reference,), current=(current,), policy=POLICY)
    assert (finding.rule, finding.severity) == ("column_retyped", severity)
    asked = compare_with_requests(
        training=_snapshot(reference),
        training_profile=_profile(),
        serving=_snapshot(current),
        serving_profile=_profile(),
        serving_counts=(),
        spec=SERVING,
        validation=SPEC,
    )
    assert [(finding.rule, finding.severity) for finding in asked] == [("serving_column_retyped", severity)]


def _retyped(reference: Column, current: Column, name: str = "a.parquet", **values: int):
    snapshot = dataclasses.replace(_snapshot(current), source={"files": [{"name": name}]})
    return compare_with_reference(
        reference=_snapshot(reference),
        reference_profile=_profile(),
        current=snapshot,
        current_profile=DatasetProfile(
            snapshot_digest="sha256:1",
            n_rows=100,
            columns=(ColumnProfile(name="x", counts={"all": 100}, top_values=tuple(values.items())),),
        ),
        validation=SPEC,
    )


def test_a_column_without_a_value_had_no_type_so_that_another_one_does_not_halt():
    never, whole = Column(name="x", type="string", n_null=100), Column(name="x", type="int64")
    (finding,) = _retyped(never, whole)
    assert (finding.rule, finding.action) == ("column_retyped", Verdict.PROCEED)
    assert _retyped(Column(name="x", type="int64"), never) == ()


def test_a_column_that_is_text_no_more_shows_values_and_for_csv_where_types_are_set():
    text, whole = Column(name="x", type="string"), Column(name="x", type="int64")
    (finding,) = _retyped(text, whole, "in/a.csv.gz", **{"1000": 99, "7": 1})
    assert (finding.rule, finding.column, finding.examples) == ("column_retyped", "x", ("1000", "7"))
    assert (finding.found.observed, finding.found.required) == ("int64", "string")
    assert finding.found.facts == {"may_be_either": True}
    (finding,) = _retyped(text, whole)
    assert (finding.found.required, finding.found.facts) == ("string", {})


def test_without_a_champion_moments_that_go_back_are_no_pass():
    columns = (ColumnProfile(name="date", is_ordered=False), ColumnProfile(name="born", is_ordered=False))
    profile = DatasetProfile(snapshot_digest="sha256:1", n_rows=100, columns=columns)
    (finding,) = check_order(_snapshot(DATE, timestamp="date"), profile, POLICY)
    assert (finding.rule, finding.column, finding.action) == ("timestamp_order", "date", Verdict.RETRAIN)
    assert finding.found.facts == {"has_champion": False}
    assert check_order(_snapshot(DATE), profile, POLICY) == ()


def test_data_without_a_column_of_timestamps_has_none_that_are_wrong():
    assert check_timestamp(_snapshot(CITY), POLICY) == ()
    assert check_timestamp(_snapshot(CITY, timestamp="date"), POLICY) == ()


def test_a_column_that_is_gone_is_found_once_and_has_no_values_to_compare():
    (finding,) = compare_with_reference(
        reference=_snapshot(CITY, DATE),
        reference_profile=_profile(city={"=a": 50, "=b": 50}, date={"all": 100}),
        current=_snapshot(DATE),
        current_profile=_profile(date={"all": 100}),
        validation=SPEC,
    )
    assert (finding.rule, finding.column, finding.action) == ("column_missing", "city", Verdict.HALT)
