"""The MLflow connection."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from airflow_mlops.adapters.mlflow.client import Mlflow

__all__ = ["MlflowHook"]


class MlflowHook(BaseHook):
    """Connect to an MLflow tracking server and its registry.

    The connection's host is the tracking URI (``http://mlflow:5000``, or ``sqlite:////path/mlflow.db`` for a
    database without a server). Login and password are sent as HTTP basic authentication, the extra
    ``token`` as a bearer token. Neither is put into the environment.

    :param mlflow_conn_id: the Airflow connection, of type ``mlflow``.
    """

    conn_name_attr = "mlflow_conn_id"
    default_conn_name = "mlflow_default"
    conn_type = "mlflow"
    hook_name = "MLflow"

    def __init__(self, mlflow_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mlflow_conn_id = mlflow_conn_id

    def get_conn(self) -> Mlflow:
        """Return the tracking server, without having asked it anything."""
        from airflow_mlops.adapters.mlflow.client import Mlflow

        connection = self.get_connection(self.mlflow_conn_id)
        uri = connection.host or ""
        if "://" not in uri:
            uri = f"{connection.schema or 'http'}://{uri or 'localhost'}"
        if connection.port:
            parts = urlsplit(uri)
            uri = parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
        return Mlflow(uri.rstrip("/") if uri.startswith("http") else uri, headers=_authorization(connection))

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server whether it is there, for the button in the connection form."""
        from airflow_mlops.errors import MlopsError

        try:
            self.get_conn().check()
        except MlopsError as error:
            return False, str(error)
        return True, "MLflow answers."


def _authorization(connection: Any) -> dict[str, str]:
    token = connection.extra_dejson.get("token")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if connection.login:
        pair = f"{connection.login}:{connection.password or ''}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}
