"""MLflow's scoring server: a packaged model in a process of its own, asked over HTTP."""

from __future__ import annotations

from airflow_mlops.adapters.scoring_server.protocol import request_body
from airflow_mlops.adapters.scoring_server.server import ScoringServer, serving

__all__ = ["ScoringServer", "request_body", "serving"]
