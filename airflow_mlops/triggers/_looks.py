"""How every trigger looks: in a few threads, spread in time, and again where something does not answer."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from airflow_mlops.errors import UnavailableError

__all__ = ["SPREAD", "looks"]

log = logging.getLogger(__name__)

SPREAD = 0.15
"""By this fraction an interval is longer or shorter, so that triggers that began together do not look together."""

_THREADS = ThreadPoolExecutor(8, thread_name_prefix="mlops-looks")
"""Not the event loop's own threads: a storage that hangs would take them from all other triggers."""

_Seen = TypeVar("_Seen")


async def looks(look: Callable[[], _Seen], *, every_s: float, subject: str) -> AsyncIterator[_Seen]:
    """Give what each check sees, for ever. Where nothing answers it is said, and looked again an interval later.

    :param look: what is called in a thread.
    :param every_s: seconds between two checks, give or take :data:`SPREAD` of them.
    :param subject: what is looked at, for the log, as ``key=value``.
    """
    while True:
        try:
            seen = await asyncio.get_running_loop().run_in_executor(_THREADS, look)
        except UnavailableError as error:
            log.warning("looked in vain: %s error=%s", subject, error)
        else:
            yield seen
        await asyncio.sleep(every_s * random.uniform(1 - SPREAD, 1 + SPREAD))  # noqa: S311  # no secret is made of it
