"""The model of the CO2 examples."""

from __future__ import annotations

from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def ridge(alpha: float = 0.1) -> Pipeline:
    """Return a linear autoregression. A large ``alpha`` shrinks it to the mean: useful to see it rejected."""
    return make_pipeline(StandardScaler(), Ridge(alpha=alpha))
