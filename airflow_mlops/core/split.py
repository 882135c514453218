"""Which rows are learnt from, and which are held back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.data import Column
from airflow_mlops.core.values import Value

__all__ = ["DatasetPart", "DatasetSplit", "draw_rows", "mix_bits"]


@dataclass(frozen=True, kw_only=True)
class DatasetPart:
    """One part of a split: a Parquet file, the digest of its rows and how many there are."""

    uri: str
    digest: str
    n_rows: int


@dataclass(frozen=True, kw_only=True)
class DatasetSplit(Value):
    """A snapshot's rows, or the features made from them, in a training and a held-back part.

    :param method: ``time`` or ``random``.
    :param cut: first timestamp of the held-back part, for a split by time.
    """

    snapshot_digest: str
    method: str
    cut: str | None
    columns: tuple[Column, ...]
    timestamp: str | None
    train: DatasetPart
    test: DatasetPart

    @property
    def digest(self) -> str:
        """The identity of the split: both parts' rows."""
        return f"{self.train.digest}+{self.test.digest}"


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


def draw_rows(hashes: NDArray[np.uint64], *, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Draw rows by their hash: a row that is drawn once is drawn again when the data has grown.

    Equal rows are drawn together or not at all, so none of them stands on both sides of a split.

    :param hashes: ``(n_rows,) uint64``, of the rows' values.
    :param fraction: of the rows to draw, in (0, 1).
    :returns: ``(n_rows,) bool``.
    """
    salt = mix_bits(np.array([seed + 1], dtype=np.int64).view(np.uint64))
    return mix_bits(hashes ^ salt).astype(np.float64) / 2.0**64 < fraction
