"""Columns as they are profiled, and counted in the bins of a profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.data.bins import profile_values
from airflow_mlops.core.data.profile import ColumnProfile, bin_labels, fold_rare


def numbers(values: NDArray[np.float64], name: str = "x") -> ColumnProfile:
    """Return the profile of a column of numbers, with its odd ones."""
    profile = profile_values(name, values[np.isfinite(values)])
    return replace(profile, counts=counted(profile, values).counts)


def texts(values: Sequence[str | None], name: str = "x") -> ColumnProfile:
    """Return the profile of a categorical column."""
    found = Counter(value for value in values if value is not None)
    counts = fold_rare(found, values.count(None), len(values), known={})
    return ColumnProfile(name=name, counts=counts, n_distinct=len(found))


def counted(bins: ColumnProfile, values: NDArray[np.float64] | Sequence[str | None], n_null: int = 0) -> ColumnProfile:
    """Count a column in the bins of another, as the engine does."""
    if bins.edges is None:
        found = Counter(value for value in values if value is not None)
        counts = fold_rare(found, list(values).count(None), len(values), known=bins.counts)
        return ColumnProfile(name=bins.name, counts=counts, top_values=tuple(found.most_common(20)))
    edges, numeric = bins.edges, np.asarray(values, dtype=float)
    finite = numeric[np.isfinite(numeric)]
    inside = finite[(finite >= edges[0]) & (finite <= edges[-1])]
    places = np.clip(np.searchsorted(edges, inside, side="right") - 1, 0, len(edges) - 2)
    n_rows = np.bincount(places, minlength=len(edges) - 1).tolist()
    counts = {
        "null": n_null,
        "nan": int(np.isnan(numeric).sum()),
        "-inf": int((numeric == -np.inf).sum()),
        "+inf": int((numeric == np.inf).sum()),
        "below": int((finite < edges[0]).sum()),
        "above": int((finite > edges[-1]).sum()),
        **dict(zip(bin_labels(edges), n_rows, strict=True)),
    }
    return ColumnProfile(name=bins.name, edges=edges, counts=counts)
