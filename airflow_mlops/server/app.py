"""The server's HTTP face, as an ASGI application: routes, limits, and who may call."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from airflow_mlops._version import __version__
from airflow_mlops.adapters.mlflow.scoring import MLFLOW_VERSION, Reply, refusal
from airflow_mlops.adapters.process.threads import limited_threads
from airflow_mlops.adapters.prometheus import ServerMetrics
from airflow_mlops.server.models import ServedModel
from airflow_mlops.server.scoring import Request, Scoring
from airflow_mlops.server.watcher import Watcher
from airflow_mlops.specs.server import ServerSpec

__all__ = ["App"]

log = logging.getLogger(__name__)

Headers = Mapping[bytes, bytes]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_METHODS = {"/invocations": "POST"} | dict.fromkeys(("/live", "/ping", "/health", "/version", "/metrics"), "GET")
_LARGE_BYTES = 65_536
"""Size of a request that others do not wait for."""

_REQUEST_ID = re.compile(rb"[!-~]{1,128}")


class _RefusedError(Exception):
    """Ends a request with an answer."""

    def __init__(self, reply: Reply, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reply.status)
        self.reply, self.headers = reply, dict(headers or {})


class App:
    """The application.

    :param token: what callers must show; empty: nothing.
    """

    def __init__(
        self, spec: ServerSpec, *, watcher: Watcher, scoring: Scoring, metrics: ServerMetrics, token: str
    ) -> None:
        self._spec, self._watcher, self._scoring, self._metrics = spec, watcher, scoring, metrics
        self._token = token.encode()
        self._max_bytes = int(spec.max_body_mb * 1_000_000)
        self._slots = threading.Semaphore(spec.max_concurrent)
        self._lanes = {is_large: self._new_lane(is_large) for is_large in (False, True)}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: Headers = dict(scope["headers"])
        try:
            reply, more = await self._route(scope["path"], scope["method"], headers, receive)
        except _RefusedError as refused:
            reply, more = refused.reply, refused.headers
        if scope["path"] == "/invocations":
            self._metrics.count_request(reply.status)
        await _send(send, reply, more)

    def close(self) -> bool:
        """Compute no more, and return whether nothing is computed."""
        for lane in self._lanes.values():
            lane.shutdown(wait=False, cancel_futures=True)
        return all(self._slots.acquire(blocking=False) for _ in range(self._spec.max_concurrent))

    async def _route(
        self, path: str, method: str, headers: Headers, receive: Receive
    ) -> tuple[Reply, Mapping[str, str]]:
        known = _METHODS.get(path)
        if known is None:
            return _json(404, {"detail": "Not Found"}), {}
        if method != known:
            return _json(405, {"detail": "Method Not Allowed"}), {"allow": known}
        may_call = self._may_call(headers)
        if path in ("/live", "/ping"):  # it runs; it has a version to serve
            status = 200 if path == "/live" or self._watcher.serving_set else 503
            return Reply(status=status, media_type="application/json", body=b"\n"), {}
        if path == "/health":
            return self._health(may_call), {}
        if not may_call:
            reply = refusal(401, "UNAUTHENTICATED", "Send the header 'Authorization: Bearer' with the server's token.")
            return reply, {"www-authenticate": "Bearer"}
        if path == "/version":
            return self._version(), {}
        if path == "/metrics":
            text = self._metrics.text(self._watcher.problems)
            return Reply(status=200, media_type=self._metrics.content_type, body=text), {}
        return await self._invoke(headers, receive)

    def _may_call(self, headers: Headers) -> bool:
        shown = headers.get(b"authorization", b"")
        return not self._token or hmac.compare_digest(shown, b"Bearer " + self._token)

    def _health(self, may_call: bool) -> Reply:
        """Say how it goes, and to those who may call also why."""
        serving_set, problems = self._watcher.serving_set, self._watcher.problems
        status = "unavailable" if serving_set is None else "degraded" if problems else "ok"
        why = {"problems": list(problems)} if may_call else {}
        return _json(200 if serving_set else 503, {"status": status, **why})

    def _version(self) -> Reply:
        serving_set = self._watcher.serving_set
        of_serving_set: dict[str, object] = {}
        if serving_set:
            of_serving_set = {
                "champion": _described(serving_set.champion),
                "challenger": _described(serving_set.challenger) if serving_set.challenger else None,
                "mode": serving_set.deployment.mode,
                "share": serving_set.deployment.share,
            }
        versions = {"airflow_mlops": __version__, "mlflow": MLFLOW_VERSION}
        return _json(200, {"model_name": self._spec.model_name, **of_serving_set, **versions})

    async def _invoke(self, headers: Headers, receive: Receive) -> tuple[Reply, Mapping[str, str]]:
        """Have a request computed, if there is room for it; its slot is free once no thread computes it."""
        if not self._slots.acquire(blocking=False):
            raise _unavailable(f"{self._spec.max_concurrent} requests are under way.")
        self._metrics.note_under_way(1)
        task: Future[Reply] | None = None
        try:
            body = await self._read_body(headers, receive)
            serving_set = self._watcher.serving_set
            if serving_set is None:
                raise _unavailable("No version serves yet.")
            content_type = headers.get(b"content-type", b"").decode("latin-1")
            request = Request(
                serving_set=serving_set, request_id=_request_id(headers), body=body, content_type=content_type
            )
            is_large = len(body) > _LARGE_BYTES
            task = self._lanes[is_large].submit(self._scoring.answer, request)
            task.add_done_callback(lambda _: self._free_slot())
        finally:
            if task is None:
                self._free_slot()
        reply = await self._wait(task, is_large)
        self._metrics.observe_seconds(time.perf_counter() - request.started)
        versions = ",".join(str(version) for version in sorted(request.versions))
        return reply, {"x-request-id": request.request_id, "x-mlops-model-version": versions}

    def _new_lane(self, is_large: bool) -> ThreadPoolExecutor:
        """Return threads that compute beside each other, so that a model computes with one of them alone."""
        n_threads = 1 if is_large else self._spec.threads
        return ThreadPoolExecutor(n_threads, "scoring", initializer=limited_threads, initargs=(1,))

    def _free_slot(self) -> None:
        self._metrics.note_under_way(-1)
        self._slots.release()

    async def _wait(self, task: Future[Reply], is_large: bool) -> Reply:
        try:
            async with asyncio.timeout(self._spec.timeout_s):
                return await asyncio.wrap_future(task)
        except TimeoutError:
            if task.running():  # no thread can be ended: this one keeps its slot, and others compute from now on
                self._lanes[is_large].shutdown(wait=False)
                self._lanes[is_large] = self._new_lane(is_large)
            raise _unavailable(f"It was not computed within {self._spec.timeout_s:g} s.") from None
        except Exception as error:  # MLflow's functions raise more than their own errors
            log.warning("request failed: error=%s", type(error).__name__)  # whose text may quote the rows
            return Reply(status=500, media_type="text/plain", body=b"Internal Server Error")

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes:
        too_large = refusal(413, "REQUEST_TOO_LARGE", f"A request has at most {self._max_bytes} bytes.")
        if int(headers.get(b"content-length", 0)) > self._max_bytes:
            raise _RefusedError(too_large)
        parts, n_bytes, is_complete = [], 0, False
        try:
            async with asyncio.timeout(self._spec.read_timeout_s):
                while not is_complete:
                    message = await receive()
                    parts.append(message.get("body", b""))
                    n_bytes += len(parts[-1])
                    if n_bytes > self._max_bytes:
                        raise _RefusedError(too_large)
                    is_complete = not message.get("more_body", False)  # nor has one who has hung up
        except TimeoutError:
            late = refusal(408, "REQUEST_TIMEOUT", f"The body was not here within {self._spec.read_timeout_s:g} s.")
            raise _RefusedError(late, {"connection": "close"}) from None
        return b"".join(parts)


def _unavailable(message: str) -> _RefusedError:
    return _RefusedError(refusal(503, "TEMPORARILY_UNAVAILABLE", message), {"retry-after": "1"})


def _described(model: ServedModel) -> dict[str, object]:
    return {"version": model.number, "digest": model.version.model_digest}


def _request_id(headers: Headers) -> str:
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _json(status: int, document: object) -> Reply:
    body = json.dumps(document, separators=(",", ":")).encode()
    return Reply(status=status, media_type="application/json", body=body)


async def _send(send: Send, reply: Reply, more: Mapping[str, str]) -> None:
    is_text = reply.media_type == "text/plain"
    headers = {
        "content-type": f"{reply.media_type}; charset=utf-8" if is_text else reply.media_type,
        "content-length": str(len(reply.body)),
        **{name: value for name, value in more.items() if value},
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.body})
