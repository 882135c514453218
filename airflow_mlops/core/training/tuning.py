"""A search for hyperparameters: its budget, its trials and what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from airflow_mlops.core.training.model import merge_params
from airflow_mlops.core.values import Value, digest_of
from airflow_mlops.errors import SpecError, TrainingError, bounded, did_you_mean
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.tune import TuningSpec

__all__ = [
    "Trial",
    "TuningResult",
    "best_of",
    "check_space",
    "counted",
    "has_budget",
    "keep_chosen",
    "next_place",
    "remaining_s",
    "seconds_of",
    "summarise",
    "trial_seed",
    "tuning_fingerprint",
]

State = Literal["RUNNING", "FINISHED", "PRUNED", "FAILED", "ABANDONED"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Some hyperparameters, and how well they did.

    :param number: from 0, in the order of their beginning.
    :param place: in the budget, from 0; that of an abandoned trial is taken again. What is drawn depends on it.
    :param params: the hyperparameters of the space; the others are those of the training.
    :param scores: by fold; higher is better.
    :param state: ``ABANDONED`` when its process died.
    """

    number: int
    place: int
    params: dict[str, Any]
    state: State = "RUNNING"
    scores: tuple[float, ...] = ()
    seconds: float = 0.0
    worker: str = ""
    error: str = ""

    @property
    def score(self) -> float:
        """The mean of the folds' scores; NaN where there is none."""
        return float(np.mean(self.scores)) if self.scores else float("nan")

    @property
    def is_default(self) -> bool:
        """Whether these are the training's own hyperparameters."""
        return self.place == 0


@dataclass(frozen=True, kw_only=True)
class TuningResult(Value):
    """What a search found.

    :param fingerprint: of rows, code, parameters and the search itself; the same one is searched once.
    :param best_params: all hyperparameters to train with: those of the best trial, and the others as they were.
    :param default_score: of the hyperparameters that the training had; ``None`` when they failed.
    :param n_folds: that each trial was scored on; 1 where the split has a validation part.
    :param n_trials: the budget.
    :param seconds: of all trials together.
    """

    model_name: str
    fingerprint: str
    split_digest: str
    metric: str
    best_params: dict[str, Any]
    best_score: float
    best_trial: int
    default_score: float | None
    n_folds: int
    n_trials: int
    n_finished: int
    n_pruned: int
    n_failed: int
    seconds: float
    run_id: str
    run_url: str = ""
    report_uri: str = ""


def tuning_fingerprint(training_fingerprint: str, tuning: TuningSpec) -> str:
    """Return the digest of everything that the result of a search depends on.

    :param training_fingerprint: of rows, code and parameters.
    """
    return digest_of([training_fingerprint, tuning.model_dump(mode="json")])


def check_space(tuning: TuningSpec, training: TrainingSpec) -> None:
    """See that what is searched for is a hyperparameter of the training.

    :raises SpecError: when a name is not in ``training.params``, whose values are the first trial.
    """
    for name in tuning.space:
        if name not in training.params:
            raise SpecError(
                f"tuning.space.{name}: is not among training.params ({bounded(sorted(training.params))})."
                f"{did_you_mean(name, training.params)} Nothing was tried. Add it there with the value that is to be "
                f"tried first."
            )


def keep_chosen(
    training: TrainingSpec, tuning: TuningSpec, chosen: Mapping[str, Any]
) -> tuple[TrainingSpec, TuningSpec]:
    """Return both without a search for the hyperparameters that a person has chosen.

    :param chosen: by name; a value that is the spec's own was not chosen. When nothing is left to search for, one
        trial scores what was chosen.
    :raises SpecError: when a name is not one of the training's.
    """
    fixed = {name for name, value in chosen.items() if training.params.get(name, value) != value}
    space = {name: dimension for name, dimension in tuning.space.items() if name not in fixed}
    budget = {} if space else {"n_trials": 1}
    return merge_params(training, chosen), tuning.model_copy(update={"space": space, **budget})


def trial_seed(seed: int, place: int) -> int:
    """Return the seed of one trial's draw, so that a search that was interrupted goes on as it would have.

    >>> trial_seed(0, 1) == trial_seed(0, 1) != trial_seed(0, 2)
    True
    """
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0])


# -- budget and outcome -------------------------------------------------------------------------------------


def counted(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that take of the budget: all but those whose process died."""
    return [trial for trial in trials if trial.state != "ABANDONED"]


def next_place(trials: Sequence[Trial]) -> int:
    """Return the place of the next trial: the first that is free, such as that of one whose process died."""
    taken = {trial.place for trial in counted(trials)}
    return next(place for place in range(len(taken) + 1) if place not in taken)


def seconds_of(trials: Sequence[Trial], worker: str) -> float:
    """Return what a worker has spent so far, over all of its tries."""
    return sum(trial.seconds for trial in trials if trial.worker == worker)


def has_budget(trials: Sequence[Trial], tuning: TuningSpec, *, worker: str) -> bool:
    """Return whether this worker may begin another trial."""
    if len(counted(trials)) >= tuning.n_trials:
        return False
    return tuning.timeout_s is None or seconds_of(trials, worker) < tuning.timeout_s


def remaining_s(trials: Sequence[Trial], tuning: TuningSpec, *, worker: str) -> float:
    """Estimate how long a worker that is alone has still to go; 0 before the first trial has ended."""
    ended = [trial.seconds for trial in counted(trials) if trial.state != "RUNNING"]
    left = (tuning.n_trials - len(ended)) * float(np.mean(ended)) if ended else 0.0
    return left if tuning.timeout_s is None else max(min(left, tuning.timeout_s - seconds_of(trials, worker)), 0.0)


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the finished trial with the highest score, the earliest of equal ones; ``None`` while there is none."""
    finished = [trial for trial in trials if trial.state == "FINISHED"]
    return max(finished, key=lambda trial: (trial.score, -trial.number)) if finished else None


def summarise(
    trials: Sequence[Trial],
    *,
    model_name: str,
    fingerprint: str,
    split_digest: str,
    training: TrainingSpec,
    tuning: TuningSpec,
    run_id: str,
    run_url: str,
    report_uri: str,
) -> TuningResult:
    """Say what came of a search.

    :raises TrainingError: when no trial finished.
    """
    best = best_of(trials)
    n_of = {state: sum(trial.state == state for trial in trials) for state in ("FINISHED", "PRUNED", "FAILED")}
    if best is None:
        errors = list(dict.fromkeys(trial.error for trial in trials if trial.error))
        raise TrainingError(
            f"Tuning of {model_name}: none of {len(counted(trials))} trials finished, {n_of['FAILED']} failed. Nothing "
            f"was trained and the champion stays. Errors: {bounded(errors, 3)}. Fix training or tuning.space; to "
            f"try the same again, give another tuning.seed."
        )
    default = next((trial.score for trial in trials if trial.is_default and trial.state == "FINISHED"), None)
    return TuningResult(
        model_name=model_name,
        fingerprint=fingerprint,
        split_digest=split_digest,
        metric=tuning.metric,
        best_params={**training.params, **best.params},
        best_score=best.score,
        best_trial=best.number,
        default_score=default,
        n_folds=len(best.scores),
        n_trials=tuning.n_trials,
        n_finished=n_of["FINISHED"],
        n_pruned=n_of["PRUNED"],
        n_failed=n_of["FAILED"],
        seconds=round(sum(trial.seconds for trial in trials), 3),
        run_id=run_id,
        run_url=run_url,
        report_uri=report_uri,
    )
