"""Validation as a step: where the suite comes from, what goes to quarantine, and what is compared with requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.validation.findings import Outcome, ValidationReport, Verdict
from airflow_mlops.errors import DataError, IntegrityError, SpecError
from airflow_mlops.specs import DatasetSpec, ValidationSpec
from airflow_mlops.steps.data.snapshot import list_snapshots, load_snapshot, snapshot_dataset
from airflow_mlops.steps.validation.suite import infer_suite
from airflow_mlops.steps.validation.validate import validate_dataset
from tests.steps.cases import Bench, run_named

AGE = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0, "max_value": 120}}
CITY = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "city", "value_set": ["Rome", "Oslo"]}}
MEAN = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "age", "min_value": 30, "max_value": 60}}


def people(n_rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"id": np.arange(n_rows), "age": rng.integers(18, 80, n_rows), "city": rng.choice(["Rome", "Oslo"], n_rows)}
    )


def snapshot_of(bench: Bench, frame: pd.DataFrame) -> DatasetSnapshot:
    bench.deliver(frame)
    return snapshot_dataset(DatasetSpec(path=str(bench.inbox)), dataset="people", storage=bench.platform.storage)


def validate(bench: Bench, frame: pd.DataFrame, **settings: Any) -> ValidationReport:
    spec = ValidationSpec(**settings)
    return validate_dataset(snapshot_of(bench, frame), spec, platform=bench.platform, run=run_named("r"))


def with_bad_rows(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[[3, 8], "age"] = [-1, 999]
    frame.loc[[8, 9], "city"] = ["Rmoe", "Olso"]
    return frame


def make_suite() -> list[dict[str, Any]]:
    return [AGE]


def make_nothing() -> list[dict[str, Any]]:
    return []


def make_trouble() -> None:
    raise ValueError("no rules today")


def test_a_suite_in_a_file_in_the_spec_and_in_code_are_checked_together(bench: Bench, tmp_path: Path):
    file = tmp_path / "people.yaml"
    file.write_text(
        "name: people\n"
        "expectations:\n"
        "  - {type: expect_column_values_to_be_in_set, kwargs: {column: city, value_set: [Rome, Oslo]}}\n"
    )
    function = "tests.steps.validation.test_validate:make_suite"
    report = validate(bench, people(), suite=str(file), expectations=[MEAN], function=function)
    assert report.verdict is Verdict.PROCEED
    assert [check.rule for check in report.checks] == [MEAN["type"], CITY["type"], AGE["type"]]
    assert {check.outcome for check in report.checks} == {Outcome.MET}
    assert {check.engine for check in report.checks} == {"DuckDB"}


def test_what_the_engine_can_not_answer_great_expectations_does_and_the_report_says_so(bench: Bench):
    lookahead = {
        "type": "expect_column_values_to_match_regex",
        "kwargs": {"column": "city", "regex": "^(?!Oslo)"},
        "severity": "warning",
    }
    report = validate(bench, people(), expectations=[AGE, lookahead])
    by_engine = {check.engine: check for check in report.checks}
    assert set(by_engine) == {"DuckDB", "Great Expectations"}
    n_oslo = int((people()["city"] == "Oslo").sum())
    assert by_engine["Great Expectations"].n_unexpected == n_oslo
    assert report.verdict is Verdict.PROCEED
    page = bench.platform.storage.path(*report.report_uri.split("/")).read_text()
    assert "Great Expectations" in page
    assert "DuckDB" in page


@pytest.mark.parametrize(
    ("function", "message"),
    [("make_nothing", "has no expectations, and nothing checked is no pass"), ("make_trouble", "no rules today")],
)
def test_code_that_gives_no_suite_is_refused(function: str, message: str, bench: Bench):
    with pytest.raises(SpecError, match=message):
        validate(bench, people(), function=f"tests.steps.validation.test_validate:{function}")


def test_rows_that_break_a_rule_go_to_quarantine_with_their_reasons_and_the_rest_goes_on(bench: Bench):
    policy = {"rules": {AGE["type"]: "QUARANTINE", f"{CITY['type']}:city": "QUARANTINE"}}
    report = validate(bench, with_bad_rows(people()), expectations=[AGE, CITY, MEAN], policy=policy)
    assert report.verdict is Verdict.QUARANTINE
    rest = report.require_accepted()
    assert rest.n_rows == 197
    assert rest.digest != report.snapshot_digest
    assert rest.source["rest_of"] == report.snapshot_digest
    assert load_snapshot(bench.platform.storage, "people", rest.digest) == rest
    kept = pq.read_table(rest.data_uri).to_pandas()
    assert kept["id"].tolist() == [number for number in range(200) if number not in (3, 8, 9)]

    assert report.quarantine is not None
    assert report.quarantine.n_rows == 3
    bad = pq.read_table(report.quarantine.uri).to_pandas()
    assert bad["id"].tolist() == [3, 8, 9]
    assert AGE["type"] in bad["broken_rules"][0]
    assert AGE["type"] in bad["broken_rules"][1]
    assert CITY["type"] in bad["broken_rules"][1]
    assert AGE["type"] not in bad["broken_rules"][2]
    assert "197" not in str(report.findings)


def test_the_same_bad_rows_give_the_same_rest(bench: Bench):
    settings = {"expectations": [AGE], "policy": {"rules": {AGE["type"]: "QUARANTINE"}}}
    first = validate(bench, with_bad_rows(people()), **settings)
    second = validate(bench, with_bad_rows(people()), **settings)
    assert first.require_accepted() == second.require_accepted()
    assert first.quarantine == second.quarantine


def test_more_bad_rows_than_allowed_halt_and_are_kept_as_evidence(bench: Bench):
    frame = people()
    frame.loc[:29, "age"] = -5
    report = validate(bench, frame, expectations=[AGE], policy={"rules": {AGE["type"]: "QUARANTINE"}})
    assert report.verdict is Verdict.HALT
    finding = report.findings[-1]
    assert str(finding) == "quarantine: found 30 of 200 rows (15.00%) are bad, expected at least one, at most 10.00%"
    assert report.quarantine is not None
    assert pq.read_table(report.quarantine.uri).num_rows == 30


def test_a_rest_that_breaks_another_rule_halts(bench: Bench):
    frame = people()
    frame.loc[0, "age"] = -5
    many = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 200}}
    report = validate(bench, frame, expectations=[AGE, many], policy={"rules": {AGE["type"]: "QUARANTINE"}})
    assert report.verdict is Verdict.HALT
    assert report.findings[-1].rule == "expect_table_row_count_to_be_between (in the rest)"
    assert report.accepted is None


def test_a_rule_that_no_single_row_breaks_can_not_lead_to_quarantine(bench: Bench):
    frame = people().assign(age=90)
    with pytest.raises(SpecError, match="expect_column_mean_to_be_between:age' can't lead to QUARANTINE"):
        validate(bench, frame, expectations=[MEAN], policy={"rules": {MEAN["type"]: "QUARANTINE"}})


def test_a_first_batch_out_of_order_is_no_pass(bench: Bench):
    frame = people().assign(at=pd.date_range("2026-01-01", periods=200, freq="D")[::-1].astype(str))
    bench.deliver(frame)
    data = DatasetSpec(path=str(bench.inbox), timestamp="at")
    snapshot = snapshot_dataset(data, dataset="people", storage=bench.platform.storage)
    report = validate_dataset(snapshot, ValidationSpec(expectations=[AGE]), platform=bench.platform, run=run_named("r"))
    assert report.verdict is Verdict.RETRAIN
    assert [finding.rule for finding in report.findings] == ["timestamp_order"]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"policy": {"rules": {"row_count": "QUARANTINE"}}}, "'row_count'"),
        ({"expectations": [{**MEAN, "meta": {"on_failure": "QUARANTINE"}}]}, "'expect_column_mean_to_be_between:age'"),
        (
            {
                "expectations": [
                    {
                        "type": AGE["type"],
                        "kwargs": {**AGE["kwargs"], "row_condition": "id > 3", "condition_parser": "pandas"},
                        "meta": {"on_failure": "QUARANTINE"},
                    }
                ]
            },
            f"'{AGE['type']}:age'",
        ),
    ],
)
def test_a_quarantine_that_can_not_be_is_refused_before_anything_is_checked(
    settings: dict[str, Any], name: str, bench: Bench
):
    with pytest.raises(SpecError, match=f"{name} can't lead to QUARANTINE.*Nothing was checked"):
        validate(bench, people(), **{"expectations": [AGE], **settings})


@pytest.mark.parametrize("rule", [MEAN, {"type": "expect_column_to_exist", "kwargs": {"column": "years"}}])
def test_what_leads_to_quarantine_by_its_severity_and_has_no_bad_rows_halts(rule: dict[str, Any], bench: Bench):
    report = validate(bench, people().assign(age=90), expectations=[AGE, rule], policy={"critical": "QUARANTINE"})
    assert (report.verdict, report.quarantine) == (Verdict.HALT, None)
    assert report.findings[-1].found.facts["is_of_no_row"] is True
    assert bench.platform.storage.read_json("reports", "small", "r", "validation.json")["verdict"] == "HALT"


def test_rows_that_the_engine_can_not_tell_apart_halt_and_the_verdict_is_recorded(bench: Bench):
    lengths = {"type": "expect_column_value_lengths_to_be_between", "kwargs": {"column": "id", "max_value": 1}}
    report = validate(bench, people(), expectations=[lengths], policy={"rules": {lengths["type"]: "QUARANTINE"}})
    assert report.verdict is Verdict.HALT
    assert report.findings[-1].rule == "quarantine"
    assert "can't be told" in report.findings[-1].found.facts["error"]
    assert bench.platform.storage.read_json("reports", "small", "r", "validation.json")["verdict"] == "HALT"


def test_the_policy_may_name_columns_that_are_not_there(bench: Bench):
    rules = {"column_new:extra": "PROCEED", "column_missing:gone": "PROCEED"}
    assert validate(bench, people(), expectations=[AGE], policy={"rules": rules}).verdict is Verdict.PROCEED


def test_what_only_quarantined_rows_showed_is_no_reason_to_retrain(bench: Bench):
    city = {**CITY, "meta": {"on_failure": "RETRAIN"}}
    frame = with_bad_rows(people())
    policy = {"rules": {AGE["type"]: "QUARANTINE"}}
    report = validate(bench, frame, expectations=[AGE, city], policy=policy)
    (reason,) = report.retrain_reasons
    assert (reason.subject, reason.facts["finding"]) == ("city", f"{CITY['type']} (in the rest)")
    frame.loc[9, "city"] = "Rome"
    report = validate(bench, frame, expectations=[AGE, city], policy=policy)
    assert (report.verdict, report.retrain_reasons) == (Verdict.QUARANTINE, ())


def test_an_expectation_may_say_itself_what_it_leads_to(bench: Bench):
    entry = {**AGE, "meta": {"on_failure": "RETRAIN"}}
    report = validate(bench, with_bad_rows(people()), expectations=[entry])
    assert report.verdict is Verdict.RETRAIN
    assert report.retrain_reasons
    assert report.require_accepted().digest == report.snapshot_digest


def test_a_check_that_could_not_be_made_is_neither_a_pass_nor_bad_data(bench: Bench):
    text = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "city", "min_value": 0, "max_value": 1}}
    report = validate(bench, people(), expectations=[AGE, text])
    assert (report.verdict, report.accepted) == (Verdict.UNDECIDED, None)
    assert [check.outcome for check in report.checks] == [Outcome.MET, Outcome.UNCHECKED]
    with pytest.raises(DataError, match=r"1 expectation\(s\) could not be checked, which says nothing about the data"):
        report.require_accepted()
    stored = bench.platform.storage.read_json("reports", "small", "r", "validation.json")
    assert stored["verdict"] == "UNDECIDED"


def test_a_snapshot_that_was_changed_is_not_validated(bench: Bench):
    snapshot = snapshot_of(bench, people())
    path = Path(snapshot.data_uri)
    path.write_bytes(path.read_bytes()[:-20] + b"x" * 20)
    with pytest.raises(IntegrityError):
        validate_dataset(snapshot, ValidationSpec(expectations=[AGE]), platform=bench.platform, run=run_named("r"))


def test_a_halted_snapshot_is_marked_and_one_that_passes_later_is_not(bench: Bench):
    assert validate(bench, with_bad_rows(people()), expectations=[AGE]).verdict is Verdict.HALT
    (snapshot,) = list_snapshots(bench.platform.storage, "people")
    note = ("snapshots", "people", Path(snapshot.uri).name, "verdict.json")
    assert bench.platform.storage.read_json(*note)["is_accepted"] is False
    loose = {"type": AGE["type"], "kwargs": {"column": "age", "min_value": -10}}
    assert validate(bench, with_bad_rows(people()), expectations=[loose]).verdict is Verdict.PROCEED
    assert bench.platform.storage.read_json(*note)["is_accepted"] is True


def test_requests_that_differ_from_what_is_learnt_are_a_reason_to_retrain(bench: Bench, tmp_path: Path):
    asked = people(400).assign(city="Rome").drop(columns="age")
    asked.to_csv(tmp_path / "requests.csv", index=False)
    serving = {"data": {"path": str(tmp_path / "requests.csv")}, "columns": ["city"]}
    report = validate(bench, people(), expectations=[AGE], skew=serving)
    assert report.verdict is Verdict.RETRAIN
    (finding,) = report.findings
    assert (finding.rule, finding.column) == ("serving_skew", "city")
    assert len(list_snapshots(bench.platform.storage, "people.serving")) == 1


def test_an_inferred_suite_is_met_by_its_own_data_and_names_keys_domains_and_ranges(bench: Bench):
    snapshot = snapshot_of(bench, people())
    suite = infer_suite(snapshot, storage=bench.platform.storage)
    rules = {(entry["type"], entry["kwargs"].get("column")): entry["kwargs"] for entry in suite["expectations"]}
    assert ("expect_column_values_to_be_unique", "id") in rules
    assert rules["expect_column_values_to_be_in_set", "city"]["value_set"] == ["Oslo", "Rome"]
    assert rules["expect_column_values_to_be_between", "age"]["min_value"] == 0
    assert ("expect_column_values_to_be_between", "id") not in rules
    report = validate(bench, people(), expectations=suite["expectations"])
    assert {check.outcome for check in report.checks} == {Outcome.MET}
    assert infer_suite(snapshot, storage=bench.platform.storage) == suite


def test_amounts_that_happen_to_differ_are_no_key_and_running_numbers_are(bench: Bench):
    frame = people(300).assign(fee=np.random.default_rng(3).choice(1_000_000, 300, replace=False))
    suite = infer_suite(snapshot_of(bench, frame), storage=bench.platform.storage)
    keys = [e["kwargs"]["column"] for e in suite["expectations"] if e["type"] == "expect_column_values_to_be_unique"]
    assert keys == ["id"]


def test_rows_that_come_twice_break_an_inferred_suite_also_where_no_column_is_a_key(bench: Bench):
    frame = people().drop(columns="id").assign(weight=np.random.default_rng(1).normal(70, 10, 200))
    suite = infer_suite(snapshot_of(bench, frame), storage=bench.platform.storage)
    report = validate(bench, pd.concat([frame, frame.head(3)]), expectations=suite["expectations"])
    assert report.verdict is Verdict.HALT
    (finding,) = report.findings
    assert finding.rule == "expect_compound_columns_to_be_unique"
    assert (finding.found.facts["n_broken"], finding.found.n) == (6, 203)


def test_without_a_champion_an_inferred_suite_says_that_there_is_nothing_to_compare_with(bench: Bench):
    report = validate(bench, people(), inferred=True)
    assert (report.checks, report.reference_digest) == ((), "")
    assert [finding.rule for finding in report.findings] == ["nothing_checked"]
    assert report.verdict is Verdict.PROCEED
    page = bench.platform.storage.path(*report.report_uri.split("/")).read_text()
    assert "nothing: there is no champion" in page


def test_two_rules_of_one_kind_about_one_column_both_part_the_rows(bench: Bench):
    low = {"type": AGE["type"], "kwargs": {"column": "age", "min_value": 0}}
    high = {"type": AGE["type"], "kwargs": {"column": "age", "max_value": 120}}
    policy = {"rules": {AGE["type"]: "QUARANTINE"}}
    report = validate(bench, with_bad_rows(people()), expectations=[low, high], policy=policy)
    assert report.verdict is Verdict.QUARANTINE
    assert report.quarantine is not None
    assert report.quarantine.n_rows == 2
    ages = pq.read_table(report.require_accepted().data_uri)["age"].to_pylist()
    assert 0 <= min(ages) <= max(ages) <= 120


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": {"rules": {"expect_column_values_to_be_betwen": "HALT"}}}, "there is no rule .* Did you mean"),
        ({"policy": {"rules": {f"{AGE['type']}:agee": "HALT"}}}, "there is no column 'agee' here. Did you mean 'age'"),
        ({"expectations": [{**AGE, "meta": {"on_failure": "quarantine"}}]}, "on_failure is 'quarantine'"),
    ],
)
def test_a_policy_that_means_nothing_here_is_refused(settings: dict[str, Any], message: str, bench: Bench):
    with pytest.raises(SpecError, match=message):
        validate(bench, people(), **{"expectations": [AGE], **settings})


def test_a_rule_about_a_missing_column_and_another_halts_and_does_not_blame_the_suite(bench: Bench):
    pair = {
        "type": "expect_column_pair_values_to_be_equal",
        "kwargs": {"column_A": "age", "column_B": "years"},
    }
    report = validate(bench, people(), expectations=[pair])
    assert report.verdict is Verdict.HALT
    assert [finding.rule for finding in report.findings] == ["column_missing"]


def test_without_any_request_the_comparison_says_so_and_stops_nothing(bench: Bench, tmp_path: Path):
    (tmp_path / "requests.csv").write_text("city\n")
    report = validate(bench, people(), expectations=[AGE], skew={"data": {"path": str(tmp_path / "requests.csv")}})
    assert report.verdict is Verdict.PROCEED
    assert [str(finding) for finding in report.findings] == ["serving_rows: found 0 requests, expected at least 200"]
