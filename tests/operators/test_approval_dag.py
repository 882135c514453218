"""A person approves or declines, by Airflow's own required action."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_mlops.core.promotion.approval import Approval
from airflow_mlops.core.registry.journal import PromotionRecord
from airflow_mlops.operators import ApprovePromotionOperator, PromoteModelOperator
from airflow_mlops.steps.registry.journal import read_journal
from airflow_mlops.steps.registry.ledger import read_ledger
from tests.operators.conftest import Ended, House, Person
from tests.steps.cases import Bench, small_frame

UNDECIDED = {"min_rows": 1000, "on_inconclusive": "ask"}


def _dag(result: Any, **settings: Any) -> DAG:
    candidate = {"version": result.version.to_dict(), "blessing": result.blessing.to_dict()}
    with DAG("approval", start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), schedule=None) as dag:
        approve = ApprovePromotionOperator(task_id="approve", **candidate, **settings)
        needs_approval = not settings.get("only_undecided", False)
        PromoteModelOperator(task_id="promote", approval=approve.output, needs_approval=needs_approval, **candidate)
    return dag


def _journal(house: House) -> list[PromotionRecord]:
    return read_journal("small", storage=house.platform.storage)


def test_what_the_gate_could_not_decide_is_registered_and_waits_for_a_person_who_approves(
    house: House, bench: Bench, person: Person
):
    result = bench.run("first", bench.spec(gate=UNDECIDED))
    assert (str(result.blessing.verdict), result.version.model_version, result.promotion) == ("INCONCLUSIVE", 1, None)
    assert house.platform.mlflow.get_alias("small") is None

    thread = person.answers("Approve", note="few rows, but the case is plain")
    ended = house.run(_dag(result, only_undecided=True))
    thread.join()
    assert ended.states == {"approve": "success", "promote": "success"}
    assert house.platform.mlflow.get_alias("small") == 1
    (entry,) = _journal(house)
    assert entry.reason == "Approved by Anonymous: few rows, but the case is plain"
    assert entry.reasons == result.blessing.reasons

    (asked,) = person.asked
    assert asked["subject"] == "Promote version 1 of small? The gate says INCONCLUSIVE."
    body = asked["body"]
    assert "- Undecided: Only 61 rows were held out, gate.min_rows is 1000." in body
    assert "| mean_absolute_error (lower is better) | 0.2" in body
    assert "\n| min rows |  | 61 | 1000 |  | 61 | INCONCLUSIVE |\n" in body
    assert "A rollback would have no version to return to" in body
    assert f"http://airflow.test/mlops/{result.blessing.report_uri}" in body
    assert f"http://airflow.test/mlops/{result.version.report_uri}" in body
    assert result.blessing.evidence_digest in body


def test_what_is_declined_is_a_green_end_and_the_same_data_is_not_asked_again(
    house: House, bench: Bench, person: Person
):
    result = bench.run("first", bench.spec(gate=UNDECIDED))
    thread = person.answers("Reject", note="wait for more rows")
    ended = house.run(_dag(result, only_undecided=True))
    thread.join()
    assert ended.states == {"approve": "success", "promote": "skipped"}
    assert ended.result("approve")["note"] == "wait for more rows"
    assert _journal(house) == []
    approval = read_ledger("small", storage=house.platform.storage)[-1]
    assert str(approval) == "Declined by Anonymous: wait for more rows"
    again = bench.run("second", bench.spec(gate=UNDECIDED))
    assert not again.decision.should_retrain
    facts = again.decision.reasons[0].facts
    assert (facts["run"], facts["outcome"]) == ("first", "DECLINED")


def test_nobody_is_asked_of_a_blessed_version_unless_approval_is_required(house: House, bench: Bench):
    result = bench.run("first", bench.spec(promotion={"policy": "hold"}))
    assert result.blessing.is_blessed
    ended = house.run(_dag(result, only_undecided=True))
    assert ended.states == {"approve": "success", "promote": "success"}
    assert ("approve", "return_value") not in ended.xcoms


def _asked_while(house: House, result: Any, person: Person, happens: Any) -> Ended:
    thread = person.answers("Approve", first=happens)
    ended = house.run(_dag(result))
    thread.join()
    return ended


def test_an_approval_is_void_when_the_champion_or_the_evidence_changed_while_it_waited(
    house: House, bench: Bench, person: Person, capsys: pytest.CaptureFixture[str]
):
    first = bench.run("first", bench.spec(promotion={"approval": "required"}))
    assert (first.blessing.is_blessed, first.promotion) == (True, None)

    (evidence,) = [
        file
        for file in (house.folder / "storage" / "evidence" / "small").iterdir()
        if "EvaluationReport" in file.read_text()
    ]
    kept = evidence.read_text()
    changed = _asked_while(house, first, person, lambda: evidence.write_text(kept.replace('"n_rows": ', '"n_rows": 9')))
    assert changed.states == {"approve": "failed", "promote": "upstream_failed"}
    assert "was changed, so an approval by it is void. Nothing was promoted." in capsys.readouterr().out
    evidence.write_text(kept)

    def somebody_promotes() -> None:
        bench.deliver(small_frame(seed=1), "part-2.csv")
        assert bench.run("other").promotion

    overtaken = _asked_while(house, first, person, somebody_promotes)
    assert overtaken.states == {"approve": "failed", "promote": "upstream_failed"}
    assert (
        "compared with no version, version 2 is champion now, so an approval of it is void." in capsys.readouterr().out
    )
    assert [entry.to_version for entry in _journal(house)] == [2]


def test_without_an_answer_in_time_the_version_is_declined_and_a_retry_finds_that(house: House, bench: Bench):
    result = bench.run("first", bench.spec(gate=UNDECIDED))
    dag = _dag(result)
    operator = dag.get_task("approve")
    event = {
        "chosen_options": ["Reject"],
        "params_input": {},
        "responded_at": datetime.datetime.now(datetime.UTC),
        "responded_by_user": None,
        "timedout": True,
    }
    dag_run = SimpleNamespace(dag_id="approval", run_id="r", run_type="manual")
    context = {"ti": SimpleNamespace(try_number=1), "dag_run": dag_run}
    operator.skip_the_rest = lambda *_: None
    approval = Approval.from_dict(operator.execute_complete(context, event))
    assert (approval.is_approved, str(approval)) == (False, "Declined because nobody answered in time.")
    assert operator.execute(context) == approval.to_dict(), "a retry asks nobody again"
