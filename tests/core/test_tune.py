from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.tune import (
    Trial,
    TuningResult,
    best_of,
    check_space,
    counted,
    has_budget,
    hashed_folds,
    keep_chosen,
    remaining_s,
    summarise,
    time_folds,
    tuning_fingerprint,
)
from airflow_mlops.errors import DataError, SpecError, TrainingError
from airflow_mlops.specs import TrainingSpec, TuningSpec

RIDGE = TrainingSpec(target="y", estimator="sklearn.linear_model.Ridge", params={"alpha": 1.0, "solver": "auto"})
TUNING = TuningSpec.parse(
    {"space": {"alpha": {"type": "float", "low": 0.1, "high": 9.0}}, "metric": "r2", "n_trials": 3, "timeout_s": 10}
)


def trial(number: int, state: str = "FINISHED", *scores: float, **settings) -> Trial:
    defaults = {"place": number, "params": {"alpha": number + 0.5}, "seconds": 2.0, "worker": "a"}
    return Trial(number=number, state=state, scores=scores, **(defaults | settings))


def summary(*trials: Trial) -> TuningResult:
    return summarise(
        trials,
        model_name="m",
        fingerprint="f",
        split_digest="s",
        training=RIDGE,
        tuning=TUNING,
        run_id="r",
        run_url="",
        report_uri="",
    )


# -- folds --------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 200), min_size=12, max_size=80, unique=True).flatmap(st.permutations),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_folds_by_time_learn_from_what_lies_before_the_gap_alone(moments, n_folds, gap):
    at = np.array(moments)
    try:
        folds = time_folds(at, n_folds, gap=gap)
    except DataError:
        assert gap  # without one there are always rows
        return
    for fit, score in folds:
        assert at[fit].max() + gap < at[score].min()
    scored = np.concatenate([score for _, score in folds])
    assert len(set(scored.tolist())) == len(scored)
    assert len(folds) == n_folds


def test_rows_of_one_moment_are_in_one_fold():
    moments = np.repeat(np.arange(7), 10)
    for fit, score in time_folds(moments, 3):
        assert not set(moments[fit]) & set(moments[score])


@pytest.mark.parametrize("settings", [{"gap": 6}, {}], ids=["gap", "one moment"])
def test_folds_without_rows_are_an_error_that_says_what_to_do(settings):
    moments = np.arange(12) if settings else np.zeros(12, dtype=np.int64)
    with pytest.raises(DataError, match=r"Fold 1 of 3 has 0 rows to learn from.*Lower tuning\.n_folds"):
        time_folds(moments, 3, **settings)


@given(st.lists(st.integers(0, 30), min_size=40, max_size=200), st.integers(2, 4), st.integers(0, 9))
def test_equal_hashes_are_never_on_both_sides_and_every_row_is_scored_once(groups, n_folds, seed):
    hashes = np.array(groups, dtype=np.uint64)
    if len(set(groups)) < n_folds:
        return
    folds = hashed_folds(hashes, n_folds, seed=seed)
    for fit, score in folds:
        assert not set(hashes[fit].tolist()) & set(hashes[score].tolist())
        assert len(fit) + len(score) == len(hashes)
    assert sorted(np.concatenate([score for _, score in folds]).tolist()) == list(range(len(hashes)))


def test_a_row_is_in_the_same_fold_wherever_it_stands():
    hashes = np.arange(100, dtype=np.uint64)
    order = np.random.default_rng(0).permutation(100)
    for (_, score), (_, moved) in zip(
        hashed_folds(hashes, 4, seed=1), hashed_folds(hashes[order], 4, seed=1), strict=True
    ):
        assert set(score.tolist()) == set(order[moved].tolist())


def test_another_seed_makes_other_folds():
    hashes = np.arange(100, dtype=np.uint64)
    first, second = (hashed_folds(hashes, 4, seed=seed)[0][1].tolist() for seed in (0, 1))
    assert first != second


def test_every_fold_has_the_same_share_of_every_stratum():
    strata = np.repeat([0, 1], [90, 10])
    for _, score in hashed_folds(np.arange(100, dtype=np.uint64), 5, seed=0, strata=strata):
        assert np.bincount(strata[score]).tolist() == [18, 2]


def test_strata_of_one_row_are_spread_over_the_folds():
    hashes = np.arange(20, dtype=np.uint64)
    assert [len(score) for _, score in hashed_folds(hashes, 5, seed=0, strata=hashes)] == [4] * 5


