"""What the training step costs, against the same estimator's bare ``fit`` and ``log_model`` on the same rows.

The bare way has its rows in memory when the clock starts, and signature and requirements at hand. The step reads
and checks the file, fits, scores the fit, stores the model, and reads back what was stored.
"""

from __future__ import annotations

import pickle
import statistics
import tempfile
from pathlib import Path

from benchmarks import child, made_data
from benchmarks.entry import Entry

REPETITIONS = 3

_OURS = """
import os, pickle
from airflow_mlops.steps.training.train import train_model
import sklearn.ensemble, mlflow.types.responses
os.chdir(sys.argv[1])
with open("known", "rb") as file:
    split, training, platform = pickle.load(file)
from airflow_mlops.core.values import PipelineRun
run = PipelineRun(pipeline="bench", run_id=sys.argv[2], actor="ada")
"""
_TRAIN = "train_model(split, training, model_name='bench', platform=platform, run=run)"

_BARE = """
import os, pickle, warnings
warnings.simplefilter("ignore")
import mlflow, mlflow.sklearn, mlflow.types.responses, pandas, skops.io
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from airflow_mlops.adapters.model_files.skops import TRUSTED_TYPES
os.chdir(sys.argv[1])
with open("known", "rb") as file:
    split, training, platform = pickle.load(file)
mlflow.set_tracking_uri(platform.mlflow.tracking_uri)
if mlflow.get_experiment_by_name("bare") is None:
    mlflow.create_experiment("bare", artifact_location=f"file://{os.getcwd()}/artifacts")
mlflow.set_experiment("bare")
frame = pandas.read_parquet(split.train.uri)
texts = [name for name in frame if name.startswith("c")]
numbers = [name for name in frame if name.startswith("n")]
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=250)
transformer = ColumnTransformer([("texts", encoder, texts)], remainder="passthrough")
"""
_FIT = """
model = Pipeline([("preprocess", transformer), ("model", HistGradientBoostingClassifier(random_state=0))])
model.fit(frame[numbers + texts], frame["y"])
example = frame[numbers + texts].head(100)
with mlflow.start_run():
    mlflow.sklearn.log_model(
        model, name="model", signature=infer_signature(example, model.predict(example)), input_example=example.head(3),
        pip_requirements=["scikit-learn"], serialization_format="skops", skops_trusted_types=sorted(TRUSTED_TYPES),
    )
"""


def measure() -> Entry:
    """Train both ways, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        ours, baseline = [], []
        for repetition in range(REPETITIONS):
            baseline.append(child.run(_BARE, _FIT, folder)[0])
            ours.append(child.run(_OURS, _TRAIN, folder, repetition)[0])
    print(f"ours {ours}, bare {baseline}")
    return Entry(
        name="train", ours=statistics.median(ours), baseline=statistics.median(baseline), unit="s", better="lower"
    )


def _prepare(folder: Path) -> None:
    from mlflow import MlflowClient

    from airflow_mlops.adapters.mlflow.client import Mlflow
    from airflow_mlops.adapters.storage.store import Storage
    from airflow_mlops.specs import DatasetSpec, SplitSpec, TrainingSpec
    from airflow_mlops.steps import Platform
    from airflow_mlops.steps.data.snapshot import snapshot_dataset
    from airflow_mlops.steps.splitting.split import split_dataset

    source = made_data.write_parquet(folder / "source.parquet", made_data.N_ROWS // 10)
    platform = Platform(Storage(str(folder / "storage")), Mlflow(f"sqlite:///{folder}/mlflow.db"))
    MlflowClient(platform.mlflow.tracking_uri).search_experiments()  # migrates its database
    data, how = DatasetSpec(path=str(source)), SplitSpec(method="random", key=("id",))
    snapshot = snapshot_dataset(data, dataset="bench", storage=platform.storage)
    split = split_dataset(snapshot, data, how, storage=platform.storage)
    training = TrainingSpec(target="y", estimator="sklearn.ensemble.HistGradientBoostingClassifier")
    (folder / "known").write_bytes(pickle.dumps((split, training, platform)))
