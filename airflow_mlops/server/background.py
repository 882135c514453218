"""Work that nobody waits for: a bounded queue, and a thread that empties it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from airflow_mlops.errors import MlopsError

__all__ = ["Background"]

log = logging.getLogger(__name__)

Item = TypeVar("Item")


class Background(Generic[Item]):
    """Hands items over to a thread, in batches. When there are too many they are dropped: to offer one never blocks.

    :param handle: is called with a batch, in the thread.
    :param capacity: the weight of all that may wait.
    :param batch_weight: the weight of a batch that is handled at once.
    :param interval_s: after which a smaller batch is handled too.
    :param on_drop: is called with the weight of what was dropped, or failed.
    """

    def __init__(
        self,
        name: str,
        handle: Callable[[Sequence[Item]], None],
        *,
        capacity: int,
        batch_weight: int = 1,
        interval_s: float = 0.0,
        on_drop: Callable[[int], None],
    ) -> None:
        self._handle, self._on_drop = handle, on_drop
        self._capacity, self._batch_weight, self._interval_s = capacity, batch_weight, interval_s
        self._waiting: deque[tuple[Item, int]] = deque()
        self._weight = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: Item, weight: int) -> bool:
        """Leave an item to the thread, if there is room for it.

        :returns: whether there was.
        """
        with self._changed:
            has_room = not self._is_closed and self._weight + weight <= self._capacity
            if has_room:
                self._waiting.append((item, weight))
                self._weight += weight
                if len(self._waiting) == 1 or self._weight >= self._batch_weight:
                    self._changed.notify()
        if not has_room:
            self._on_drop(weight)
        return has_room

    def close(self, timeout_s: float) -> bool:
        """Handle what waits and end; return whether that was done in time."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while batch := self._next_batch():
            weight = sum(weight for _, weight in batch)
            try:
                self._handle([item for item, _ in batch])
            except Exception as error:  # whatever happens here, requests are answered
                why = (
                    error if isinstance(error, MlopsError) else type(error).__name__
                )  # which may quote what it was given
                log.warning("%s failed: dropped=%d error=%s", threading.current_thread().name, weight, why)
                self._on_drop(weight)

    def _next_batch(self) -> list[tuple[Item, int]]:
        """Wait for a batch; nothing is the end."""
        batch: list[tuple[Item, int]] = []
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            deadline = time.monotonic() + self._interval_s
            while not self._is_closed and self._weight < self._batch_weight:
                if not self._changed.wait(max(deadline - time.monotonic(), 0.0)):
                    break
            taken = 0
            while self._waiting and taken < self._batch_weight:
                batch.append(self._waiting.popleft())
                taken += batch[-1][1]
            self._weight -= taken
        return batch
