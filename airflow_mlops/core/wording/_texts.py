"""What the wording of the stages shares: the sentence of a rule is chosen, and lists name only the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval

__all__ = ["Words", "around", "listed", "wording_by_rule"]

Words = Callable[[Reason], str]


def wording_by_rule(rules: Mapping[str, Words]) -> Words:
    """Return what makes the sentence of any reason of a stage.

    :param rules: what makes the sentence of each of its rules.
    """

    def words(reason: Reason) -> str:
        return reason.recorded or rules[reason.rule](reason)

    return words


def listed(names: Sequence[object], n_names: int) -> str:
    """Join the first of some names for a message, and say how many more there are.

    :param names: the first of them; the others need not be known.
    :param n_names: how many there are.

    >>> listed(["a", "b"], 3), listed([], 0)
    ("'a', 'b' and 1 more", 'none')
    """
    shown, rest = ", ".join(map(repr, names)), n_names - len(names)
    return f"{shown} and {rest} more" if rest > 0 else shown or "none"


def around(interval: Interval) -> str:
    """Return a value with its interval; unlike a difference it has no sign of its own."""
    return f"{interval.difference:.4g} [{interval.low:.4g}, {interval.high:.4g}]"
