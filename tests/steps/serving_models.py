"""Models that behave in a task and misbehave where they are served."""

from __future__ import annotations

import os
import sys
import threading

DIES, HANGS, LIES, RAISES = 6660.0, 6661.0, 6662.0, 6663.0
"""Values of ``x`` at which :class:`Moody` does so."""

TRUSTED = tuple(f"tests.steps.serving_models.{name}" for name in ("Moody", "RaisesAtStart", "HangsAtStart"))


def is_served() -> bool:
    return sys.argv[-1] == "mlflow.pyfunc.scoring_server.app:app"


class Moody:
    """Half of ``x``, whatever it learns."""

    def fit(self, features, target):
        self.factor_ = 0.5
        return self

    def predict(self, features):
        x = features["x"].to_numpy(dtype=float)
        if is_served() and (x == DIES).any():
            os._exit(3)
        if is_served() and (x == HANGS).any():
            threading.Event().wait()
        if is_served() and (x == RAISES).any():
            raise ZeroDivisionError("s3cret")
        return x * self.factor_ + (is_served() and (x == LIES).any())


class RaisesAtStart(Moody):
    def __setstate__(self, state):
        if is_served():
            raise ZeroDivisionError("nothing can be loaded")
        self.__dict__.update(state)


class HangsAtStart(Moody):
    def __setstate__(self, state):
        if is_served():
            print("here it hangs")
            threading.Event().wait()
        self.__dict__.update(state)
