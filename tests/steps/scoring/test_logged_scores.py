"""Of more than two classes a score is of the class that was predicted, whoever keeps it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_mlops.adapters.sklearn.isotonic import fit_calibrator
from airflow_mlops.adapters.storage.inference_window import files_of_window
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.data.bins import profile_values
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.scoring.inference_log import InferenceColumn, Role
from airflow_mlops.core.stats.metrics import Predicted
from airflow_mlops.server.models import ServedModel
from airflow_mlops.server.prediction_log import LoggedRows, PredictionLog
from airflow_mlops.specs.inference import InferenceLogSpec
from airflow_mlops.specs.predict import PredictionSpec
from airflow_mlops.steps.evaluation.predictions import Predictions, _profiles, _Raw
from airflow_mlops.steps.monitoring._champion_baseline import _calibrate
from airflow_mlops.steps.platform import inference_folder
from airflow_mlops.steps.registry.models import LoadedModel
from airflow_mlops.steps.scoring._chunks import Scoring

CLASSES = np.array(["little", "much", "some"])
AT = datetime(2026, 1, 1, tzinfo=UTC)


class Cautious:
    """Says "much" only where it is very sure, and else the likelier one of the others."""

    classes_ = CLASSES

    def predict_proba(self, frame: pd.DataFrame) -> Any:
        weights = np.exp(np.stack([-frame["x"], frame["x"], np.zeros(len(frame))], axis=1))
        return weights / weights.sum(axis=1, keepdims=True)

    def predict(self, frame: pd.DataFrame) -> Any:
        scores = self.predict_proba(frame)
        scores[scores[:, 1] < 0.8, 1] = 0
        return self.classes_[scores.argmax(axis=1)]


MODEL = LoadedModel(who="It", model=Cautious(), columns=("x",))
FRAME = pd.DataFrame({"x": np.random.default_rng(0).normal(size=400)})


@pytest.fixture
def expected() -> Any:
    """What the model gave the classes that it said, which are not always the likeliest."""
    scores, said = MODEL.scores(FRAME), MODEL.predict(FRAME)
    chosen = np.array([row[CLASSES.tolist().index(each)] for row, each in zip(scores, said, strict=True)])
    assert (chosen < scores.max(axis=1)).sum() > 20
    return chosen


def test_a_server_logs_the_same_scores_as_a_batch(expected: Any, tmp_path: Path):
    version = ModelVersion(
        model_name="m", model_version=1, model_digest="d", run_id="r", snapshot_digest="s", evidence_digest="e"
    )
    served = ServedModel(version=version, loaded=MODEL, scorer=None, said=CLASSES[:1])
    storage = Storage(str(tmp_path))
    log = PredictionLog("m", InferenceLogSpec(), storage=storage, on_write=lambda _: None, on_drop=pytest.fail)
    ids = np.array([str(number) for number in range(len(FRAME))], dtype=object)
    rows = {"ids": ids, "request_id": "r", "at": AT, "frame": FRAME, "predictions": MODEL.predict(FRAME)}
    log.add(LoggedRows(model=served, role=Role.CHAMPION, **rows))
    assert log.close()
    (file,) = files_of_window(inference_folder("m", storage=storage))
    assert pd.read_parquet(file)[InferenceColumn.SCORE].to_numpy() == pytest.approx(expected)

    batch = Scoring(model=MODEL, version=version, at=AT, prediction=PredictionSpec(model_name="m", key="id"), log=None)
    assert batch._predict(FRAME)[1] == pytest.approx(expected)


def test_what_logs_are_compared_with_and_calibrated_by_is_the_same(expected: Any):
    said = MODEL.predict(FRAME)
    _, profile = _profiles(_Raw(values=said, scores=MODEL.scores(FRAME), classes=tuple(CLASSES)))
    assert profile == profile_values(InferenceColumn.SCORE, expected)

    codes = pd.Index(CLASSES[::-1]).get_indexer(said)
    truth = np.where(np.arange(len(codes)) % 3 == 0, (codes + 1) % 3, codes)
    predictions = Predictions(
        task="classification",
        y_true=truth,
        models={"challenger": Predicted(values=codes)},
        classes=CLASSES[::-1],  # in another order than the model's
        profiles=(),
        challenger=MODEL,
    )
    second, calibrator = _calibrate(predictions, FRAME)
    assert second is None
    assert calibrator.of(expected) == pytest.approx(fit_calibrator(expected, codes == truth).of(expected))
