"""The model server: all of its parts, from its first look at who serves to its last row in the log."""

from __future__ import annotations

import logging
from pathlib import Path

from airflow_mlops.adapters.process.http_server import HttpServer
from airflow_mlops.adapters.prometheus import ServerMetrics
from airflow_mlops.core.rollout.deployment import Deployment
from airflow_mlops.errors import SpecError
from airflow_mlops.server.app import App
from airflow_mlops.server.models import ServingSet
from airflow_mlops.server.prediction_log import PredictionLog
from airflow_mlops.server.scoring import Scoring
from airflow_mlops.server.watcher import Watcher
from airflow_mlops.specs.server import ServerSpec
from airflow_mlops.steps import Platform

__all__ = ["ModelServer"]

log = logging.getLogger(__name__)


class ModelServer:
    """A server that is ready to run.

    :param initial: the deployment, as long as nobody has written one.
    :raises SpecError: when its address can't be had, or its token can't be read.
    """

    def __init__(self, spec: ServerSpec, *, platform: Platform, initial: Deployment | None = None) -> None:
        self._spec = spec
        self.metrics = ServerMetrics()
        self._log = None
        if spec.log is not None:
            self._log = PredictionLog(
                spec.model_name,
                spec.log,
                storage=platform.storage,
                on_write=self.metrics.count_logged,
                on_drop=self.metrics.count_log_drops,
            )
        self._scoring = Scoring(id_column=spec.id_column, max_rows=spec.max_rows, log=self._log, metrics=self.metrics)
        self.watcher = Watcher(spec.model_name, platform=platform, initial=initial, on_swap=self._note_swap)
        self._app = App(
            spec, watcher=self.watcher, scoring=self._scoring, metrics=self.metrics, token=_token(spec.token_file)
        )
        self._http = HttpServer(
            self._app,
            host=spec.host,
            port=spec.port,
            head_timeout_s=spec.read_timeout_s,
            max_concurrent=spec.max_concurrent,
            grace_s=spec.read_timeout_s + spec.timeout_s,
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._http.url

    def run(self) -> bool:
        """Serve until SIGTERM or SIGINT; what is under way then is answered, and what is to be logged is written.

        :returns: whether nothing is computed any more; Python would wait for a model that hangs.
        """
        self.watcher.start(self._spec.poll_s)
        log.info("serving: model_name=%s url=%s", self._spec.model_name, self.url)
        try:
            self._http.run()
        finally:
            self.watcher.stop()
            is_idle = self._app.close()
            self._scoring.close()
            is_written = self._log is None or self._log.close()
            log.info("ended: model_name=%s all_computed=%s log_written=%s", self._spec.model_name, is_idle, is_written)
        return is_idle

    @property
    def is_running(self) -> bool:
        """Whether it accepts connections."""
        return self._http.is_running

    def stop(self) -> None:
        """Have it end; from another thread."""
        self._http.stop()

    def _note_swap(self, serving_set: ServingSet) -> None:
        self.metrics.note_swap(
            serving_set.champion.number, serving_set.challenger.number if serving_set.challenger else None
        )


def _token(file: str | None) -> str:
    if file is None:
        return ""
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SpecError(f"The token file {file} can't be read: {error.strerror}. Nothing was started.") from error
    if not token:
        raise SpecError(f"The token file {file} is empty. Nothing was started. Write a long random text into it.")
    return token
