"""uvicorn: an ASGI application on a port, until the process is asked to end."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_mlops.errors import SpecError

__all__ = ["HttpServer"]

_KEEP_ALIVE_S = 75
_CONNECTIONS_PER_REQUEST = 16


class HttpServer:
    """A server in this process and thread.

    :param head_timeout_s: how long the head of a request may take to arrive.
    :param max_concurrent: how many requests are answered at a time. Sixteen times as many connections are.
    :param grace_s: how long requests that are under way may take when the server is asked to end.
    :raises SpecError: when the address can't be had.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        host: str,
        port: int,
        head_timeout_s: float,
        max_concurrent: int,
        grace_s: float,
    ) -> None:
        self._socket = _listening(host, port)
        config = uvicorn.Config(
            app,
            http=_protocol(head_timeout_s),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=max_concurrent * _CONNECTIONS_PER_REQUEST,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=round(grace_s) + 1,
        )
        self._server = uvicorn.Server(config)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}"

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or :meth:`stop`, and then end what is under way."""
        is_main = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGTERM, signal.SIGINT) if is_main else ()  # others are not told of any
        before = {number: signal.signal(number, lambda *_: None) for number in signals}  # uvicorn raises it once more
        try:
            self._server.run(sockets=[self._socket])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._socket.close()

    @property
    def is_running(self) -> bool:
        """Whether it accepts connections."""
        return bool(self._server.started)

    def stop(self) -> None:
        """Have it end; from another thread."""
        self._server.should_exit = True


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SpecError(
            f"{host}:{port} can't be listened on: {error.strerror}. Nothing was started. Name another host or port."
        ) from error


def _protocol(head_timeout_s: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with what it lacks: it would wait for the rest of a request's head for ever."""

    class Impatient(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # it is one of two classes
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._wait_for_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._wait_no_more()
            elif self._deadline is None:
                self._wait_for_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait_no_more()
            super().connection_lost(exc)

        def _wait_for_head(self) -> None:
            self._deadline = self.loop.call_later(head_timeout_s, self.transport.close)

        def _wait_no_more(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return Impatient
