from __future__ import annotations

import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from airflow_mlops.adapters.sklearn.fitting import (
    end_worker_processes,
    final_estimator,
    fit_model,
    score_fit,
    weigh_classes,
)
from airflow_mlops.core.training.fit import Rows
from airflow_mlops.errors import SpecError

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(80, 2)), columns=["a", "b"])
Y = (X["a"] > 0.8).to_numpy().astype(int)


def _rows(weights=None) -> Rows:
    return Rows(features=X, target=Y, weights=weights)


def test_what_predicts_is_found_in_a_pipeline_in_a_pipeline():
    ridge = Ridge()
    assert final_estimator(make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), ridge))) is ridge
    assert final_estimator(ridge) is ridge


@pytest.mark.parametrize("n_pipelines", [0, 1, 2])
def test_weights_reach_the_estimator_through_pipelines(n_pipelines):
    weights = np.where(Y == 1, 0.0, 1.0)
    weights[0] = 1.0
    model = Ridge()
    for _ in range(n_pipelines):
        model = make_pipeline(StandardScaler(), model)
    fit_model(model, _rows(weights), arguments={})
    assert np.abs(model.predict(X)).max() < 1e-9 + float(Y[0])


def test_an_estimator_that_takes_no_weights_is_refused():
    with pytest.raises(SpecError, match="KNeighborsClassifier takes no weights of rows: its `fit` has no"):
        fit_model(KNeighborsClassifier(), _rows(np.ones(80)), arguments={})


def test_class_weights_are_the_estimator_s_own_where_it_has_them():
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert weigh_classes(model, _rows(), {0: 1.0, 1: 3.0}).weights is None
    assert model[-1].class_weight == {0: 1.0, 1: 3.0}


def test_class_weights_become_weights_of_rows_where_it_has_none():
    rows = weigh_classes(XGBClassifier(), _rows(np.full(80, 2.0)), {0: 1.0, 1: 3.0})
    assert rows.weights.tolist() == np.where(Y == 1, 6.0, 2.0).tolist()


def test_balanced_classes_count_the_same():
    rows = weigh_classes(XGBClassifier(), _rows(), "balanced")
    assert rows.weights[Y == 1].sum() == pytest.approx(rows.weights[Y == 0].sum())


def test_a_regressor_has_no_classes_to_weigh():
    with pytest.raises(SpecError, match="class_weight needs a classifier; Ridge is none"):
        weigh_classes(Ridge(), _rows(), "balanced")


class Recorder(LogisticRegression):
    def fit(self, X, y, sample_weight=None, held=None):
        self.learnt_, self.held_ = X, held
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("memory", [False, True])
def test_rows_to_stop_by_are_transformed_by_what_was_learnt_without_them(tmp_path: Path, memory: bool):
    model = make_pipeline(StandardScaler(), Recorder(), memory=str(tmp_path) if memory else None)
    is_held_out = np.arange(80) >= 60
    rows = _rows()
    fit_model(
        model,
        rows.take(~is_held_out),
        arguments={},
        held_out=rows.take(is_held_out),
        stopping=lambda held_out: {"held": held_out},
    )
    mean, scale = X[:60].mean().to_numpy(), X[:60].std(ddof=0).to_numpy()
    assert np.allclose(model[-1].learnt_, (X[:60] - mean) / scale)
    assert np.allclose(model[-1].held_.features, (X[60:] - mean) / scale)
    assert model[-1].held_.target.tolist() == Y[60:].tolist()
    assert model.predict(X).shape == (80,)


def test_without_a_pipeline_rows_to_stop_by_are_given_as_they_are():
    model = Recorder()
    fit_model(model, _rows(), arguments={}, held_out=_rows(), stopping=lambda held_out: {"held": held_out})
    assert model.held_.features is X


def test_a_classifier_is_scored_by_accuracy_and_log_loss():
    model = LogisticRegression().fit(X, Y)
    scores = score_fit(model, X, Y, model.predict(X))
    assert set(scores) == {"accuracy", "log_loss"}
    assert scores["accuracy"] > 0.8


def test_a_regressor_is_scored_by_its_errors():
    model = Ridge().fit(X, Y.astype(float))
    scores = score_fit(model, X, Y.astype(float), model.predict(X))
    assert set(scores) == {"mean_absolute_error", "root_mean_squared_error", "r2"}
    assert 0 < scores["mean_absolute_error"] <= scores["root_mean_squared_error"]


def _pids_of_children() -> set[str]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {pid for pid in children if b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_the_processes_of_n_jobs_end_and_others_can_start_again():
    before = _pids_of_children()
    for _ in range(2):
        joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(abs)(number) for number in range(4))
        assert len(_pids_of_children() - before) >= 2
        end_worker_processes()
        assert _pids_of_children() == before


def test_without_processes_there_is_nothing_to_end():
    RandomForestClassifier(2, n_jobs=2).fit(X, Y)
    end_worker_processes()
