from __future__ import annotations

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs.split import LeakageSpec, SplitSpec


def test_what_is_not_said_is_a_split_by_time_of_a_fifth_without_validation_part():
    split = SplitSpec()
    assert (split.method, split.test_fraction, split.validation_fraction, split.gap) == ("time", 0.2, 0.0, None)
    assert split.leakage == LeakageSpec()


def test_a_gap_is_a_duration_and_survives_the_way_through_json():
    split = SplitSpec.parse({"gap": "P7D"})
    assert split.gap.days == 7
    assert SplitSpec.parse(split.model_dump(mode="json")) == split


def test_one_column_may_be_named_without_a_list():
    assert SplitSpec.parse({"method": "group", "group": "patient"}).group == ("patient",)
    assert SplitSpec.parse({"method": "random", "key": ["a", "b"]}).key == ("a", "b")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "random", "gap": "P1D"}, "`gap` needs `method: time`: the rows of a random split have no order"),
        ({"gap": "-P1D"}, "gap: must be greater than 0"),
        ({"method": "group"}, "`method: group` needs `group`, the column whose rows stay together"),
        ({"method": "random", "group": "g"}, "`method: random` would part the rows of a `group`: set `method: group`"),
        ({"method": "stratified"}, "`method: stratified` needs `stratify`"),
        ({"stratify": "s"}, "`stratify` needs `method: stratified`"),
        ({"test_fraction": 0.6, "validation_fraction": 0.4}, "leave nothing to train on: their sum must be below 1"),
        ({"test_fraction": 0.0}, "test_fraction: must be greater than 0"),
        ({"method": "random", "key": ["a", "a"]}, "needs names of columns, each of them once"),
        ({"leakage": {"known_at": {"a": "b"}}}, "leakage: `known_at` needs `prediction_time`"),
        ({"leakage": {"prediction_time": "a"}}, "leakage: `prediction_time` checks nothing without `known_at`"),
        ({"leakage": {"max_shared_rows": 0.1}}, "Did you mean 'max_shared_row_fraction'"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_by_name(settings, message):
    with pytest.raises(SpecError) as caught:
        SplitSpec.parse(settings)
    assert message in str(caught.value)
