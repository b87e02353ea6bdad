r"""Which patterns of words come to an end on any text.

Python's engine goes back and tries again: under ``(\\w+)+!`` a word of 30 letters takes
hours. A pattern is taken here if no two of its repeats can share out the same letters
in many ways, which its tree tells. What is refused may be harmless; it can be written
otherwise.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sktransfer._compat import _parser

__all__ = ["pattern_fault"]

_MOST_LETTERS = 2000
# A repeat up to here is short whatever it matches.
_SHORT = 8
# Repeats of letters of a word that may follow one another: words are short.
_MOST_IN_WORDS = 3
# One of each kind of character that patterns tell apart.
_BEYOND_ASCII = "éßÉ²½¡\u2019\u201c\u00a0\u2028中あ한😀\u0301"
_PROBES = [*map(chr, range(128)), *_BEYOND_ASCII]
_SPACES = frozenset(place for place, c in enumerate(_PROBES) if c.isspace())
_ALL = frozenset(range(len(_PROBES)))
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_WIDTHLESS = ("AT", "ASSERT", "ASSERT_NOT")

Letters = frozenset[int]


@lru_cache(maxsize=256)
def pattern_fault(pattern: object) -> str | None:
    """What is expected instead of the pattern of words, or None if it ends."""
    expected = (
        'a pattern whose repeats do not overlap, such as r"\\w+(?:[-\']\\w+)*" '
        'rather than r"(?:\\w+[-\']?)+",'
    )
    if not isinstance(pattern, str) or len(pattern) > _MOST_LETTERS:
        return expected
    try:
        tree = _parser.parse(pattern)
        flags = tree.state.flags
        _Reading(flags).check(list(tree))
    except (re.error, RecursionError, OverflowError, _Unclear):
        return expected
    return None


class _Unclear(Exception):
    """The repeats of a pattern may overlap."""


class _Reading:
    """Goes through the tree of a pattern."""

    def __init__(self, flags: int) -> None:
        self.flags = flags

    def check(self, items: list[Any]) -> None:
        """Raise `_Unclear` unless a sequence comes to an end soon."""
        variable = list(self._variable(items))
        if sum(1 for letters in variable if letters & _SPACES) > 1:
            raise _Unclear
        if len(variable) > 1 and self._n_overlapping(variable) > _MOST_IN_WORDS:
            raise _Unclear
        self._check_nested(items)

    def _n_overlapping(self, variable: list[Letters]) -> int:
        most = 0
        for letters in variable:
            most = max(most, sum(1 for other in variable if other & letters))
        return most

    def _variable(self, items: list[Any]) -> Iterator[Letters]:
        """What each long repeat of a sequence matches; one in another counts too."""
        for name, value in _named(items):
            if name in _REPEATS:
                low, high, body = value
                if int(high) - int(low) > _SHORT:
                    yield self.letters(list(body))
                else:
                    for _ in range(max(1, int(high))):
                        yield from self._variable(list(body))
            else:
                # Of alternatives one is taken: the first repeat of each is one repeat.
                found = [list(self._variable(part)) for part in _parts(name, value)]
                for several in itertools.zip_longest(*found, fillvalue=frozenset()):
                    yield frozenset().union(*several)

    def _check_nested(self, items: list[Any]) -> None:
        for name, value in _named(items):
            if name in ("GROUPREF", "GROUPREF_EXISTS", "GROUPREF_IGNORE"):
                raise _Unclear
            if name in _REPEATS:
                _, high, body = value
                if int(high) > 1:
                    self._check_body(list(body))
                self.check(list(body))
            else:
                for part in _parts(name, value):
                    self.check(part)

    def _check_body(self, body: list[Any]) -> None:
        """A repeated sequence begins with what nothing variable in it matches."""
        inner = frozenset[int]().union(*self._elastic(body))
        if any(name == "BRANCH" for name, _ in _all(body)):
            self._check_branches(body)
        if not inner:
            return
        first = self._first(body)
        if first is None or first & inner:
            raise _Unclear

    def _check_branches(self, body: list[Any]) -> None:
        """Of what is repeated, each alternative begins otherwise."""
        for name, value in _all(body):
            if name != "BRANCH":
                continue
            seen: set[int] = set()
            for branch in value[1]:
                first = self._first(list(branch))
                if first is None or first & seen:
                    raise _Unclear
                seen |= first

    def _elastic(self, items: list[Any]) -> Iterator[Letters]:
        """What each repeat of no fixed number matches, however short it is."""
        for name, value in _all(items):
            if name in _REPEATS and int(value[0]) != int(value[1]):
                yield self.letters(list(value[2]))

    def _first(self, items: list[Any]) -> Letters | None:
        """What a sequence begins with; None where it may be empty or is unclear."""
        for name, value in _named(items):
            if name in _WIDTHLESS:
                continue
            if name in _REPEATS:
                return self._first(list(value[2])) if int(value[0]) > 0 else None
            if name == "SUBPATTERN":
                return self._first(list(value[-1]))
            if name == "ATOMIC_GROUP":
                return self._first(list(value))
            if name == "BRANCH":
                found = [self._first(list(branch)) for branch in value[1]]
                if any(one is None for one in found):
                    return None
                return frozenset().union(*(one for one in found if one is not None))
            return self._single(name, value)
        return None

    def letters(self, items: list[Any]) -> Letters:
        """All that a sequence may match somewhere, of the probes."""
        found: set[int] = set()
        for name, value in _all(items):
            if name not in (
                *_REPEATS,
                *_WIDTHLESS,
                "SUBPATTERN",
                "BRANCH",
                "ATOMIC_GROUP",
            ):
                found |= self._single(name, value)
        return frozenset(found)

    def _single(self, name: str, value: Any) -> Letters:
        if name == "ANY":
            return _ALL
        if name in ("LITERAL", "NOT_LITERAL"):
            letter = chr(value)
            same = {letter, letter.lower(), letter.upper()}
            hits = {place for place, probe in enumerate(_PROBES) if probe in same}
            if name == "LITERAL":
                # A letter beyond the probes: as one of its kind.
                return frozenset(hits) or _like(letter)
            return _ALL - hits if len(hits) == 1 else _ALL
        if name == "IN":
            return self._class(value)
        if name == "CATEGORY":
            return _category(str(value))
        return _ALL

    def _class(self, items: list[Any]) -> Letters:
        found: set[int] = set()
        named = list(_named(items))
        negated = bool(named) and named[0][0] == "NEGATE"
        for name, value in named[1:] if negated else named:
            if name == "RANGE":
                low, high = value
                found |= {
                    place
                    for place, probe in enumerate(_PROBES)
                    if any(low <= ord(c) <= high for c in {probe, *_cases(probe)})
                }
                found |= _like(chr(low)) if not found else set()
            else:
                found |= self._single(name, value)
        return frozenset(_ALL - found if negated else found)


def _cases(letter: str) -> list[str]:
    return [c for c in (letter.lower(), letter.upper()) if len(c) == 1]


def _like(letter: str) -> Letters:
    """Probes of the kind of a letter that is none of them."""
    return frozenset(
        place
        for place, probe in enumerate(_PROBES)
        if ord(probe) > 127
        and (probe.isspace(), probe.isalnum()) == (letter.isspace(), letter.isalnum())
    )


def _category(name: str) -> Letters:
    kind = name.rpartition("CATEGORY_")[2]
    test = {
        "DIGIT": str.isdigit,
        "SPACE": str.isspace,
        "WORD": lambda c: c.isalnum() or c == "_",
    }.get(kind.removeprefix("NOT_"))
    if test is None:
        return _ALL
    found = frozenset(place for place, c in enumerate(_PROBES) if test(c))
    return _ALL - found if kind.startswith("NOT_") else found


def _named(items: list[Any]) -> Iterator[tuple[str, Any]]:
    for name, value in items:
        yield str(name), value


def _parts(name: str, value: Any) -> list[list[Any]]:
    """Sequences that an item of the tree holds, repeats aside."""
    if name == "SUBPATTERN":
        return [list(value[-1])]
    if name == "BRANCH":
        return [list(branch) for branch in value[1]]
    if name in ("ASSERT", "ASSERT_NOT"):
        return [list(value[1])]
    if name == "ATOMIC_GROUP":
        return [list(value)]
    return []


def _all(items: list[Any]) -> Iterator[tuple[str, Any]]:
    """Every item of a tree."""
    for name, value in _named(items):
        yield name, value
        if name in _REPEATS:
            yield from _all(list(value[2]))
        for part in _parts(name, value):
            yield from _all(part)
