"""Who serves: the versions of a deployment, and which rows its challenger is given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.values import Value
from airflow_mlops.errors import SpecError

__all__ = ["Deployment", "DeploymentMode", "challenger_rows", "share_of"]


class DeploymentMode(StrEnum):
    """How a challenger takes part.

    A shadow is asked as well, and what it says is logged and never answered. A canary answers.
    """

    SHADOW = "shadow"
    CANARY = "canary"


@dataclass(frozen=True, kw_only=True)
class Deployment(Value):
    """Which versions of a model serve. A server follows it while it runs.

    :param champion_version: ``None``: whichever the journal says.
    :param challenger_version: ``None``: the champion serves alone.
    :param share: of the ids whose rows the challenger is given, in [0, 1].
    :param salt: of the draw of those ids; another salt draws others.
    :param since: when it began.
    :param key: the identity of the step that wrote it; a retry finds its own by it.
    :raises SpecError: when the share is none.
    """

    model_name: str
    champion_version: int | None = None
    challenger_version: int | None = None
    mode: DeploymentMode = DeploymentMode.SHADOW
    share: float = 1.0
    salt: str = ""
    since: datetime
    key: str

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise SpecError(
                f"{self.model_name}: the challenger's share must be between 0 and 1, not {self.share}. Nothing was "
                f"changed."
            )


def share_of(salt: str, identifier: str) -> float:
    """Return where an id lies in [0, 1): always at the same place, and all ids evenly spread.

    The first 64 bits of a SHA-256, as a fraction.

    >>> share_of("a", "customer 7") == share_of("a", "customer 7") != share_of("b", "customer 7")
    True
    """
    digest = hashlib.sha256(f"{salt}\0{identifier}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53  # as many bits as a float has, so that 1 is not reached


def challenger_rows(deployment: Deployment, ids: Sequence[str]) -> NDArray[np.bool_]:
    """Return which rows the challenger is given. Who has it with a small share keeps it with a larger one.

    :param ids: ``(n_rows,)``.
    :returns: ``(n_rows,) bool``.
    """
    if deployment.challenger_version is None:
        return np.zeros(len(ids), dtype=bool)
    places = {each: share_of(deployment.salt, each) for each in set(ids)}
    return np.array([places[each] < deployment.share for each in ids], dtype=bool)
