"""What batch scoring costs, against a bare loop of ``predict`` over the row groups of the same Parquet file.

The model is the one of ``train``: gradient boosting behind the default preprocessing, on ten numbers and five texts. It
is a regressor, because of a classifier the step asks for labels and for probabilities, and the loop would not. Both
begin with the libraries imported and a file to read, and load the model. The step checks the file and the key, writes
ids, version, digest and time beside each prediction, digests what it writes, and writes the inference log with the
features. The loop writes ids and predictions.
"""

from __future__ import annotations

import os
import pickle
import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks import child, made_data
from benchmarks.entry import Entry

N_ROWS = int(os.environ.get("BENCH_ROWS", "1_000_000"))
REPETITIONS = 3

_PREPARE = """
import os, pickle, warnings
warnings.simplefilter("ignore")
from airflow_mlops.preload import HEAVY_MODULES
import importlib
for name in HEAVY_MODULES:
    importlib.import_module(name)
import airflow_mlops.adapters.sql, pyarrow, pyarrow.parquet
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.specs import PredictionSpec
from airflow_mlops.steps.registry.models import load_model
from airflow_mlops.steps.scoring.predict import predict_batch
os.chdir(sys.argv[1])
with open("known", "rb") as file:
    snapshot, platform = pickle.load(file)
version = platform.mlflow.get_version("bench", 1)  # the first question to MLflow imports for seconds
"""
_OURS = """
predict_batch(
    snapshot, PredictionSpec(model_name="bench", model_uri="models:/bench/1", key="id"), platform=platform,
    run=PipelineRun(pipeline="bench", run_id="run"),
)
"""
_BARE = """
model = load_model("It", "models:/bench/1", version.model_digest, platform=platform)
source, writer = pyarrow.parquet.ParquetFile(snapshot.data_uri), None
for group in range(source.num_row_groups):
    rows = source.read_row_group(group)
    predicted = model.model.predict(rows.to_pandas()[list(model.columns)])
    table = pyarrow.table({"id": rows["id"], "prediction": predicted})
    writer = writer or pyarrow.parquet.ParquetWriter("bare.parquet", table.schema)
    writer.write_table(table)
writer.close()
"""


def measure_speed() -> Entry:
    """Compare the rows in a second, both ways in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder, N_ROWS)
        ours, bare = [], []
        for _ in range(REPETITIONS):
            bare.append(child.run(_PREPARE, _BARE, folder)[0])
            ours.append(_score(folder)[0])
    print(f"  ours {ours}, bare {bare}")
    return Entry(
        name="batch_predict_speed",
        ours=N_ROWS / statistics.median(ours),
        baseline=N_ROWS / statistics.median(bare),
        unit="rows/s",
        better="higher",
    )


def measure_memory_growth() -> Entry:
    """Compare the peak memory with that of scoring a tenth of the rows."""
    peaks = []
    for n_rows in (N_ROWS, N_ROWS // 10):
        with tempfile.TemporaryDirectory() as name:
            _prepare(Path(name), n_rows)
            peaks.append(_score(Path(name))[1])
    return Entry(name="batch_predict_memory_growth", ours=peaks[0], baseline=peaks[1], unit="MB", better="lower")


def _score(folder: Path) -> tuple[float, float]:
    try:
        return child.run(_PREPARE, _OURS, folder)
    finally:
        for made in ("predictions", "inference"):
            shutil.rmtree(folder / "storage" / made, ignore_errors=True)


def _prepare(folder: Path, n_rows: int) -> None:
    """Train on a few rows, register the model, and copy the rows that are to be scored."""
    from mlflow import MlflowClient

    from airflow_mlops.adapters.mlflow.client import Mlflow
    from airflow_mlops.adapters.storage.store import Storage
    from airflow_mlops.core.values import PipelineRun
    from airflow_mlops.specs import DatasetSpec, SplitSpec, TrainingSpec
    from airflow_mlops.steps import Platform
    from airflow_mlops.steps.data.snapshot import snapshot_dataset
    from airflow_mlops.steps.splitting.split import split_dataset
    from airflow_mlops.steps.training.train import train_model

    platform = Platform(Storage(str(folder / "storage")), Mlflow(f"sqlite:///{folder}/mlflow.db"))
    MlflowClient(platform.mlflow.tracking_uri).search_experiments()  # migrates its database
    data = DatasetSpec(path=str(made_data.write_parquet(folder / "learnt.parquet", 100_000)))
    learnt = snapshot_dataset(data, dataset="bench", storage=platform.storage)
    split = split_dataset(learnt, data, SplitSpec(method="random", key=("id",)), storage=platform.storage)
    training = TrainingSpec(target="y", estimator="sklearn.ensemble.HistGradientBoostingRegressor")
    run = PipelineRun(pipeline="bench", run_id="train")
    model = train_model(split, training, model_name="bench", platform=platform, run=run)
    platform.mlflow.create_version(model, {"mlops.model_digest": model.model_digest}, "")
    asked = DatasetSpec(path=str(made_data.write_parquet(folder / "asked.parquet", n_rows, seed=2)))
    snapshot = snapshot_dataset(asked, dataset="bench.batch", storage=platform.storage)
    (folder / "known").write_bytes(pickle.dumps((snapshot, platform)))
