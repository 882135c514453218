"""What the wording of the stages shares: the sentence of a rule is chosen, and lists name only the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval

__all__ = ["UNTOLD", "Texts", "Words", "around", "listed", "told_or_plain", "without_words", "wording_by_rule"]

Words = Callable[[Reason], str]
Texts = tuple[str, str]

UNTOLD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What is raised where the words of a reason are made: its rule is unknown, or facts of it are missing or odd."""


def without_words(reason: Reason) -> str:
    """Return what a reason has in plain numbers, for one that this version has no words for.

    A newer version wrote it, or it is damaged; neither may hide the reasons and entries beside it.

    >>> without_words(Reason(stage="gate", rule="a_rule", verdict="REJECTED", observed=0.5, required=0.25))
    'gate.a_rule: REJECTED, observed 0.5, required 0.25 (this version has no words for it)'
    """
    numbers = {"observed": reason.observed, "required": reason.required, "interval": reason.interval, "n": reason.n}
    parts = [reason.verdict, reason.subject, reason.setting]
    parts += [f"{name} {value}" for name, value in numbers.items() if value is not None]
    said = ", ".join(part for part in parts if part)
    return f"{reason.stage}.{reason.rule}{': ' if said else ''}{said} (this version has no words for it)"


def told_or_plain(make: Callable[[Reason], Texts], reason: Reason) -> Texts:
    """Return what was found and what was expected, in plain numbers where this version has no words for a reason."""
    try:
        return make(reason)
    except UNTOLD:
        return without_words(reason), "not known"


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
