from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.hooks.platform import get_platform, get_storage, report_url


def test_the_storage_is_where_the_configuration_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path))
    assert get_storage().root == tmp_path


def test_the_storage_is_below_airflow_s_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("AIRFLOW__MLOPS__STORAGE_ROOT", raising=False)
    assert get_storage().root == tmp_path / "mlops"


def test_a_relative_storage_root_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", "mlops")
    with pytest.raises(SpecError, match="storage_root 'mlops' is relative, so every process would see another one"):
        get_storage()


def test_journals_may_be_kept_on_s3_by_a_connection_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__MLOPS__JOURNAL_ROOT", "s3://bucket/mlops")
    monkeypatch.setenv("AIRFLOW__MLOPS__JOURNAL_CONN_ID", "journals")
    extra = {"region_name": "eu-central-1", "endpoint_url": "http://minio:9000"}
    connection = {"conn_type": "aws", "login": "AKIAOFTHETESTS", "password": "s3cr3t", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_JOURNALS", json.dumps(connection))
    storage = get_storage()
    assert storage.root == tmp_path
    assert storage.journals.path("journals", "m") == "s3://bucket/mlops/journals/m"
    access = storage.journals.describe()["access"]
    assert (access["access_key"], access["secret_key"], access["endpoint_url"]) == (
        "AKIAOFTHETESTS",
        "s3cr3t",
        "http://minio:9000",
    )
    assert "s3cr3t" not in repr(storage.journals)


def test_journals_may_be_kept_in_another_folder_and_are_in_the_storage_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path / "root"))
    assert get_storage().journals.path() == tmp_path / "root"
    monkeypatch.setenv("AIRFLOW__MLOPS__JOURNAL_ROOT", str(tmp_path / "journals"))
    assert get_storage().journals.path() == tmp_path / "journals"


def test_trusted_types_are_a_list_with_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__MLOPS__TRUSTED_TYPES", "a.B, c.D ,")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps({"conn_type": "mlflow", "host": uri}))
    platform = get_platform("mlflow_default")
    assert platform.trusted_types == ("a.B", "c.D")
    assert not platform.allow_pickle
    assert platform.mlflow.tracking_uri == uri


def test_pickles_are_allowed_by_the_configuration_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__MLOPS__ALLOW_PICKLE", "True")
    connection = {"conn_type": "mlflow", "host": f"sqlite:///{tmp_path}/mlflow.db"}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(connection))
    assert get_platform("mlflow_default").allow_pickle


@pytest.mark.parametrize("base", ["http://airflow.test/sub", "http://airflow.test/sub/"])
def test_a_report_is_shown_by_the_plugin_below_the_base_url(monkeypatch: pytest.MonkeyPatch, base: str):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    assert report_url("reports/d/r/drift.html") == "http://airflow.test/sub/mlops/reports/d/r/drift.html"
    assert report_url("") == ""
