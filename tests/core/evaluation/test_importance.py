from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.evaluation.importance import FeatureImportance, importance_changes


def _measured(**features: tuple[float, float]) -> list[FeatureImportance]:
    return [FeatureImportance(feature=name, importance=mean, std=std) for name, (mean, std) in features.items()]


measurements = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.floats(-1, 1), st.floats(0, 0.2)))


def test_each_way_to_change_has_its_name_and_the_largest_comes_first():
    reference = _measured(age=(0.30, 0.01), income=(0.10, 0.01), city=(0.05, 0.01), same=(0.2, 0.01))
    current = _measured(age=(0.10, 0.01), income=(0.20, 0.01), device=(0.40, 0.01), same=(0.2, 0.01))
    changes = importance_changes(reference=reference, current=current)
    assert [(each.feature, each.kind) for each in changes] == [
        ("device", "new"),
        ("age", "fell"),
        ("income", "rose"),
        ("city", "gone"),
    ]
    assert [(each.reference, each.current) for each in changes] == [(None, 0.4), (0.3, 0.1), (0.1, 0.2), (0.05, None)]


@pytest.mark.parametrize(("difference", "is_reported"), [(0.099, False), (0.101, True)])
def test_a_change_counts_beyond_twice_the_deviation_of_both(difference, is_reported):
    reference, current = _measured(x=(0.5, 0.03)), _measured(x=(0.5 + difference, 0.04))
    assert bool(importance_changes(reference=reference, current=current)) is is_reported


def test_a_feature_that_comes_or_goes_without_telling_anything_is_no_change():
    assert importance_changes(reference=_measured(a=(0.001, 0.01)), current=_measured(b=(-0.001, 0.01))) == ()


@given(measurements)
def test_a_model_does_not_differ_from_itself(features):
    same = _measured(**features)
    assert importance_changes(reference=same, current=same) == ()


@given(measurements, measurements)
def test_the_other_way_round_every_change_is_the_opposite(one, other):
    opposite = {"rose": "fell", "fell": "rose", "new": "gone", "gone": "new"}
    there = importance_changes(reference=_measured(**one), current=_measured(**other))
    back = importance_changes(reference=_measured(**other), current=_measured(**one))
    assert {each.feature: opposite[each.kind] for each in there} == {each.feature: each.kind for each in back}
    assert {each.feature: each.difference for each in there} == {each.feature: -each.difference for each in back}
