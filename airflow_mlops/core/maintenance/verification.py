"""Whether a model's records agree with each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_mlops.core.values import Value
from airflow_mlops.errors import IntegrityError, bounded

__all__ = ["Check", "VerificationReport"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    :param subject: such as ``v2 files``.
    :param found: in words; of what is not as it must be, also what to do.
    """

    subject: str
    is_good: bool
    found: str


@dataclass(frozen=True, kw_only=True)
class VerificationReport(Value):
    """What was found when journal, registry, files and evidence of a model were compared."""

    model_name: str
    checks: tuple[Check, ...]

    def lines(self) -> Iterator[str]:
        """Give a line of text for each check."""
        for check in self.checks:
            yield f"{'ok' if check.is_good else 'BAD':<3}  {check.subject}: {check.found}"

    def require_whole(self) -> None:
        """Raise when anything is not as it must be, or nothing was looked at.

        :raises IntegrityError: with the names of the checks that failed.
        """
        bad = [check.subject for check in self.checks if not check.is_good]
        if bad or not self.checks:
            raise IntegrityError(
                f"{self.model_name}: {len(bad)} of {len(self.checks)} checks failed: {bounded(bad)}. Nothing was "
                f"changed. Each line says what to do."
            )
