"""What a task is to this package: a run that it is part of, and failures that Airflow retries or not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_mlops.errors import MlopsError, NothingNewError, UnavailableError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.values import PipelineRun

__all__ = ["failures_for_airflow", "pipeline_run"]


def pipeline_run(context: Context) -> PipelineRun:
    """Return the identity of the DAG run, which is the same on every try, and which try this is."""
    from airflow_mlops.core.values import PipelineRun

    dag_run = context["dag_run"]
    actor = getattr(dag_run, "triggering_user_name", None) or "airflow"
    return PipelineRun(
        pipeline=dag_run.dag_id,
        run_id=dag_run.run_id,
        trigger=_trigger(context),
        actor=actor,
        try_number=context["ti"].try_number,
    )


def _trigger(context: Context) -> str:
    """Return what started the run: of a run that assets started, what each of them stands for."""
    kind = context["dag_run"].run_type
    run_type = str(getattr(kind, "value", kind))
    if run_type != "asset_triggered":
        return run_type
    names: set[str] = set()
    for asset, events in context["triggering_asset_events"].items():
        for event in events:
            extra = event.extra or {}
            if extra.get("kind") == "MonitoringDecision":
                names.update(extra["kinds"])
            else:
                names.add("new_data" if "from_trigger" in extra else str(getattr(asset, "name", asset)))
    return ", ".join(sorted(names)) or run_type


@contextlib.contextmanager
def failures_for_airflow() -> Iterator[None]:
    """Translate: an outage may be retried, a verdict or a mistake may not, and nothing new is no failure."""
    try:
        yield
    except UnavailableError:
        raise
    except NothingNewError as error:
        raise AirflowSkipException(str(error)) from error
    except MlopsError as error:
        raise AirflowFailException(str(error)) from error
