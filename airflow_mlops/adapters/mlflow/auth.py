"""Credentials for MLflow's requests, without environment variables.

MLflow asks every header provider that is registered under the entry point ``mlflow.request_header_provider``
for headers to send. This one hands out what the connection in use holds, for as long as it is in use. It
is a module of its own because MLflow imports it whenever MLflow is imported.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider

__all__ = ["ConnectionHeaderProvider", "sending"]

# A plain variable, not a context variable: MLflow uploads artifacts from threads of its own.
_headers: Mapping[str, str] = {}


class ConnectionHeaderProvider(RequestHeaderProvider):  # type: ignore[misc]  # MLflow's class is untyped
    """Gives the headers of the connection in use."""

    def in_context(self) -> bool:
        """Return whether a connection with credentials is in use."""
        return bool(_headers)

    def request_headers(self) -> dict[str, str]:
        """Return that connection's headers."""
        return dict(_headers)


@contextlib.contextmanager
def sending(headers: Mapping[str, str]) -> Iterator[None]:
    """Send these headers with MLflow's requests while the block runs."""
    global _headers
    before, _headers = _headers, headers
    try:
        yield
    finally:
        _headers = before
