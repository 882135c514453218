"""Weekly CO2 at Mauna Loa, delivered in batches of years as files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def weeks(first_year: int, last_year: int) -> Any:
    """Return the weeks of some years as a data frame of ``date`` and ``co2`` (parts per million, NaN: missing)."""
    import statsmodels.api as sm

    frame = sm.datasets.co2.load_pandas().data.rename_axis("date").reset_index()
    return frame[frame["date"].dt.year.between(first_year, last_year)]


def deliver(frame: Any, inbox: Path, name: str) -> Path:
    """Put a file into the inbox, where it appears whole."""
    return deliver_together({name: frame}, inbox)[0]


def deliver_together(frames: Mapping[str, Any], inbox: Path) -> list[Path]:
    """Put files into the inbox so quickly that whoever watches it sees them arrive at once."""
    inbox.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(inbox / f".{name}.part", index=False)
    for name in frames:
        os.replace(inbox / f".{name}.part", inbox / name)
    return [inbox / name for name in frames]


def with_renamed_column(frame: Any) -> Any:
    """Break a batch: its column has another name."""
    return frame.rename(columns={"co2": "co2_ppm"})


def with_text(frame: Any) -> Any:
    """Break a batch: every tenth measurement is a remark."""
    remarked = frame.assign(co2=frame["co2"].astype(object))
    remarked.iloc[::10, remarked.columns.get_loc("co2")] = "no reading"
    return remarked
