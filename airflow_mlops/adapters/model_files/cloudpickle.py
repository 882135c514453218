"""cloudpickle: models of types that nothing else can store, where spec and platform both allow it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudpickle

__all__ = ["FILE", "load_model"]

FILE = "model.pkl"


def load_model(folder: Path) -> Any:
    """Load a pickled model. This runs whatever code is in it, so its files must be known to be ours."""
    with (folder / FILE).open("rb") as stream:
        return cloudpickle.load(stream)
