"""A folder that tests use one after another, each from the state that it asks for."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_DATABASE = "mlflow.db"


class Stage:
    """What takes seconds to reach is done once in a session, and put back for each test that begins there.

    What is stored has paths in it, so a state can't be had in another folder. MLflow keeps its database open, so that
    it is written over in place.

    :param folder: where the tests work; what is in it now is the state after no step.
    :param shelf: where states are kept.
    """

    def __init__(self, folder: Path, shelf: Path) -> None:
        self.folder, self._shelf = folder, shelf
        self._kept: dict[tuple[Callable[[Any], Any], ...], tuple[Path, Any]] = {}
        self._keep((), None)

    def after(self, subject: T, *steps: Callable[[T], Any]) -> Any:
        """Bring the folder into the state that these steps leave it in, and return what the last one returned.

        :param subject: what each step is called with.
        :param steps: functions of a module; the same ones in the same order are called once only.
        """
        if steps in self._kept:
            state, result = self._kept[steps]
            self._put_back(state)
            return result
        self.after(subject, *steps[:-1])
        result = steps[-1](subject)
        self._keep(steps, result)
        return result

    def _keep(self, steps: tuple[Callable[[Any], Any], ...], result: Any) -> None:
        state = self._shelf / str(len(self._kept))
        shutil.copytree(self.folder, state)
        self._kept[steps] = state, result

    def _put_back(self, state: Path) -> None:
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _DATABASE:
                path.unlink()
        shutil.copytree(state, self.folder, ignore=shutil.ignore_patterns(_DATABASE), dirs_exist_ok=True)
        with (
            closing(sqlite3.connect(state / _DATABASE)) as kept,
            closing(sqlite3.connect(self.folder / _DATABASE)) as db,
        ):
            kept.backup(db)
