"""A new champion starts the DAGs that are scheduled on its model, and nothing else does."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG
from airflow.sdk.definitions.decorators import task

from airflow_mlops import ContinuousTraining, model_asset
from airflow_mlops.core.registry.descriptions import ChampionChange
from tests.operators.conftest import House
from tests.steps.cases import small_frame, small_settings


def asset_events(uri: str = "mlmodel://small") -> list[tuple[str, dict[str, Any]]]:
    """Return what Airflow was told of the asset: which DAG did it, and the extra."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        found = rows.filter(AssetModel.uri == uri).order_by(AssetEvent.id)
        return [(event.source_dag_id, event.extra) for event in found]


def queued_dags() -> list[str]:
    """Return the DAGs that Airflow is about to start because of an asset."""
    from airflow.models.asset import AssetDagRunQueue
    from airflow.utils.session import create_session

    with create_session() as session:
        return [row.target_dag_id for row in session.query(AssetDagRunQueue)]


def test_promotions_and_rollbacks_start_the_dags_that_wait_for_them_and_what_changes_nothing_does_not(house: House):
    (house.folder / "inbox").mkdir()
    small_frame().to_csv(house.folder / "inbox" / "part-1.csv", index=False)
    pipeline = ContinuousTraining.parse(small_settings(house.folder / "inbox"))
    with DAG("downstream", schedule=[model_asset("small")]) as downstream:

        @task
        def read(*, triggering_asset_events: Any = None) -> None:
            """Do nothing."""

        read()
    house.run(downstream)  # which makes it known to Airflow
    before = asset_events()  # of other tests that share this Airflow
    held = house.run(pipeline.dag(), {"promotion": "hold", "alpha": 50.0})
    assert (held.state, held.states["register"], held.states["promote"]) == ("success", "success", "skipped")
    assert (asset_events(), queued_dags()) == (before, [])

    first = house.run(pipeline.dag(), {"force": True, "alpha": 10.0})
    assert queued_dags() == ["downstream"]
    rejected = house.run(pipeline.dag(), {"force": True, "alpha": 1e6})
    assert rejected.states["promote"] == "skipped"
    second = house.run(pipeline.dag(), {"force": True})
    back = house.run(pipeline.rollback_dag(), {"reason": "strange"})
    assert back.state == "success"

    told = asset_events()[len(before) :]
    assert [dag_id for dag_id, _ in told] == ["small", "small", "small_rollback"]
    changes = [ChampionChange.from_dict(extra) for _, extra in told]
    promoted = [run.result("promote")["to_version"] for run in (first, second)]
    assert [change.model_version for change in changes] == [*promoted, promoted[0]]
    assert [change.from_version for change in changes] == [None, *promoted]
    assert [change.action for change in changes] == ["promote", "promote", "rollback"]
    assert changes[0].model_digest == changes[2].model_digest == first.result("register")["model_digest"]
    assert changes[0].metrics == changes[2].metrics
    assert changes[0].metrics["mean_absolute_error"] > changes[1].metrics["mean_absolute_error"]
    assert changes[2].reason == "strange"
