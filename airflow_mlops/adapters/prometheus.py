"""prometheus_client: what the model server counts."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from airflow_mlops.core.scoring.inference_log import Role

__all__ = ["ServerMetrics"]

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ServerMetrics:
    """The metrics of one server, in Prometheus' text format."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests to /invocations, by the status of their answer", "status")
        self._seconds = Histogram(
            "mlops_request_seconds",
            "From a request's last byte to its answer",
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._under_way = Gauge(
            "mlops_requests_under_way", "Requests that are received or computed", registry=self._registry
        )
        self._rows = self._counter("rows", "Rows that a version predicted, by its role", "version", "role")
        self._failed = self._counter("failed_rows", "Rows at which a version failed, by its role", "version", "role")
        self._logged = self._counter("logged_rows", "Rows that are in the inference log")
        self._log_drops = self._counter(
            "log_dropped_rows", "Rows that were not logged: the writer was behind or failed"
        )
        self._shadow_drops = self._counter("shadow_dropped_rows", "Rows that the shadow was not asked: it was behind")
        self._swaps = self._counter("swaps", "How often other versions, or shares, began to serve")
        self._version = Gauge(
            "mlops_model_version", "The version that serves, 0 for none", ("role",), registry=self._registry
        )
        self._problems = Gauge(
            "mlops_problems", "What keeps the server from following; 0 is well", registry=self._registry
        )

    def count_request(self, status: int) -> None:
        """Count an answer."""
        self._requests.labels(str(status)).inc()

    def note_under_way(self, change: int) -> None:
        """Note that a request has begun, or ended: 1 or -1."""
        self._under_way.inc(change)

    def observe_seconds(self, seconds: float) -> None:
        """Note how long a request that was computed took."""
        self._seconds.observe(seconds)

    def count_rows(self, version: int, role: Role, n_rows: int, *, is_error: bool) -> None:
        """Count rows that a version was given."""
        (self._failed if is_error else self._rows).labels(str(version), role.value).inc(n_rows)

    def count_logged(self, n_rows: int) -> None:
        """Count rows that were written to the inference log."""
        self._logged.inc(n_rows)

    def count_log_drops(self, n_rows: int) -> None:
        """Count rows that the inference log has lost."""
        self._log_drops.inc(n_rows)

    def count_shadow_drops(self, n_rows: int) -> None:
        """Count rows that the shadow was not asked."""
        self._shadow_drops.inc(n_rows)

    def note_swap(self, champion: int, challenger: int | None) -> None:
        """Note who serves from now on."""
        self._swaps.inc()
        self._version.labels(Role.CHAMPION.value).set(champion)
        self._version.labels("challenger").set(challenger or 0)

    def text(self, problems: Iterable[str]) -> bytes:
        """Return all of it, and how many problems there are."""
        self._problems.set(len(tuple(problems)))
        found: bytes = generate_latest(self._registry)
        return found

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"mlops_{name}", text, labels, registry=self._registry)
