from __future__ import annotations

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import NotificationSpec

SLACK = "airflow.providers.slack.notifications.slack.SlackNotifier"


def test_everything_is_told_unless_it_is_said_of_what():
    spec = NotificationSpec(notifier=SLACK, settings={"text": "{{ mlops.text }}"})
    assert spec.events == ("promoted", "rejected", "rolled_back", "waiting_for_approval", "alert")


def test_a_class_is_kept_as_its_import_path():
    assert NotificationSpec(notifier=NotificationSpec, settings={"text": "{{ mlops.text }}"}).notifier == (
        "airflow_mlops.specs.notify:NotificationSpec"
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"settings": {"text": "hello"}}, r"no setting says what happened; use \{\{ mlops.text \}\}"),
        ({"settings": {"text": "{{ mlops.text }}"}, "events": ["promotion"]}, r"events\.0: .*'promoted'"),
        ({"settings": {"text": "{{ mlops.text }}"}, "notifier": "slack"}, "notifier"),
    ],
)
def test_what_would_tell_nothing_is_refused(settings: dict[str, object], said: str):
    with pytest.raises(SpecError, match=said):
        NotificationSpec.parse({"notifier": SLACK, **settings})
