"""Finds the SDP in a message: alone, or as a part of a multipart body, however deep (:rfc:`5621`, :rfc:`2046` section 5.1).

It reads no SDP, and of the other parts only whether they may be passed over. Limits: 32 parts, four multipart bodies in each
other, no Content-Transfer-Encoding but the binary one that SIP prescribes.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import NamedTuple

from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import is_token, media_type, param_of, parse_params
from parkade.sip.message.message import Message

SDP = "application/sdp"
MAX_PARTS = 32
MAX_DEPTH = 4
_FOLD = re.compile(rb"\r?\n[ \t]+")


class Found(NamedTuple):
    """The first SDP in a body, None if there is none; ``understood`` is False if a part that must be understood is not."""

    sdp: bytes | None
    understood: bool


def keep_sdp(message: Message) -> bool:
    """Make the SDP in the body of ``message`` its body, or leave it without a body where there is none.

    False if the body, or a part that its sender says must be understood, is none that we read: a request then gets 415.
    """
    if not message.body:
        return True
    if _is_plain(message):
        return True
    found = _find_in(message)
    message.body = found.sdp or b""
    if found.sdp is not None:
        message.headers.set("Content-Type", SDP)
    return found.understood


def reads_body(message: Message) -> bool:
    """What ``keep_sdp`` would say, with nothing changed."""
    return not message.body or _is_plain(message) or _find_in(message).understood


def is_encoded(message: Message) -> bool:
    """Whether the body has a Content-Encoding, none of which we read: a 415 then says so in Accept-Encoding (8.2.3)."""
    codings = message.headers.all("Content-Encoding")
    return bool(codings) and any(value.strip().lower() != "identity" for value in codings)


def may_be_ignored(message: Message) -> bool:
    """Whether the sender says that who does not understand the body may pass it over (:rfc:`3261` section 20.11)."""
    return _handling(message.headers.get("Content-Disposition") or "") == "optional"


def unwrap(message: Message, kinds: Container[str]) -> None:
    """Make the first part that is of one of ``kinds`` the body of ``message``, where the body is multipart and has one."""
    if not message.content_type.startswith("multipart/") or is_encoded(message):
        return
    for content_type, _, body in _leaves(message.headers.get("Content-Type") or "", "", message.body, 0):
        if media_type(content_type) in kinds:
            message.headers.set("Content-Type", content_type)
            message.body = body
            return


def _leaves(content_type: str, disposition: str, body: bytes, depth: int) -> Iterator[tuple[str, str, bytes]]:
    """The parts that have no parts of their own."""
    kind, boundary = _value_of(content_type, "boundary")
    if not kind.startswith("multipart/") or not boundary or depth == MAX_DEPTH:
        yield content_type, disposition, body
        return
    for part in _parts(body, boundary):
        yield from _leaves(*part, depth + 1)


def find_sdp(content_type: str, disposition: str, body: bytes) -> Found:
    """The SDP in a whole body. What is neither SDP nor multipart is understood only if its handling is ``optional``; so is a
    multipart body of which no part can be found.

    A body without a type, or with one that is none, is SDP if it begins like that.
    """
    kind = media_type(content_type)
    if not all(map(is_token, kind.split("/", 1))) or "/" not in kind:
        kind = content_type = SDP if body.lstrip()[:3] == b"v=0" else kind
    if kind == SDP:
        return _read(content_type, disposition, body, 0)
    if kind.startswith("multipart/"):
        boundary = _value_of(content_type, "boundary")[1]
        if boundary and _parts(body, boundary):
            return _read(content_type, disposition, body, 0)
    return Found(None, _handling(disposition) == "optional")


def _is_plain(message: Message) -> bool:
    return message.content_type == SDP and not is_encoded(message)


def _find_in(message: Message) -> Found:
    kind, disposition = (message.headers.get(name) or "" for name in ("Content-Type", "Content-Disposition"))
    if is_encoded(message):
        return Found(None, _handling(disposition) == "optional")
    return find_sdp(kind, disposition, message.body)


def _read(content_type: str, disposition: str, body: bytes, depth: int) -> Found:
    kind, boundary = _value_of(content_type, "boundary")
    if kind == SDP:
        # Another disposition than the session (early-session, RFC 3959) describes something that we do not set up.
        ours = _value_of(disposition)[0] in ("", "session", "render")
        return Found(body, True) if ours else Found(None, _handling(disposition) != "required")
    if not kind.startswith("multipart/") or not boundary or depth == MAX_DEPTH:
        return Found(None, _handling(disposition) != "required")
    parts = [_read(*part, depth + 1) for part in _parts(body, boundary)]
    sdp = next((part.sdp for part in parts if part.sdp is not None), None)
    if kind == "multipart/alternative":
        return Found(sdp, not parts or any(part.understood for part in parts))
    return Found(sdp, all(part.understood for part in parts))


def _parts(body: bytes, boundary: str) -> list[tuple[str, str, bytes]]:
    """Content-Type, Content-Disposition and body of each part; a part that is never closed reaches to the end."""
    mark = b"\n--" + boundary.encode("utf-8", "surrogateescape")
    parts: list[tuple[str, str, bytes]] = []
    for piece in (b"\n" + body).split(mark, MAX_PARTS + 1)[1 : MAX_PARTS + 1]:
        if piece.startswith(b"--"):
            break
        _, _, rest = piece.partition(b"\n")
        if rest[:2] == b"\r\n" or rest[:1] == b"\n":
            head, content = b"", rest.partition(b"\n")[2]
        else:
            split = re.search(rb"\n\r?\n", rest)
            head, content = (rest[: split.start()], rest[split.end() :]) if split else (rest, b"")
        fields = _fields(head)
        parts.append(
            (fields.get("content-type", "text/plain"), fields.get("content-disposition", ""), content.removesuffix(b"\r"))
        )
    return parts


def _fields(head: bytes) -> dict[str, str]:
    lines = [line.partition(":") for line in _FOLD.sub(b" ", head).decode("utf-8", "surrogateescape").splitlines()]
    return {
        name.strip().lower().replace("c", "content-type")
        if name.strip().lower() == "c"
        else name.strip().lower(): value.strip()
        for name, _, value in lines
    }


def _value_of(text: str, param: str = "") -> tuple[str, str | None]:
    """The value before the first ``;`` in lower case, and one parameter of it."""
    _, semicolon, rest = text.partition(";")
    try:
        found = param_of(parse_params(semicolon + rest), param) if param else None
    except SipError:
        found = None
    return media_type(text), found


def _handling(disposition: str) -> str:
    return (_value_of(disposition, "handling")[1] or "").lower()
