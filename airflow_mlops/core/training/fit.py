"""What a model is fitted to: rows and how much they count, which are kept to stop by, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.errors import DataError, SpecError, bounded

__all__ = [
    "Progress",
    "Rows",
    "check_sample_weight",
    "check_target",
    "class_weights",
    "hold_out",
    "progress_tail",
    "reason_of",
]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows to train on or to judge by.

    :param features: ``(n_rows, n_features)``, a data frame or an array.
    :param target: ``(n_rows,)``.
    :param weights: ``(n_rows,) float64``, at least 0; ``None``: all rows count the same.
    """

    features: Any
    target: NDArray[Any]
    weights: NDArray[np.float64] | None = None

    def take(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the rows where ``chosen`` is true."""
        weights = None if self.weights is None else self.weights[chosen]
        return type(self)(features=self.features[chosen], target=self.target[chosen], weights=weights)


class Progress:
    """How far a training has come. Call it with the iterations that are done and, if known, how many there will be.

    >>> progress = Progress()
    >>> progress(3, 10)
    >>> progress.seen()
    (3, 10)
    """

    def __init__(self) -> None:
        self._look: Callable[[], tuple[int, int | None] | None] = lambda: None

    def __call__(self, done: int, total: int | None = None) -> None:
        """Report."""
        self._look = lambda: (done, total)

    def look_by(self, look: Callable[[], tuple[int, int | None]]) -> None:
        """Say how to look, where nobody calls."""
        self._look = look

    def seen(self) -> tuple[int, int | None] | None:
        """Return what is done and how much there is to do; ``None`` where it can't be known."""
        return self._look()


def progress_tail(seconds: float, seen: tuple[int, int | None] | None) -> str:
    """Return the ``key=value`` tail of a line of progress.

    What remains is estimated from what is done, as if every iteration took the same time.

    :param seconds: since the start.

    >>> progress_tail(20.0, (4, 10))
    'elapsed_s=20 done=4 total=10 remaining_s=30'
    >>> progress_tail(20.0, None)
    'elapsed_s=20'
    """
    tail = f"elapsed_s={seconds:.0f}"
    if seen is None:
        return tail
    done, total = seen
    if total is None:
        return f"{tail} done={done}"
    remaining = f" remaining_s={seconds / done * max(total - done, 0):.0f}" if done > 0 else ""
    return f"{tail} done={done} total={total}{remaining}"


def check_target(values: NDArray[Any], n_null: int, column: str) -> None:
    """See that there is something to learn.

    :param values: ``(n_rows,)``, the target.
    :param n_null: how many of them are null or NaN.
    :raises DataError: when one is null or infinite, or all are the same.
    """
    if n_null:
        raise DataError(
            f"The target {column!r} is null in {n_null} of {len(values)} training rows. Nothing was trained. Leave "
            f"those rows out in data.features, or fix the source."
        )
    if values.dtype.kind == "f":
        n_infinite = int(np.isinf(values).sum())
        if n_infinite:
            raise DataError(
                f"The target {column!r} is infinite in {n_infinite} of {len(values)} training rows. Nothing was "
                f"trained and the champion stays. Leave those rows out in data.features, or fix the source."
            )
    if len(values) and (values == values[0]).all():
        raise DataError(
            f"The target {column!r} is {values[0]!s} in all {len(values)} training rows: there is nothing to tell "
            f"apart. Nothing was trained and the champion stays. Deliver rows with other values, or split them so that "
            f"the training part has some."
        )


def check_sample_weight(values: NDArray[Any], column: str) -> NDArray[np.float64]:
    """Return the weights of rows as numbers.

    :param values: ``(n_rows,)``.
    :raises DataError: when one is no number, null, infinite or negative, or all are zero.
    """
    try:
        weights = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"training.sample_weight {column!r} is no number: {error}. Nothing was trained and the champion stays."
        ) from error
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(
            f"training.sample_weight {column!r} must be a number of at least 0; in {int(wrong.sum())} of "
            f"{len(weights)} training rows it is null, infinite or negative (first: {values[first]} in row {first}). "
            f"Nothing was trained and the champion stays. Fix it in data.features."
        )
    if not weights.any():
        raise DataError(
            f"training.sample_weight {column!r} is 0 in all {len(weights)} training rows: none of them counts. Nothing "
            f"was trained and the champion stays."
        )
    return weights


def class_weights(
    wanted: Literal["balanced"] | Mapping[str, float], labels: NDArray[Any]
) -> Literal["balanced"] | dict[Any, float]:
    """Return the weights by the labels themselves, as estimators want them.

    :param wanted: by the labels' text: what a key of JSON can be.
    :param labels: the classes of the training part, each once.
    :raises SpecError: when a class has no weight, or a weight no class.

    >>> class_weights({"0": 1.0, "1": 5.0}, np.array([0, 1]))
    {0: 1.0, 1: 5.0}
    """
    if wanted == "balanced":
        return "balanced"
    by_text = {_text_of(label): label for label in labels.tolist()}
    if set(by_text) != set(wanted):
        raise SpecError(
            f"training.class_weight is for the classes {bounded(sorted(wanted))}, but the training part has "
            f"{bounded(sorted(by_text))}. Nothing was trained and the champion stays. Give each class one weight."
        )
    return {by_text[text]: weight for text, weight in wanted.items()}


def _text_of(label: Any) -> str:
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def hold_out(
    n_rows: int, *, fraction: float, moments: NDArray[Any] | None, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose rows to judge the iterations by: the last ones, or some that are drawn.

    :param fraction: of the rows, in (0, 1); at least one row, and never all.
    :param moments: ``(n_rows,)``, when each row was; ``None``: draw them.
    :returns: ``(n_rows,) bool``.
    :raises DataError: when there are fewer than two rows.

    >>> hold_out(4, fraction=0.5, moments=np.array([3, 1, 2, 0]), rng=np.random.default_rng(0)).tolist()
    [True, False, True, False]
    """
    if n_rows < 2:
        raise DataError(f"training.early_stopping needs two rows at least; the training part has {n_rows}.")
    n_held_out = min(max(round(fraction * n_rows), 1), n_rows - 1)
    order = rng.permutation(n_rows) if moments is None else np.argsort(moments, kind="stable")
    chosen = np.zeros(n_rows, dtype=bool)
    chosen[order[-n_held_out:]] = True
    return chosen


def reason_of(error: Exception) -> str:
    """Say why a training failed.

    >>> reason_of(ValueError("no"))
    'ValueError: no'
    """
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        reason += " (the task has used up its memory: give its worker more, or train on fewer rows or columns)"
    return reason
