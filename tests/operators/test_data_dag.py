"""What becomes of a run when its data is good, bad, bad in places, or not new."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlops import ContinuousTraining
from airflow_mlops.core.validation.findings import ValidationReport
from airflow_mlops.errors import DataHaltedError, SpecError
from airflow_mlops.operators import SnapshotDatasetOperator, ValidateDataOperator
from airflow_mlops.steps.data.snapshot import load_snapshot
from airflow_mlops.steps.registry.journal import current_champion
from airflow_mlops.steps.registry.ledger import read_decisions
from tests.operators.conftest import Ended, House
from tests.stage import Stage
from tests.steps.cases import Left, left_by, small_frame, small_settings

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "y"}}
CHECKED = ("snapshot", "validate", "split", "check_leakage", "check_drift", "decide")
TRAINED = ("train", "evaluate", "bless", "register", "promote")


def with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[3:5, "y"] = None
    return frame


def deliver(house: House, frame: pd.DataFrame, name: str = "part-1.csv") -> Path:
    inbox = house.folder / "deliveries"
    inbox.mkdir(exist_ok=True)
    frame.to_csv(inbox / name, index=False)
    return inbox


def branching(house: House, frame: pd.DataFrame, **settings: Any) -> DAG:
    """Return a DAG that trains, or opens a ticket."""
    data = {"path": str(deliver(house, frame)), "timestamp": "day"}
    validation = {"expectations": [NOT_NULL], **settings.pop("validation", {})}
    with DAG(dag_id="branching", schedule=None) as dag:
        snapshot = SnapshotDatasetOperator(task_id="snapshot", dataset="small", data=data)
        validate = ValidateDataOperator(task_id="validate", snapshot=snapshot.output, validation=validation, **settings)
        validate >> [EmptyOperator(task_id=name) for name in ("train", "open_ticket")]
    return dag


BRANCHES = {"HALT": "open_ticket", "PROCEED": "train", "RETRAIN": ["train", "open_ticket"]}


def test_a_halt_that_has_a_branch_leads_to_its_task_and_skips_the_others(house: House):
    ended = house.run(branching(house, with_gaps(small_frame()), branches=BRANCHES))
    assert ended.state == "success"
    assert ended.states == {
        "snapshot": "success",
        "validate": "success",
        "open_ticket": "success",
        "train": "skipped",
    }
    assert ended.result("validate")["verdict"] == "HALT"
    assert ("validate", "snapshot") not in ended.xcoms
    assert ended.xcoms["validate", "_link_ReportLink"].endswith(ended.result("validate")["report_uri"])


def test_data_that_proceeds_follows_its_own_branch(house: House):
    ended = house.run(branching(house, small_frame(), branches=BRANCHES))
    assert (ended.states["train"], ended.states["open_ticket"]) == ("success", "skipped")
    assert ended.xcoms["validate", "snapshot"] == ended.result("snapshot")


def test_a_verdict_without_a_branch_goes_on_with_all_tasks_and_a_halt_fails(house: House):
    branches = {"RETRAIN": "open_ticket"}
    good = house.run(branching(house, small_frame(), branches=branches))
    assert (good.states["train"], good.states["open_ticket"]) == ("success", "success")
    bad = house.run(branching(house, with_gaps(small_frame()), branches=branches))
    assert bad.states == {
        "snapshot": "success",
        "validate": "failed",
        "train": "upstream_failed",
        "open_ticket": "upstream_failed",
    }


def test_a_branch_for_a_verdict_that_there_is_not_fails_for_good_before_anything_is_checked(house: House):
    dag = branching(house, small_frame(), branches={"HALTED": "open_ticket"}, retries=2)
    ended = house.run(dag)
    assert (ended.states["validate"], ended.tries["validate"]) == ("failed", 1)
    assert ("validate", "return_value") not in ended.xcoms
    assert not house.platform.storage.names("reports")
    context: Any = {"dag_run": ended.run, "ti": SimpleNamespace(try_number=1)}
    with pytest.raises(AirflowFailException, match=r"branches: 'HALTED' is no verdict. Did you mean 'HALT'") as caught:
        dag.get_task("validate").execute(context)
    assert isinstance(caught.value.__cause__, SpecError)


def test_requests_that_differ_from_what_is_learnt_lead_to_the_branch_for_retraining(house: House):
    asked = house.folder / "requests.csv"
    small_frame().assign(x=lambda frame: frame["x"] + 3).to_csv(asked, index=False)
    serving = {"data": {"path": str(asked)}, "columns": ["x"]}
    ended = house.run(branching(house, small_frame(), validation={"skew": serving}, branches=BRANCHES))
    assert (ended.states["train"], ended.states["open_ticket"]) == ("success", "success")
    report = ValidationReport.from_dict(ended.result("validate"))
    assert [(finding.rule, finding.column) for finding in report.findings] == [("serving_skew", "x")]
    assert report.retrain_reasons
    assert house.platform.storage.names("snapshots") == ["small", "small.serving"]


def test_bad_rows_are_set_aside_and_the_champion_is_traced_to_the_rest_that_it_learnt_from(house: House):
    settings = small_settings(deliver(house, with_gaps(small_frame())))
    settings["validation"]["policy"] = {"rules": {f"{NOT_NULL['type']}:y": "QUARANTINE"}}
    ended = house.run(ContinuousTraining(**settings).dag())
    assert ended.state == "success"
    assert ended.states == dict.fromkeys((*CHECKED, *TRAINED), "success")
    report = ValidationReport.from_dict(ended.result("validate"))
    assert (report.verdict, report.n_rows) == ("QUARANTINE", 300)
    rest = report.require_accepted()
    assert (rest.n_rows, ended.xcoms["validate", "snapshot"]) == (297, rest.to_dict())
    assert ended.result("split")["snapshot_digest"] == rest.digest != report.snapshot_digest

    assert report.quarantine is not None
    bad = pq.read_table(report.quarantine.uri).to_pandas()
    assert pd.to_datetime(bad["day"]).dt.day.tolist() == [4, 5, 6]
    assert all(NOT_NULL["type"] in rules for rules in bad["broken_rules"])

    champion = current_champion("small", platform=house.platform)
    assert champion is not None
    assert champion.snapshot_digest == rest.digest
    traced = load_snapshot(house.platform.storage, "small", champion.snapshot_digest)
    assert traced.source["rest_of"] == report.snapshot_digest


def incremental(house: House, frame: pd.DataFrame) -> DAG:
    settings = small_settings(deliver(house, frame))
    settings["data"] |= {"since_last_snapshot": True}
    return ContinuousTraining(**settings).dag()


def _run_incremental(house: House) -> Ended:
    return house.run(incremental(house, small_frame()))


def test_without_a_new_row_the_snapshot_and_all_after_it_are_skipped_and_the_run_is_green(
    house: House, house_stage: Stage
):
    assert house_stage.after(house, _run_incremental).state == "success"
    dag = incremental(house, small_frame())
    before = left_by(house.platform)
    again = house.run(dag)
    assert again.state == "success"
    assert again.states == dict.fromkeys((*CHECKED, *TRAINED), "skipped")
    assert left_by(house.platform) == before == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
    assert len(read_decisions("small", storage=house.platform.storage)) == 1


def test_a_halted_batch_never_triggers_retraining_and_a_rerun_after_the_fix_does(house: House, house_stage: Stage):
    house_stage.after(house, _run_incremental)
    dag = incremental(house, small_frame())
    before = left_by(house.platform)
    later = "2020-11-01"
    deliver(house, with_gaps(small_frame(start=later)), "part-2.csv")
    for _ in range(2):  # it is taken again, and halts again
        halted: Ended = house.run(dag)
        assert (halted.state, halted.states["validate"]) == ("failed", "failed")
        assert halted.states["decide"] == halted.states["train"] == "upstream_failed"
        with pytest.raises(DataHaltedError, match="y: expect_column_values_to_not_be_null: found 3 of 300"):
            ValidationReport.from_dict(halted.result("validate")).require_accepted()
    assert left_by(house.platform) == before
    assert len(read_decisions("small", storage=house.platform.storage)) == 1

    deliver(house, small_frame(start=later), "part-2.csv")
    mended = house.run(dag)
    assert mended.state == "success"
    assert (mended.result("snapshot")["n_rows"], mended.result("decide")["should_retrain"]) == (300, True)
    assert mended.result("snapshot")["window_start"].startswith("2020-11-01")
    assert mended.states["bless"] == "success"
    assert len(read_decisions("small", storage=house.platform.storage)) == 2
