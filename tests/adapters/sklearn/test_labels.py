from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops.adapters.sklearn.labels import classes_of, codes_by_appearance, codes_of, shares_of


def test_the_classes_of_several_columns_are_all_their_values_sorted():
    assert classes_of(np.array(["no", "yes"], object), ["maybe"]).tolist() == ["maybe", "no", "yes"]
    assert classes_of(np.array([2, 0]), np.array([1.0, 2.0])).tolist() == [0, 1, 2]


def test_text_and_numbers_are_not_classes_of_one_target():
    with pytest.raises(TypeError):
        classes_of(np.array(["1"], object), np.array([1]))


@pytest.mark.parametrize("said", [np.array([1.0, 0.0, 7.0]), np.array([True, False, 7], object)])
def test_equal_values_of_other_types_are_the_same_class_and_others_none(said):
    assert codes_of(said, np.array([0, 1])).tolist() == [1, 0, -1]


def test_shares_are_of_all_values():
    assert shares_of(np.array(["a", "b", "a", "a"], object), np.array(["a", "b", "c"])).tolist() == [0.75, 0.25, 0.0]


def test_groups_are_numbered_as_they_appear_and_the_missing_are_one():
    assert codes_by_appearance(np.array(["b", None, "a", "b", None], object)).tolist() == [0, 1, 2, 0, 1]
