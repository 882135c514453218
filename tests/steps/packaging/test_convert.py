"""A model in another format: kept when it answers as the model does, and never instead of it."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from airflow_mlops import adapters
from airflow_mlops.core.packaging.conversion import ConversionReport, ConversionStatus
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.errors import IntegrityError, MissingExtraError, UnavailableError
from airflow_mlops.specs import ConversionSpec, DatasetSpec, SplitSpec, TrainingSpec
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.packaging.convert import convert_model
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.train import train_model
from tests.steps.cases import Bench, elsewhere, run_named

RUN = run_named("exported")


class MeanRegressor(RegressorMixin, BaseEstimator):
    """A model of a user's own, which no library can convert."""

    def fit(self, X: Any, y: Any) -> MeanRegressor:
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean_)


def _shops(n_rows: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2020-01-01", periods=n_rows, freq="h"),
            "shop": rng.integers(0, 30, n_rows),
            "kind": rng.choice(["food", "shoes", None], n_rows),
            "x": np.where(rng.random(n_rows) < 0.1, np.nan, rng.normal(size=n_rows)),
        }
    )
    sells = (rng.random(30) < 0.5)[frame["shop"]] ^ (rng.random(n_rows) < 0.05)
    return frame.assign(y=frame["x"].fillna(2.0) + 3 * (frame["kind"] == "food"), sells=np.where(sells, "yes", "no"))


def _trained(bench: Bench, *, target: str = "y", **training: Any) -> tuple[TrainedModel, DatasetSplit]:
    bench.deliver(_shops())
    storage, data = bench.platform.storage, DatasetSpec(path=str(bench.inbox), timestamp="day")
    split = split_dataset(snapshot_dataset(data, dataset="d", storage=storage), data, SplitSpec(), storage=storage)
    settings = {"estimator": "sklearn.linear_model.Ridge", "features": ["shop", "kind", "x"]} | training
    spec = TrainingSpec.parse({"target": target, **settings})
    model = train_model(split, spec, model_name="shops", platform=bench.platform, run=RUN)
    return model, split


def _trusting(bench: Bench, *types: str) -> Bench:
    return dataclasses.replace(bench, platform=dataclasses.replace(bench.platform, trusted_types=types))


def _export(bench: Bench, model: TrainedModel, split: DatasetSplit, **settings: Any) -> ConversionReport:
    return convert_model(model, split, ConversionSpec.parse(settings), platform=bench.platform, run=RUN)


def _left(bench: Bench, model: TrainedModel) -> tuple[list[str], dict[str, str]]:
    """Return what a model's run holds: its files, and its tags that an export sets."""
    client = mlflow.MlflowClient(bench.platform.mlflow.tracking_uri)
    files = [found.path for found in client.list_artifacts(model.run_id, "onnx")]
    tags = client.get_run(model.run_id).data.tags
    return files, {name: tags[name] for name in ("mlops.formats", "mlops.onnx_digest") if name in tags}


def test_a_model_that_answers_the_same_is_kept_with_its_run(bench):
    model, split = _trained(bench)
    report = _export(bench, model, split)
    assert report.status is ConversionStatus.KEPT
    assert report.parity is not None
    assert (report.parity.n_rows, report.parity.n_odd_rows) == (split.test.n_rows + 20, 20)
    assert report.inputs == (("shop", "number"), ("kind", "text"), ("x", "number"))
    tags = {"mlops.formats": "skops,onnx", "mlops.onnx_digest": report.artifact_digest}
    assert _left(bench, model) == (["onnx/model.onnx"], tags)
    with bench.platform.mlflow.downloaded(report.artifact_uri, report.artifact_digest) as folder:
        assert (folder / "model.onnx").stat().st_size == report.n_bytes
    stored = bench.platform.storage.read_json(*bench.platform.report_path(RUN, "conversion.json"))
    assert ConversionReport.from_dict(stored) == report
    page = (bench.platform.storage.root / report.report_uri).read_text()
    assert "KEPT" in page
    assert sentence_of(report.reasons[0]) in page


