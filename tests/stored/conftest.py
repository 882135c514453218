from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops import ContinuousTraining
from airflow_mlops.cli import main
from tests.stored.cases import NAME, settings
from tests.stored.unpacked import ARCHIVE, unpack


@dataclass(frozen=True)
class Stored:
    """What an earlier version has left, in a folder of this test's own."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def root(self) -> Path:
        return self.folder / "storage"

    @property
    def where(self) -> dict[str, Any]:
        """The arguments of a run in this process."""
        return {"storage_root": self.root, "tracking_uri": f"sqlite:///{self.folder}/mlflow.db"}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the pipeline that has stored it, as they are written by now."""
        return settings(self.folder / "inbox")

    def pipeline(self, **changes: Any) -> ContinuousTraining:
        return ContinuousTraining(**self.settings | changes)

    def cli(self, command: str, *argv: str, on_mlflow: bool = True) -> list[str]:
        """Run a command that must succeed, and return the lines that it prints."""
        options = ["--storage-root", str(self.root)]
        options += ["--tracking-uri", self.where["tracking_uri"]] if on_mlflow else []
        self.capsys.readouterr()
        status = main([command, *argv, *options])
        out, err = self.capsys.readouterr()
        assert status == 0, err
        return out.splitlines()

    def document(self, *parts: str) -> dict[str, Any]:
        """Return a stored document as it is, whoever can read it."""
        document: dict[str, Any] = json.loads(self.root.joinpath(*parts).read_text())
        return document

    def record(self, run_id: str) -> dict[str, Any]:
        """Return the record of the training of a run."""
        records = [json.loads(file.read_text()) for file in self.folder.glob("artifacts/*/artifacts/*_record.json")]
        return next(record for record in records if record["run"]["run_id"] == run_id)

    def ledger(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(self.root.glob(f"decisions/{NAME}/*.json"))]


@pytest.fixture
def stored(
    tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Stored:
    unpack(ARCHIVE, tmp_path, mlflow_database)
    monkeypatch.chdir(tmp_path)  # without a server, MLflow keeps models below the working folder
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path / "storage"))
    connection = {"conn_type": "mlflow", "host": f"sqlite:///{tmp_path}/mlflow.db"}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(connection))
    return Stored(tmp_path, capsys)
