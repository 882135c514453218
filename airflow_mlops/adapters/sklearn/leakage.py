"""numpy and pandas: does a feature, or a combination of features, reproduce the target.

What is looked for is identity, not strength: an honest feature leaves some of the target open. Each judgement is
made on rows that were not fitted on, and none of them on so few that chance would do. A target that only grows gets
no easier for that: what yesterday's value leaves open is measured against the steps from row to row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.splitting.leakage import chance_of_equal_rows

__all__ = ["Reproduction", "equal_by_chance", "find_reproductions"]

_TOLERANCE = 1e-6
"""Of the target's variance, what an identity may leave open: rounding. The lags of a smooth series leave 1e-4."""

_SMOOTH = 0.01
"""Below this von Neumann ratio, the target's ranks follow the order of the rows, as those of every trend do."""

_MIN_ROWS = 40
_MAX_CLASSES = 50
_MIN_PER_CLASS = 20
"""Rows of a class on average, where there are more of them."""

_MAX_COMBINED = 400
_N_CLASSES, _N_NAMES, _N_TERMS = 5, 5, 10
"""So many of them are named."""

_MIN_OF_OTHER_CLASSES = 10
_MIN_PARSED_FRACTION = 0.9
"""Of a text column's values, how many are numbers where it is taken for one; the rest are marks of missing values."""


_reason = partial(Reason, stage="splitting")


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Features that reproduce the target.

    :param rule: ``reproduces_target`` (one feature orders the rows as the target does), ``determines_class`` (its
        values, or the rows that have one, stand for the classes) or ``combination_reproduces_target`` (a weighted sum
        of them is the target).
    :param found: how.
    """

    columns: tuple[str, ...]
    found: Reason

    @property
    def rule(self) -> str:
        """By which of the rules."""
        return self.found.rule


def find_reproductions(
    sample: Any, *, target: str, features: Sequence[str]
) -> tuple[list[Reproduction], int, list[Reason]]:
    """Look for features that reproduce the target.

    Numbers, booleans, dates, times and text that holds numbers are compared as numbers; a target of few values is a
    class as well. NaN and infinity count as missing, and constant columns say nothing.

    :param sample: a pandas data frame of training rows, in the order of time where there is one.
    :returns: what was found, how many comparisons were made, and what could not be judged.
    """
    answer = sample[target]
    # Rows without a target tell nothing about it.
    known = answer.notna().to_numpy()
    sample, answer = sample[known], answer[known]
    if len(sample) < _MIN_ROWS:
        return [], 0, [_reason(rule="too_few_rows", observed=len(sample), required=_MIN_ROWS, n=len(sample))]
    if answer.nunique() < 2:
        return [], 0, [_reason(rule="one_value", subject=target)]
    notes: list[Reason] = []
    # A target may be a number and a class at once, such as 0 and 1: both readings are looked at.
    numbers = _as_numbers(answer)
    classes = _as_classes(answer, notes)
    columns = {name: _as_numbers(sample[name]) for name in features}
    ordered = _ranks_to_compare(numbers, target, notes)
    found: list[Reproduction] = []
    for name in features:
        # From the strictest reading of the target on; the first that holds names the feature.
        single = _judge_order(name, columns[name], ordered)
        single = single or _judge_classes(name, sample[name], columns[name], classes)
        single = single or _judge_gaps(name, sample[name], answer, classes)
        found += [single] if single else []
    # What leaks alone would carry every combination, and hide the ones that leak without it.
    named = {name for each in found for name in each.columns}
    rest = {name: values for name, values in columns.items() if values is not None and name not in named}
    if numbers is not None and rest:
        found += _judge_combination(rest, numbers, notes)
    elif classes is not None and rest:
        found += _judge_indicators(rest, classes, notes)
    return found, len(features) + bool(rest), notes


def _as_numbers(column: Any) -> NDArray[np.float64] | None:
    """Return the column as floats, missing and infinite values as NaN; ``None`` when it is no number."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        ticks = column.astype("int64").to_numpy().astype(np.float64)
        return np.where(column.isna().to_numpy(), np.nan, ticks)
    if column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype):
        column = _numbers_among_objects(column)
        if column is None:
            return None
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _numbers_among_objects(column: Any) -> Any:
    """Return booleans with gaps, decimals, dates or text that holds numbers as numbers; ``None`` for all else."""
    column = column.astype(object)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "string":
        parsed = pd.to_numeric(column, errors="coerce")
        return parsed if parsed.notna().sum() >= _MIN_PARSED_FRACTION * column.notna().sum() else None
    if kind in ("boolean", "integer", "floating", "mixed-integer-float"):
        return column.astype("float64")
    if kind == "decimal":
        return column.map(float, na_action="ignore").astype("float64")
    if kind in ("date", "datetime"):
        moments = pd.to_datetime(column)
        return moments.astype("int64").astype("float64").where(moments.notna())
    return None


