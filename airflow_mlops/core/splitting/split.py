"""Which rows are trained on, which are tuned on, and which are held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.values import Value
from airflow_mlops.specs.data import FeatureTable
from airflow_mlops.specs.split import SplitSpec

__all__ = [
    "LEFT_OUT",
    "N_BINS",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "DatasetPart",
    "DatasetSplit",
    "SplitRecipe",
    "Stratum",
    "bins_of",
    "draw_sides",
    "mix_bits",
    "salted",
    "sides_by_time",
    "stratum_limits",
]

TRAIN: Final = 0
VALIDATION: Final = 1
TEST: Final = 2
LEFT_OUT: Final = 3
"""The sides of a split: which part a row belongs to, or none."""

N_BINS: Final = 1 << 16
"""How finely a stratum's rows are counted by their hash."""


@dataclass(frozen=True, kw_only=True)
class DatasetPart:
    """One part of a split: a Parquet file, the digest of its rows and how many there are.

    :param file_digest: of the file's bytes; empty where it was not noted.
    """

    uri: str
    digest: str
    n_rows: int
    file_digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """How the rows of one stratum were parted."""

    value: str
    n_train: int
    n_validation: int
    n_test: int


@dataclass(frozen=True, kw_only=True)
class SplitRecipe:
    """How the parts were made from the snapshot, so that they can be made again.

    :param dataset: the name that the snapshot is kept under.
    :param snapshot_uri: the snapshot's folder.
    :param features: the query that gave the rows to train on; ``None``: the snapshot's own.
    :param feature_tables: what was joined to the rows. The source of each is its snapshot in the storage, and not the
        one that it was copied from, whose settings may be secret.
    :param split: how the rows were parted.
    """

    dataset: str
    snapshot_uri: str
    features: str | None
    feature_tables: tuple[FeatureTable, ...] = ()
    split: SplitSpec


@dataclass(frozen=True, kw_only=True)
class DatasetSplit(Value):
    """A snapshot's rows, or the features made from them, in parts that have no row in common.

    :param method: ``time``, ``random``, ``group`` or ``stratified``.
    :param cut: first timestamp of the held-out part, for a split by time.
    :param validation: the part that tuning is judged on, if there is one.
    :param validation_cut: first timestamp of the validation part, for a split by time.
    :param gap: before a cut, rows that lie within it are in no part.
    :param n_left_out: how many rows those are.
    :param key: the columns that identify a row.
    :param group: the columns of which a group is made.
    :param n_groups: how many groups each part has, by its name; empty where no group is named.
    :param n_strata: how many strata there are; 0 where nothing was stratified.
    :param strata: the largest strata, at most 50 of them.
    :param stratify: the column of which every value is a stratum.
    :param feature_digests: what was joined to the rows, by the feature table's name.
    :param recipe: how it was made; ``None`` where that was not noted yet.
    """

    snapshot_digest: str
    method: str
    cut: str | None
    columns: tuple[Column, ...]
    timestamp: str | None
    train: DatasetPart
    test: DatasetPart
    validation: DatasetPart | None = None
    validation_cut: str | None = None
    gap: timedelta | None = None
    n_left_out: int = 0
    key: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    n_groups: Mapping[str, int] = field(default_factory=dict)
    n_strata: int = 0
    strata: tuple[Stratum, ...] = ()
    stratify: str | None = None
    feature_digests: dict[str, str] = field(default_factory=dict)
    recipe: SplitRecipe | None = None

    @property
    def digest(self) -> str:
        """The identity of the split: the rows of its parts."""
        return "+".join(part.digest for part in self.parts.values())

    @property
    def parts(self) -> dict[str, DatasetPart]:
        """The parts by name: ``train``, ``validation`` where there is one, and ``test``."""
        validation = {"validation": self.validation} if self.validation else {}
        return {"train": self.train, **validation, "test": self.test}


def mix_bits(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread 64 bits evenly: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).

    :param bits: ``(n,) uint64``.
    :returns: ``(n,) uint64``, a permutation of all 64-bit numbers applied to each.

    >>> mix_bits(np.array([0, 1], dtype=np.uint64))
    array([                  0, 6238072747940578789], dtype=uint64)
    """
    with np.errstate(over="ignore"):
        mixed = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result


def salted(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Return hashes that are as good as independent for another seed.

    :param hashes: ``(n_rows,) uint64``.
    """
    # The finalizer maps 0 to 0, so the seed is counted from 1.
    salt = mix_bits(np.array([seed + 1], dtype=np.int64).view(np.uint64))
    return mix_bits(hashes ^ salt)


