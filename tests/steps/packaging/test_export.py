"""A version's files for those who embed it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_mlops.errors import ConversionError, IntegrityError, SpecError, UntrustedModelError
from airflow_mlops.steps.packaging.export import export_model
from airflow_mlops.steps.registry.models import load_model
from tests.steps.cases import Bench, damage, small_frame
from tests.steps.conftest import make_bench

CHAMPION = "models:/small@champion"
ROWS = small_frame(5)[["x"]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[Bench]:
    """Version 1 is champion and exists as ONNX, version 2 is a challenger that does not."""
    folder = tmp_path_factory.mktemp("exported")
    before = Path.cwd()
    os.chdir(folder)
    bench = make_bench(folder, mlflow_database)
    bench.deliver(small_frame())
    bench.run("first", bench.spec(conversion={}, training={"params": {"alpha": 50.0}}))
    bench.run("second", bench.spec(promotion={"policy": "hold"}))
    yield bench
    os.chdir(before)


def expected(bench: Bench) -> list[float]:
    return load_model("It", CHAMPION, "", platform=bench.platform).predict(ROWS).tolist()


def answers(script: str, folder: Path) -> list[float]:
    """Run what a reader of the README would write, in the folder, without this package."""
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_skops_file_is_loaded_as_its_readme_says(exported, tmp_path):
    version = export_model(CHAMPION, "skops", tmp_path / "out", platform=exported.platform)
    about = json.loads((tmp_path / "out" / "model.json").read_text())
    assert (about["model_name"], about["model_version"], about["columns"]) == ("small", 1, ["x"])
    assert about["model_digest"] == version.model_digest
    assert sorted(os.listdir(tmp_path / "out")) == ["README.md", "model.json", "model.skops", "requirements.txt"]
    code = (tmp_path / "out" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    script = f"rows = {ROWS.to_numpy().tolist()}\n{code}\nprint(json.dumps(predictions.tolist()))"
    assert answers(script, tmp_path / "out") == expected(exported)


def test_an_onnx_file_answers_as_the_model_does(exported, tmp_path):
    export_model(CHAMPION, "onnx", tmp_path / "out", platform=exported.platform)
    assert sorted(os.listdir(tmp_path / "out")) == ["README.md", "model.json", "model.onnx"]
    script = (
        f"import json, numpy as np, onnxruntime\nrows = np.array({ROWS.to_numpy().tolist()}, np.float32)\n"
        "outputs = onnxruntime.InferenceSession('model.onnx').run(None, {'x': rows})\n"
        "print(json.dumps(outputs[0].ravel().tolist()))"
    )
    assert answers(script, tmp_path / "out") == pytest.approx(expected(exported), rel=1e-4)


def test_a_version_without_the_format_is_refused_and_nothing_is_left(exported, tmp_path):
    with pytest.raises(ConversionError, match="small v2 has no ONNX file"):
        export_model("models:/small/2", "onnx", tmp_path / "out", platform=exported.platform)
    assert os.listdir(tmp_path) == []


def test_a_folder_with_something_in_it_is_left_alone(exported, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(SpecError, match="is there already"):
        export_model(CHAMPION, "skops", tmp_path, platform=exported.platform)
    assert os.listdir(tmp_path) == ["mine"]


def test_a_type_that_is_not_trusted_is_not_handed_out(exported, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_mlops.adapters.model_files.skops.TRUSTED_TYPES", frozenset())
    with pytest.raises(UntrustedModelError, match=r"numpy\.dtype"):
        export_model(CHAMPION, "skops", tmp_path / "out", platform=replace(exported.platform, trusted_types=()))
    assert os.listdir(tmp_path) == []


def test_files_that_were_changed_are_not_handed_out(exported, tmp_path):
    damage(exported.platform, "small", 2)
    with pytest.raises(IntegrityError, match="was verified"):
        export_model("models:/small/2", "skops", tmp_path / "out", platform=exported.platform)
    assert os.listdir(tmp_path) == []
