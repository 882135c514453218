"""A storage that takes no more, at each single write of a change of the champion."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.steps.cases import Bench
from tests.steps.interrupted import interrupt_everywhere

WRITES = {"os.link", "os.mkdir", "os.rename"}
"""What Python tells of before it does it, as it tells of files that are opened."""


class Disk:
    """Fails the n-th write below a folder, and all after it, as a disk that is full or was remounted.

    Python asks its audit hooks before each call of the system. A hook can't be removed, so this one is made once.
    """

    def __init__(self) -> None:
        self.folder, self.error, self._n_left = "", 0, 0
        sys.addaudithook(self._before)

    def fail_at(self, write: int) -> None:
        self._n_left = write

    def mend(self) -> None:
        self._n_left = 0

    def _before(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._n_left or not self._is_write(event, arguments):
            return
        if self._n_left == 1:
            raise OSError(self.error, os.strerror(self.error))
        self._n_left -= 1

    def _is_write(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            is_write = isinstance(path, str | Path) and flags & (os.O_WRONLY | os.O_RDWR)
            return bool(is_write) and str(path).startswith(self.folder)
        return event in WRITES and str(arguments[0]).startswith(self.folder)


@pytest.fixture(scope="module")
def disk() -> Disk:
    return Disk()


@pytest.mark.parametrize(("what", "error"), [("promote", errno.ENOSPC), ("rollback", errno.EROFS)])
def test_a_storage_that_takes_no_more_anywhere_in_a_change_loses_nothing_and_the_retry_finishes(
    delivered: Bench, disk: Disk, what: str, error: int
):
    disk.folder, disk.error = str(delivered.platform.storage.root), error
    try:
        left = interrupt_everywhere(delivered, what, disk.fail_at, disk.mend)
    finally:
        disk.mend()
    assert len(left) > 3, "there is more than one write on either side of the entry"
    assert (left[0], left[-1]) == ([], [what])
