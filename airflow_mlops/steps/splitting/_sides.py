"""Which side of a split a row belongs to, for each method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.arrow.row_hashes import row_hashes
from airflow_mlops.adapters.duckdb_engine.joins import splits
from airflow_mlops.core.splitting.split import (
    N_BINS,
    TEST,
    TRAIN,
    VALIDATION,
    Stratum,
    bins_of,
    draw_sides,
    sides_by_time,
    stratum_limits,
)
from airflow_mlops.errors import DataError, SpecError, bounded, did_you_mean
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.split import SplitSpec

__all__ = ["Sides", "SidesOf", "choose_sides"]

SidesOf = Callable[[Any], NDArray[np.int8]]
"""Tells the side of each row of a record batch."""

_MAX_STRATA = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Sides:
    """How the rows are parted.

    :param wanted: the sides that must not be empty.
    :param strata: the largest first.
    """

    of: SidesOf
    wanted: tuple[int, ...]
    cut: str | None = None
    validation_cut: str | None = None
    strata: tuple[Stratum, ...] = ()


def choose_sides(rows: str, data: DatasetSpec, split: SplitSpec) -> Sides:
    """Look at the rows as often as the method needs, and return how they are parted.

    :param rows: a Parquet file.
    :raises DataError: when they can't be parted so.
    :raises SpecError: when a column that the split names is not there.
    """
    _require_columns(arrow.schema_of(rows).names, data, split)
    wanted = (TRAIN, VALIDATION, TEST) if split.validation_fraction else (TRAIN, TEST)
    if split.method == "time":
        return _time_sides(rows, str(data.timestamp), split, wanted)
    if split.method == "stratified":
        return _stratified_sides(rows, data, split, wanted)
    hashes_of = _hashes_of(data, split)

    def sides_of(block: Any) -> NDArray[np.int8]:
        return draw_sides(
            hashes_of(block),
            test_fraction=split.test_fraction,
            validation_fraction=split.validation_fraction,
            seed=split.seed,
        )

    return Sides(of=sides_of, wanted=wanted)


def _require_columns(known: Sequence[str], data: DatasetSpec, split: SplitSpec) -> None:
    if split.method == "time" and not data.timestamp:
        raise SpecError("a split by time needs data.timestamp; or choose split.method: random. Nothing was split.")
    stratify = (split.stratify,) if split.stratify else ()
    for role, names in {"key": split.key, "group": split.group, "stratify": stratify}.items():
        for name in names:
            if name not in known:
                raise SpecError(
                    f"split.{role}: {name!r} is not among the columns to train on: {bounded(known, 20)}."
                    f"{did_you_mean(name, known)} Nothing was split."
                )


def _hashes_of(data: DatasetSpec, split: SplitSpec) -> Callable[[Any], NDArray[np.uint64]]:
    """Return what a row is drawn by: its group, its key, or all of it but the timestamp.

    A row that is delivered again has another timestamp, and stays on its side.
    """
    role = "group" if split.method == "group" else "key"
    chosen = list(split.group if split.method == "group" else split.key)

    def hashes_of(block: Any) -> NDArray[np.uint64]:
        for name in chosen:
            _require_no_null(block, name, role)
        names = chosen or [name for name in block.schema.names if name != data.timestamp]
        return row_hashes(block.select(names))

    return hashes_of


def _require_no_null(block: Any, name: str, role: str) -> None:
    n_null = arrow.n_null(block, name)
    if n_null:
        raise DataError(
            f"split.{role}: {name!r} is null in {n_null} of {block.num_rows} rows (the first that were met), which "
            f"can't be said to belong to any side. Nothing was split. Leave such rows out in data.features, or fix "
            f"the source."
        )


def _time_sides(rows: str, timestamp: str, split: SplitSpec, wanted: tuple[int, ...]) -> Sides:
    scale, cut = splits.time_cut(rows, timestamp, split.test_fraction)
    validation_cut = None
    if split.validation_fraction:
        _, validation_cut = splits.time_cut(rows, timestamp, split.test_fraction + split.validation_fraction)
    gap = (split.gap or timedelta()) // timedelta(microseconds=1) * (1000 if scale.unit == "ns" else 1)

    def sides_of(block: Any) -> NDArray[np.int8]:
        moments = arrow.moments(block.column(timestamp), scale.unit)
        return sides_by_time(moments, cut=cut, validation_cut=validation_cut, gap=gap)

    kind = arrow.schema_of(rows).field(timestamp).type
    texts = [None if moment is None else _as_text(moment, scale.unit, str(kind)) for moment in (cut, validation_cut)]
    return Sides(of=sides_of, wanted=wanted, cut=texts[0], validation_cut=texts[1])


def _as_text(moment: int, unit: str, kind: str) -> str:
    """Return a time as the column shows it: a date, or a time in UTC that says so where the column does."""
    at = _EPOCH + timedelta(microseconds=moment // 1000 if unit == "ns" else moment)
    if kind.startswith("date"):
        return date.isoformat(at)
    return (at if "tz=" in kind else at.replace(tzinfo=None)).isoformat()


def _stratified_sides(rows: str, data: DatasetSpec, split: SplitSpec, wanted: tuple[int, ...]) -> Sides:
    """Count each stratum's rows by their hash, then set each one's own limits."""
    stratify, hashes_of = str(split.stratify), _hashes_of(data, split)
    histograms: dict[str, NDArray[np.uint32]] = {}
    for block in arrow.read_blocks(rows):
        values, which = arrow.texts(block.column(stratify))
        _require_few_strata({*histograms, *values}, stratify)
        bins = bins_of(hashes_of(block), split.seed)
        for index, value in enumerate(values):
            counted = np.bincount(bins[which == index], minlength=N_BINS).astype(np.uint32)
            histograms[value] = histograms[value] + counted if value in histograms else counted
    _require_enough_rows(histograms, stratify, len(wanted))
    fractions = {"test_fraction": split.test_fraction, "validation_fraction": split.validation_fraction}
    limits = {value: stratum_limits(histogram, **fractions) for value, histogram in histograms.items()}

    def sides_of(block: Any) -> NDArray[np.int8]:
        values, which = arrow.texts(block.column(stratify))
        upto = np.array([limits[value] for value in values])[which]
        bins = bins_of(hashes_of(block), split.seed)
        sides: NDArray[np.int8] = np.select([bins < upto[:, 0], bins < upto[:, 1]], [TEST, VALIDATION], TRAIN)
        return sides.astype(np.int8)

    strata = [_stratum(value, histogram, *limits[value]) for value, histogram in histograms.items()]
    strata.sort(key=lambda stratum: (-(stratum.n_train + stratum.n_validation + stratum.n_test), stratum.value))
    return Sides(of=sides_of, wanted=wanted, strata=tuple(strata))


def _require_few_strata(values: set[str], stratify: str) -> None:
    if len(values) > _MAX_STRATA:
        raise DataError(
            f"split.stratify: {stratify!r} has more than {_MAX_STRATA} different values, such as "
            f"{bounded(sorted(values)[:3])}. Nothing was split. Stratify by a column of classes."
        )


def _require_enough_rows(histograms: dict[str, NDArray[np.uint32]], stratify: str, n_parts: int) -> None:
    small = sorted(value for value, histogram in histograms.items() if histogram.sum() < n_parts)
    if small:
        raise DataError(
            f"split.stratify: {len(small)} of {len(histograms)} strata of {stratify!r} have fewer than {n_parts} rows, "
            f"one for each part: {bounded(small, 5)}. Nothing was split. Merge rare values in data.features, or choose "
            f"split.method: random."
        )


def _stratum(value: str, histogram: NDArray[np.uint32], test: int, validation: int) -> Stratum:
    return Stratum(
        value=value[:80],
        n_train=int(histogram[validation:].sum()),
        n_validation=int(histogram[test:validation].sum()),
        n_test=int(histogram[:test].sum()),
    )
