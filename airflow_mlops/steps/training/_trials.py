"""How hyperparameters are judged: fitted as the training does it, scored on rows that the fit has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.arrow.row_hashes import row_hashes
from airflow_mlops.adapters.sklearn.scorers import Scorer, make_scorer
from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.splitting.folds import Fold, hashed_folds, time_folds
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.fit import check_target
from airflow_mlops.core.training.model import feature_columns, merge_params
from airflow_mlops.errors import SpecError
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.tune import TuningSpec
from airflow_mlops.steps.training.fit import fit

__all__ = ["Examiner", "read_trial_evaluator"]


@dataclass(frozen=True, kw_only=True)
class Examiner:
    """Scores hyperparameters on one fold after the other.

    :param train: the training part, as a data frame.
    :param validation: the validation part, which is the one fold then; ``None`` where there is none.
    :param folds: of the training part, otherwise.
    """

    split: DatasetSplit
    training: TrainingSpec
    train: Any
    validation: Any
    folds: Sequence[Fold]
    scorer: Scorer

    @property
    def columns(self) -> list[Column]:
        """The features, in order."""
        return feature_columns(self.training, self.split)

    @property
    def n_folds(self) -> int:
        """How many scores a trial gets."""
        return len(self.folds) or 1

    def scores(self, params: Mapping[str, Any]) -> Iterator[float]:
        """Give the score of each fold; the preprocessing is fitted to the rows that its model is trained on.

        :raises SpecError: when the estimator does not take the parameters.
        :raises TrainingError: when the model can't be fitted.
        :raises EvaluationError: when it can't be scored.
        """
        training = merge_params(self.training, params)
        columns = self.columns
        names = [column.name for column in columns]
        for fitted, scored in self._frames():
            model = fit(training, self.split, fitted, columns)
            yield self.scorer(model, scored[names], scored[training.target])

    def _frames(self) -> Iterator[tuple[Any, Any]]:
        if self.validation is not None:
            yield self.train, self.validation
        for trained, held_out in self.folds:
            yield self.train.iloc[trained], self.train.iloc[held_out]


def read_trial_evaluator(split: DatasetSplit, training: TrainingSpec, tuning: TuningSpec) -> Examiner:
    """Read the training part, and the validation part where there is one; never the part that is held out.

    :raises DataError: when the target has nulls, or the folds can't be made.
    :raises IntegrityError: when the rows are not those of the split.
    """
    frames = [arrow.read_frame(part.uri, part.digest) for part in (split.train, split.validation) if part]
    for frame in frames:
        target = frame[training.target]
        check_target(target.to_numpy(), int(target.isna().sum()), training.target)
    return Examiner(
        split=split,
        training=training,
        train=frames[0],
        validation=frames[1] if split.validation else None,
        folds=() if split.validation else _make_folds(split, tuning),
        scorer=make_scorer(tuning.metric),
    )


def _make_folds(split: DatasetSplit, tuning: TuningSpec) -> list[Fold]:
    """Make folds of the training part the way the split was made."""
    if split.method == "time":
        return _folds_by_time(split, tuning.n_folds)
    chosen = split.group if split.method == "group" else split.key
    names = chosen or tuple(column.name for column in split.columns if column.name != split.timestamp)
    hashes = _by_block(split, names, row_hashes)
    strata = _by_block(split, [split.stratify], row_hashes) if split.stratify else None
    return hashed_folds(hashes, tuning.n_folds, seed=tuning.seed, strata=strata)


def _folds_by_time(split: DatasetSplit, n_folds: int) -> list[Fold]:
    timestamp = next((column for column in split.columns if column.name == split.timestamp), None)
    if timestamp is None:
        raise SpecError("a split by time has no timestamp among its columns, so no folds can be made of it by time.")
    unit, per_us = ("ns", 1000) if timestamp.type.startswith("timestamp[ns") else ("us", 1)
    moments = _by_block(split, [timestamp.name], lambda block: arrow.moments(block.column(0), unit))
    return time_folds(moments, n_folds, gap=(split.gap or timedelta()) // timedelta(microseconds=1) * per_us)


def _by_block(split: DatasetSplit, names: Sequence[str], values_of: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([values_of(block) for block in arrow.read_blocks(split.train.uri, names)])
