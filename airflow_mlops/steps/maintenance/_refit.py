"""A training made again, in a process of its own: ``python -m airflow_mlops.steps.maintenance._refit FOLDER``.

The folder holds ``request.json``; the process leaves ``answer.json`` there, and ``outputs.npy`` if it could train.
It knows neither the storage nor MLflow, so it can leave nothing in them.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.process import threads
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.model import feature_columns
from airflow_mlops.errors import EvaluationError, MlopsError, TrainingError
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.steps.training.fit import fit

__all__ = ["outputs_of", "params_of", "refit"]

_REQUEST, _ANSWER, _OUTPUTS = "request.json", "answer.json", "outputs.npy"


def refit(
    training: TrainingSpec, split: DatasetSplit, *, n_threads: int, scratch: Path
) -> tuple[NDArray[np.generic], dict[str, str], int]:
    """Train again in a fresh process, and predict the held-out rows there.

    The process finds the modules that this one finds. What it prints goes to standard error.

    :param n_threads: that its libraries may compute with.
    :param scratch: an empty folder.
    :returns: what the model says of each held-out row, its parameters as text, and the threads that it used.
    :raises TrainingError: when the training fails, or its process dies.
    """
    request = {"training": training.model_dump(mode="json"), "split": split.to_dict()}
    (scratch / _REQUEST).write_text(json.dumps(request))
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)
    done = subprocess.run(  # noqa: S603  # this very interpreter, with a module of this package
        [sys.executable, "-P", "-m", __name__, str(scratch)],
        env={**os.environ, **threads.thread_variables(n_threads), "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=2,
        check=False,
    )
    if done.returncode:
        how = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
        raise TrainingError(f"The process that trained again {how}. What it said is in the log.")
    answer = json.loads((scratch / _ANSWER).read_text())
    if "error" in answer:
        raise TrainingError(answer["error"])
    return np.load(scratch / _OUTPUTS, allow_pickle=False), answer["params"], answer["n_threads"]


def outputs_of(model: Any, frame: Any) -> NDArray[np.generic]:
    """Return all that a model says of each row: its probabilities where it has them, otherwise its predictions.

    :param frame: with the columns that the model reads, in order.
    :raises EvaluationError: when it can't predict the rows.
    """
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    try:
        outputs = np.asarray(getattr(model, method)(frame))
    except Exception as error:
        raise EvaluationError(f"The model can't predict the held-out rows: {type(error).__name__}: {error}") from error
    return outputs.astype(str) if outputs.dtype == object else outputs  # which are labels


def params_of(model: Any) -> dict[str, str]:
    """Return a model's plain parameters as text; none where it does not tell them."""
    params = model.get_params() if hasattr(model, "get_params") else {}
    return {name: repr(value) for name, value in params.items() if isinstance(value, (bool, int, float, str))}


def _main(scratch: Path) -> None:
    request = json.loads((scratch / _REQUEST).read_text())
    try:
        answer = _refit(TrainingSpec.parse(request["training"]), DatasetSplit.from_dict(request["split"]), scratch)
    except MlopsError as error:
        answer = {"error": str(error)}
    (scratch / _ANSWER).write_text(json.dumps(answer))


def _refit(training: TrainingSpec, split: DatasetSplit, scratch: Path) -> dict[str, Any]:
    columns = feature_columns(training, split)
    model = fit(training, split, arrow.read_frame(split.train.uri, split.train.digest), columns)
    held_out = arrow.read_frame(split.test.uri, split.test.digest)
    outputs = outputs_of(model, held_out[[column.name for column in columns]])
    np.save(scratch / _OUTPUTS, outputs, allow_pickle=False)
    return {"params": params_of(model), "n_threads": threads.count_threads(model)}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _main(Path(sys.argv[1]))
