"""The model of the stored pipelines. Its digest is part of what is stored: a changed byte makes their rows new."""

from __future__ import annotations

from sklearn.linear_model import Ridge


def ridge(alpha: float = 0.1) -> Ridge:
    """Return a linear regression. A large ``alpha`` shrinks it to the mean: useful to see it rejected."""
    return Ridge(alpha=alpha)
