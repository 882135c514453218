"""What Airflow is told about this provider."""

from __future__ import annotations

import pkgutil
from pathlib import Path
from typing import Any

__all__ = ["get_provider_info"]

_NAME = "MLOps"


def _modules(folder: str) -> list[str]:
    """Return the modules of a folder, without importing them."""
    found = pkgutil.iter_modules([str(Path(__file__).with_name(folder))])
    return [f"airflow_mlops.{folder}.{module.name}" for module in found if not module.name.startswith("_")]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, by Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-mlops",
        "name": _NAME,
        "description": "Continuous training of models: validation, training, gates, promotion, rollback, drift.",
        "integrations": [{"integration-name": _NAME, "external-doc-url": "https://mlflow.org/", "tags": ["software"]}],
        "operators": [
            {
                "integration-name": _NAME,
                "python-modules": _modules("operators"),
            }
        ],
        "sensors": [
            {
                "integration-name": _NAME,
                "python-modules": _modules("sensors"),
            }
        ],
        "hooks": [{"integration-name": _NAME, "python-modules": ["airflow_mlops.hooks.mlflow"]}],
        "triggers": [
            {
                "integration-name": _NAME,
                "python-modules": _modules("triggers"),
            }
        ],
        "asset-uris": [
            {
                "schemes": ["mlmodel"],
                "handler": "airflow_mlops.assets.sanitize_uri",
                "to_openlineage_converter": "airflow_mlops.hooks.openlineage.convert_asset",
            }
        ],
        "extra-links": ["airflow_mlops.operators._base.ReportLink", "airflow_mlops.operators._base.MlflowLink"],
        "connection-types": [
            {
                "connection-type": "mlflow",
                "hook-class-name": "airflow_mlops.hooks.mlflow.MlflowHook",
                "hook-name": "MLflow",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema"],
                    "relabeling": {"host": "Tracking URI"},
                    "placeholders": {"host": "http://localhost:5000"},
                },
                "conn-fields": {
                    "token": {
                        "label": "Token",
                        "description": "Sent as a bearer token, in place of login and password.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                },
            }
        ],
        "config": {
            "mlops": {
                "description": "Where airflow-mlops keeps things, and what it may load.",
                "options": {
                    "storage_root": {
                        "description": "Folder for snapshots, reports, journals and ledgers: an absolute path. "
                        "Empty: $AIRFLOW_HOME/mlops. It must outlive Airflow's metadata database.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/var/lib/mlops",
                        "default": "",
                    },
                    "journal_root": {
                        "description": "Where journals and ledgers are kept: s3://bucket/folder, or an absolute path. "
                        "Empty: the storage root. All else stays in the storage root.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3://my-bucket/mlops",
                        "default": "",
                    },
                    "journal_conn_id": {
                        "description": "The connection of type aws by which journal_root is reached where it is on "
                        "S3. Empty: aws_default, or what the machine has.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "mlops_journals",
                        "default": "",
                    },
                    "trusted_types": {
                        "description": "Import paths, separated by commas, of types that a stored model may hold "
                        "beside those of scikit-learn. Loading a model runs their code.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "my_company.models.Calibrator",
                        "default": "",
                    },
                    "allow_pickle": {
                        "description": "Whether a model may be stored and loaded by pickle where its spec asks for "
                        "it. Whoever can write to MLflow's storage and registry can then run code in the tasks.",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    },
                },
            }
        },
    }
