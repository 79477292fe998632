"""Ways in which phones are wrong, as functions from what a phone would send to what it sends instead (None: nothing).

``phone.misbehave(never("ACK"), never_answers("BYE"))``
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

Misbehaviour: TypeAlias = Callable[[bytes], bytes | None]

GARBAGE = b"\xff\xfe\x00 SIP? \r\nno: such\x00thing"
_LENGTH = re.compile(rb"\r\nContent-Length: *\d+")
_CONTACT = re.compile(rb"\r\nContact: ([^\r\n]*)")


def never(method: str) -> Misbehaviour:
    """Never sends a ``method`` request (``ACK``, ``BYE``)."""
    start = f"{method} ".encode()
    return lambda data: None if data.startswith(start) else data


def never_answers(method: str) -> Misbehaviour:
    """Sends no response to ``method`` requests."""
    return lambda data: None if _answers(method, data) else data


def answers_garbage(method: str) -> Misbehaviour:
    """Sends bytes that are no SIP in place of each response to ``method`` requests."""
    return lambda data: GARBAGE if _answers(method, data) else data


def changes_sdp(change: Callable[[bytes], bytes]) -> Misbehaviour:
    """Sends ``change(sdp)`` in place of each SDP body."""

    def misbehave(data: bytes) -> bytes:
        head, blank, body = data.partition(b"\r\n\r\n")
        if b"application/sdp" not in head or not body:
            return data
        changed = change(body)
        return _LENGTH.sub(b"\r\nContent-Length: %d" % len(changed), head) + blank + changed

    return misbehave


def several_contacts(data: bytes) -> bytes:
    """Names two more Contacts, which do not exist, after the right one in each response to INVITE."""
    if not _answers("INVITE", data):
        return data
    return _CONTACT.sub(rb"\r\nContact: \1, <sip:nobody@192.0.2.253>;q=0.5\r\nContact: <sip:noone@192.0.2.254>", data, count=1)


def _answers(method: str, data: bytes) -> bool:
    return data.startswith(b"SIP/2.0 ") and re.search(rb"\r\nCSeq: *\d+ +" + method.encode() + rb"\r\n", data) is not None
