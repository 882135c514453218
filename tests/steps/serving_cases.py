"""Models as MLflow packages them, without a pipeline around them."""

from __future__ import annotations

from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature

from tests.steps import serving_models

FRAME = pd.DataFrame({"x": np.arange(20.0) / 3})
TARGET = 2 * FRAME["x"] + 1


def package(model: object, folder: Path) -> Path:
    """Fit a model and store it as the training does."""
    model.fit(FRAME, TARGET)
    mlflow.sklearn.save_model(
        model,
        folder / "model",
        serialization_format="skops",
        signature=infer_signature(FRAME, np.asarray(model.predict(FRAME))),
        pip_requirements=["scikit-learn"],
        skops_trusted_types=list(serving_models.TRUSTED),
    )
    return folder / "model"
