"""How much a model relies on each feature, and where that changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["FeatureImportance", "ImportanceChange", "importance_changes"]

_ABSENT = (0.0, 0.0)
_N_STD = 2.0
"""How many standard deviations two importances must be apart, so that chance is no explanation."""


@dataclass(frozen=True, kw_only=True)
class FeatureImportance:
    """How much worse a model gets when one of its features tells nothing.

    :param importance: mean drop of the score, in the score's unit; about 0, or below, for a feature that is not used.
    :param std: standard deviation of the drop over the repetitions.
    """

    feature: str
    importance: float
    std: float


@dataclass(frozen=True, kw_only=True)
class ImportanceChange:
    """A feature that a model relies on more or less than another model does.

    :param kind: ``new`` or ``gone`` where only one of the models has the feature, otherwise ``rose`` or ``fell``.
    :param reference: the importance in the reference model; ``None`` where it does not have the feature.
    :param current: the importance in the current model; ``None`` where it does not have the feature.
    """

    feature: str
    kind: Literal["rose", "fell", "new", "gone"]
    reference: float | None
    current: float | None

    @property
    def difference(self) -> float:
        """By how much the importance is higher in the current model."""
        return (self.current or 0.0) - (self.reference or 0.0)


def importance_changes(
    *, reference: Sequence[FeatureImportance], current: Sequence[FeatureImportance]
) -> tuple[ImportanceChange, ...]:
    """Return the features whose importance differs by more than the noise of both measurements.

    A difference counts when it is more than twice the root of the sum of both variances, as for a difference of two
    independent measurements. A feature that one of the models does not have is of importance 0 there. Both are to be
    measured by the same score, best on the same rows.

    :param reference: such as the champion's.
    :param current: such as the challenger's.
    :returns: the largest difference first.

    >>> reference = [FeatureImportance(feature="age", importance=0.10, std=0.01)]
    >>> current = [FeatureImportance(feature="age", importance=0.20, std=0.02)]
    >>> [(change.feature, change.kind) for change in importance_changes(reference=reference, current=current)]
    [('age', 'rose')]
    """
    before = {each.feature: (each.importance, each.std) for each in reference}
    after = {each.feature: (each.importance, each.std) for each in current}
    changes = []
    for feature in dict.fromkeys([*after, *before]):
        (old, old_std), (new, new_std) = before.get(feature, _ABSENT), after.get(feature, _ABSENT)
        if abs(new - old) > _N_STD * math.hypot(old_std, new_std):
            changes.append(
                ImportanceChange(
                    feature=feature,
                    kind=_kind(feature in before, feature in after, rises=new > old),
                    reference=old if feature in before else None,
                    current=new if feature in after else None,
                )
            )
    return tuple(sorted(changes, key=lambda change: -abs(change.difference)))


def _kind(was_there: bool, is_there: bool, *, rises: bool) -> Literal["rose", "fell", "new", "gone"]:
    if not was_there:
        return "new"
    if not is_there:
        return "gone"
    return "rose" if rises else "fell"
