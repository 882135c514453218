"""What happens to a version once it is blessed."""

from __future__ import annotations

from typing import Literal

from airflow_mlops.specs._base import Spec

__all__ = ["PromotionSpec"]


class PromotionSpec(Spec):
    """:param policy: ``automatic`` makes a blessed version champion; ``hold`` only registers it."""

    policy: Literal["automatic", "hold"] = "automatic"
