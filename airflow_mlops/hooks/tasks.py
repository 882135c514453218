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
    trigger = str(getattr(dag_run.run_type, "value", dag_run.run_type))
    return PipelineRun(
        pipeline=dag_run.dag_id,
        run_id=dag_run.run_id,
        trigger=trigger,
        actor=actor,
        try_number=context["ti"].try_number,
    )


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