def draw_sides(
    hashes: NDArray[np.uint64], *, test_fraction: float, validation_fraction: float = 0.0, seed: int
) -> NDArray[np.int8]:
    """Draw rows by their hash: a row that is drawn once is drawn again when the data has grown.

    Equal hashes are drawn together or not at all. The rows that are held out do not depend on whether there is a
    validation part, nor does a smaller part take other rows than a larger one.

    :param hashes: ``(n_rows,) uint64``, of what decides the row's side.
    :param test_fraction: of the rows to hold out, in (0, 1).
    :param validation_fraction: of the rows to tune on, in [0, 1).
    :returns: ``(n_rows,) int8``: ``TRAIN``, ``VALIDATION`` or ``TEST``.
    """
    # A number in [0, 1) for each row, from its content alone; the test part takes the lowest, so that a validation part
    # never changes it.
    place = salted(hashes, seed).astype(np.float64) / 2.0**64
    sides: NDArray[np.int8] = np.select(
        [place < test_fraction, place < test_fraction + validation_fraction], [TEST, VALIDATION], TRAIN
    ).astype(np.int8)
    return sides


def bins_of(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.int64]:
    """Return the bin that each row of a stratum is counted in: the top 16 bits of its salted hash.

    :param hashes: ``(n_rows,) uint64``.
    :returns: ``(n_rows,) int64``, in [0, :data:`N_BINS`).
    """
    return (salted(hashes, seed) >> np.uint64(48)).astype(np.int64)


def stratum_limits(
    histogram: NDArray[np.integer], *, test_fraction: float, validation_fraction: float = 0.0
) -> tuple[int, int]:
    """Return up to which bin a stratum's rows are held out, and up to which they are tuned on.

    The shares are met to a row, or to the rows of one bin where bins hold more. No part gets fewer than one row as
    long as there are bins enough.

    :param histogram: ``(N_BINS,)`` rows of the stratum by bin.
    :returns: ``(test, validation)``: bins below the first are ``TEST``, those from there to the second ``VALIDATION``.

    >>> stratum_limits(np.array([1, 0, 1, 1, 1]), test_fraction=0.25)
    (1, 1)
    """
    # Rows below each bin; a limit is the bin at which the wanted number is met most nearly, one row left for each part.
    below = np.concatenate([[0], np.cumsum(histogram)])
    n_rows = int(below[-1])
    n_parts = 3 if validation_fraction else 2
    n_test = min(max(round(test_fraction * n_rows), 1), n_rows - n_parts + 1)
    test = _nearest(below, n_test, taken=0)
    if not validation_fraction:
        return test, test
    taken = int(below[test])
    n_validation = min(max(round(validation_fraction * n_rows), 1), n_rows - taken - 1)
    return test, _nearest(below, taken + n_validation, taken=taken)


def _nearest(below: NDArray[np.int64], wanted: int, *, taken: int) -> int:
    """Return the limit that leaves the wanted number of rows below it, or nearly; always more than are taken."""
    after = int(np.searchsorted(below, wanted))
    fewer = int(below[after - 1]) if after else 0
    if fewer <= taken or below[after] - wanted <= wanted - fewer:
        return after
    return int(np.searchsorted(below, fewer))


def sides_by_time(
    moments: NDArray[np.int64], *, cut: int, validation_cut: int | None = None, gap: int = 0
) -> NDArray[np.int8]:
    """Part rows by their time; the rows of one time stay together.

    :param moments: ``(n_rows,) int64``, on one scale with the others.
    :param cut: the first time that is held out.
    :param validation_cut: the first time that is tuned on, before ``cut``.
    :param gap: rows that lie before a cut, but not by more than this, are left out.
    :returns: ``(n_rows,) int8``: ``TRAIN``, ``VALIDATION``, ``TEST`` or ``LEFT_OUT``.

    >>> sides_by_time(np.arange(6), cut=4, gap=1).tolist()
    [0, 0, 0, 3, 2, 2]
    """
    sides = np.where(moments >= cut, TEST, TRAIN).astype(np.int8)
    cuts = [cut]
    if validation_cut is not None:
        sides[(moments >= validation_cut) & (moments < cut)] = VALIDATION
        cuts.append(validation_cut)
    for each in cuts:
        sides[(moments >= each - gap) & (moments < each)] = LEFT_OUT
    return sides
