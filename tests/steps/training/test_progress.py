"""How far a training has come, in the log."""

from __future__ import annotations

import logging
import threading

import pytest

from airflow_mlops.core.training.fit import Progress
from airflow_mlops.steps.training._progress import shown


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "mlops-progress"]


class Lines(logging.Handler):
    """Keeps messages, and lets a test wait for the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.came.set()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch):
    logger, handler = logging.getLogger("airflow_mlops.steps.training._progress"), Lines()
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_long_training_says_how_far_it_has_come(lines: Lines):
    progress = Progress()
    with shown(progress, "estimator=a.B", interval_s=0.01):
        progress(4, 10)
        assert lines.came.wait(30)
    assert lines.messages[0].startswith("training goes on: estimator=a.B elapsed_s=0 done=4 total=10 remaining_s=0")
    assert _threads() == []


def test_a_short_training_says_nothing(lines: Lines):
    with shown(Progress(), "estimator=a.B"):
        assert _threads() == ["mlops-progress"]
    assert lines.messages == []
    assert _threads() == []


def test_no_thread_survives_a_failure(lines: Lines):
    with pytest.raises(ZeroDivisionError), shown(Progress(), "estimator=a.B"):
        raise ZeroDivisionError
    assert _threads() == []
