"""Listeners for metrics, and Airflow's configuration of where it sends them."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Switch = Callable[..., None]
"""Configures ``[metrics]``, as in ``switch(statsd_on=True)``."""


class StatsdListener:
    """Takes what comes by UDP, as a StatsD server does."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    def lines(self) -> list[tuple[str, str]]:
        """Return names and values of ours that have come. From this machine, what was sent has come."""
        found = []
        while True:
            try:
                name, _, value = self._socket.recv(65536).decode().partition(":")
            except BlockingIOError:
                return found
            if name.startswith("airflow.mlops."):
                found.append((name.removeprefix("airflow."), value))

    def close(self) -> None:
        self._socket.close()


class OtlpReceiver:
    """Takes what comes by OTLP over HTTP, as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []
        bodies = self._bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def points(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return the last value by name and attributes, having had Airflow send what it still holds."""
        from airflow.sdk._shared.observability.metrics.otel_logger import flush_otel_metrics
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        flush_otel_metrics()
        found = {}
        for body in self._bodies:
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                    for point in [*metric.gauge.data_points, *metric.sum.data_points]:
                        tags = sorted((each.key, each.value.string_value) for each in point.attributes)
                        found[metric.name, tuple(tags)] = point.as_double or float(point.as_int)
        return found

    def close(self) -> None:
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider

        provider = metrics.get_meter_provider()
        if isinstance(provider, MeterProvider):  # or it would send to a closed port when the process ends
            provider.shutdown()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
