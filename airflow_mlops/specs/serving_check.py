"""How a packaged model is tried before anybody is served by it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_mlops.specs._base import Spec

__all__ = ["MalformedRequest", "ServingCheckSpec"]

MalformedRequest = Literal[
    "reordered_columns",
    "extra_column",
    "missing_column",
    "null_value",
    "unknown_category",
    "wrong_type",
    "not_finite",
    "empty_batch",
    "huge_batch",
    "broken_json",
    "wrong_content_type",
    "wrong_method",
]
"""What a caller may send by mistake."""


class ServingCheckSpec(Spec):
    """What the model must do in MLflow's scoring server before it may be promoted.

    Its predictions are always judged. A budget that is ``None`` is measured and reported, and not judged.

    :param env_manager: where the server's libraries come from: ``local``, those of this process; ``virtualenv`` or
        ``uv``, an environment that MLflow makes from the model's own requirements.
    :param n_golden_rows: how many held-out rows are predicted by both, the server and the model itself. A row with
        a null is added for each column that has one.
    :param rtol: by which fraction a prediction that is a number may differ; a label may not differ at all.
    :param atol: by how much it may differ beside that.
    :param n_requests: requests of one row that the latency is measured by, after as many golden rows.
    :param batch_rows: rows of the huge batch.
    :param allow: malformed requests that may be answered wrongly, because callers never send them: they are reported
        and not judged.
    :param start_timeout_s: how long the server may take to answer for the first time; a new environment is made in
        that time too.
    :param request_timeout_s: how long one request may take.
    :param max_start_s: budget of the time to the first answer.
    :param max_latency_p50_ms: budget of the median latency of a request of one row.
    :param max_latency_p95_ms: budget of the latency that 95 % of those requests stay below.
    :param max_batch_ms: budget of the latency of the huge batch.
    :param max_memory_mb: budget of the peak memory of the server's processes, in million bytes.
    :param max_size_mb: budget of the model's files, in million bytes.
    :param seed: of the choice of rows.
    """

    env_manager: Literal["local", "virtualenv", "uv"] = "local"
    n_golden_rows: int = Field(default=50, ge=1)
    rtol: float = Field(default=1e-6, ge=0, lt=1)
    atol: float = Field(default=1e-9, ge=0, allow_inf_nan=False)
    n_requests: int = Field(default=100, ge=20)
    batch_rows: int = Field(default=10_000, ge=1)
    allow: tuple[MalformedRequest, ...] = ()
    start_timeout_s: float = Field(default=120.0, gt=0, allow_inf_nan=False)
    request_timeout_s: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    max_start_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_latency_p50_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_latency_p95_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_batch_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_memory_mb: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_size_mb: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    seed: int = 0
