"""Digest authentication (:rfc:`3261` section 22, :rfc:`7616`, :rfc:`8760`), both sides, with MD5 and SHA-256.

Passwords are not needed to check an answer: HA1, made once by :func:`ha1`, is enough. The ``-sess`` variants are neither
offered nor accepted, and ``auth-int`` is accepted but not offered.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from parkade.base.clock import Instant
from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import WHITESPACE, quote, split_list, unquote
from parkade.sip.message.uri import parse_uri

ALGORITHMS: Final[Mapping[str, str]] = {"MD5": "md5", "SHA-256": "sha256"}
"""What can be checked and answered, in the order in which it is offered; the values are Python's names."""


def ha1(username: str, realm: str, password: str, algorithm: str) -> str:
    """H(username:realm:password) in lower-case hex: all that need be kept of a password."""
    return _hash(algorithm, f"{username}:{realm}:{password}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """A WWW-Authenticate or Proxy-Authenticate of scheme Digest. ``qop`` is empty where :rfc:`2069` is spoken."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ("auth",)
    stale: bool = False
    opaque: str | None = None

    def __str__(self) -> str:
        text = f"Digest realm={quote(self.realm)}, nonce={quote(self.nonce)}, algorithm={self.algorithm}"
        if self.qop:
            text += f", qop={quote(','.join(self.qop))}"
        if self.stale:
            text += ", stale=true"
        return text if self.opaque is None else f"{text}, opaque={quote(self.opaque)}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An Authorization or Proxy-Authorization of scheme Digest. ``nc`` is as written: eight hex digits."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str | None = None
    cnonce: str | None = None
    nc: str | None = None
    opaque: str | None = None

    def __str__(self) -> str:
        text = (
            f"Digest username={quote(self.username)}, realm={quote(self.realm)}, nonce={quote(self.nonce)}, "
            f"uri={quote(self.uri)}, response={quote(self.response)}, algorithm={self.algorithm}"
        )
        if self.qop is not None:
            text += f", qop={self.qop}, cnonce={quote(self.cnonce or '')}, nc={self.nc or ''}"
        return text if self.opaque is None else f"{text}, opaque={quote(self.opaque)}"


def parse_challenge(text: str) -> Challenge | None:
    """Read a challenge; None for a scheme other than Digest. Raises SipError(400) where realm or nonce is missing."""
    params = _digest_params(text)
    if params is None:
        return None
    qop = tuple(option.lower() for option in split_list(params.get("qop", "")))
    stale = params.get("stale", "").lower() == "true"
    algorithm = params.get("algorithm", "MD5").upper()
    return Challenge(_need(params, "realm"), _need(params, "nonce"), algorithm, qop, stale, params.get("opaque"))


def parse_credentials(text: str) -> Credentials | None:
    """Read an answer to a challenge; None for a scheme other than Digest. Raises SipError(400) where a part is missing."""
    params = _digest_params(text)
    if params is None:
        return None
    qop = params.get("qop")
    return Credentials(
        _need(params, "username"),
        _need(params, "realm"),
        _need(params, "nonce"),
        _need(params, "uri"),
        _need(params, "response").lower(),
        params.get("algorithm", "MD5").upper(),
        qop.lower() if qop else None,
        params.get("cnonce"),
        params.get("nc"),
        params.get("opaque"),
    )


def challenges(realm: str, nonce: str, *, stale: bool = False) -> list[str]:
    """The values of the WWW-Authenticate headers to send, one line each, MD5 first.

    :rfc:`8760` wants the strongest first. But many a phone that only knows MD5 looks at no challenge but the first and gives up
    on an algorithm it does not know (PJSIP before 2021, SIPp to this day); one that wants SHA-256 finds it in the second.
    """
    return [str(Challenge(realm, nonce, algorithm, stale=stale)) for algorithm in ALGORITHMS]


def verify(credentials: Credentials, method: str, uri: str, body: bytes, ha1_by_algorithm: Mapping[str, str]) -> bool:
    """Whether ``credentials`` prove knowledge of the password for this very request, compared in constant time.

    ``uri`` is the Request-URI. Of it only the user part must agree with the digest's own URI: the host is often rewritten by
    routers between phone and server. Nonce and realm are for the caller to check.
    """
    secret = ha1_by_algorithm.get(credentials.algorithm)
    if secret is None or credentials.algorithm not in ALGORITHMS or not _same_user(credentials.uri, uri):
        return False
    if credentials.qop not in {None, "auth", "auth-int"} or (credentials.qop and not (credentials.cnonce and credentials.nc)):
        return False
    expected = _response(credentials, secret, method, body)
    return hmac.compare_digest(expected.encode(), credentials.response.encode("utf-8", "surrogateescape"))


def answer_challenge(
    offered: Sequence[str],
    username: str,
    password: str,
    method: str,
    uri: str,
    cnonce: str,
    nc: int = 1,
    body: bytes = b"",
) -> str | None:
    """The Authorization value for the first of the ``offered`` challenge values that can be answered; None if none can."""
    for text in offered:
        try:
            challenge = parse_challenge(text)
        except SipError:
            continue
        if challenge is None or challenge.algorithm not in ALGORITHMS:
            continue
        if challenge.qop and not {"auth", "auth-int"} & set(challenge.qop):
            continue
        qop = None if not challenge.qop else "auth" if "auth" in challenge.qop else "auth-int"
        blank = Credentials(
            username,
            challenge.realm,
            challenge.nonce,
            uri,
            "",
            challenge.algorithm,
            qop,
            cnonce if qop else None,
            f"{nc:08x}" if qop else None,
            challenge.opaque,
        )
        secret = ha1(username, challenge.realm, password, challenge.algorithm)
        return str(replace(blank, response=_response(blank, secret, method, body)))
    return None


class NonceState(Enum):
    """What a nonce in an answer is worth. Anything but FRESH gets a new challenge, ``stale`` if the answer was right."""

    FRESH = "fresh"
    STALE = "stale"
    FORGED = "forged"


class Nonces:
    """Nonces that need no memory until they are used: each carries its time and number, sealed with ``secret``.

    A nonce is good for the ``client`` it was given to (an address) and forged for any other: whoever answers with it receives
    what is sent there.

    A use is one pair of nonce and ``nc``, and is good once. ``nc`` may come out of order within :attr:`WINDOW`. At most
    ``limit`` used nonces are remembered; one that had to be forgotten is stale.
    """

    WINDOW: Final = 64

    def __init__(self, secret: bytes, lifetime_s: float = 300.0, limit: int = 20_000) -> None:
        self._secret = secret
        self._lifetime_s = lifetime_s
        self._limit = limit
        self._issued = 0
        self._forgotten = 0
        self._used: OrderedDict[int, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def issue(self, now: Instant, client: str = "") -> str:
        """A nonce never given before."""
        self._issued += 1
        stamp = f"{int(now * 1000):x}.{self._issued:x}"
        return f"{stamp}.{self._seal(stamp, client)}"

    def check(self, nonce: str, now: Instant, client: str = "") -> NonceState:
        """Whether ``nonce`` is ours and young enough."""
        opened = self._open(nonce, client)
        if opened is None:
            return NonceState.FORGED
        issued_at, serial = opened
        forgotten = serial <= self._forgotten and serial not in self._used
        return NonceState.STALE if forgotten or now > issued_at + self._lifetime_s else NonceState.FRESH

    def use(self, nonce: str, nc: str | None, client: str = "") -> bool:
        """Spend the pair of a fresh nonce and ``nc`` (None where the phone counts not); False if it was spent before."""
        opened = self._open(nonce, client)
        count = _nonce_count(nc)
        if opened is None or count is None:
            return False
        serial = opened[1]
        highest, seen = self._used.get(serial, (0, 0))
        if count > highest:
            seen = (seen << (count - highest) if count - highest < self.WINDOW else 0) & (2**self.WINDOW - 1)
            highest = count
        bit = 1 << (highest - count) if highest - count < self.WINDOW else 0
        if not bit or seen & bit:
            return False
        self._used[serial] = (highest, seen | bit)
        if len(self._used) > self._limit:
            oldest, _ = self._used.popitem(last=False)
            self._forgotten = max(self._forgotten, oldest)
        return True

    def _seal(self, stamp: str, client: str) -> str:
        return hmac.new(self._secret, f"{stamp} {client}".encode(), hashlib.sha256).hexdigest()[:32]

    def _open(self, nonce: str, client: str) -> tuple[Instant, int] | None:
        stamp, _, seal = nonce.rpartition(".")
        if not nonce.isascii() or not hmac.compare_digest(seal, self._seal(stamp, client)):
            return None
        milliseconds, _, serial = stamp.partition(".")
        return int(milliseconds, 16) / 1000, int(serial, 16)


def _hash(algorithm: str, text: str, tail: bytes = b"") -> str:
    data = text.encode("utf-8", "surrogateescape") + tail
    return hashlib.new(ALGORITHMS[algorithm], data, usedforsecurity=False).hexdigest()


def _response(credentials: Credentials, secret: str, method: str, body: bytes) -> str:
    algorithm, qop = credentials.algorithm, credentials.qop
    integrity = f":{_hash(algorithm, '', body)}" if qop == "auth-int" else ""
    ha2 = _hash(algorithm, f"{method}:{credentials.uri}{integrity}")
    counted = f"{credentials.nc}:{credentials.cnonce}:{qop}:" if qop else ""
    return _hash(algorithm, f"{secret}:{credentials.nonce}:{counted}{ha2}")


def _same_user(digest_uri: str, request_uri: str) -> bool:
    if digest_uri == request_uri:
        return True
    try:
        return parse_uri(digest_uri).user_text == parse_uri(request_uri).user_text
    except SipError:
        return False


def _digest_params(text: str) -> dict[str, str] | None:
    scheme, _, rest = text.strip(WHITESPACE).partition(" ")
    if scheme.lower() != "digest":
        return None
    params: dict[str, str] = {}
    for piece in split_list(rest):
        name, _, value = piece.partition("=")
        params.setdefault(name.strip(WHITESPACE).lower(), unquote(value.strip(WHITESPACE)))
    return params


def _need(params: Mapping[str, str], name: str) -> str:
    value = params.get(name)
    if value is None:
        raise SipError(400, f"Digest without {name}")
    return value


def _nonce_count(nc: str | None) -> int | None:
    """The number in ``nc``, 1 for a phone that does not count; None if it is not one to eight hex digits."""
    if nc is None:
        return 1
    if not 0 < len(nc) <= 8 or not all(c in "0123456789abcdefABCDEF" for c in nc):
        return None
    return int(nc, 16)
