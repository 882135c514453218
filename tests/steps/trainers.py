"""Training functions, good and bad: a spec names them by their import path."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from sklearn.linear_model import LinearRegression, Ridge

KILL_IN_TRAINING = "TESTS_KILL_IN_TRAINING"


def least_squares(data, params):
    return LinearRegression().fit(data[["x"]], data["y"])


def kills_itself_if_asked(data, params):
    if os.environ.get(KILL_IN_TRAINING):
        os.kill(os.getpid(), signal.SIGKILL)
    return least_squares(data, params)


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


KILL_AFTER = "TESTS_KILL_AFTER"


def ridge_that_tells(data, params):
    """Write down what it learnt from and with which parameter, and die after as many times as is asked for."""
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
