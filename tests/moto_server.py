"""S3 by moto, with faults. It answers one request at a time: moto looks and then writes, where S3 does both at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

Environ = dict[str, Any]

ERROR = "<Error><Code>{code}</Code><Message>said the test</Message></Error>"


class Faults:
    """Stands before moto, and answers some requests in its place."""

    def __init__(self) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.answer: Callable[[Environ], tuple[str, str] | None] = lambda _: None
        self.after: Callable[[Environ], tuple[str, str] | None] = lambda _: None
        self._one_at_a_time = threading.Lock()

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Any:
        with self._one_at_a_time:
            fault = self.answer(environ)
            if fault is None:
                answer: list[Any] = []
                body = list(self.moto(environ, lambda *args: answer.append(args)))
                fault = self.after(environ)
                if fault is None:
                    start(*answer[0])
                    return body
            else:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code = fault
        content = b"" if environ["REQUEST_METHOD"] == "HEAD" else ERROR.format(code=code).encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(content)))])
        return [content]


class S3Server:
    """A server that may be stopped, so that connections are refused, and started again where it was."""

    def __init__(self) -> None:
        self.faults, self._port = Faults(), 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        kind = {"threaded": True, "request_handler": MotoRequestHandler}
        self._http = make_server("127.0.0.1", self._port, self.faults, **kind)
        self._port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on; whoever is being answered still is."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextmanager
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()
