"""What a session remembers, part by part: values only. What is done with them stands in the modules named."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from parkade.base.clock import Instant
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Request, Response
from parkade.sip.session.credentials import HeaderLines, Proofs
from parkade.sip.session.dialog import Dialog
from parkade.sip.transaction.timers import T1
from parkade.sip.transaction.transaction import ClientTransaction, ServerTransaction


class Ack(NamedTuple):
    """The ACK for a 2xx to an INVITE of ours, as what it is made of: each further copy of the 2xx wants it again.

    ``branch`` is that of its Via, the same each time.
    """

    number: int
    headers: HeaderLines
    sdp: bytes
    branch: str


@dataclass(slots=True)
class Reliable:
    """Reliable provisional responses that wait for their PRACK (``reliable``); the first of ``queue`` is on the wire."""

    rseq: int
    queue: deque[Response] = field(default_factory=deque)
    wait_s: float = T1
    give_up_at: Instant = 0.0


@dataclass(slots=True)
class Incoming:
    """An INVITE of theirs until the ACK (``uas``). ``accept`` is a 200 that waits for an early negotiation to end."""

    tx: ServerTransaction
    provisional: tuple[int, str | None, HeaderLines] = (180, None, ())
    reliable: Reliable | None = None
    accept: tuple[bytes, HeaderLines] | None = None


@dataclass(slots=True, eq=False)
class Fork:
    """One dialog of an INVITE of ours. ``prack_due`` is a reliable offer whose PRACK waits for our answer."""

    dialog: Dialog
    rseq: int | None = None
    prack_due: Response | None = None
    ack: Ack | None = None


@dataclass(slots=True, eq=False)
class Outgoing:
    """An INVITE of ours (``uac``). ``request`` as last sent, ``flow`` the way it went, ``tx`` until its final response."""

    flow: Flow
    request: Request
    who: HeaderLines
    headers: HeaderLines
    sdp: bytes
    tx: ClientTransaction | None = None
    forks: dict[str, Fork] = field(default_factory=dict)
    winner: Fork | None = None
    tries: int = 1
    proofs: Proofs | None = None


@dataclass(slots=True)
class Accepted:
    """A 2xx of ours that waits for its ACK (``accepted``).

    ``number`` is the CSeq number of the INVITE and the ACK, ``offers`` tells that the ACK must bring the answer to an offer of
    ours. ``tx`` is None after a restart.
    """

    number: int
    offers: bool
    data: bytes
    flow: Flow
    give_up_at: Instant
    wait_s: float = T1
    tx: ServerTransaction | None = None


class Kind(IntEnum):
    """What a change of the session is for, the most pressing first."""

    OFFER = 0
    IDENTITY = 1
    REFRESH = 2


@dataclass(slots=True)
class Change:
    """A re-INVITE or UPDATE to be sent (``exchange``).

    Without ``sdp`` it changes no media, and repeats our last SDP where one is needed.
    """

    kind: Kind
    sdp: bytes = b""
    headers: HeaderLines = ()
    by_update: bool = False
    tries: int = 0


@dataclass(slots=True, eq=False)
class SentChange:
    """The one re-INVITE or UPDATE of ours that is on its way. ``remote`` is what they said in SDP before."""

    change: Change
    dialog: Dialog
    sdp: bytes
    is_invite: bool
    remote: bytes
    tx: ClientTransaction | None = None
    ack: Ack | None = None
    proofs: Proofs | None = None
    raised: bool = False


class Bye(IntEnum):
    """How far a BYE of ours has come."""

    NONE = 0
    WAITS = 1
    """For the ACK to our 2xx, or for the time in which it may come (section 15)."""
    SENT = 2
