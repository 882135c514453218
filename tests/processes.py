"""Whether processes are still there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


def is_gone(group: int) -> bool:
    """Return whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until(is_so: Callable[[], bool], *, timeout_s: float = 60) -> None:
    """Wait for what must come soon; what is killed is gone only once the system has taken note."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
