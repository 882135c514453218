"""What the demo asks Airflow and MLflow, over their public REST interfaces."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from include.demo.services import Demo


class AirflowApi:
    """Airflow's REST interface, logged in."""

    def __init__(self, demo: Demo) -> None:
        self.url = demo.airflow_url
        login = {"username": "admin", "password": demo.password}
        self._token = str(_call("POST", f"{self.url}/auth/token", login)["access_token"])

    def has_dag(self, dag_id: str) -> bool:
        """Return whether the DAG is known and active."""
        try:
            return not self.get(f"/dags/{dag_id}")["is_paused"]
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise

    def get(self, path: str) -> Any:
        """Get a document below ``/api/v2``."""
        return _call("GET", f"{self.url}/api/v2{path}", token=self._token)

    def post(self, path: str, document: dict[str, Any]) -> Any:
        """Send a document below ``/api/v2``."""
        return _call("POST", f"{self.url}/api/v2{path}", document, token=self._token)

    def patch(self, path: str, document: dict[str, Any]) -> Any:
        """Change a document below ``/api/v2``."""
        return _call("PATCH", f"{self.url}/api/v2{path}", document, token=self._token)

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Trigger a run as the trigger form does, and return its id."""
        return str(self.post(f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the DAG's runs, oldest first."""
        return list(self.get(f"/dags/{dag_id}/dagRuns?order_by=run_after&limit=100")["dag_runs"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        return {task["task_id"]: task["state"] for task in self.task_instances(dag_id, run_id)}

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return what is known of each task of a run."""
        return list(self.get(f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances")["task_instances"])

    def result(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return what a task gave."""
        path = f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        value = self.get(path)["value"]
        return json.loads(value) if isinstance(value, str) and key == "return_value" else value

    def run_page(self, dag_id: str, run_id: str) -> str:
        """Return the run's page in the UI."""
        return f"{self.url}/dags/{dag_id}/runs/{_quoted(run_id)}"

    def page_status(self, url: str, *, logged_in: bool) -> int:
        """Return the HTTP status of a page."""
        headers = {"Authorization": f"Bearer {self._token}"} if logged_in else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def champion_in_mlflow(demo: Demo, model_name: str) -> int | None:
    """Return the version that MLflow's alias ``champion`` points to."""
    query = urllib.parse.urlencode({"name": model_name, "alias": "champion"})
    try:
        found = _call("GET", f"{demo.mlflow_url}/api/2.0/mlflow/registered-models/alias?{query}")
    except urllib.error.HTTPError as error:
        if error.code in (400, 404):
            return None
        raise
    return int(found["model_version"]["version"])


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _call(method: str, url: str, body: Any = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
        return json.load(answer)
