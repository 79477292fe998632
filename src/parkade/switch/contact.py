"""Where a phone says that it can be reached, read as leniently as is safe.

A phone compares the Contact in the answer to its REGISTER with its own, so the URI is sent back as it came, also where it
breaks the grammar (:rfc:`3261` section 25.1): quoted parameters inside the URI, spaces, characters that must be escaped. What
is needed of it is little, because requests go over the flow of the registration (:rfc:`5626`): a ``sip`` or ``sips`` URI with
something after the colon.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import WHITESPACE, Params, escape, param_of
from parkade.sip.message.uri import SipUri, parse_uri, same_uri

_SIP = re.compile(r"sips?:[ \t]*[^ \t;?@]", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_MARKS = {"<": re.compile(r'["<]'), ">": re.compile(r'[">]'), ";": re.compile(r'[";]')}
_HEADERS = re.compile(r"\?.*", re.DOTALL)
_NOT_IN_REQUEST_URI = re.compile(r'[\x00-\x20\x7f<>"]')


class Contact(NamedTuple):
    """``uri`` as it came; ``params`` are the header's own, as written."""

    uri: str
    params: Params = ()

    def param(self, name: str) -> str | None:
        """The value of header parameter ``name`` (lower-case), unquoted: empty for a flag, None if absent."""
        return param_of(self.params, name)


class Phone(NamedTuple):
    """What tells one phone from another of the same device: its Contact URI, ``+sip.instance`` (:rfc:`5626`), and the Call-ID
    of its registrations (:rfc:`3261` section 10.2: a phone should use one for all); None where it is not known.
    """

    contact: str
    instance: str | None = None
    call_id: str | None = None

    def is_same(self, other: Phone) -> bool:
        """Whether both are one phone, by what they show. Two instance ids decide alone, whatever else is alike."""
        if self.instance and other.instance:
            return self.instance == other.instance
        if self.call_id is not None and self.call_id == other.call_id:
            return True
        if same_contact(self.contact, other.contact):
            return True
        if self.call_id is not None and other.call_id is not None:
            return False
        mine = _user_and_host(self.contact)
        return mine is not None and mine == _user_and_host(other.contact)


@lru_cache(maxsize=4096)
def read_contact(value: str) -> Contact | None:
    """One value of a Contact header; None if nothing can be sent there."""
    start = _find(value, "<", 0)
    if start < 0:
        uri, _, rest = value.partition(";")
    else:
        end = _find(value, ">", start + 1)
        if end < 0:  # A quote that is never closed hides nothing.
            end = value.find(">", start + 1)
        uri, rest = (value[start + 1 :], "") if end < 0 else (value[start + 1 : end], value[end + 1 :].partition(";")[2])
    uri = uri.strip(WHITESPACE)
    if start < 0 and "?" in uri:
        return None  # Section 20.10: whose the rest is, the URI's or the header's, nobody can tell.
    if not _SIP.match(uri):
        return None
    return Contact(uri, tuple(_params(rest)))


def request_uri(contact: str) -> str:
    """``contact`` as a Request-URI: without its headers (:rfc:`3261` section 19.1.1 table 1), and what would end it too early
    is escaped.
    """
    before, at, after = contact.rpartition("@")
    contact = f"{before}{at}{_HEADERS.sub('', after)}"
    return _NOT_IN_REQUEST_URI.sub(lambda match: escape(match[0], ""), contact)


def same_contact(a: str, b: str) -> bool:
    """Whether two Contact URIs name one place; those that break the grammar do if they are spelled alike."""
    if a == b:
        return True
    of_a, of_b = _taken_apart(a), _taken_apart(b)
    return of_a is not None and of_b is not None and same_uri(of_a, of_b)


def _taken_apart(uri: str) -> SipUri | None:
    try:
        return parse_uri(uri)
    except SipError:
        return None


def _user_and_host(uri: str) -> tuple[str, str] | None:
    apart = _taken_apart(uri)
    return (apart.user_text, apart.host) if apart is not None else None


def _find(text: str, mark: str, start: int) -> int:
    """Where ``mark`` stands outside of quotes, or -1."""
    while (found := _MARKS[mark].search(text, start)) is not None:
        if found[0] == mark:
            return found.start()
        quoted = _QUOTED.match(text, found.start())
        start = quoted.end() if quoted is not None else len(text)
    return -1


def _params(text: str) -> list[tuple[str, str | None]]:
    params: list[tuple[str, str | None]] = []
    start = 0
    while start <= len(text):
        end = _find(text, ";", start)
        end = len(text) if end < 0 else end
        name, equals, value = text[start:end].partition("=")
        if name.strip(WHITESPACE):
            params.append((name.strip(WHITESPACE), value.strip(WHITESPACE) if equals else None))
        start = end + 1
    return params
