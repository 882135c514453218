"""``ServingCheckOperator`` in a DAG, with a real server."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_mlops.core.packaging.serving_check import (
    Answer,
    AnswerFault,
    ServingCheckReport,
    ServingFootprint,
    judge_answers,
)
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import ServingCheckError
from airflow_mlops.operators import ServingCheckOperator
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.train import train_model
from tests.operators.conftest import House
from tests.steps.cases import Bench, small_frame


def _documents(house: House) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train, and return what the tasks for it would have left."""
    inbox, platform = house.folder / "inbox", house.platform
    inbox.mkdir()
    bench = Bench(platform, inbox)
    bench.deliver(small_frame())
    spec = bench.spec()
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=platform.storage)
    split = split_dataset(snapshot, spec.data, spec.split, storage=platform.storage)
    run = PipelineRun(pipeline="serving_check", run_id="before")
    model = train_model(split, spec.training, model_name="small", platform=platform, run=run)
    return model.to_dict(), split.to_dict()


def test_a_model_beyond_its_budget_fails_the_task_for_good_with_its_report_as_the_result(house: House):
    model, split = _documents(house)
    with DAG("serving_check", start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), schedule=None) as dag:
        ServingCheckOperator(
            task_id="check_serving",
            model=model,
            split=split,
            serving_check={"n_requests": 20, "batch_rows": 100, "max_size_mb": "{{ params.megabytes }}"},
            retries=2,
            params={"megabytes": 1e-6},
        )
    ended = house.run(dag)
    assert ended.states == {"check_serving": "failed"}
    assert ended.tries == {"check_serving": 1}
    report = ServingCheckReport.from_dict(ended.result("check_serving"))
    assert [check.name for check in report.checks if not check.passed] == ["size_mb"]
    assert (
        json.loads(house.platform.storage.path(report.report_uri).with_suffix(".json").read_text()) == report.to_dict()
    )
    link = ended.xcoms["check_serving", "_link_ReportLink"]
    assert link == f"http://airflow.test/mlops/{report.report_uri}"


def _bad_report() -> ServingCheckReport:
    fault = AnswerFault(kind="status", status=500)
    return ServingCheckReport(
        model_name="small",
        model_uri="models:/m-1",
        model_digest="sha256:m",
        split_digest="sha256:s",
        settings_digest="sha256:t",
        env_manager="local",
        n_golden_rows=1,
        checks=(judge_answers("golden_rows", [Answer(status=500)], fault, expected="predictions"),),
        footprint=ServingFootprint(),
    )


@pytest.mark.parametrize("on_failure", ["fail", "Report"])
def test_a_bad_report_fails_unless_it_is_only_to_be_reported(on_failure: Any):
    operator = ServingCheckOperator(task_id="t", model={}, split={}, on_failure=on_failure)
    with pytest.raises(ServingCheckError, match="golden_rows: found HTTP status 500, expected the model's own"):
        operator.conclude(_bad_report(), {})


def test_a_bad_report_goes_on_to_a_gate_that_judges_it():
    ServingCheckOperator(task_id="t", model={}, split={}, on_failure="report").conclude(_bad_report(), {})
