"""Airflow's notifiers tell what happened: here Amazon SNS, which a queue listens to."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from airflow.sdk import DAG, BaseNotifier
from moto.server import ThreadedMotoServer

from airflow_mlops.core.monitoring.drift_report import DriftReport, DriftStatus
from airflow_mlops.core.reason import Reason
from airflow_mlops.operators import (
    ApprovePromotionOperator,
    BlessModelOperator,
    PromoteModelOperator,
    RaiseAlertOperator,
    RollbackModelOperator,
)
from tests.operators.conftest import House, Person
from tests.steps.cases import Bench

SNS = "airflow.providers.amazon.aws.notifications.sns:SnsNotifier"
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
Inbox = Callable[[], list[tuple[str, str]]]


class Broken(BaseNotifier):
    """Fails before it sends anything."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("nobody is there")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, Any], Inbox]]:
    """A notification by SNS, and what was sent since the last check: subject and text."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    where: dict[str, Any] = {
        "endpoint_url": "http://{}:{}".format(*server.get_host_and_port()),
        "region_name": "eu-west-1",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }
    sns, sqs = boto3.client("sns", **where), boto3.client("sqs", **where)
    topic = sns.create_topic(Name="models")["TopicArn"]
    queue = sqs.create_queue(QueueName="people")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    extra = {"endpoint_url": where["endpoint_url"], "region_name": "eu-west-1"}
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_CLOUD", json.dumps(connection))
    settings = {"aws_conn_id": "cloud", "target_arn": topic, "subject": "{{ mlops.subject }}"}

    def inbox() -> list[tuple[str, str]]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        bodies = [json.loads(message["Body"]) for message in found]
        return [(body["Subject"], body["Message"]) for body in bodies]

    yield {"notifier": SNS, "settings": settings | {"message": "{{ mlops.event }}: {{ mlops.text }}"}}, inbox
    server.stop()


def _run(house: House, make: Callable[..., Any], **settings: Any) -> dict[str, str]:
    with DAG("told", start_date=START, schedule=None) as dag:
        make(task_id="task", **settings)
    return house.run(dag).states


def test_a_promotion_a_rejection_and_a_rollback_are_told_with_what_to_do_next(
    house: House, bench: Bench, told: tuple[dict[str, Any], Inbox]
):
    notification, inbox = told
    first = bench.run("first", bench.spec(promotion={"policy": "hold"}))
    second = bench.run("second", bench.spec(promotion={"policy": "hold"}), force=True, params={"alpha": 0.2})
    broken = {"notifier": Broken, "settings": {"text": "{{ mlops.text }}"}}
    candidate = {"version": first.version.to_dict(), "blessing": first.blessing.to_dict()}

    states = _run(house, PromoteModelOperator, notifications=[broken, notification], **candidate)
    assert states == {"task": "success"}, "a notifier that fails undoes nothing"
    ((subject, text),) = inbox()
    assert subject == "small: version 1 is champion"
    assert text.startswith(
        "promoted: Version 1 of small is champion. Before: no version.\nWhy:\n  - Passed: Cold start"
    )
    assert (
        "What to do next: Nothing, if all is well. If it does harm, roll back: trigger the DAG small_rollback." in text
    )

    judged = {"evaluation": second.evaluation.to_dict(), "model": second.model.to_dict()}
    gate = {"metrics": {"mean_absolute_error": {"value_threshold": 0.0001}}, "cold_start": True}
    _run(house, BlessModelOperator, notifications=[notification], gate=gate, **judged)
    ((subject, text),) = inbox()
    assert subject == "small: challenger REJECTED"
    assert "value_threshold 0.0001." in text
    assert text.splitlines()[-1].startswith("http://airflow.test/mlops/reports/told/")

    lenient = {"metrics": {"mean_absolute_error": {"change_threshold": 0.5}}}
    assert bench.run("third", bench.spec(gate=lenient), force=True, params={"alpha": 0.3}).promotion
    settings = {"model_name": "small", "reason": "complaints"}
    only_promotions = notification | {"events": ["promoted"]}
    _run(house, RollbackModelOperator, notifications=[notification, only_promotions], **settings)
    ((subject, text),) = inbox()
    assert subject == "small: rolled back to version 1"
    assert "Version 1 of small is champion again. Version 3 was rolled back from, and does not return." in text
    assert "complaints" in text


MOVED = Reason(stage="monitoring", rule="recorded", recorded="x moved.")


def test_an_alert_is_told_and_no_alert_is_not(house: House, bench: Bench, told: tuple[dict[str, Any], Inbox]):
    notification, inbox = told
    assert bench.run("first").promotion
    drift = {"model_name": "small", "current_digest": "", "reasons": (MOVED,)}
    for status in (DriftStatus.STABLE, DriftStatus.DRIFTED):
        report = DriftReport(status=status, **drift).to_dict()
        settings = {"model_name": "small", "kinds": ("drift",), "drift": report}
        _run(house, RaiseAlertOperator, notifications=[notification], **settings)
    ((subject, text),) = inbox()
    assert subject == "small: alert (drift)"
    assert "Version 1 serves on.\nWhy:\n  - DRIFTED in the last check, " in text
    assert "x moved." in text
    assert "What to do next: Nothing, if the DAG small is scheduled on it: it decides whether to train." in text


def test_a_person_who_is_waited_for_is_told_where_to_answer_and_the_answer_is_told(
    house: House, bench: Bench, person: Person, told: tuple[dict[str, Any], Inbox]
):
    notification, inbox = told
    result = bench.run("first", bench.spec(promotion={"approval": "required"}))
    candidate = {"version": result.version.to_dict(), "blessing": result.blessing.to_dict()}
    thread = person.answers("Reject", note="not on a Friday")
    settings = {"notifications": [notification], "response_timeout": datetime.timedelta(days=3)}
    _run(house, ApprovePromotionOperator, **settings, **candidate)
    thread.join()
    (subject, text), (then, answer) = sorted(inbox())
    assert subject == "Promote version 1 of small? The gate says BLESSED."
    assert "Answer it in Airflow, under Required Actions, within 3 days" in text
    assert "http://airflow.test/dags/told/runs/" in text
    assert then == "small: version 1 declined"
    assert "not on a Friday" in answer
