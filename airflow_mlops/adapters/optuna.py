"""Optuna: what to try next, and a journal of what was tried that outlives its processes and is shared by several."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import NopPruner, SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from airflow_mlops.core.training.tuning import Trial, has_budget, next_place, trial_seed
from airflow_mlops.errors import IntegrityError, UnavailableError
from airflow_mlops.specs.tune import Choices, FloatRange, SpaceSpec, TuningSpec

__all__ = ["Study"]

optuna.logging.set_verbosity(optuna.logging.WARNING)  # the step says what happens

_NAME = "tuning"
_CLAIM, _RESULT = "claim", "result"


class Study:
    """One search. Several workers may have it open at the same time, in processes of their own.

    A trial is run under a lock that the kernel releases when the process dies, so that the others see it. All of it
    lies in a folder, which may be on a shared file system that knows ``flock`` (NFS from version 4 on).

    :param folder: for the journal and the locks.
    :param defaults: the hyperparameters that are tried first.
    :param worker: whose trials these are, for the budget of time.
    :raises IntegrityError: when the journal is damaged.
    :raises UnavailableError: when the folder can't be used.
    """

    def __init__(self, folder: Path, tuning: TuningSpec, *, defaults: Mapping[str, Any], worker: str) -> None:
        self._folder, self._tuning, self._worker = folder, tuning, worker
        self._defaults = {name: defaults[name] for name in tuning.space}
        self._distributions = {name: _distribution(dimension) for name, dimension in tuning.space.items()}
        self._running: dict[int, tuple[optuna.Trial, _FileLock]] = {}
        with self._reachable():
            self._study = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the trials that did not end; whoever comes next abandons them."""
        for _asked, lock in self._running.values():
            lock.release()
        self._running.clear()

    @property
    def _journal(self) -> Path:
        return self._folder / "journal.log"

    @property
    def _locks_folder(self) -> Path:
        return self._folder / "locks"

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep the other workers from beginning a trial, or anything else that they do exclusively."""
        with self._reachable(), _FileLock(self._locks_folder / "claims"):
            yield

    def note(self, name: str) -> str:
        """Return what was noted about the search under this name; an empty text when nothing was."""
        with self._reachable():
            return str(self._study.user_attrs.get(name, ""))

    def write_note(self, name: str, text: str) -> None:
        """Note something about the search that every worker sees."""
        with self._reachable():
            self._study.set_user_attr(name, text)

    def trials(self) -> tuple[Trial, ...]:
        """Return all trials so far, in the order of their beginning."""
        with self._reachable():
            found = self._study.get_trials(deepcopy=False)
        return tuple(_as_trial(trial) for trial in found if trial.state is not TrialState.WAITING)

    def claim(self) -> Trial | None:
        """Begin the next trial; ``None`` when the budget is spent and nobody is at work any more.

        What a process that died was at is abandoned. While trials of other workers run, this waits: they may die.
        """
        while True:
            with self.exclusively():
                self._abandon_dead_trials()
                trials = self.trials()
                if has_budget(trials, self._tuning, worker=self._worker):
                    return self._ask(place=next_place(trials))
            running = [trial for trial in trials if trial.state == "RUNNING"]
            if not running:
                return None
            with self._lock_of(running[0].number):
                pass

    def should_stop(self, trial: Trial) -> bool:
        """Report a running trial's scores so far, and return whether it is not worth going on. The default is."""
        asked, _ = self._running[trial.number]
        with self._reachable():
            asked.report(trial.score, step=len(trial.scores))
            return asked.should_prune() and not trial.is_default

    def settle(self, trial: Trial) -> None:
        """Write down how a running trial ended."""
        asked, lock = self._running.pop(trial.number)
        ended = {"state": trial.state, "scores": trial.scores, "seconds": trial.seconds, "error": trial.error}
        with self._reachable():
            asked.set_user_attr(_RESULT, ended)
            self._tell(trial, is_drawn=bool(asked.params))
        lock.release()

    def _open(self) -> optuna.Study:
        self._locks_folder.mkdir(parents=True, exist_ok=True)
        lock = _FileLock(self._locks_folder / "journal")
        with lock:
            _drop_torn_line(self._journal)
        try:
            return optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(self._journal), lock_obj=lock)),
                pruner=_pruner(self._tuning),
                study_name=_NAME,
                direction="maximize",
                load_if_exists=True,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"{self._journal} is damaged: {error}. Nothing was tried. Remove {self._folder} to search anew."
            ) from error

    def _ask(self, place: int) -> Trial:
        """Draw by the place alone and by what has ended, so that an interrupted search goes on as it would have."""
        distributions = self._distributions
        if place == 0:
            encoded = {name: _encode(self._tuning.space[name], value) for name, value in self._defaults.items()}
            if None in encoded.values():  # Optuna can't learn from what it would never draw
                distributions = {}
            elif not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                self._study.enqueue_trial(encoded)
        self._study.sampler = TPESampler(seed=trial_seed(self._tuning.seed, place))
        asked = self._study.ask(distributions)
        lock = self._lock_of(asked.number)
        lock.acquire()
        self._running[asked.number] = (asked, lock)
        drawn = {name: _decode(self._tuning.space[name], value) for name, value in asked.params.items()}
        trial = Trial(number=asked.number, place=place, params=drawn or dict(self._defaults), worker=self._worker)
        asked.set_user_attr(_CLAIM, {"place": place, "params": trial.params, "worker": self._worker})
        return trial

    def _abandon_dead_trials(self) -> None:
        for found in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if found.number not in self._running and self._lock_of(found.number).is_free():
                self._tell(_as_trial(found), is_drawn=bool(found.params))

    def _tell(self, trial: Trial, *, is_drawn: bool) -> None:
        """Let Optuna learn how a trial ended. What it did not draw itself is none of its trials."""
        if trial.state == "FINISHED" and is_drawn:
            self._study.tell(trial.number, trial.score, skip_if_finished=True)
        else:
            state = TrialState.PRUNED if trial.state == "PRUNED" and is_drawn else TrialState.FAIL
            self._study.tell(trial.number, state=state, skip_if_finished=True)

    def _lock_of(self, number: int) -> _FileLock:
        return _FileLock(self._locks_folder / f"trial-{number:06d}")

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[None]:
        """Say what it means when the journal can't be read or written."""
        try:
            yield
        except UnavailableError:
            raise
        except OSError as error:
            raise UnavailableError(
                f"The search in {self._folder} can't be used: {error.strerror or error}. What was tried so far is "
                f"kept. Check [mlops] storage_root and its free space, then retry."
            ) from error


