"""Training functions, good and bad: a spec names them by their import path."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge

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


class ForeignRidge(Ridge):
    """A good model, of a type that nobody has declared trusted."""


def uses_up_the_memory(data, params):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, resource.RLIM_INFINITY))
    return bytearray(2**32)


def predicts_nan(data, params):
    return PredictsOne(float("nan"))


def predicts_the_same(data, params):
    return DummyRegressor().fit(data[["x"]], data["y"])


class PredictsOne:
    def __init__(self, value):
        self.value = value

    def predict(self, frame):
        return np.full(len(frame), self.value)


def reports(data, params, progress):
    progress(len(data), params["n_iterations"])
    return least_squares(data, {})


def fails_with_workers(data, params):
    joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(abs)(number) for number in range(4))
    raise ZeroDivisionError("after the workers have started")


def times_out(data, params):
    signal.raise_signal(signal.SIGALRM)  # what the operator's execution_timeout sends when it has passed


class HoldsAFunction(LinearRegression):
    """Holds what only cloudpickle can store."""

    def fit(self, features, target):
        self.callback_ = lambda: None
        return super().fit(features, target)


def draws_without_a_seed(data, params):
    rows = data.sample(frac=0.5)
    return least_squares(rows, params)


KILL_AFTER = "TESTS_KILL_AFTER"


def ridge_that_tells(data, params):
    """Write down what it was trained on and with which parameter, and die after as many times as is asked for."""
    seen = Path(params["diary"])
    with seen.open("a") as diary:
        diary.write(json.dumps({"alpha": params["alpha"], "x": data["x"].tolist()}) + "\n")
    if os.environ.get(KILL_AFTER) == str(len(seen.read_text().splitlines())):
        os.kill(os.getpid(), signal.SIGKILL)
    return RidgeThatTells(seen, Ridge(alpha=params["alpha"]).fit(data[["x"]], data["y"]))


class RidgeThatTells:
    def __init__(self, diary, model):
        self.diary, self.model = diary, model

    def predict(self, frame):
        with self.diary.open("a") as diary:
            diary.write(json.dumps({"scored": frame["x"].tolist()}) + "\n")
        return self.model.predict(frame[["x"]])


def fails_above_one(data, params):
    if params["alpha"] > 1:
        raise ValueError("alpha is too much")
    return Ridge(alpha=params["alpha"]).fit(data[["x"]], data["y"])


class SlopeByPart:
    """Predicts ``y`` by one slope for the big part and one for the small part."""

    def __init__(self, big, small):
        self.big, self.small = big, small

    def fit(self, features, target):
        return self

    def predict(self, frame):
        return np.where(frame["part"] == "small", self.small, self.big) * frame["x"]


def knows_the_small(data, params):
    return SlopeByPart(big=0.5, small=3.0)


def knows_the_big(data, params):
    return SlopeByPart(big=1.0, small=2.0)
