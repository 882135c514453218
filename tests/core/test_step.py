from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_mlops.core.step import End, Step, named, steps_of


def _step(name: str, **settings: object) -> Step:
    return Step(**{"name": name, "stage": "data", "does": "", "operator": "", "gives": name, **settings})


def test_a_step_is_left_out_where_the_spec_has_not_what_it_is_for():
    flow = (_step("always"), _step("sometimes", only_with="search.space"))
    assert [step.name for step in steps_of(flow, SimpleNamespace(search=SimpleNamespace(space={})))] == ["always"]
    assert steps_of(flow, SimpleNamespace(search=SimpleNamespace(space={"a": 1}))) == list(flow)


def test_a_result_ends_the_run_only_by_an_end_that_is_no_failure_and_can_be_told_from_it():
    ends = (
        End(when="declined"),
        End(when="HALT", fails=True, found=lambda result: True),
        End(when="nothing new", found=lambda result: result == "nothing"),
    )
    step = _step("decide", ends=ends)
    assert step.is_over("nothing")
    assert not step.is_over("something")
    assert not _step("other").is_over("nothing")


@pytest.mark.parametrize(("fails", "said"), [(True, "HALT: the run fails"), (False, "HALT: the rest is skipped")])
def test_an_end_says_what_follows(fails: bool, said: str):
    assert str(End(when="HALT", fails=fails)) == said


def test_a_step_that_takes_a_runner_may_run_elsewhere():
    assert _step("train", settings=named("runner")).runs_elsewhere
    assert not _step("split", settings=named("data")).runs_elsewhere
