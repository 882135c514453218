"""One measured figure, and how the figures are kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A figure of ours beside the plain way's.

    :param baseline: the plain way's figure; ``None`` where there is nothing to compare with.
    :param better: which direction is good.
    """

    name: str
    ours: float
    baseline: float | None
    unit: str
    better: Literal["lower", "higher"]

    @property
    def ratio(self) -> float:
        """Ours over the baseline, or the figure itself where there is none."""
        return self.ours if self.baseline is None else self.ours / self.baseline

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as it is written."""
        rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in asdict(self).items()}
        return {**rounded, "ratio": round(self.ratio, 4)}


def write(entries: list[Entry]) -> None:
    """Write entries to ``results.json``, in place of those of the same name; the others stay."""
    known = {entry["name"]: entry for entry in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    known |= {entry.name: entry.to_dict() for entry in entries}
    RESULTS.write_text(json.dumps(list(known.values()), indent=2) + "\n")
