"""``dags/co2_by_hand.py``: the operators one by one, after a sensor that waits in the triggerer."""

from __future__ import annotations

from airflow_mlops.hooks.platform import get_watermark
from include.demo import co2_data
from tests.operators.conftest import Ended, House, load_dag_file
from tests.stage import Stage
from tests.steps.cases import Left, left_by

TASKS = ("wait", "snapshot", "validate", "split", "train", "evaluate", "bless", "register", "promote")


def _dag_that_looks_often():
    dag = load_dag_file("co2_by_hand").dag
    dag.get_task("wait").poke_interval = 0.01
    return dag


def _run(house: House) -> Ended:
    co2_data.deliver(co2_data.weeks(1965, 2001), house.inbox, "1965.csv")
    return house.run(_dag_that_looks_often())


def test_the_operators_by_hand_wait_for_a_file_and_end_with_a_champion(house: House, house_stage: Stage):
    ended: Ended = house_stage.after(house, _run)
    file = house.inbox / "1965.csv"
    assert ended.state == "success"
    assert ended.states == dict.fromkeys(TASKS, "success")
    assert ended.result("wait") == {"files": [str(file)], "n_files": 1}
    assert list(get_watermark("co2_by_hand.wait").handled()) == [str(file)]
    assert ended.result("promote")["to_version"] == 1
    assert left_by(house.platform, "co2_by_hand") == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))


def test_the_window_comes_from_the_trigger_form_through_a_macro(house: House):
    co2_data.deliver(co2_data.weeks(1965, 2001), house.inbox, "1965.csv")
    ended = house.run(_dag_that_looks_often(), {"until": "2000-01-01", "years": 25})
    snapshot = ended.result("snapshot")
    assert snapshot["window_start"].startswith("1975-01-04")
    assert snapshot["window_end"].startswith("1999-12-25")
    assert snapshot["dataset"] == "co2_by_hand"


def test_a_challenger_that_is_not_blessed_fails_where_the_dag_asks_for_it(house: House, house_stage: Stage):
    house_stage.after(house, _run)
    dag = _dag_that_looks_often()
    before = left_by(house.platform, "co2_by_hand")
    co2_data.deliver(co2_data.weeks(1965, 2001), house.inbox, "1965.csv")
    train = dag.get_task("train")
    train.training = train.training | {"params": {"alpha": 1e6}}
    ended = house.run(dag)
    assert ended.state == "failed"
    assert ended.states["bless"] == "failed"
    assert ended.tries["bless"] == 1
    assert (ended.states["register"], ended.states["promote"]) == ("upstream_failed", "upstream_failed")
    assert ended.result("bless")["verdict"] == "REJECTED"
    assert left_by(house.platform, "co2_by_hand") == before
