"""The header lines of a message, kept as text and read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import split_list
from parkade.sip.message.names import LISTS, USUAL, spelling

T = TypeVar("T")

_REMEMBERED_LENGTH = 300
"""A list that is longer is nobody's ordinary one, and is read each time rather than kept."""


class Headers:
    """Header lines in order, names in any case and in compact form alike, values as text.

    A name may stand on several lines, and a line of a list header (``names.LISTS``) may hold several values: :meth:`get` gives
    a whole line, :meth:`all` the single values. ``read`` is what :meth:`typed` has made of first lines, by their usual names.
    """

    __slots__ = ("_first", "_lines", "read")

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self._lines = [(spelling(name), value) for name, value in lines]
        self._first: dict[str, str] | None = None
        self.read: dict[str, Any] = {}

    def index(self) -> dict[str, str]:
        """The first line of each name, by the usual spelling. Not to be changed."""
        first = self._first
        if first is None:
            first = self._first = dict(reversed(self._lines))
        return first

    @property
    def repeats(self) -> bool:
        """Whether a name stands on more than one line."""
        return len(self._first or self.index()) != len(self._lines)

    def get(self, name: str) -> str | None:
        """The value of the first line called ``name``, or None."""
        first = self._first or self.index()
        value = first.get(name)
        return first.get(spelling(name)) if value is None and name not in USUAL else value

    def all(self, name: str) -> list[str]:
        """Every value of ``name`` in order; the lines of list headers are split at their commas, empty values left out."""
        if name not in USUAL:
            name = spelling(name)
        first = self._first or self.index()
        if name not in first:
            return []
        if len(first) == len(self._lines):
            return split_list(first[name]) if name in LISTS else [first[name]]
        values = [value for key, value in self._lines if key == name]
        return [value for line in values for value in split_list(line)] if name in LISTS else values

    def tokens(self, name: str) -> frozenset[str]:
        """What list header ``name`` (in its usual spelling) holds, in no order. What many write alike is read once."""
        first = self._first or self.index()
        line = first.get(name)
        if line is None:
            return _NOTHING
        if len(first) == len(self._lines) and len(line) <= _REMEMBERED_LENGTH:
            return _tokens(line)
        return frozenset(self.all(name))

    def add(self, name: str, value: str) -> None:
        """Add a line at the end."""
        name = spelling(name)
        self._lines.append((name, value))
        if self._first is not None:
            self._first.setdefault(name, value)

    def prepend(self, name: str, value: str) -> None:
        """Add a line before all others."""
        if name not in USUAL:
            name = spelling(name)
        self._lines.insert(0, (name, value))
        self._changed(name)

    def set(self, name: str, value: str) -> None:
        """Make ``value`` the only line called ``name``, where the first one stood or else at the end."""
        name = spelling(name)
        at = next((i for i, (key, _) in enumerate(self._lines) if key == name), len(self._lines))
        self._lines = [line for line in self._lines if line[0] != name]
        self._lines.insert(at, (name, value))
        self._changed(name)

    def replace_top(self, name: str, value: str) -> None:
        """Put ``value`` in place of the first value of list header ``name``, leaving its other values alone."""
        if name not in USUAL:
            name = spelling(name)
        for at, (key, line) in enumerate(self._lines):
            if key == name:
                if "," in line:
                    value = ", ".join([value, *split_list(line)[1:]])
                self._lines[at] = (name, value)
                self.read.pop(name, None)
                if self._first is not None:
                    self._first[name] = value
                return

    def remove(self, name: str) -> None:
        """Remove every line called ``name``."""
        name = spelling(name)
        self._lines = [line for line in self._lines if line[0] != name]
        self._changed(name)

    def typed(self, name: str, parse: Callable[[str], T]) -> T | None:
        """``parse`` of the first line of ``name`` (in its usual spelling), remembered until it changes; None if absent.

        Raises what ``parse`` raises. A name must always come with the same ``parse``.
        """
        known: T | None = self.read.get(name)
        if known is not None:
            return known
        text = (self._first or self.index()).get(name)
        if text is None:
            return None
        value = self.read[name] = parse(text)
        return value

    def needed(self, name: str, parse: Callable[[str], T]) -> T:
        """What :meth:`typed` gives; raises SipError(400) too where there is no such line."""
        known: T | None = self.read.get(name)
        if known is None:
            known = self.typed(name, parse)
            if known is None:
                raise SipError(400, f"No {name}")
        return known

    def repeated(self, names: Iterable[str]) -> str | None:
        """The first of ``names`` (in their usual spelling) that stands on more than one line, or None."""
        if len(self._first or self.index()) == len(self._lines):
            return None
        present = [name for name, _ in self._lines]
        return next((name for name in names if present.count(name) > 1), None)

    def need(self, parsers: Iterable[tuple[str, Callable[[str], object]]]) -> dict[str, Any]:
        """Read now, as :meth:`typed` would, what must be there; all that was read. Raises SipError(400) for what is missing or
        broken.
        """
        first, read = self._first or self.index(), self.read
        for name, parse in parsers:
            text = first.get(name)
            if text is None:
                raise SipError(400, f"No {name}")
            read[name] = parse(text)
        return read

    def copy(self) -> Headers:
        """An independent copy."""
        copy = Headers()
        copy._lines = self._lines.copy()
        copy.read = self.read.copy()
        return copy

    def __contains__(self, name: object) -> bool:
        first = self._first or self.index()
        return name in first or (name not in USUAL and isinstance(name, str) and spelling(name) in first)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        return f"Headers({self._lines!r})"

    def _changed(self, name: str) -> None:
        self._first = None
        self.read.pop(name, None)

    @classmethod
    def of_usual(cls, lines: list[tuple[str, str]]) -> Headers:
        """Headers that keep ``lines`` itself, whose names have their usual spelling already."""
        self = cls()
        self._lines = lines
        return self


_NOTHING: frozenset[str] = frozenset()


@lru_cache(maxsize=512)
def _tokens(line: str) -> frozenset[str]:
    return frozenset(split_list(line))
