"""What happens to a version once it is blessed."""

from __future__ import annotations

from typing import Literal

from airflow_mlops.specs._base import Spec

__all__ = ["PromotionSpec"]


class PromotionSpec(Spec):
    """What a blessed version becomes.

    :param policy: ``automatic`` makes it champion; ``hold`` only registers it.
    """

    policy: Literal["automatic", "hold"] = "automatic"
