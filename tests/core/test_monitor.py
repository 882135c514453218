from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.monitor import (
    DriftStatus,
    judge_drift,
    population_stability_index,
)
from airflow_mlops.core.profile import ColumnProfile, DatasetProfile
from airflow_mlops.specs import MonitoringSpec

counts = st.dictionaries(st.text(max_size=3), st.integers(0, 10_000), min_size=1, max_size=12).filter(
    lambda bins: sum(bins.values()) > 0
)


@given(counts)
def test_equal_counts_have_no_drift(bins):
    assert population_stability_index(reference=bins, current=dict(bins)) == 0.0


@given(counts, counts)
def test_drift_is_symmetric_and_never_negative(one, other):
    forth = population_stability_index(reference=one, current=other)
    assert forth >= 0.0
    assert population_stability_index(reference=other, current=one) == pytest.approx(forth)
    assert math.isfinite(forth)


@given(counts, counts, st.randoms())
def test_the_order_of_the_bins_does_not_matter(one, other, random):
    shuffled = list(one.items())
    random.shuffle(shuffled)
    expected = population_stability_index(reference=one, current=other)
    assert population_stability_index(reference=dict(shuffled), current=other) == expected


@given(counts, counts)
def test_bins_that_neither_side_has_do_not_matter(one, other):
    expected = population_stability_index(reference=one, current=other)
    assert population_stability_index(reference={**one, "(empty)": 0}, current=other) == expected


def test_the_index_of_a_shift_is_that_of_its_formula():
    p, q = np.array([90.5, 10.5]) / 101, np.array([10.5, 90.5]) / 101
    expected = float(((p - q) * np.log(p / q)).sum())
    assert population_stability_index(reference={"a": 90, "b": 10}, current={"a": 10, "b": 90}) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(("one", "other"), [({}, {"a": 1}), ({"a": 1}, {}), ({"a": 0}, {"a": 1})])
def test_a_side_without_rows_can_not_be_judged(one, other):
    assert math.isnan(population_stability_index(reference=one, current=other))


def _profile(**columns: dict[str, int]) -> DatasetProfile:
    return DatasetProfile(
        snapshot_digest="s",
        n_rows=sum(next(iter(columns.values())).values()),
        columns=tuple(ColumnProfile(name=name, counts=bins) for name, bins in columns.items()),
    )


STILL, MOVED = {"=a": 90, "=b": 10}, {"=a": 10, "=b": 90}


@pytest.mark.parametrize(
    ("fraction", "status"), [(0.3, DriftStatus.DRIFTED), (1 / 3, DriftStatus.DRIFTED), (0.5, DriftStatus.STABLE)]
)
def test_a_dataset_has_drifted_when_enough_of_its_columns_have(fraction, status):
    found, columns, reasons = judge_drift(
        reference=_profile(x=STILL, y=STILL, z=STILL),
        current=_profile(x=STILL, y=MOVED, z=STILL),
        monitoring=MonitoringSpec(drifted_fraction=fraction, min_rows=50),
    )
    assert found is status
    assert [column.name for column in columns if column.is_drifted] == ["y"]
    assert columns[0].name == "y"
    assert reasons == ("1 of 3 column(s) drifted, 100 new rows against 100 (PSI threshold 0.2; y 3.41, x 0, z 0).",)


def test_a_column_has_drifted_from_the_threshold_on():
    psi = population_stability_index(reference=STILL, current=MOVED)
    for threshold, is_drifted in ((psi, True), (np.nextafter(psi, np.inf), False)):
        _, (column,), _ = judge_drift(
            reference=_profile(x=STILL),
            current=_profile(x=MOVED),
            monitoring=MonitoringSpec(psi_threshold=threshold, min_rows=50),
        )
        assert column.is_drifted is is_drifted


def test_columns_are_matched_by_name_and_not_by_place():
    status, _, _ = judge_drift(
        reference=_profile(x=STILL, y=MOVED), current=_profile(y=MOVED, x=STILL), monitoring=MonitoringSpec(min_rows=50)
    )
    assert status is DriftStatus.STABLE


def test_too_few_rows_are_a_state_of_their_own_and_never_stable():
    status, columns, (reason,) = judge_drift(
        reference=_profile(x=STILL), current=_profile(x={"=b": 49}), monitoring=MonitoringSpec(min_rows=50)
    )
    assert (status, columns) == (DriftStatus.TOO_FEW_ROWS, ())
    assert "49 new row(s)" in reason
    assert "monitoring.min_rows is 50" in reason