def _as_classes(answer: Any, notes: list[Reason]) -> NDArray[np.int64] | None:
    """Return the classes as codes; ``None`` when there are too many to be classes."""
    codes, values = pd.factorize(answer.astype(str) if answer.dtype == object else answer)
    n_other = len(codes) - int(np.bincount(codes).max())
    if n_other < _MIN_OF_OTHER_CLASSES:
        notes.append(_reason(rule="rare_classes", observed=n_other, required=_MIN_OF_OTHER_CLASSES, n=len(codes)))
    if len(values) <= max(_MAX_CLASSES, len(codes) // _MIN_PER_CLASS):
        return np.asarray(codes, dtype=np.int64)
    if _as_numbers(answer) is None:
        notes.append(_reason(rule="many_values", observed=len(values), n=len(codes)))
    return None


def _ranks_to_compare(
    answer: NDArray[np.float64] | None, target: str, notes: list[Reason]
) -> NDArray[np.float64] | None:
    """Return the target where its order among the rows tells something; two trends have the same order by nature."""
    if answer is None:
        return None
    # Ranks of a trend grow with the rows: any other trend has the same order, and leaks nothing.
    ranks = _ranks(answer[np.isfinite(answer)])
    if _step_variance(ranks) < _SMOOTH * ranks.var():
        notes.append(_reason(rule="trend", subject=target))
        return None
    return answer


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks: NDArray[np.float64] = pd.Series(values).rank().to_numpy()
    return ranks


def _step_variance(values: NDArray[np.float64]) -> float:
    """Return the variance as the steps from row to row show it (von Neumann, 1941); of a trend it is small."""
    return float(np.diff(values).var() / 2)


def _judge_order(
    name: str, values: NDArray[np.float64] | None, answer: NDArray[np.float64] | None
) -> Reproduction | None:
    """Tell whether a feature is a monotone function of the target: Spearman's rank correlation is 1 or -1."""
    if values is None or answer is None:
        return None
    both = np.isfinite(values) & np.isfinite(answer)
    if both.sum() < _MIN_ROWS or np.ptp(values[both]) == 0 or not _is_varied(answer[both]):
        return None
    ranks = _ranks(answer[both])
    if _step_variance(ranks) < _SMOOTH * ranks.var():  # where the feature is, the target happens to be a trend
        return None
    # Spearman's coefficient: Pearson's of the ranks, which is 1 or -1 for any monotone function.
    correlation = float(np.corrcoef(_ranks(values[both]), ranks)[0, 1])
    if 1 - abs(correlation) >= _TOLERANCE:
        return None
    found = _reason(rule="reproduces_target", observed=correlation, n=int(both.sum()))
    return Reproduction(columns=(name,), found=found)


def _is_varied(answer: NDArray[np.float64]) -> bool:
    """Tell whether enough rows differ from the most frequent value, so that no chance makes two columns alike."""
    _, counts = np.unique(answer, return_counts=True)
    return bool(len(answer) - counts.max() >= _MIN_OF_OTHER_CLASSES)


def _judge_classes(
    name: str, column: Any, values: NDArray[np.float64] | None, classes: NDArray[np.int64] | None
) -> Reproduction | None:
    if classes is None:
        return None
    if values is not None:
        both = np.isfinite(values)
        if _separates(values[both], classes[both]):
            return _determines(name, "ranges", int(both.sum()))
    present = column.notna().to_numpy()
    # Where ranges do not separate the classes, single values may: codes and names have no order.
    codes, _ = pd.factorize(column[present].astype(str))
    n_judged = _n_told(np.asarray(codes), classes[present])
    if not n_judged:
        return None
    return _determines(name, "values", n_judged)


def _determines(name: str, how: str, n_rows: int, **facts: Any) -> Reproduction:
    found = _reason(rule="determines_class", n=n_rows, facts={"how": how, **facts})
    return Reproduction(columns=(name,), found=found)


def _judge_gaps(name: str, column: Any, answer: Any, classes: NDArray[np.int64] | None) -> Reproduction | None:
    """Tell whether a feature has a value in all rows of some classes, and in none of the others."""
    if classes is None:
        return None
    is_missing = column.isna().to_numpy()
    n_missing, n_set = int(is_missing.sum()), int((~is_missing).sum())
    # The gaps tell the class if no class has rows of both kinds, and either kind has enough of them.
    if min(n_missing, n_set) < _MIN_OF_OTHER_CLASSES or np.intersect1d(classes[is_missing], classes[~is_missing]).size:
        return None
    classes_set = sorted(answer[~is_missing].astype(str).unique())
    facts = {"classes": [str(each) for each in classes_set[:_N_CLASSES]], "n_classes": len(classes_set)}
    return _determines(name, "gaps", n_set, n_missing=n_missing, **facts)


def _separates(values: NDArray[np.float64], classes: NDArray[np.int64]) -> bool:
    """Tell whether every class has a range of its own."""
    if len(values) < _MIN_ROWS:
        return False
    n_other = len(classes) - np.bincount(classes).max()
    if n_other < _MIN_OF_OTHER_CLASSES:
        return False
    # Sorted by value, each class has to be one run, and no value may lie on both sides of a border.
    order = np.argsort(values, kind="stable")
    values, classes = values[order], classes[order]
    changes = np.flatnonzero(np.diff(classes))
    is_run = len(changes) == len(np.unique(classes)) - 1
    return bool(is_run and (values[changes] < values[changes + 1]).all())


def _n_told(codes: NDArray[np.int64], classes: NDArray[np.int64]) -> int:
    """Return how many rows were judged by rows with the same value, all of them rightly; 0 when one was wrong.

    Half of the rows say which class a value stands for. The other half is judged where its value was seen; that has
    to be most of it, with rows enough of other classes than the most frequent one.
    """
    # One half of the rows is learned from, the other judged; a fixed seed, so that a retry finds the same.
    first = np.random.default_rng(0).random(len(codes)) < 0.5
    stands_for = dict(zip(codes[first].tolist(), classes[first].tolist(), strict=True))
    judged = [
        (stands_for[c], k)
        for c, k in zip(codes[~first].tolist(), classes[~first].tolist(), strict=True)
        if c in stands_for
    ]
    if len(judged) < max(_MIN_ROWS // 2, int((~first).sum()) // 2) or any(told != true for told, true in judged):
        return 0
    # To be right about the most frequent class alone is no proof.
    counts = np.bincount([true for _, true in judged])
    return len(judged) if len(judged) - counts.max() >= _MIN_OF_OTHER_CLASSES else 0


def _judge_combination(
    columns: dict[str, NDArray[np.float64]], answer: NDArray[np.float64], notes: list[Reason]
) -> list[Reproduction]:
    """Look for a weighted sum of numeric features that is the target."""
    chosen, table = _complete_rows(columns, answer, notes)
    return _judge_sum(chosen, table) if chosen else []


def _judge_indicators(
    columns: dict[str, NDArray[np.float64]], classes: NDArray[np.int64], notes: list[Reason]
) -> list[Reproduction]:
    """Look for weighted sums of numeric features that tell each class from the others, as flags by class do."""
    chosen, table = _complete_rows(columns, classes.astype(np.float64), notes)
    if not chosen:
        return []
    # One against the rest for each class; it is a leak only if every class can be told so.
    codes, counts = np.unique(table[:, -1], return_counts=True)
    sums: list[Reproduction] = []
    for code in codes[counts >= _MIN_OF_OTHER_CLASSES].tolist():
        found = _judge_sum(chosen, np.column_stack([table[:, :-1], table[:, -1] == code]))
        if not found:
            return []
        sums += found
    named = tuple(dict.fromkeys(name for each in sums for name in each.columns))
    reason = _reason(
        rule="combination_reproduces_target",
        observed=max(_open(each) for each in sums),
        required=_TOLERANCE,
        n=len(table),
        facts={"n_classes": len(sums)},
        because=(sums[0].found,),
    )
    return [Reproduction(columns=named, found=reason)]


def _open(each: Reproduction) -> float:
    return float(each.found.observed or 0.0)


def _judge_sum(chosen: list[str], table: NDArray[np.float64]) -> list[Reproduction]:
    """Fit the last column by a weighted sum of the others on one half of the rows, and judge it on the other."""
    weights, open_fraction, is_close = _fit(table)
    if not (open_fraction < _TOLERANCE and is_close):
        return []
    features, target = table[:, :-1], table[:, -1]
    # What each feature contributes, in standard deviations of the target; the others only fit rounding.
    shares = np.abs(weights) * features.std(axis=0) / target.std()
    carries = np.flatnonzero(shares > 1e-3)
    if not len(carries):
        return []
    # Fitted once more without those, so that the finding names the features that suffice.
    weights, open_fraction, is_close = _fit(table[:, [*carries, -1]])
    if not (open_fraction < _TOLERANCE and is_close):  # the small ones were needed too
        return []
    order = carries[np.argsort(-shares[carries], kind="stable")]
    found = dict(zip(carries.tolist(), weights.tolist(), strict=True))
    terms = [[found[index], chosen[index]] for index in order[:_N_TERMS].tolist()]
    reason = _reason(
        rule="combination_reproduces_target",
        observed=float(open_fraction),
        required=_TOLERANCE,
        n=len(table),
        facts={"terms": terms, "n_terms": len(order)},
    )
    return [Reproduction(columns=tuple(chosen[index] for index in order.tolist()), found=reason)]


def _complete_rows(
    columns: dict[str, NDArray[np.float64]], answer: NDArray[np.float64], notes: list[Reason]
) -> tuple[list[str], NDArray[np.float64]]:
    """Return columns, and the rows in which none of them is missing; those with the most gaps are left out first."""
    names = [
        name for name, values in columns.items() if np.isfinite(values).any() and np.nanmax(values) > np.nanmin(values)
    ]
    # Fewest gaps first, so that a feature with many does not cost the others their complete rows.
    names.sort(key=lambda name: int(np.isnan(columns[name]).sum()))
    left_out = names[_MAX_COMBINED:]
    names = names[:_MAX_COMBINED]
    complete = np.isfinite(answer)
    enough = max(_MIN_ROWS, int(complete.sum()) // 2)
    kept: list[str] = []
    for name in names:
        still = complete & np.isfinite(columns[name])
        # At least three rows for each weight, so that the half that is fitted on determines all of them.
        if still.sum() < max(enough, 3 * (len(kept) + 2)):
            left_out = [*left_out, name]
        else:
            complete, kept = still, [*kept, name]
    if left_out:
        notes.append(_reason(rule="judged_alone", n=len(left_out), facts={"columns": left_out[:_N_NAMES]}))
    table = np.column_stack([*(columns[name][complete] for name in kept), answer[complete]])
    # Among the complete rows a feature may be constant though it is not elsewhere.
    varied = [index for index in range(len(kept)) if table[:, index].std() > 0]
    if not _is_varied(table[:, -1]):
        return [], table
    return [kept[index] for index in varied], table[:, [*varied, len(kept)]]


def _fit(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, bool]:
    """Fit the last column by the others on one half of the rows.

    :returns: the weights; the fraction of the variance that is open on the other half; and whether nine of ten rows
        there are met, so that not a few huge values make the variance.
    """
    mean, scale = table.mean(axis=0), table.std(axis=0)
    scale[scale == 0] = 1.0
    # Scaled, so that least squares is well conditioned whatever the units.
    scaled = (table - mean) / scale
    first = np.random.default_rng(0).random(len(table)) < 0.5
    x = np.column_stack([scaled[:, :-1], np.ones(len(scaled))])
    weights = np.linalg.lstsq(x[first], scaled[first, -1], rcond=None)[0]
    rest = scaled[~first, -1]
    errors = rest - x[~first] @ weights
    # Against the steps from row to row where these are smaller: yesterday's value explains a trend, and leaks nothing.
    variance = min(float(rest.var()), _step_variance(scaled[:, -1]))
    open_fraction = float(np.mean(errors**2)) / variance if variance > 1e-12 else math.inf
    # The quartiles' distance is a scale that a few huge values do not make.
    low, high = np.quantile(rest, [0.25, 0.75])
    is_close = bool(np.quantile(np.abs(errors), 0.9) <= 1e-3 * ((high - low) or 1.0))
    return weights[:-1] * scale[-1] / scale[:-1], open_fraction, is_close


def equal_by_chance(sample: Any, n_rows: int) -> float:
    """Return which fraction of rows would have an equal one among others by chance.

    :param sample: a pandas data frame of some of the rows.
    :param n_rows: how many others there are.
    :returns: in [0, 1]; see :func:`~airflow_mlops.core.splitting.leakage.chance_of_equal_rows`.
    """
    codes = [pd.factorize(_hashable(sample[name]), use_na_sentinel=False)[0] for name in sample.columns]
    return chance_of_equal_rows(np.column_stack(codes).astype(np.int64), n_rows)


def _hashable(column: Any) -> Any:
    return column.astype(str) if column.dtype == object else column