def test_native_categories_are_refused_and_nothing_is_kept(bench):
    bench = _trusting(bench, "functools.partial", "sklearn.utils.validation.check_array")
    model, split = _trained(
        bench,
        target="sells",
        estimator="sklearn.ensemble.HistGradientBoostingClassifier",
        features=["shop", "x"],
        preprocessing="none",
        params={"categorical_features": ["shop"]},
    )
    report = _export(bench, model, split)
    assert report.status is ConversionStatus.REFUSED
    assert report.parity is not None
    assert report.parity.n_label_mismatches > report.parity.n_rows / 10
    assert report.artifact_uri == ""
    assert _left(bench, model) == ([], {"mlops.formats": "skops"})
    assert sentence_of(report.reasons[0]) in (bench.platform.storage.root / report.report_uri).read_text()


def test_what_can_not_be_converted_is_said_and_is_no_failure(bench):
    bench = _trusting(bench, f"{__name__}.MeanRegressor")
    model, split = _trained(bench, estimator=f"{__name__}:MeanRegressor", features=["x"])
    report = _export(bench, model, split)
    assert report.status is ConversionStatus.UNSUPPORTED
    (reason,) = report.reasons
    assert (reason.rule, reason.verdict, reason.subject) == ("conversion", "UNSUPPORTED", "onnx")
    assert reason.facts["problem"].startswith("skl2onnx can't convert the model: ")
    assert "MeanRegressor" in reason.facts["problem"]
    assert _left(bench, model) == ([], {"mlops.formats": "skops"})


def test_a_retry_gives_the_same_report_and_converts_nothing_again(bench, caplog):
    model, split = _trained(bench)
    first = _export(bench, model, split)
    with caplog.at_level("INFO"):
        assert _export(bench, model, split) == first
    assert "export found from an earlier try: status=KEPT" in caplog.text


def test_a_try_that_stored_the_file_but_not_its_report_is_done_again_with_the_same_result(bench):
    model, split = _trained(bench)
    first = _export(bench, model, split)
    bench.platform.storage.root.joinpath(*bench.platform.report_path(RUN, "conversion.json")).unlink()
    assert _export(bench, model, split) == first
    assert _left(bench, model)[0] == ["onnx/model.onnx"]


def test_another_tolerance_is_another_question(bench):
    model, split = _trained(bench)
    assert _export(bench, model, split).status is ConversionStatus.KEPT
    report = _export(bench, model, split, tolerance=1e-12)
    assert report.status is ConversionStatus.REFUSED
    assert (report.reasons[0].rule, report.reasons[0].required) == ("tolerance", 1e-12)
    assert report.reasons[0].observed > 1e-12


def test_a_split_that_the_model_was_not_trained_on_is_refused(bench):
    model, split = _trained(bench)
    other = dataclasses.replace(split, test=split.train)
    with pytest.raises(IntegrityError, match=r"was trained on split .* Nothing was exported"):
        _export(bench, model, other)


def test_held_back_rows_that_were_changed_are_not_compared_with(bench):
    model, split = _trained(bench)
    frame = pd.read_parquet(split.test.uri)
    Path(split.test.uri).chmod(0o644)
    frame.assign(x=0.0).to_parquet(split.test.uri)
    with pytest.raises(IntegrityError, match="was verified"):
        _export(bench, model, split)
    assert _left(bench, model) == ([], {})


def test_an_outage_leaves_no_report_so_that_a_retry_exports(bench):
    model, split = _trained(bench)
    below_a_file = f"sqlite:///{bench.inbox}/part-1.csv/mlflow/mlflow.db"
    with pytest.raises(UnavailableError):
        convert_model(model, split, ConversionSpec(), platform=elsewhere(bench.platform, below_a_file), run=RUN)
    assert _export(bench, model, split).status is ConversionStatus.KEPT


def test_without_the_extra_the_error_says_what_to_install(bench, monkeypatch):
    model, split = _trained(bench)
    for name in [name for name in sys.modules if name.startswith("airflow_mlops.adapters.onnx_export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(adapters, "onnx_export", raising=False)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)  # what Python itself does for a module that is not to be found
    with pytest.raises(MissingExtraError) as raised:
        _export(bench, model, split)
    assert str(raised.value) == (
        f"conversion.format: onnx needs 'skl2onnx', which {sys.executable} does not have. Nothing was changed. "
        f"Install it there: pip install 'airflow-mlops[onnx]'"
    )
    assert _left(bench, model) == ([], {})
