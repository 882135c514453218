"""The pages in the Airflow UI."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

__all__ = ["MlopsPlugin"]


class _LazyApp:
    """Build the app at its first request: every component and every task imports the plugin."""

    _app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            from airflow_mlops.plugin.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


class MlopsPlugin(AirflowPlugin):
    """Shows models, their journals, and the reports of their runs."""

    name = "mlops"
    fastapi_apps = [{"app": _LazyApp(), "url_prefix": "/mlops", "name": "MLOps"}]
    external_views = [
        {
            "name": "Models",
            "href": "mlops/models",
            "destination": "nav",
            "category": "browse",
            "url_route": "mlops-models",
        }
    ]
