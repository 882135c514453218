"""matplotlib: what all pictures have in common."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any, Literal

import matplotlib
from matplotlib.figure import Figure

__all__ = ["DASHES", "GREY", "HUES", "MARKERS", "Who", "draw", "explain", "plain"]

Who = Literal["challenger", "champion"]

# Told apart by those who see colours otherwise (Okabe and Ito, 2008), and by all in black and white.
HUES: dict[Who, str] = {"challenger": "#0072b2", "champion": "#d55e00"}
DASHES: dict[Who, str] = {"challenger": "-", "champion": "--"}
MARKERS: dict[Who, str] = {"challenger": "o", "champion": "s"}
GREY = "#767676"

_MAX_LABEL = 44
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "axes.labelcolor": "#333333",
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "figure.facecolor": "white",
    "font.size": 10,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "airflow-mlops",  # the same picture is the same text
    "text.parse_math": False,  # a dollar sign in the data is a dollar sign
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}


def draw(title: str, paint: Callable[[Figure], None], *, width: float = 9.0, height: float = 4.4) -> str:
    """Return a picture as an SVG element, without a prolog: it is a file, and fits into an HTML page.

    :param paint: draws into the figure.
    :param width: in inches of 72 points, as the height.
    """
    file = io.StringIO()
    metadata = {"Title": title, "Creator": None, "Date": None, "Format": None, "Type": None}
    with warnings.catch_warnings(action="ignore"), matplotlib.rc_context(_STYLE):  # of glyphs that browsers have
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=12.5, fontweight="bold", color="#222222")
        paint(figure)
        figure.savefig(file, format="svg", metadata=metadata)
    text = file.getvalue()
    return text[text.index("<svg") :]


def explain(axes: Any, n_columns: int = 3) -> None:
    """Put the legend above the axes, where no data is under it."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=n_columns, fontsize=9.5, columnspacing=1.6, borderpad=0.1
    )


def plain(label: Any, limit: int = _MAX_LABEL) -> str:
    """Return a label of the data in one line that is not too long, without characters that XML does not have.

    >>> plain("north   & south, which is very far from everything")
    'north & south, which is very far from every…'
    """
    text = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(str(label).split()))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
