"""Training functions, good and bad: a spec names them by their import path."""

from __future__ import annotations

import os
import signal

from sklearn.linear_model import LinearRegression

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


def draws_without_a_seed(data, params):
    rows = data.sample(frac=0.5)
    return least_squares(rows, params)