class _FileLock:
    """A lock that ends with its process, however that ends; Optuna's own would be waited for half a minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        return self._take(fcntl.LOCK_EX)

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def is_free(self) -> bool:
        """Return whether nobody holds it."""
        try:
            self._take(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.release()
        return True

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self, operation: int) -> bool:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, operation)
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return True


def _drop_torn_line(journal: Path) -> None:
    """Cut off what a machine that lost its power did not write to the end; nobody has read it."""
    if not journal.exists():
        return
    with journal.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _pruner(tuning: TuningSpec) -> optuna.pruners.BasePruner:
    if tuning.pruning == "none":
        return NopPruner()
    return SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)


def _distribution(dimension: SpaceSpec) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(range(len(dimension.choices)))  # Optuna takes no lists
    kind = FloatDistribution if isinstance(dimension, FloatRange) else IntDistribution
    return kind(dimension.low, dimension.high, log=dimension.log)


def _decode(dimension: SpaceSpec, value: Any) -> Any:
    return dimension.choices[value] if isinstance(dimension, Choices) else value


def _encode(dimension: SpaceSpec, value: Any) -> Any:
    """Return what Optuna has for a value; ``None`` when it lies outside of the space."""
    if isinstance(dimension, Choices):
        written = [json.dumps(choice) for choice in dimension.choices]
        return written.index(json.dumps(value)) if json.dumps(value) in written else None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not dimension.low <= value <= dimension.high:
        return None
    return float(value) if isinstance(dimension, FloatRange) else int(value) if value == int(value) else None


def _as_trial(found: FrozenTrial) -> Trial:
    claim, ended = found.user_attrs.get(_CLAIM), found.user_attrs.get(_RESULT)
    if claim is None:  # its process died on the way to it, or is at it
        return Trial(number=found.number, place=-1, params={}, state="ABANDONED")
    trial = Trial(number=found.number, **claim)
    if ended is not None:
        return dataclasses.replace(trial, **{**ended, "scores": tuple(ended["scores"])})
    return trial if found.state is TrialState.RUNNING else dataclasses.replace(trial, state="ABANDONED")
