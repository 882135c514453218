"""How far a long training has come, in the log."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

from airflow_mlops.core.training.fit import Progress, progress_tail

__all__ = ["shown"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def shown(progress: Progress, subject: str, *, interval_s: float = 10.0) -> Iterator[None]:
    """Log every ``interval_s`` seconds how far the block has come. No thread survives it."""
    started, ended = time.monotonic(), threading.Event()

    def keep_logging() -> None:
        while not ended.wait(interval_s):
            log.info("training goes on: %s %s", subject, progress_tail(time.monotonic() - started, progress.seen()))

    thread = threading.Thread(target=keep_logging, name="mlops-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