def test_fewer_groups_than_folds_are_an_error():
    with pytest.raises(DataError, match="it takes more rows or groups that are different"):
        hashed_folds(np.array([1, 1, 2, 2], dtype=np.uint64), 3, seed=0)


# -- what is searched for -----------------------------------------------------------------------------------


def test_a_name_that_the_training_does_not_have_is_refused_with_a_suggestion():
    spec = TuningSpec.parse({"space": {"alhpa": {"type": "float", "low": 0, "high": 1}}, "metric": "r2"})
    with pytest.raises(SpecError, match=r"tuning\.space\.alhpa: is not among training\.params.*Did you mean 'alpha'\?"):
        check_space(spec, RIDGE)


def test_what_a_person_has_chosen_is_not_searched_for():
    training, tuning = keep_chosen(RIDGE, TUNING, {"alpha": 5.0, "solver": "auto"})
    assert training.params == {"alpha": 5.0, "solver": "auto"}
    assert (dict(tuning.space), tuning.n_trials) == ({}, 1)


def test_the_specs_own_values_leave_the_search_as_it_is():
    assert keep_chosen(RIDGE, TUNING, {"alpha": 1.0, "solver": "auto"}) == (RIDGE, TUNING)
    training, tuning = keep_chosen(RIDGE, TUNING, {"solver": "svd"})
    assert (training.params["solver"], tuning) == ("svd", TUNING)


def test_whatever_changes_the_result_changes_the_fingerprint():
    first = tuning_fingerprint("t", TUNING)
    assert tuning_fingerprint("t", TuningSpec.parse(TUNING.model_dump(mode="json"))) == first
    assert tuning_fingerprint("t2", TUNING) != first
    assert tuning_fingerprint("t", TUNING.model_copy(update={"seed": 1})) != first


# -- budget -------------------------------------------------------------------------------------------------


def test_failed_and_running_trials_take_of_the_budget_and_abandoned_ones_do_not():
    trials = [trial(0, "FAILED"), trial(1, "ABANDONED"), trial(2, "RUNNING")]
    assert [each.number for each in counted(trials)] == [0, 2]
    assert has_budget(trials, TUNING, worker="a")
    assert not has_budget([*trials, trial(3, "PRUNED")], TUNING, worker="a")


def test_time_is_counted_for_each_worker_over_all_of_its_tries():
    trials = [trial(0, "FINISHED", 1.0, seconds=6.0), trial(1, "FAILED", seconds=5.0)]
    assert not has_budget(trials, TUNING, worker="a")
    assert has_budget(trials, TUNING, worker="b")


def test_the_time_that_remains_is_the_shorter_of_both_budgets():
    assert remaining_s([], TUNING, worker="a") == 0.0
    assert remaining_s([trial(0)], TUNING, worker="a") == pytest.approx(4.0)
    assert remaining_s([trial(0, seconds=9.0)], TUNING, worker="a") == pytest.approx(1.0)


# -- outcome ------------------------------------------------------------------------------------------------


def test_the_best_is_the_highest_mean_and_the_earliest_of_equals():
    trials = [trial(0, "FINISHED", 0.5), trial(1, "FINISHED", 0.6, 0.8), trial(2, "FINISHED", 0.7)]
    assert best_of(trials).number == 1
    assert best_of([trial(0, "PRUNED", 0.9), trial(1, "FAILED")]) is None


def test_a_result_has_all_hyperparameters_and_survives_the_way_through_json():
    found = summary(trial(0, "FINISHED", 0.5), trial(1, "FINISHED", 0.7), trial(2, "FAILED", error="no"))
    assert found.best_params == {"alpha": 1.5, "solver": "auto"}
    assert (found.best_score, found.default_score, found.n_finished, found.n_failed) == (0.7, 0.5, 2, 1)
    assert TuningResult.from_dict(found.to_dict()) == found


def test_the_defaults_may_fail_and_another_trial_be_the_best():
    found = summary(trial(0, "FAILED", error="no"), trial(1, "FINISHED", 0.7))
    assert (found.default_score, found.best_trial) == (None, 1)


def test_a_search_of_which_no_trial_finished_is_an_error_with_the_reasons():
    with pytest.raises(TrainingError, match=r"none of 2 trials finished, 2 failed.*champion stays.*'out of range'"):
        summary(trial(0, "FAILED", error="out of range"), trial(1, "FAILED", error="out of range"))
