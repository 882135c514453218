"""Tuning: search for hyperparameters on the training part alone, before the model is trained."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_mlops.adapters.mlflow.trials import TrialRuns
from airflow_mlops.adapters.sklearn.scorers import make_scorer
from airflow_mlops.adapters.user_code.load import make_estimator
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.tuning import (
    Trial,
    TuningResult,
    best_of,
    check_space,
    counted,
    remaining_s,
    seconds_of,
    summarise,
    tuning_fingerprint,
)
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import EvaluationError, MlopsError, SpecError, TrainingError, UnavailableError
from airflow_mlops.extras import importing
from airflow_mlops.pages.tuning import tuning_page
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.tune import TuningSpec
from airflow_mlops.steps.platform import Platform, folder_name, short
from airflow_mlops.steps.training._trials import Examiner, read_trial_evaluator
from airflow_mlops.steps.training.train import training_fingerprint

if TYPE_CHECKING:
    from airflow_mlops.adapters.optuna import Study

__all__ = ["tune_model"]

log = logging.getLogger(__name__)

_REPORT = "tuning"
_RUN_ID = "run_id"


def tune_model(
    split: DatasetSplit,
    training: TrainingSpec,
    tuning: TuningSpec,
    *,
    model_name: str,
    platform: Platform,
    run: PipelineRun,
    worker: int | str = 0,
) -> TuningResult:
    """Search for hyperparameters, and return the best ones that were found.

    The same rows, code, parameters and settings are one search, whoever calls: it goes on from the trials that have
    ended, and returns at once when there is nothing left to try. Workers that are at it at the same time share the
    budget of trials, and each of them returns when the last trial has ended.

    :param worker: whose trials these are, where several share a search; each has the budget of time for itself.
    :raises MissingExtraError: when Optuna is not installed.
    :raises SpecError: when the space, the metric or the parameters don't fit the training.
    :raises DataError: when the folds can't be made.
    :raises TrainingError: when no trial finished.
    """
    with importing("tuning", asked_by="tuning"):
        from airflow_mlops.adapters.optuna import Study

    _check_settings(split, training, tuning)
    fingerprint = tuning_fingerprint(training_fingerprint(split, training), tuning)
    folder = platform.storage.path("tuning", folder_name(model_name), short(fingerprint))
    runs = TrialRuns(platform.mlflow.tracking_uri, platform.mlflow.headers)
    with Study(folder, tuning, defaults=training.params, worker=str(worker)) as study:
        search = _Search(
            split=split,
            training=training,
            tuning=tuning,
            model_name=model_name,
            fingerprint=fingerprint,
            worker=str(worker),
            study=study,
            runs=runs,
            tracked=_tracked(study, runs, model_name, fingerprint, split, run),
        )
        try:
            search.go_on()
            return search.conclude(platform, run)
        except UnavailableError:
            raise  # the retry goes on
        except MlopsError:
            runs.fail_search(search.tracked)
            raise


def _check_settings(split: DatasetSplit, training: TrainingSpec, tuning: TuningSpec) -> None:
    """Refuse what every trial would fail by."""
    check_space(tuning, training)
    make_scorer(tuning.metric)
    if training.estimator:
        make_estimator(training)
    if tuning.pruning != "none" and split.validation:
        raise SpecError(
            "tuning.pruning compares trials fold by fold, and this split has a validation part in place of folds. "
            "Nothing was tried. Set tuning.pruning: none, or split.validation_fraction: 0."
        )


@dataclass(frozen=True, kw_only=True)
class _Search:
    split: DatasetSplit
    training: TrainingSpec
    tuning: TuningSpec
    model_name: str
    fingerprint: str
    worker: str
    study: Study
    runs: TrialRuns
    tracked: Any

    def go_on(self) -> None:
        """Try until the budget is spent."""
        trial_evaluator = None
        while (trial := self.study.claim()) is not None:
            trial_evaluator = trial_evaluator or read_trial_evaluator(self.split, self.training, self.tuning)
            run_id = self.runs.open_trial(self.tracked, trial)
            ended = self._try(trial, trial_evaluator)
            self.study.settle(ended)
            self.runs.end_trial(run_id, ended)
            self._log_progress(ended)

    def _try(self, trial: Trial, trial_evaluator: Examiner) -> Trial:
        """Score a trial. What can't be fitted or scored ends the trial, and not the search."""
        started, scores = time.perf_counter(), list[float]()
        outcome: dict[str, Any] = {"state": "FINISHED"}
        try:
            for score in trial_evaluator.scores(trial.params):
                scores.append(score)
                so_far = replace(trial, scores=tuple(scores))
                if len(scores) < trial_evaluator.n_folds and self._should_stop(so_far):
                    outcome = {"state": "PRUNED"}
                    break
        except (TrainingError, EvaluationError, SpecError) as error:
            outcome = {"state": "FAILED", "error": str(error)}
            log.warning("trial failed: trial=%d params=%s error=%s", trial.number, trial.params, error)
        return replace(trial, scores=tuple(scores), seconds=time.perf_counter() - started, **outcome)

    def _should_stop(self, so_far: Trial) -> bool:
        return self.tuning.pruning != "none" and self.study.should_stop(so_far)

    def _log_progress(self, trial: Trial) -> None:
        trials = self.study.trials()
        best = best_of(trials)
        log.info(
            "tuning: ended=%d/%d trial=%d state=%s score=%.6g best=%.6g elapsed_s=%.1f remaining_s=%.1f params=%s",
            sum(each.state != "RUNNING" for each in counted(trials)),
            self.tuning.n_trials,
            trial.number,
            trial.state,
            trial.score,
            best.score if best else float("nan"),
            seconds_of(trials, self.worker),
            remaining_s(trials, self.tuning, worker=self.worker),
            trial.params,
        )

    def conclude(self, platform: Platform, run: PipelineRun) -> TuningResult:
        """Say what came of it, and record it."""
        trials = self.study.trials()
        self._end_runs_of_the_dead(trials)
        result = summarise(
            trials,
            model_name=self.model_name,
            fingerprint=self.fingerprint,
            split_digest=self.split.digest,
            training=self.training,
            tuning=self.tuning,
            run_id=self.tracked.info.run_id,
            run_url=self.runs.run_url(self.tracked.info.experiment_id, self.tracked.info.run_id),
            report_uri=platform.report_uri(run, _REPORT),
        )
        self.runs.end_search(result)
        platform.record(run, _REPORT, result, tuning_page(result, trials))
        counts = f"n_finished={result.n_finished} n_pruned={result.n_pruned} n_failed={result.n_failed}"
        log.info(
            "tuned: best=%.6g default=%s trial=%d %s",
            result.best_score,
            result.default_score,
            result.best_trial,
            counts,
        )
        return result

    def _end_runs_of_the_dead(self, trials: tuple[Trial, ...]) -> None:
        """End the MLflow runs of trials that have ended, but whose process did not come to say so."""
        ended = {trial.number: trial for trial in trials if trial.state != "RUNNING"}
        for run_id, number in self.runs.open_trials(self.tracked).items():
            if number in ended:
                self.runs.end_trial(run_id, ended[number])


def _tracked(
    study: Study, runs: TrialRuns, model_name: str, fingerprint: str, split: DatasetSplit, run: PipelineRun
) -> Any:
    """Return the MLflow run of the search, which whoever comes first opens."""
    with study.exclusively():
        known = study.note(_RUN_ID)
        found = runs.find_search(known) if known else None
        if found:
            return found
        lineage = {
            "mlops.snapshot_digest": split.snapshot_digest,
            "mlops.split_digest": split.digest,
            "mlops.pipeline": run.pipeline,
            "mlops.pipeline_run": run.run_id,
        }
        opened = runs.open_search(model_name, name=f"tuning {run.run_id}", fingerprint=fingerprint, tags=lineage)
        study.write_note(_RUN_ID, opened.info.run_id)
        return opened
