from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class RecordingServer:
    """A server that answers everything with one status and keeps what it was asked, and by whom."""

    url: str
    requests: list[tuple[str, str | None]] = field(default_factory=list)


def _serve(status: int) -> Iterator[RecordingServer]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            recorded.requests.append((self.path, self.headers.get("Authorization")))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        recorded = RecordingServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield recorded
        server.shutdown()
        thread.join()


@pytest.fixture
def healthy_server() -> Iterator[RecordingServer]:
    yield from _serve(200)


@pytest.fixture
def broken_server() -> Iterator[RecordingServer]:
    yield from _serve(500)
