"""Evidently: draws the drift report that people look at."""

from __future__ import annotations

import os
import warnings
from typing import Any

os.environ.setdefault("DO_NOT_TRACK", "true")

from evidently import Report
from evidently.presets import DataDriftPreset

__all__ = ["drift_page"]


def drift_page(*, reference: Any, current: Any) -> str:
    """Return a stand-alone HTML page that compares two pandas data frames.

    The page is a picture of samples. What was decided was computed on all rows.
    """
    with warnings.catch_warnings(action="ignore"):  # constant and short samples make scipy warn
        snapshot = Report([DataDriftPreset()]).run(current, reference)
        return str(snapshot.get_html_str(as_iframe=False))
