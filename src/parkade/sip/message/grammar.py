"""The small pieces that headers and URIs are made of (:rfc:`3261` section 25.1): tokens, quoted strings, parameters, lists.

Everything here is linear in the length of its text, also on text made to hurt. Bytes that are not UTF-8 stand in text as lone
surrogates (``surrogateescape``), so that writing it again gives the bytes that came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias
from urllib.parse import quote_from_bytes, unquote_to_bytes

from parkade.sip.message.errors import SipError

Params: TypeAlias = tuple[tuple[str, str | None], ...]
"""Parameters as written: name, and value or None for a flag. A quoted value keeps its quotes."""

WHITESPACE = " \t"

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9\-.!%*_+`'~:\[\]]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_NAME = re.compile(r'["\s<>]')
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_LIST_MARKS = re.compile(r'[",<]')
_PARAM_MARKS = re.compile(r'[";]')


def is_token(text: str) -> bool:
    """Whether ``text`` is a ``token``: what methods, header names and parameter names are made of."""
    return _TOKEN.fullmatch(text) is not None


def number(text: str, limit: int = 2**32 - 1) -> int | None:
    """The decimal number that ``text`` is, or None if it is none or above ``limit``. Leading zeros are allowed."""
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > 10:
        text = text.lstrip("0") or "0"
        if len(text) > 10:
            return None
    value = int(text)
    return value if value <= limit else None


def quote(text: str) -> str:
    r"""``text`` as a quoted string, ``"`` and ``\`` escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """The content of a quoted string; any other text as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _PAIR.sub(r"\1", inner) if "\\" in inner else inner


_FIRST_BYTE, _LAST_BYTE = chr(0xDC80), chr(0xDCFF)
"""What bytes that are not UTF-8 are read as (surrogateescape)."""


def readable(text: str) -> str:
    """``text`` for people and databases: bytes that were not UTF-8 read as Latin-1, control characters left out."""
    if text.isascii():
        return text if text.isprintable() else _CONTROL.sub("", text)
    latin = "".join(chr(ord(c) - 0xDC00) if _FIRST_BYTE <= c <= _LAST_BYTE else c for c in text)
    return _CONTROL.sub("", latin)


def unescape(text: str) -> str:
    """``text`` with its ``%HH`` replaced by what they stand for; a ``%`` that is no escape stays."""
    if "%" not in text:
        return text
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def escape(text: str, safe: str) -> str:
    """``text`` with every character that is neither a letter, a digit, one of ``-._~`` nor in ``safe`` as ``%HH``."""
    return quote_from_bytes(text.encode("utf-8", "surrogateescape"), safe)


def body_start(data: bytes | bytearray, start: int = 0) -> int:
    """Where the body of a message begins, looking for the empty line from ``start`` on; -1 if there is no empty line yet.

    Lines may end in CRLF or, against the rules, in LF alone.
    """
    empty_line = _EMPTY_LINE.search(data, start)
    return empty_line.end() if empty_line else -1


def media_type(content_type: str) -> str:
    """``type/subtype`` of a Content-Type in lower case: without parameters, and without the blanks allowed around the ``/``."""
    value = content_type.partition(";")[0].strip(WHITESPACE).lower()
    return "/".join([word.strip(WHITESPACE) for word in value.split("/")]) if " " in value or "\t" in value else value


def split_list(text: str) -> list[str]:
    """The comma-separated values of a header line, stripped, empty ones left out; quotes and ``<>`` hide commas."""
    if "," not in text:
        value = text.strip(WHITESPACE)
        return [value] if value else []
    pieces = _split(text, _LIST_MARKS) if '"' in text or "<" in text else text.split(",")
    return [value for piece in pieces if (value := piece.strip(WHITESPACE))]


def parse_params(text: str) -> Params:
    """The parameters in ``;name=value;flag``. Empty ones (``;;``) are left out. Raises SipError(400)."""
    if not text:
        return ()
    if text[0] != ";":
        raise SipError(400, "Text where a parameter should start")
    plain = not _NOT_IN_NAME.search(text)
    params: list[tuple[str, str | None]] = []
    for piece in text.split(";") if plain else _split(text, _PARAM_MARKS):
        name, equals, value = piece.partition("=")
        if not plain:
            name, value = name.strip(WHITESPACE), value.strip(WHITESPACE)
        if name and (plain or not _NOT_IN_NAME.search(name)):
            params.append((name, value if equals else None))
        elif name or equals:
            raise SipError(400, "A parameter without a proper name")
    return tuple(params)


def format_params(params: Params) -> str:
    """The inverse of :func:`parse_params`."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def param_of(params: Params, name: str) -> str | None:
    """The value of the first parameter called ``name`` in any case: unquoted, empty for a flag, None if absent."""
    for key, value in params:
        if key == name or key.lower() == name:
            return "" if value is None else unquote(value) if value[:1] == '"' else value
    return None


def params_with(params: Params, name: str, value: str | None) -> Params:
    """``params`` with ``name`` replaced where it stands, or added at the end; the value is quoted if it must be."""
    if value is not None and not _PLAIN_VALUE.fullmatch(value):
        value = quote(value)
    replaced = [(key, value if key.lower() == name.lower() else old) for key, old in params]
    if not any(key.lower() == name.lower() for key, _ in params):
        replaced.append((name, value))
    return tuple(replaced)


def _split(text: str, marks: re.Pattern[str]) -> Iterator[str]:
    """Split at the mark that is neither ``"`` nor ``<``, outside quotes and ``<>``; what is never closed reaches to the end."""
    start = at = 0
    while (mark := marks.search(text, at)) is not None:
        at = mark.end()
        match mark.group():
            case '"':
                closed = _QUOTED.match(text, mark.start())
                at = closed.end() if closed else len(text)
            case "<":
                closing = text.find(">", at)
                at = closing + 1 if closing >= 0 else len(text)
            case _:
                yield text[start : mark.start()]
                start = at
    yield text[start:]
