"""How a model is served by this package's own server."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from airflow_mlops.specs._base import Spec
from airflow_mlops.specs.inference import InferenceLogSpec

__all__ = ["ServerSpec"]

_LOCAL = ("127.0.0.1", "::1", "localhost")


class ServerSpec(Spec):
    """The model server's settings.

    :param model_name: the registered model, whose champion serves.
    :param host: the address that it listens on; one that others reach wants a token.
    :param port: 0 for any that is free.
    :param token_file: a file with the token that callers send as ``Authorization: Bearer …``.
    :param insecure: serve others without a token.
    :param id_column: a column of the requests that says whose a row is, for the log and the challenger's share. It is
        kept from the model unless the model reads it. Without one it is the header ``X-Request-Id``.
    :param poll_s: how often it looks who is to serve.
    :param threads: how many requests are computed at a time, beside a large one, which has a thread of its own. More
        of them help a model that waits or computes outside of Python's lock; others they slow down.
    :param max_concurrent: how many may be under way; more are refused, with status 503.
    :param max_body_mb: size of a request, in million bytes; a larger one is refused, with status 413.
    :param max_rows: rows of a request; more are refused, with status 413.
    :param timeout_s: how long a request may be computed; then it is refused, with status 503.
    :param read_timeout_s: how long its head may take to arrive, and then its body; a late body is refused, with status
        408, and where the head is late the connection is closed.
    :param log: what is kept of the predictions; ``None``: nothing.
    """

    model_name: str = Field(min_length=1)
    host: str = "127.0.0.1"
    port: int = Field(default=5001, ge=0, le=65535)
    token_file: str | None = None
    insecure: bool = False
    id_column: str = ""
    poll_s: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    threads: int = Field(default=1, ge=1)
    max_concurrent: int = Field(default=64, ge=1)
    max_body_mb: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    max_rows: int = Field(default=10_000, ge=1)
    timeout_s: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    read_timeout_s: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    log: InferenceLogSpec | None = InferenceLogSpec()

    @model_validator(mode="after")
    def _check_who_may_call(self) -> Self:
        if self.host not in _LOCAL and self.token_file is None and not self.insecure:
            raise ValueError(
                f"others reach {self.host}, so callers must show a token: give a token_file, or say insecure. Nothing "
                f"was started"
            )
        return self
