"""Python's regular expressions in the words of RE2, which engines speak.

What means something else there, or takes more than RE2 can, is not translated: lookarounds, backreferences,
flags, word boundaries, and an end of line (``$``) that is not the end of an alternative.
"""

from __future__ import annotations

import re
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

__all__ = ["to_re2"]

# Python's classes know all of Unicode, those of RE2 only ASCII.
_INSIDE = {
    ops.CATEGORY_DIGIT: r"\p{Nd}",
    ops.CATEGORY_SPACE: r"\t-\r\x{1c}-\x{20}\x{85}\p{Z}",
    ops.CATEGORY_WORD: r"\p{L}\p{N}_",
    ops.CATEGORY_NOT_DIGIT: r"\P{Nd}",
}
_ALONE = {
    ops.CATEGORY_NOT_SPACE: rf"[^{_INSIDE[ops.CATEGORY_SPACE]}]",
    ops.CATEGORY_NOT_WORD: rf"[^{_INSIDE[ops.CATEGORY_WORD]}]",
}
_MAX_REPEATS = 1000


class _UntranslatableError(Exception):
    pass


def to_re2(pattern: str) -> str | None:
    r"""Translate a pattern that is searched for, or return ``None`` where it would not mean the same.

    >>> to_re2("^a")
    '\\A\\x{61}'
    >>> to_re2("(?=a)") is None
    True
    """
    try:
        parsed = _parser.parse(pattern)
        if parsed.state.flags & ~re.UNICODE:
            return None
        return _sequence(parsed, last=True)
    except (_UntranslatableError, re.error, RecursionError, OverflowError):
        return None


def _sequence(parsed: Any, *, last: bool) -> str:
    items = list(parsed)
    return "".join(_item(op, arg, last=last and index == len(items) - 1) for index, (op, arg) in enumerate(items))


def _item(op: Any, arg: Any, *, last: bool) -> str:
    if op in (ops.LITERAL, ops.NOT_LITERAL):
        return f"[^{_character(arg)}]" if op is ops.NOT_LITERAL else _character(arg)
    if op is ops.ANY:
        return "[^\\n]"
    if op is ops.IN:
        return _class(arg)
    if op is ops.BRANCH:
        return "(?:" + "|".join(_sequence(branch, last=last) for branch in arg[1]) + ")"
    if op is ops.SUBPATTERN:
        _, add, remove, inner = arg
        if add or remove:
            raise _UntranslatableError
        return f"(?:{_sequence(inner, last=last)})"
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT):  # greedy or not makes no difference to whether it is found
        return _repeat(*arg)
    if op is ops.AT:
        return _position(arg, last=last)
    raise _UntranslatableError


def _repeat(low: int, high: Any, inner: Any) -> str:
    if low > _MAX_REPEATS or (high is not ops.MAXREPEAT and high > _MAX_REPEATS):
        raise _UntranslatableError
    return f"(?:{_sequence(inner, last=False)}){{{low},{'' if high is ops.MAXREPEAT else high}}}"


def _position(where: Any, *, last: bool) -> str:
    if where in (ops.AT_BEGINNING, ops.AT_BEGINNING_STRING):
        return r"\A"
    if where is ops.AT_END_STRING:
        return r"\z"
    if where is ops.AT_END and last:
        return r"\n?\z"  # Python's $ is also before a newline that ends the text
    raise _UntranslatableError


def _class(members: Any) -> str:
    if len(members) == 1 and members[0][0] is ops.CATEGORY and members[0][1] in _ALONE:
        return _ALONE[members[0][1]]
    negated, inside = "", ""
    for op, arg in members:
        if op is ops.NEGATE:
            negated = "^"
        elif op is ops.LITERAL:
            inside += _character(arg)
        elif op is ops.RANGE:
            inside += f"{_character(arg[0])}-{_character(arg[1])}"
        elif op is ops.CATEGORY and arg in _INSIDE:
            inside += _INSIDE[arg]
        else:
            raise _UntranslatableError
    return f"[{negated}{inside}]"


def _character(code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:
        raise _UntranslatableError  # no character, and RE2 refuses it
    return f"\\x{{{code:x}}}"
