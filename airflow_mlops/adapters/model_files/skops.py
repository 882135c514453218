"""skops: models are stored without pickle, and loaded only if the platform trusts every type in them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

with warnings.catch_warnings(action="ignore"):  # skops looks into every loaded module, and Airflow's warn of it
    import skops.io

from airflow_mlops.errors import IntegrityError, UntrustedModelError, bounded
from airflow_mlops.extras import EXTRAS, require_extra

__all__ = ["FILE", "TRUSTED_TYPES", "check_types", "load_model", "types_to_trust"]

FILE = "model.skops"

TRUSTED_TYPES = frozenset(
    {
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRanker",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
        "xgboost.sklearn.XGBRanker",
        "xgboost.sklearn.XGBRegressor",
    }
)
"""What the estimators of scikit-learn, XGBoost and LightGBM need to be loaded, and skops does not trust by itself.

The boosters are stored as the bytes that their libraries write, which they read back without running any of it.
"""


def types_to_trust(model: object, trusted_types: Iterable[str] = ()) -> list[str]:
    """Return which of the trusted types the model needs.

    :param trusted_types: what the platform trusts beside :data:`TRUSTED_TYPES`.
    :raises UntrustedModelError: when it needs one that is not trusted.
    """
    try:
        with _without_warnings():
            needed = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    except Exception as error:  # whatever a type does that was not made to be stored
        raise UntrustedModelError(
            f"The trained model, a {type(model).__name__}, can't be stored without pickle: {type(error).__name__}: "
            f"{error}. It was not stored and the champion stays. See training.allow_pickle."
        ) from error
    _refuse_untrusted("The trained model", needed, trusted_types)
    return sorted(needed)


def load_model(folder: Path, trusted_types: Iterable[str] = ()) -> Any:
    """Load a model from the files that MLflow stored, trusting the platform's list and not the model's own.

    :raises UntrustedModelError: when the model needs a type that is not trusted.
    :raises MissingExtraError: when it is of a library that is an extra of this package, and not installed.
    :raises IntegrityError: when there is no skops file.
    """
    needed = check_types(folder, trusted_types)
    for library in sorted({name.partition(".")[0] for name in needed} & EXTRAS.keys()):
        require_extra(library, asked_by=f"The stored model, which holds {library}'s types,")
    with _without_warnings():
        return skops.io.load(folder / FILE, trusted=needed)


def check_types(folder: Path, trusted_types: Iterable[str] = ()) -> list[str]:
    """Return the types that a stored model needs to be loaded and that skops does not trust, without loading it.

    :raises UntrustedModelError: when one of them is not trusted here either.
    :raises IntegrityError: when there is no skops file.
    """
    file = folder / FILE
    if not file.exists():
        found = bounded(sorted(path.name for path in folder.iterdir()))
        raise IntegrityError(f"The stored model has no {FILE}, only {found}; pickles are not loaded.")
    with _without_warnings():
        needed: list[str] = skops.io.get_untrusted_types(file=file)
    _refuse_untrusted("The stored model", needed, trusted_types)
    return needed


def _refuse_untrusted(subject: str, needed: Iterable[str], trusted_types: Iterable[str]) -> None:
    foreign = sorted(set(needed) - TRUSTED_TYPES - set(trusted_types))
    if foreign:
        raise UntrustedModelError(
            f"{subject} holds types that the platform does not trust: {bounded(foreign)}. It was not stored or "
            f"loaded, and the champion stays. If their code is yours, add them to [mlops] trusted_types, or see "
            f"training.allow_pickle."
        )


def _without_warnings() -> warnings.catch_warnings[None]:
    return warnings.catch_warnings(action="ignore")
