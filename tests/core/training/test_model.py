from __future__ import annotations

import pytest

from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.splitting.split import DatasetPart, DatasetSplit
from airflow_mlops.core.training.model import choose_features, feature_columns, fingerprint, merge_params
from airflow_mlops.errors import SpecError
from airflow_mlops.specs import TrainingSpec

RIDGE = TrainingSpec(target="y", estimator="sklearn.linear_model.Ridge", params={"alpha": 1.0, "max_iter": None})
COLUMNS = ("at", "x1", "y", "x2")
PART = DatasetPart(uri="/p", digest="sha256:1", n_rows=3)


def split_of(*names: str, timestamp: str | None = None, **settings: tuple[str, ...]) -> DatasetSplit:
    columns = tuple(Column(name=name, type="double") for name in names)
    return DatasetSplit(
        snapshot_digest="s",
        method="random",
        cut=None,
        columns=columns,
        timestamp=timestamp,
        train=PART,
        test=PART,
        **settings,
    )


def test_the_same_data_code_and_parameters_have_the_same_fingerprint():
    again = TrainingSpec.parse(RIDGE.model_dump(mode="json"))
    first = fingerprint(split_digest="s", training=RIDGE, code_digest="c")
    assert fingerprint(split_digest="s", training=again, code_digest="c") == first


@pytest.mark.parametrize(
    "changed",
    [
        {"split_digest": "s2"},
        {"code_digest": "c2"},
        {"training": merge_params(RIDGE, {"alpha": 2.0})},
        {"training": TrainingSpec(**{**RIDGE.model_dump(), "seed": 1})},
        {"training": TrainingSpec(**{**RIDGE.model_dump(), "features": ("x1",)})},
    ],
    ids=["split", "code", "params", "seed", "features"],
)
def test_anything_that_changes_the_model_changes_the_fingerprint(changed):
    same = {"split_digest": "s", "training": RIDGE, "code_digest": "c"}
    assert fingerprint(**{**same, **changed}) != fingerprint(**same)


def test_overrides_replace_parameters_and_leave_the_others_and_the_spec():
    merged = merge_params(RIDGE, {"alpha": 2.0})
    assert merged.params == {"alpha": 2.0, "max_iter": None}
    assert merged.estimator == RIDGE.estimator
    assert RIDGE.params["alpha"] == 1.0


def test_no_overrides_change_nothing():
    assert merge_params(RIDGE, {}) == RIDGE


def test_an_override_with_a_typo_does_not_train_with_the_default():
    with pytest.raises(SpecError, match=r"'alhpa' is not one of this pipeline's \('alpha', 'max_iter'\).*'alpha'\?"):
        merge_params(RIDGE, {"alhpa": 2.0})


def test_features_are_all_columns_but_target_and_timestamp_in_their_order():
    assert choose_features(RIDGE, split_of(*COLUMNS, timestamp="at")) == ("x1", "x2")
    assert choose_features(RIDGE, split_of(*COLUMNS)) == ("at", "x1", "x2")


def test_what_tells_rows_or_groups_apart_is_no_feature_unless_it_is_named():
    split = split_of("id", "town", *COLUMNS, timestamp="at", key=("id",), group=("town",))
    assert choose_features(RIDGE, split) == ("x1", "x2")
    assert choose_features(TrainingSpec(target="y", estimator="a.B", features=("town",)), split) == ("town",)


def test_features_that_are_named_are_used_in_the_order_of_the_spec():
    spec = TrainingSpec(target="y", estimator="a.B", features=("x2", "x1"))
    assert choose_features(spec, split_of(*COLUMNS, timestamp="at")) == ("x2", "x1")


def test_the_weight_of_a_row_is_no_feature_and_must_be_in_the_data():
    spec = TrainingSpec(target="y", estimator="a.B", sample_weight="x2")
    assert choose_features(spec, split_of(*COLUMNS, timestamp="at")) == ("x1",)
    with pytest.raises(SpecError, match=r"training\.sample_weight 'x2' is not in the data"):
        choose_features(spec, split_of("y", "x1"))


def test_a_target_that_is_not_in_the_data_is_named_with_a_suggestion():
    spec = TrainingSpec(target="target_value", estimator="a.B")
    with pytest.raises(
        SpecError, match=r"training\.target 'target_value' is not in the data.*Did you mean 'target_val'"
    ):
        choose_features(spec, split_of("x", "target_val"))


def test_a_feature_that_is_not_in_the_data_is_named():
    spec = TrainingSpec(target="y", estimator="a.B", features=("x1", "x9"))
    with pytest.raises(SpecError, match=r"training\.feature 'x9' is not in the data\. Columns: 'at', 'x1'"):
        choose_features(spec, split_of(*COLUMNS, timestamp="at"))


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(
        SpecError, match=r"No feature is left: the columns are target, weight, timestamp, key or group \('at', 'y'\)"
    ):
        choose_features(RIDGE, split_of("at", "y", timestamp="at"))


def test_the_columns_to_learn_from_are_known_by_more_than_their_names():
    split = split_of(*COLUMNS, timestamp="at")
    assert feature_columns(RIDGE, split) == [Column(name="x1", type="double"), Column(name="x2", type="double")]
