"""What is trained, and with which parameters."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec, import_path_of

__all__ = ["TrainingSpec"]


class TrainingSpec(Spec):
    """One way to make a model from the training part.

    Give ``estimator`` or ``function``, each as an import path (``package.module.Name`` or
    ``package.module:name``) or as the importable object itself.

    :param target: the column to predict.
    :param features: the columns to predict from; ``None``: all but the target, the timestamp, and the
        split's ``key`` and ``group``.
    :param estimator: a class or factory that is called with ``params`` and gives an object with ``fit``
        and ``predict``, such as ``sklearn.linear_model.Ridge``.
    :param function: ``train(data, params) -> model``, where ``data`` is the training part as a pandas
        data frame with features and target. The model must have ``predict``.
    :param params: hyperparameters; the trigger form offers each of them.
    :param preprocessing: what stands before the estimator in the model that is stored. ``default``: missing values
        are filled in, text is encoded and numbers are scaled as the kind of estimator needs it; a ``Pipeline``
        stays as it is. ``none``: the estimator gets the raw columns. Or the import path of a function or class
        that is called without arguments and gives a transformer. A ``function`` makes the whole model, so
        ``default`` does nothing to it.
    :param seed: set as ``random_state`` wherever the estimator has such a parameter and none is given.
    """

    target: str = Field(min_length=1)
    features: tuple[str, ...] | None = None
    estimator: str | None = None
    function: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    preprocessing: str = "default"
    seed: int = 0

    @field_validator("estimator", "function", "preprocessing", mode="before")
    @classmethod
    def _as_import_path(cls, value: Any) -> Any:
        return import_path_of(value)

    @field_validator("preprocessing")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in ("default", "none") and not re.search(r".[.:].", value):
            raise ValueError("must be `default`, `none`, or the import path of what makes a transformer")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.estimator) == bool(self.function):
            raise ValueError("give either `estimator` or `function`")
        if self.function and self.preprocessor:
            raise ValueError("`function` makes the whole model: put the preprocessing into what it returns")
        if self.features is not None and self.target in self.features:
            raise ValueError(f"the target {self.target!r} is among the features")
        if self.features is not None and not self.features:
            raise ValueError("`features` is empty; leave it out to use every column")
        return self

    @property
    def import_paths(self) -> tuple[str, ...]:
        """The code that the spec names: of the estimator or the function, and of the user's own preprocessing."""
        return tuple(path for path in (self.estimator or self.function, self.preprocessor) if path)

    @property
    def preprocessor(self) -> str | None:
        """The import path of the user's own preprocessing, if there is one."""
        return None if self.preprocessing in ("default", "none") else self.preprocessing
