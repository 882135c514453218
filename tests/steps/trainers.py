"""Training functions, good and bad: a spec names them by their import path."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sklearn.linear_model import LinearRegression

KILL_IN_TRAINING = "TESTS_KILL_IN_TRAINING"


def least_squares(data, params):
    return LinearRegression().fit(data[["x"]], data["y"])


def kills_itself_if_asked(data, params):
    if os.environ.get(KILL_IN_TRAINING):
        os.kill(os.getpid(), signal.SIGKILL)
    return least_squares(data, params)


def needs_the_newer_library(data, params):
    import clashing

    print("trained with version", clashing.VERSION)
    if clashing.VERSION < 2:
        raise ImportError("clashing>=2 is required")
    return least_squares(data, params)


def never_ends(data, params):
    """Start a process, note who both are, and wait."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note = Path(params["note"])
    note.with_suffix(".new").write_text(f"{os.getpid()} {other.pid}")
    note.with_suffix(".new").rename(note)
    time.sleep(600)


def raises(data, params):
    raise ZeroDivisionError(f"the mean of {len(data)} rows is nothing")


def gives_nothing(data, params):
    return None


def predicts_only_what_it_was_promised(data, params):
    return PromisesNothing()


class PromisesNothing:
    def predict(self, frame):
        raise KeyError("no such thing")


class ForeignModel:
    """A type that nobody has declared trusted."""

    def fit(self, features, target):
        self.mean_ = float(target.mean())
        return self

    def predict(self, features):
        return [self.mean_] * len(features)
