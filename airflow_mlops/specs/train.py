"""What is trained, and with which parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec, import_path_of

__all__ = ["EarlyStoppingSpec", "TrainingSpec"]

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class EarlyStoppingSpec(Spec):
    """When a boosting stops before it has used up its iterations.

    The rows that it is judged on are taken from the training part, never from the held-out ones: the last rows when
    the data is split by time, otherwise rows drawn by ``training.seed``.

    :param rounds: iterations without a better score on those rows, after which it stops.
    :param fraction: of the rows of the training part that are taken for it, in (0, 1). The model does not train on
        them.
    """

    rounds: int = Field(default=10, ge=1)
    fraction: float = Field(default=0.1, gt=0, lt=1)


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
    :param sample_weight: the column that says how much a row counts when the model is fitted: a number, at least 0,
        never null. It is no feature. A ``function`` finds it in its data.
    :param class_weight: how much the rows of a class count: ``balanced``, so that all classes count the same, or a
        weight for each class. It is the estimator's own ``class_weight`` where it has one, otherwise it becomes weights
        of rows. Together with ``sample_weight`` the two are multiplied.
    :param early_stopping: for HistGradientBoosting, XGBoost and LightGBM; ``None``: as the estimator does by itself.
    :param allow_pickle: store the model by pickle, for types that skops does not know, such as PyTorch's. The platform
        must allow it too (``[mlops] allow_pickle``): whoever can change a pickle runs code where it is loaded.
    :param seed: set as ``random_state`` wherever the estimator has such a parameter and none is given.
    """

    target: str = Field(min_length=1)
    features: tuple[str, ...] | None = None
    estimator: str | None = None
    function: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    preprocessing: str = "default"
    sample_weight: str | None = Field(default=None, min_length=1)
    class_weight: Literal["balanced"] | dict[str, Weight] | None = None
    early_stopping: EarlyStoppingSpec | None = None
    allow_pickle: bool = False
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

    @field_validator("class_weight", mode="before")
    @classmethod
    def _classes_as_text(cls, value: Any) -> Any:
        """Name classes by their text: that is what becomes of a number as a key of JSON."""
        return {str(label): weight for label, weight in value.items()} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.estimator) == bool(self.function):
            raise ValueError("give either `estimator` or `function`")
        if self.function and self.preprocessor:
            raise ValueError("`function` makes the whole model: put the preprocessing into what it returns")
        if self.function and (self.class_weight or self.early_stopping):
            raise ValueError("`function` fits the model itself: weigh classes and stop early in it")
        for role, column in (("target", self.target), ("sample_weight", self.sample_weight)):
            if self.features is not None and column in self.features:
                raise ValueError(f"the {role} {column!r} is among the features")
        if self.sample_weight == self.target:
            raise ValueError(f"`sample_weight` is the target {self.target!r}")
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
