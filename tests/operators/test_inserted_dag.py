"""A user's own tasks between the tasks of a pipeline, in real runs: they end where the run ends."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_mlops import ContinuousTraining, insert_task
from tests.operators.conftest import Ended, House
from tests.steps.cases import Bench, Left, left_by, small_frame, small_settings

pytestmark = pytest.mark.airflow


def _dag(bench: Bench, outcome: str = "success") -> DAG:
    """Return a pipeline with a task that looks at the split, and one that may keep a version from being promoted."""
    dag = ContinuousTraining.parse(small_settings(bench.inbox)).dag()
    with dag:

        @task
        def count_rows(split: dict[str, Any]) -> int:
            return split["train"]["n_rows"]

        @task
        def ask_the_others(version: dict[str, Any]) -> dict[str, Any]:
            if outcome == "failed":
                raise AirflowFailException("The others say no.")
            if outcome == "skipped":
                raise AirflowSkipException("The others are away.")
            left = left_by(bench.platform, "small")
            return {"version": version["model_version"], "alias": left.alias}

        insert_task(count_rows(dag.get_task("split").output), after="split")
        insert_task(ask_the_others(dag.get_task("register").output), before="promote")
    return dag


@pytest.fixture
def promoted(house: House, bench: Bench) -> Ended:
    return house.run(_dag(bench))


def test_own_tasks_run_in_their_place_and_are_given_what_was_found(house: House, bench: Bench, promoted: Ended):
    assert promoted.state == "success"
    assert set(promoted.states.values()) == {"success"}
    assert promoted.result("count_rows") == promoted.result("split")["train"]["n_rows"]
    assert promoted.result("ask_the_others") == {"version": 1, "alias": None}  # it is asked before the promotion
    assert left_by(bench.platform, "small") == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))

    # the same data again: nothing new, so the run ends before they are asked
    again = house.run(_dag(bench, "failed"))
    assert (again.state, again.states["decide"]) == ("success", "success")
    assert (again.states["count_rows"], again.states["ask_the_others"], again.states["promote"]) == (
        "success",
        "skipped",
        "skipped",
    )

    # a challenger that is not blessed: nobody is asked either
    rejected = house.run(_dag(bench, "failed"), {"alpha": 1e6})
    assert (rejected.state, rejected.result("bless")["verdict"]) == ("success", "REJECTED")
    assert (rejected.states["ask_the_others"], rejected.states["promote"]) == ("skipped", "skipped")


@pytest.mark.parametrize(
    ("outcome", "run", "promote"), [("failed", "failed", "upstream_failed"), ("skipped", "success", "skipped")]
)
def test_nothing_is_promoted_unless_the_task_before_it_succeeds(
    house: House, bench: Bench, outcome: str, run: str, promote: str
):
    ended = house.run(_dag(bench, outcome))
    assert (ended.state, ended.states["ask_the_others"], ended.states["promote"]) == (run, outcome, promote)
    assert ended.tries["ask_the_others"] == 1
    assert left_by(bench.platform, "small") == Left(versions=(1,), alias=None, journal=())


def test_where_the_data_is_halted_no_own_task_runs(house: House, bench: Bench):
    frame = small_frame(start="2021-01-01")
    frame.loc[3, "y"] = None
    bench.deliver(frame)
    halted = house.run(_dag(bench))
    assert halted.state == "failed"
    assert (halted.states["validate"], halted.states["count_rows"], halted.states["ask_the_others"]) == (
        "failed",
        "upstream_failed",
        "upstream_failed",
    )
