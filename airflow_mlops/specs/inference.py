"""What is kept of the predictions that are made."""

from __future__ import annotations

from pydantic import Field

from airflow_mlops.specs._base import Spec

__all__ = ["InferenceLogSpec"]


class InferenceLogSpec(Spec):
    """How predictions are logged, for monitoring and for the labels that come later.

    :param sample_fraction: of the requests; 1 keeps all of them.
    :param redact: columns that are not kept, such as what tells people apart. They are null in the log.
    :param max_mb: size on disk beyond which the oldest files go.
    """

    sample_fraction: float = Field(default=1.0, ge=0, le=1)
    redact: tuple[str, ...] = ()
    max_mb: int = Field(default=1024, ge=1)

    @property
    def max_bytes(self) -> int:
        """The greatest size on disk in bytes; a MB has a million of them."""
        return self.max_mb * 1_000_000
