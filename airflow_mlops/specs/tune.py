"""Which hyperparameters are tried, how they are judged, and what that may cost."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from airflow_mlops.specs._base import Spec

__all__ = ["Choices", "FloatRange", "IntRange", "SpaceSpec", "TuningSpec"]


class _Range(Spec):
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    log: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"`low` {self.low} must be below `high` {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"`log` needs a `low` above 0; {self.low} has no logarithm")
        return self


class FloatRange(_Range):
    """A number between two others, both included.

    :param log: draw evenly on the logarithmic scale, for what spans orders of magnitude.
    """

    type: Literal["float"] = "float"


class IntRange(_Range):
    """A whole number between two others, both included.

    :param log: draw evenly on the logarithmic scale.
    """

    type: Literal["int"] = "int"
    low: int
    high: int


class Choices(Spec):
    """One of these values, whatever they are: texts, numbers, lists, null.

    :param choices: at least two.
    """

    type: Literal["categorical"] = "categorical"
    choices: tuple[JsonValue, ...] = Field(min_length=2)


SpaceSpec = Annotated[FloatRange | IntRange | Choices, Field(discriminator="type")]


class TuningSpec(Spec):
    """How hyperparameters are searched for.

    Each trial is scored on the split's validation part; where the split has none, on folds of its training part
    that are made the way the split was. The rows that are held out for the evaluation are never looked at.

    :param space: what may be drawn, by the name of a hyperparameter in ``training.params``. The values there are the
        first trial.
    :param metric: the name of one of scikit-learn's scorers, such as ``neg_mean_absolute_error`` or ``roc_auc``;
        higher is better in all of them.
    :param n_trials: how many there are, over all workers and tries. One that fails counts, one whose process died does
        not.
    :param timeout_s: after so many seconds of trials a worker begins no further one; ``None``: there is no limit.
    :param n_folds: parts that the training part is scored in, where the split has no validation part.
    :param pruning: ``successive_halving`` ends a trial that after 1, 2, 4, ... folds is not in the better half of those
        that came as far (Li et al., 2020).
    :param seed: of the search and of the folds.
    """

    space: dict[str, SpaceSpec] = Field(min_length=1)
    metric: str = Field(min_length=1)
    n_trials: int = Field(default=20, ge=1)
    timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    n_folds: int = Field(default=5, ge=2)
    pruning: Literal["none", "successive_halving"] = "none"
    seed: int = Field(default=0, ge=0, lt=2**32)
