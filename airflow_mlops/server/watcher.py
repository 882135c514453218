"""Follows the journal and the deployment, and swaps what serves once the next version is ready."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from airflow_mlops.core.registry.journal import CHAMPION, champion_of
from airflow_mlops.core.rollout.deployment import Deployment
from airflow_mlops.errors import MlopsError, UnavailableError
from airflow_mlops.server.models import ServedModel, ServingSet, load_served
from airflow_mlops.steps import Platform
from airflow_mlops.steps.platform import folder_name
from airflow_mlops.steps.registry.deployment import read_deployment
from airflow_mlops.steps.registry.journal import read_journal

__all__ = ["Watcher"]

log = logging.getLogger(__name__)

_RETRY_S = 60.0
"""After how long a version that was refused is tried again: somebody may have fixed its files or the settings."""


class Watcher:
    """Knows who serves.

    What it can't follow, because MLflow is down or a version is refused, is a problem that it names. What serves goes
    on serving then.

    :param initial: the deployment, as long as nobody has written one.
    :param on_swap: called with each new serving set.
    """

    def __init__(
        self,
        model_name: str,
        *,
        platform: Platform,
        initial: Deployment | None = None,
        on_swap: Callable[[ServingSet], None],
    ) -> None:
        self._model_name, self._platform, self._on_swap = model_name, platform, on_swap
        self._initial = initial or Deployment(model_name=model_name, since=datetime.now(UTC), key="")
        self._refused: dict[int, tuple[float, str]] = {}
        self._serving_set: ServingSet | None = None
        self._problems: tuple[str, ...] = ()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def serving_set(self) -> ServingSet | None:
        """Who serves; ``None`` as long as no champion could be loaded."""
        return self._serving_set

    @property
    def problems(self) -> tuple[str, ...]:
        """Why what serves may not be what should; empty where all is well."""
        return self._problems

    def start(self, interval_s: float) -> None:
        """Look at once, and then now and then until :meth:`stop`, in a thread of its own."""
        self._try_to_look()
        self._thread = threading.Thread(target=self._run, args=(interval_s,), name="watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more. A version that is being loaded is not waited for."""
        self._stop.set()

    def look(self) -> None:
        """Find out who is to serve, load what is missing, and swap."""
        problems = self._outage()
        try:
            deployment = read_deployment(self._model_name, storage=self._platform.storage) or self._initial
            wanted = deployment.champion_version
            if wanted is None:
                wanted = champion_of(read_journal(self._model_name, storage=self._platform.storage))
        except MlopsError as error:
            self._note([str(error)])
            return
        if wanted is None:
            self._note([*problems, *self._why_nobody()])
            return
        champion = self._ready(wanted, problems) or (self._serving_set.champion if self._serving_set else None)
        challenger = None
        if champion and deployment.challenger_version not in (None, champion.number):
            challenger = self._ready(deployment.challenger_version, problems)
        if champion:
            self._swap(ServingSet(deployment, champion, challenger))
        self._note(problems)

    def _run(self, interval_s: float) -> None:
        while not self._stop.wait(interval_s):
            self._try_to_look()

    def _try_to_look(self) -> None:
        try:
            self.look()
        except Exception as error:  # the server goes on with what it has, and says so
            log.exception("the watcher failed")
            self._note([f"The watcher failed: {type(error).__name__}. What serves goes on serving."])

    def _outage(self) -> list[str]:
        """Ask MLflow even if nothing is to be loaded: that the next version could not be is to be known before."""
        try:
            self._platform.mlflow.check()
        except UnavailableError as error:
            return [str(error)]
        return []

    def _why_nobody(self) -> list[str]:
        """Say why the journal names nobody: nothing was promoted yet, or it is not the journal that there was."""
        name, storage = self._model_name, self._platform.storage
        place = storage.journals.path("journals", folder_name(name))
        try:
            alias, known = self._platform.mlflow.get_pointers(name)
        except MlopsError as error:
            return [f"{name} has no journal at {place}, and MLflow can't say whether it ever had one: {error}"]
        if alias is None and not known:
            return [f"{name} has no champion yet. Promote a version, and it serves. Its journal would be at {place}."]
        says = f"the alias {CHAMPION!r} points to version {alias}" if alias is not None else "it knows of a journal"
        return [
            f"{name} had a champion, for in MLflow {says}, but there is no journal at {place}. Nothing serves. Is the "
            f"storage mounted, and is [mlops] storage_root (--storage-root), or journal_root, the one that it was? If "
            f"the alias was set by other means, remove it. Once the journal is there, its champion serves."
        ]

    def _ready(self, number: int, problems: list[str]) -> ServedModel | None:
        """Return a version that can answer; ``None``, and a problem, where it can't be had."""
        for known in (self._serving_set.champion, self._serving_set.challenger) if self._serving_set else ():
            if known and known.number == number:
                return known
        refused_at, problem = self._refused.get(number, (-_RETRY_S, ""))
        if time.monotonic() - refused_at < _RETRY_S:
            problems.append(problem)
            return None
        try:
            return load_served(self._model_name, number, platform=self._platform)
        except Exception as error:  # of whatever library; the other version is not to suffer from it
            why = error if isinstance(error, MlopsError) else f"{type(error).__name__}: {error}"
            problem = f"{self._model_name} v{number} can't serve: {why}"
            if not isinstance(error, UnavailableError):
                self._refused[number] = (time.monotonic(), problem)
            problems.append(problem)
            return None

    def _swap(self, serving_set: ServingSet) -> None:
        if serving_set == self._serving_set:
            return
        self._serving_set = serving_set
        challenger = serving_set.challenger
        log.info(
            "swapped: champion=%d challenger=%s mode=%s share=%g",
            serving_set.champion.number,
            challenger.number if challenger else None,
            serving_set.deployment.mode,
            serving_set.deployment.share,
        )
        self._on_swap(serving_set)

    def _note(self, problems: list[str]) -> None:
        if (noted := tuple(problems)) != self._problems:
            self._problems = noted
            for problem in noted:
                log.warning("%s", problem)
