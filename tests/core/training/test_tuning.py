from __future__ import annotations

import pytest

from airflow_mlops.core.training.tuning import (
    Trial,
    TuningResult,
    best_of,
    check_space,
    counted,
    has_budget,
    keep_chosen,
    next_place,
    remaining_s,
    summarise,
    tuning_fingerprint,
)
from airflow_mlops.errors import SpecError, TrainingError
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


def test_the_place_of_a_trial_whose_process_died_is_taken_again():
    trials = [trial(0, "ABANDONED"), trial(1, "RUNNING"), trial(2, "FINISHED")]
    assert next_place([]) == 0
    assert next_place(trials) == 0
    assert next_place([*trials, trial(3, "RUNNING", place=0)]) == 3


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


def test_names_that_the_training_has_may_be_searched_for():
    check_space(TUNING, RIDGE)
    with pytest.raises(SpecError, match=r"tuning.space.alpha: is not among training.params \('solver'\)"):
        check_space(TUNING, RIDGE.model_copy(update={"params": {"solver": "auto"}}))
