"""A search for hyperparameters: what it looks at, what it costs, and what is left of it when its process dies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from airflow_mlops.adapters.optuna import Study
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.tuning import Trial, TuningResult
from airflow_mlops.errors import DataError, SpecError, TrainingError, UnavailableError
from airflow_mlops.specs import TrainingSpec, TuningSpec
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.platform import short
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training._trials import read_trial_evaluator
from airflow_mlops.steps.training.train import train_model
from airflow_mlops.steps.training.tune import tune_model
from tests.steps import dying, trainers
from tests.steps.cases import Bench, elsewhere, run_named, small_frame

RUN = run_named("the run")
RIDGE = {"target": "y", "estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 100.0}}
ALPHA = {"alpha": {"type": "float", "low": 0.001, "high": 1000.0, "log": True}}


def tuning(**settings: Any) -> TuningSpec:
    return TuningSpec.parse(
        {"space": ALPHA, "metric": "neg_mean_absolute_error", "n_trials": 5, "n_folds": 3, **settings}
    )


def split_of(bench: Bench, **settings: Any) -> DatasetSplit:
    spec = bench.spec(split=settings)
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=bench.platform.storage)
    return split_dataset(snapshot, spec.data, spec.split, storage=bench.platform.storage)


def tune(
    bench: Bench, split: DatasetSplit, spec: TuningSpec, training: dict[str, Any] = RIDGE, **settings: Any
) -> TuningResult:
    options = {"model_name": "small", "platform": bench.platform, "run": RUN} | settings
    return tune_model(split, TrainingSpec.parse(training), spec, **options)


def trials_of(bench: Bench, result: TuningResult, spec: TuningSpec) -> tuple[Trial, ...]:
    folder = bench.platform.storage.path("tuning", "small", short(result.fingerprint))
    return Study(folder, spec, defaults=result.best_params, worker="0").trials()


def tracked(bench: Bench, **tags: str) -> list[Any]:
    client = MlflowClient(bench.platform.mlflow.tracking_uri)
    experiment = client.get_experiment_by_name("small")
    wanted = " and ".join(f"tags.`{name.replace('__', '.')}` = '{value}'" for name, value in tags.items())
    return list(client.search_runs([experiment.experiment_id], wanted, order_by=["start_time"]))


def diary_of(training: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(training["params"]["diary"]).read_text().splitlines()]


@pytest.fixture
def telling(tmp_path: Path) -> dict[str, Any]:
    """A training that writes down what it is shown."""
    params = {"alpha": 100.0, "diary": str(tmp_path / "diary.jsonl")}
    return {"target": "y", "function": trainers.ridge_that_tells, "params": params}


# -- what comes of it ---------------------------------------------------------------------------------------


def test_the_best_is_no_worse_than_the_defaults_and_can_be_trained_with(delivered: Bench):
    split, spec = split_of(delivered), tuning(n_trials=12)
    result = tune(delivered, split, spec)
    trials = trials_of(delivered, result, spec)
    assert trials[0].params == {"alpha": 100.0}
    assert result.default_score == trials[0].score < result.best_score == max(trial.score for trial in trials)
    assert (result.n_finished, result.n_failed, result.n_pruned, result.n_folds) == (12, 0, 0, 3)
    assert result.best_params["alpha"] < 100
    tuned = TrainingSpec.parse(RIDGE | {"params": result.best_params})
    model = train_model(split, tuned, model_name="small", platform=delivered.platform, run=RUN)
    assert model.params == result.best_params


def test_the_report_shows_the_trials_and_how_the_best_was_found(delivered: Bench):
    result = tune(delivered, split_of(delivered), tuning())
    page = delivered.platform.storage.path(result.report_uri).read_text()
    assert "IMPROVED" in page
    assert "0 (defaults)" in page
    assert f"{result.best_score:.6g}" in page
    assert (
        TuningResult.from_dict(
            json.loads(delivered.platform.storage.path(result.report_uri).with_suffix(".json").read_text())
        )
        == result
    )


def test_mlflow_has_a_run_of_the_search_and_one_below_it_for_each_trial(delivered: Bench):
    spec = tuning()
    result = tune(delivered, split_of(delivered), spec)
    (search,) = tracked(delivered, mlops__tuning=result.fingerprint)
    assert (search.info.run_id, search.info.status) == (result.run_id, "FINISHED")
    assert search.data.metrics["best_score"] == result.best_score
    assert json.loads(search.data.tags["mlops.best_params"]) == result.best_params
    children = tracked(delivered, mlflow__parentRunId=result.run_id)
    assert [child.info.status for child in children] == ["FINISHED"] * 5
    client = MlflowClient(delivered.platform.mlflow.tracking_uri)
    for child, trial in zip(children, trials_of(delivered, result, spec), strict=True):
        assert float(child.data.params["alpha"]) == trial.params["alpha"]
        assert child.data.metrics["score"] == trial.score
        history = client.get_metric_history(child.info.run_id, "fold_score")
        assert [point.value for point in history] == list(trial.scores)


def test_the_same_search_is_made_once_and_another_seed_is_another_search(delivered: Bench, telling: dict[str, Any]):
    split = split_of(delivered)
    first = tune(delivered, split, tuning(), telling)
    n_fits = len(diary_of(telling))
    again = tune(delivered, split, tuning(), telling, run=run_named("another run"))
    assert (again.best_params, again.run_id, again.seconds) == (first.best_params, first.run_id, first.seconds)
    assert len(diary_of(telling)) == n_fits
    tune(delivered, split, tuning(seed=1), telling)
    assert len(diary_of(telling)) == 2 * n_fits


def test_a_search_whose_run_was_deleted_gets_another_one(delivered: Bench):
    split = split_of(delivered)
    first = tune(delivered, split, tuning(n_trials=1))
    MlflowClient(delivered.platform.mlflow.tracking_uri).delete_run(first.run_id)
    again = tune(delivered, split, tuning(n_trials=1))
    assert again.run_id != first.run_id
    assert again.best_score == first.best_score
    assert [run.info.status for run in tracked(delivered, mlops__tuning=first.fingerprint)] == ["FINISHED"]


# -- what it looks at ---------------------------------------------------------------------------------------


def _with_ids(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(id=np.arange(len(frame)))


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "time"},
        {"method": "time", "gap": "P3D", "validation_fraction": 0.2},
        {"method": "random", "key": "id"},
        {"method": "random", "key": "id", "validation_fraction": 0.2},
    ],
    ids=["time", "time, validation", "random", "random, validation"],
)
def test_what_is_held_back_changes_nothing(bench: Bench, settings: dict[str, Any]):
    spec = tuning()
    frame = _with_ids(small_frame())
    bench.deliver(frame)
    split = split_of(bench, **settings)
    held_out = set(pd.read_parquet(split.test.uri)["id"])
    first = tune(bench, split, spec)
    is_held_back = frame["id"].isin(held_out)
    bench.deliver(frame.assign(y=frame["y"].where(~is_held_back, 1e6), x=frame["x"].where(~is_held_back, -7.0)))
    changed = split_of(bench, **settings)
    assert changed.test.digest != split.test.digest
    assert changed.train.digest == split.train.digest
    Path(changed.test.uri).unlink()
    second = tune(bench, changed, spec)
    assert second.fingerprint != first.fingerprint
    scores = [[(t.params, t.scores) for t in trials_of(bench, result, spec)] for result in (first, second)]
    assert scores[0] == scores[1]


def test_a_fold_learns_and_is_scored_within_the_training_part_alone(delivered: Bench, telling: dict[str, Any]):
    split = split_of(delivered, gap="P2D")
    tune(delivered, split, tuning(n_trials=1), telling)
    rows = pd.read_parquet(split.train.uri)
    day_of = dict(zip(rows["x"], rows["day"], strict=True))
    pages = diary_of(telling)
    assert len(pages) == 6
    for learnt, scored in zip(pages[::2], pages[1::2], strict=True):
        last, first = max(day_of[x] for x in learnt["x"]), min(day_of[x] for x in scored["scored"])
        assert first - last > pd.Timedelta(days=2)


def test_with_a_validation_part_trials_learn_from_the_training_part_and_are_scored_on_it(
    delivered: Bench, telling: dict[str, Any]
):
    split = split_of(delivered, validation_fraction=0.2)
    result = tune(delivered, split, tuning(n_trials=1), telling)
    learnt, scored = diary_of(telling)
    assert learnt["x"] == pd.read_parquet(split.train.uri)["x"].tolist()
    assert scored["scored"] == pd.read_parquet(split.validation.uri)["x"].tolist()
    assert result.n_folds == 1


def _folds(bench: Bench, frame: pd.DataFrame, **settings: Any) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    bench.deliver(frame)
    trial_evaluator = read_trial_evaluator(split_of(bench, **settings), TrainingSpec.parse(RIDGE), tuning())
    return [
        (trial_evaluator.train.iloc[fit], trial_evaluator.train.iloc[score]) for fit, score in trial_evaluator.folds
    ]


def test_the_groups_of_the_split_stay_together_in_the_folds(bench: Bench):
    frame = small_frame().assign(shop=lambda rows: np.arange(len(rows)) % 23)
    for fit, score in _folds(bench, frame, method="group", group="shop"):
        assert not set(fit["shop"]) & set(score["shop"])


def test_the_strata_of_the_split_have_their_share_of_every_fold(bench: Bench):
    frame = small_frame().assign(kind=lambda rows: np.where(np.arange(len(rows)) % 10 == 0, "rare", "usual"))
    shares = [
        (score["kind"] == "rare").sum() for _, score in _folds(bench, frame, method="stratified", stratify="kind")
    ]
    assert max(shares) - min(shares) <= 1


def test_rows_that_are_equal_but_for_their_moment_stay_together_in_the_folds(bench: Bench):
    frame = small_frame().assign(x=lambda rows: np.arange(len(rows)) // 2, y=lambda rows: rows["x"])
    for fit, score in _folds(bench, frame, method="random"):
        assert not set(fit["x"]) & set(score["x"])


def test_folds_by_time_are_made_of_dates_and_of_moments_with_a_zone(bench: Bench):
    frame = small_frame()
    for days in (frame["day"].dt.strftime("%Y-%m-%d"), frame["day"].dt.strftime("%Y-%m-%dT00:00:00+02:00")):
        for fit, score in _folds(bench, frame.assign(day=days), gap="P2D"):
            assert score["day"].min() - fit["day"].max() > pd.Timedelta(days=2)


def test_preprocessing_is_fitted_to_the_rows_that_its_model_learns_from(bench: Bench):
    frame = small_frame().assign(town=lambda rows: [f"town {number}" for number in range(len(rows))])
    bench.deliver(frame)
    result = tune(bench, split_of(bench), tuning(n_trials=2))
    assert result.n_finished == 2  # towns of later rows are unknown to every fold


# -- budgets ------------------------------------------------------------------------------------------------


def test_time_that_is_spent_ends_the_search_after_the_trial_that_is_running(delivered: Bench):
    result = tune(delivered, split_of(delivered), tuning(n_trials=500, timeout_s=1e-9))
    assert (result.n_finished, result.best_params) == (1, RIDGE["params"])


def test_halving_prunes_and_never_the_defaults(delivered: Bench):
    spec = tuning(n_trials=12, pruning="successive_halving")
    result = tune(delivered, split_of(delivered), spec)
    trials = trials_of(delivered, result, spec)
    assert result.n_pruned > 0
    assert result.n_pruned + result.n_finished == 12
    assert {len(trial.scores) for trial in trials if trial.state == "PRUNED"} <= {1, 2}
    assert {len(trial.scores) for trial in trials if trial.state == "FINISHED"} == {3}
    assert trials[0].state == "FINISHED"


# -- what may go wrong --------------------------------------------------------------------------------------


def test_trials_that_fail_are_recorded_and_do_not_end_the_search(delivered: Bench):
    training = {"target": "y", "function": trainers.fails_above_one, "params": {"alpha": 1.0}}
    spec = tuning(n_trials=8)
    result = tune(delivered, split_of(delivered), spec, training)
    assert result.n_failed > 0
    assert result.n_failed + result.n_finished == 8
    failed = [run for run in tracked(delivered, mlflow__parentRunId=result.run_id) if run.info.status == "FAILED"]
    assert len(failed) == result.n_failed
    assert "alpha is too much" in failed[0].data.tags["mlops.error"]
    assert "alpha is too much" in delivered.platform.storage.path(result.report_uri).read_text()


def test_a_search_of_which_every_trial_fails_is_an_error_and_its_run_failed(delivered: Bench):
    training = {"target": "y", "function": trainers.raises, "params": {"alpha": 1.0}}
    with pytest.raises(TrainingError, match=r"none of 5 trials finished, 5 failed.*the mean of 149 rows is nothing"):
        tune(delivered, split_of(delivered, validation_fraction=0.3), tuning(), training)
    (search,) = (run for run in tracked(delivered) if "mlops.tuning" in run.data.tags)
    assert search.info.status == "FAILED"


def test_a_score_that_is_no_number_fails_its_trial(delivered: Bench):
    with pytest.raises(TrainingError, match="roc_auc can't be computed"):
        tune(delivered, split_of(delivered), tuning(metric="roc_auc", n_trials=1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "neg_mean_absolut_error"}, "Did you mean 'neg_mean_absolute_error'"),
        ({"space": {"alhpa": ALPHA["alpha"]}}, r"tuning\.space\.alhpa: .*Did you mean 'alpha'"),
        ({"pruning": "successive_halving"}, r"Set tuning\.pruning: none"),
    ],
)
def test_what_does_not_fit_the_training_is_refused_before_anything_is_tried(delivered: Bench, settings, message):
    with pytest.raises(SpecError, match=message):
        tune(delivered, split_of(delivered, validation_fraction=0.2), tuning(**settings))
    assert not delivered.platform.storage.exists("tuning")


def test_parameters_that_the_estimator_does_not_take_are_refused_before_anything_is_tried(delivered: Bench):
    training = RIDGE | {"params": {"alpha": 1.0, "depth": 3}}
    with pytest.raises(SpecError, match=r"training\.params don't fit sklearn\.linear_model\.Ridge"):
        tune(delivered, split_of(delivered), tuning(), training)
    assert not delivered.platform.storage.exists("tuning")


def test_a_target_without_values_is_refused(bench: Bench):
    frame = small_frame()
    bench.deliver(frame.assign(y=frame["y"].where(frame.index != 3)))
    with pytest.raises(DataError, match="The target 'y' is null in 1 of"):
        tune(bench, split_of(bench), tuning())


def test_more_folds_than_the_data_has_moments_are_an_error(bench: Bench):
    bench.deliver(small_frame(10))
    with pytest.raises(DataError, match=r"Fold 1 of 20 has 0 rows to train on.*Lower tuning\.n_folds"):
        tune(bench, split_of(bench), tuning(n_folds=20))
    assert [run.info.status for run in tracked(bench)] == ["FAILED"]


def test_a_server_that_does_not_answer_is_worth_a_retry_which_goes_on(delivered: Bench):
    split, spec = split_of(delivered), tuning()
    away = elsewhere(delivered.platform, "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="does not answer"):
        tune(delivered, split, spec, platform=away)
    assert tune(delivered, split, spec).n_finished == 5


# -- a process that dies ------------------------------------------------------------------------------------


def _kill(
    bench: Bench, split: DatasetSplit, spec: TuningSpec, training: dict[str, Any], *, kill_before: str = "", **when: str
) -> None:
    arguments = {"split": split, "training": TrainingSpec.parse(training), "tuning": spec, "model_name": "small"}
    dying.assert_killed(dying.tune, arguments | {"platform": bench.platform, "run": RUN}, kill_before, when)


def _alphas(training: dict[str, Any]) -> list[float]:
    return [page["alpha"] for page in diary_of(training) if "alpha" in page]


def test_a_search_that_was_killed_goes_on_without_trying_anything_twice(delivered: Bench, telling: dict[str, Any]):
    split, spec = split_of(delivered), tuning()
    _kill(delivered, split, spec, telling, **{trainers.KILL_AFTER: "15"})  # in the second fold of the third trial
    assert [run.info.status for run in tracked(delivered)].count("RUNNING") == 2
    before = _alphas(telling)
    result = tune(delivered, split, spec, telling)
    trials = trials_of(delivered, result, spec)
    assert [trial.state for trial in trials] == ["FINISHED", "FINISHED", "ABANDONED", *["FINISHED"] * 3]
    assert (result.n_finished, result.n_failed) == (5, 0)
    assert _alphas(telling)[len(before) :] == [trial.params["alpha"] for trial in trials[3:] for _ in range(3)]
    (search,) = tracked(delivered, mlops__tuning=result.fingerprint)
    assert search.info.status == "FINISHED"
    children = tracked(delivered, mlflow__parentRunId=result.run_id)
    assert [child.info.status for child in children] == ["FINISHED", "FINISHED", "KILLED", *["FINISHED"] * 3]


def test_a_trial_that_ended_before_the_kill_has_its_scores_in_mlflow_afterwards(delivered: Bench):
    split, spec = split_of(delivered), tuning()
    _kill(delivered, split, spec, RIDGE, kill_before="end_trial")
    result = tune(delivered, split, spec)
    trials = trials_of(delivered, result, spec)
    assert [trial.state for trial in trials] == ["FINISHED"] * 5
    children = tracked(delivered, mlflow__parentRunId=result.run_id)
    assert [child.info.status for child in children] == ["FINISHED"] * 5
    assert [child.data.metrics["score"] for child in children] == [trial.score for trial in trials]


def test_a_kill_before_the_first_trial_leaves_one_search(delivered: Bench):
    split, spec = split_of(delivered), tuning()
    _kill(delivered, split, spec, RIDGE, kill_before="write_note")
    result = tune(delivered, split, spec)
    assert result.n_finished == 5
    assert len(tracked(delivered, mlflow__parentRunId=result.run_id)) == 5
