"""Where a task of one's own comes to stand."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup, task

from airflow_mlops import BatchScoring, ContinuousTraining, insert_task
from airflow_mlops.errors import SpecError
from tests.core.flow_cases import full_scoring, full_settings

pytestmark = pytest.mark.airflow


@pytest.fixture
def dag() -> DAG:
    return ContinuousTraining.parse(full_settings()).dag()


def _empty(dag: DAG, **settings: Any) -> EmptyOperator:
    return EmptyOperator(**{"task_id": "mine", "dag": dag, **settings})


def test_after_a_task_it_holds_up_what_came_right_after(dag: DAG):
    followers = set(dag.get_task("split").downstream_task_ids)
    mine = _empty(dag)
    insert_task(mine, after="split")
    assert mine.upstream_task_ids == {"split"}
    assert mine.downstream_task_ids == followers
    assert dag.get_task("split").downstream_task_ids == followers | {"mine"}


def test_before_a_task_it_waits_for_what_that_one_waits_for(dag: DAG):
    needed = set(dag.get_task("promote").upstream_task_ids)
    mine = _empty(dag)
    insert_task(mine, before="promote")
    assert needed >= {"bless", "register", "approve", "analyse_canary"}
    assert mine.upstream_task_ids == needed
    assert mine.downstream_task_ids == {"promote"}


def test_between_two_tasks_it_stands_beside_what_is_there(dag: DAG):
    mine = _empty(dag)
    insert_task(mine, after="split", before="train")
    assert (mine.upstream_task_ids, mine.downstream_task_ids) == ({"split"}, {"train"})


def test_two_before_the_same_task_follow_each_other(dag: DAG):
    for name in ("first", "second"):
        insert_task(_empty(dag, task_id=name), before="promote")
    assert "first" in dag.get_task("second").upstream_task_ids
    assert {"first", "second"} <= dag.get_task("promote").upstream_task_ids


def test_a_decorated_function_takes_the_result_of_a_task(dag: DAG):
    @task
    def mine(version: dict[str, Any]) -> None: ...

    with dag:
        insert_task(mine(dag.get_task("register").output), before="promote")
    assert dag.get_task("mine").upstream_task_ids == dag.get_task("promote").upstream_task_ids - {"mine"}


def test_a_group_is_inserted_from_its_first_to_its_last_tasks(dag: DAG):
    with dag, TaskGroup("mine") as group:
        a, b, c = (EmptyOperator(task_id=name) for name in "abc")
        a >> [b, c]
    insert_task(group, after="validate", before="split")
    assert a.upstream_task_ids == {"validate"}
    assert b.upstream_task_ids == c.upstream_task_ids == {"mine.a"}
    assert dag.get_task("split").upstream_task_ids == {"validate", "mine.b", "mine.c"}


def test_any_pipeline_s_dag_takes_it():
    dag = BatchScoring.parse(full_scoring()).dag()
    insert_task(_empty(dag), before="predict")
    assert dag.get_task("predict").upstream_task_ids == {"validate", "mine"}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({}, "say where it belongs"),
        ({"after": "splitt"}, r"full has no task 'splitt'\. Did you mean 'split'\?"),
        ({"after": "promote", "before": "split"}, "'split' does not come after 'promote' in full"),
    ],
)
def test_a_place_that_is_none_is_refused(dag: DAG, where: dict[str, str], said: str):
    with pytest.raises(SpecError, match=said):
        insert_task(_empty(dag), **where)


@pytest.mark.parametrize("rule", ["all_done", "one_success", "always", "none_failed"])
def test_a_rule_by_which_it_would_run_where_the_run_has_ended_is_refused(dag: DAG, rule: str):
    with pytest.raises(SpecError, match=rf"mine: with trigger_rule '{rule}' it would run where the run has ended"):
        insert_task(_empty(dag, trigger_rule=rule), before="promote")
    assert "mine" not in dag.get_task("promote").upstream_task_ids


def test_a_task_in_no_dag_is_refused():
    with pytest.raises(SpecError, match="mine: is in no DAG"):
        insert_task(EmptyOperator(task_id="mine"), before="promote")


@pytest.mark.parametrize("place", [{"after": "mine"}, {"before": "mine"}])
def test_a_task_is_not_put_beside_itself(dag: DAG, place: dict[str, str]):
    mine = _empty(dag)
    with pytest.raises(SpecError, match=r"^mine: it would run in a circle with 'mine'"):
        insert_task(mine, **place)


def test_a_task_that_is_linked_already_is_not_put_where_the_links_would_be_a_circle(dag: DAG):
    train = dag.get_task("train")
    linked = set(train.upstream_task_ids), set(train.downstream_task_ids)
    with pytest.raises(SpecError, match=r"^train: it would run in a circle with 'evaluate'"):
        insert_task(train, after="evaluate")
    assert (train.upstream_task_ids, train.downstream_task_ids) == linked


@pytest.mark.parametrize("thing", [None, "mine", [], EmptyOperator])
def test_what_is_no_task_is_refused_with_what_is_taken(thing: Any):
    with pytest.raises(SpecError, match="takes one operator"):
        insert_task(thing, after="split")
