"""A task of your own between the tasks of a pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_mlops.errors import SpecError, bounded, did_you_mean

if TYPE_CHECKING:
    from airflow.sdk import DAG, BaseOperator, TaskGroup, XComArg

__all__ = ["insert_task"]


def insert_task(
    task: BaseOperator | XComArg | TaskGroup, *, after: str | None = None, before: str | None = None
) -> None:
    """Put a task of your own, or a group of them, between the tasks of a pipeline's DAG.

    With ``after`` alone, whatever comes right after that task waits for yours too. With ``before`` alone, yours waits
    for whatever that task waits for. With both, it stands between these two, beside what is there.

    It is part of the run like every other task: where the run ends before it, it is skipped, and where it fails or is
    skipped, so is what comes after. So a task before ``promote`` runs only for what the gate has blessed, and for what
    was approved and tried where the pipeline asks for that; and nothing is promoted unless it succeeds.

    :param task: made inside ``with dag:``; an operator, what a function with ``@task`` gave, or a task group.
    :param after: the id of a task, such as ``split``.
    :param before: the id of a task, such as ``promote``.
    :raises SpecError: when there is no such task in its DAG, the two are in the wrong order, it would run in a circle,
        or it would run where the
        run has ended, by a trigger rule other than ``all_success``.
    """
    tasks = _tasks_in(task)
    dag = _dag_of(tasks)
    first, last = _find(dag, after), _find(dag, before)
    _check_rules(tasks)
    own = {each.task_id for each in tasks}
    if first and last and last.task_id not in first.get_flat_relative_ids(upstream=False):
        raise SpecError(f"{_own_name(tasks)}: {before!r} does not come after {after!r} in {dag.dag_id}.")
    if first is None and last is None:
        raise SpecError(f"{_own_name(tasks)}: say where it belongs: `after` or `before` which task of {dag.dag_id}.")
    earlier = [first] if first else [each for each in last.upstream_list if each.task_id not in own]
    later = [last] if last else [each for each in first.downstream_list if each.task_id not in own]
    _check_order(tasks, earlier, later)
    _link(earlier, _starts(tasks, own))
    _link(_ends(tasks, own), later)


def _own_name(tasks: list[Any]) -> str:
    """Return how a message names what is inserted."""
    return ", ".join(each.task_id for each in tasks[:10])


def _tasks_in(task: Any) -> list[Any]:
    if isinstance(task, type) or not hasattr(task, "roots"):
        raise SpecError(
            f"insert_task takes one operator, what a function with @task gave, or a task group, not "
            f"{bounded([task])}. Several tasks make a group."
        )
    return list(task.iter_tasks()) if hasattr(task, "iter_tasks") else list(task.roots)


def _dag_of(tasks: list[Any]) -> DAG:
    dags = {each.dag.dag_id: each.dag for each in tasks if each.has_dag()}
    if len(dags) != 1:
        raise SpecError(f"{_own_name(tasks) or 'The group'}: is in no DAG. Make it inside `with dag:`.")
    (dag,) = dags.values()
    found: DAG = dag
    return found


def _find(dag: DAG, task_id: str | None) -> Any:
    if task_id is None:
        return None
    if not dag.has_task(task_id):
        known = sorted(dag.task_ids)
        raise SpecError(
            f"{dag.dag_id} has no task {task_id!r}.{did_you_mean(task_id, known)} It has: {bounded(known)}. What a "
            f"spec does not ask for is left out."
        )
    return dag.get_task(task_id)


def _check_rules(tasks: Iterable[Any]) -> None:
    for each in tasks:
        if not each.is_teardown and each.trigger_rule != "all_success":
            raise SpecError(
                f"{each.task_id}: with trigger_rule '{each.trigger_rule.value}' it would run where the run has ended, "
                f"and what comes after it would go on. Between the tasks of a pipeline only 'all_success' is taken. "
                f"Nothing was inserted."
            )


def _check_order(tasks: list[Any], earlier: list[Any], later: list[Any]) -> None:
    """Refuse what would run in a circle, such as a task of the pipeline itself, or one that is inserted twice."""
    own = {each.task_id for each in tasks}
    before, after = (
        own.union(*(each.get_flat_relative_ids(upstream=upstream) for each in tasks)) for upstream in (True, False)
    )
    wrong = [each.task_id for each in earlier if each.task_id in after]
    wrong += [each.task_id for each in later if each.task_id in before]
    if wrong:
        raise SpecError(
            f"{_own_name(tasks)}: it would run in a circle with {bounded(wrong)}, by what it is linked with already. "
            f"Nothing was inserted."
        )


def _starts(tasks: list[Any], own: set[str]) -> list[Any]:
    return [each for each in tasks if not own & each.upstream_task_ids]


def _ends(tasks: list[Any], own: set[str]) -> list[Any]:
    return [each for each in tasks if not each.is_teardown and not _goes_on(each, own)]


def _goes_on(task: Any, own: set[str]) -> bool:
    return any(each.task_id in own and not each.is_teardown for each in task.downstream_list)


def _link(earlier: list[Any], later: list[Any]) -> None:
    for upstream in earlier:
        for downstream in later:
            if upstream.task_id not in downstream.upstream_task_ids:  # such as by an XCom that it takes
                downstream.set_upstream(upstream)
