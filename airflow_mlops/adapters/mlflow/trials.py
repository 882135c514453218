"""MLflow: one run for a search, and one below it for each of its trials."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.core.training.tuning import Trial, TuningResult

__all__ = ["TrialRuns"]

_NUMBER = "mlops.trial"
_STATUS = {"FINISHED": "FINISHED", "PRUNED": "FINISHED", "FAILED": "FAILED", "ABANDONED": "KILLED"}
_MAX_TEXT = 500
_MAX_OPEN = 1000


class TrialRuns(Mlflow):
    """The runs of searches, on the same server. A trial costs three requests."""

    def open_search(self, experiment: str, *, name: str, fingerprint: str, tags: Mapping[str, str]) -> Run:
        """Open the run of a search. One that was opened and then forgotten is marked as killed."""
        identity = {"mlops.tuning": fingerprint}
        self.end_abandoned_runs(experiment, identity)
        with self.start_run(experiment, name=name, tags=identity | dict(tags)) as run:
            pass  # that has made the experiment, too
        with self._session() as client:
            client.update_run(run.info.run_id, status="RUNNING")
        return run

    def find_search(self, run_id: str) -> Run | None:
        """Return the run of a search that was opened before; ``None`` when somebody has deleted it since."""
        with self._session() as client:
            try:
                run = client.get_run(run_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None
        return run if run.info.lifecycle_stage == "active" else None

    def open_trial(self, search: Run, trial: Trial) -> str:
        """Open the run of a trial, and return its id."""
        tags = {"mlflow.parentRunId": search.info.run_id, _NUMBER: str(trial.number), "mlops.worker": trial.worker}
        with self._session() as client:
            run = client.create_run(search.info.experiment_id, run_name=f"trial {trial.number}", tags=tags)
        return str(run.info.run_id)

    def end_trial(self, run_id: str, trial: Trial) -> None:
        """Log how a trial ended, in one batch, and end its run."""
        now = int(time.time() * 1000)
        metrics = [Metric("fold_score", score, now, fold) for fold, score in enumerate(trial.scores, start=1)]
        if trial.scores:
            metrics.append(Metric("score", trial.score, now, 0))
        metrics.append(Metric("seconds", trial.seconds, now, 0))
        tags = {"mlops.state": trial.state, **({"mlops.error": trial.error[:_MAX_TEXT]} if trial.error else {})}
        with self._session() as client:
            client.log_batch(
                run_id,
                metrics=metrics,
                params=[Param(name, _as_text(value)) for name, value in trial.params.items()],
                tags=[RunTag(name, value) for name, value in tags.items()],
            )
            client.set_terminated(run_id, status=_STATUS[trial.state])

    def open_trials(self, search: Run) -> dict[str, int]:
        """Return the runs of trials that have not ended, and the trials' numbers."""
        wanted = f"status = 'RUNNING' and tags.`mlflow.parentRunId` = '{search.info.run_id}'"
        with self._session() as client:
            found = client.search_runs([search.info.experiment_id], wanted, max_results=_MAX_OPEN)
        return {run.info.run_id: int(run.data.tags[_NUMBER]) for run in found}

    def end_search(self, result: TuningResult) -> None:
        """Log what came of a search, and end its run."""
        now = int(time.time() * 1000)
        figures = {
            "best_score": result.best_score,
            "default_score": result.default_score,
            "seconds": result.seconds,
            "n_finished": result.n_finished,
            "n_pruned": result.n_pruned,
            "n_failed": result.n_failed,
        }
        metrics = [Metric(name, float(value), now, 0) for name, value in figures.items() if value is not None]
        tags = {"mlops.best_params": json.dumps(result.best_params), "mlops.best_trial": str(result.best_trial)}
        with self._session() as client:
            client.log_batch(result.run_id, metrics=metrics, tags=[RunTag(name, value) for name, value in tags.items()])
            client.set_terminated(result.run_id, status="FINISHED")

    def fail_search(self, search: Run) -> None:
        """End the run of a search that nothing came of."""
        with self._session() as client:
            client.set_terminated(search.info.run_id, status="FAILED")


def _as_text(value: Any) -> str:
    return str(value)[:_MAX_TEXT]
