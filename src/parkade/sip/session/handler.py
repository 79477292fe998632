"""What the owner of a session is told: the protocol, and a handler that wants to know nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from parkade.base.clock import Instant
from parkade.sip.message.message import Request, Response
from parkade.sip.session.ask import HeaderLines

if TYPE_CHECKING:
    from parkade.sip.session.refer import Refer
    from parkade.sip.session.session import Session

End: TypeAlias = Literal[
    "ended", "rejected", "bye", "cancelled", "ack lost", "no answer", "expired", "gone", "timeout", "transport"
]
"""Why a session ended: by our ``end`` or ``reject``; by their BYE or CANCEL; our 2xx never found its ACK; an offer of ours
never found its answer; nobody refreshed it; the far side does not know it any more (481, 408); it answers nothing; its
connection is lost.
"""


class SessionHandler(Protocol):
    """Who is told what happens to a session. Every method may call the session's verbs at once."""

    def on_progress(self, session: Session, response: Response, now: Instant) -> None:
        """Ours: a provisional response above 100; its body, if any, is early media."""

    def on_answered(self, session: Session, response: Response, now: Instant) -> None:
        """Ours: the 2xx. Its body is the answer (empty if a provisional response brought it), or, if the INVITE had no offer,
        an offer that ``confirm`` has to answer.
        """

    def on_refused(self, session: Session, status: int, response: Response | None, now: Instant) -> None:
        """Ours: the end, without an answer. 408 and 503 without ``response``: nobody answered, or there is no way."""

    def on_ended(self, session: Session, why: End, now: Instant) -> None:
        """The end in every other case."""

    def on_established(self, session: Session, now: Instant) -> None:
        """The ACK has come, or is sent."""

    def on_offer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """They offer ``sdp``: ``answer`` it or ``refuse_offer``, now or later."""

    def on_offer_wanted(self, session: Session, now: Instant) -> None:
        """They want an offer: ``answer`` with one or ``refuse_offer``, now or later."""

    def on_answer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """Their answer to an offer of ours, other than that of our INVITE."""

    def on_offer_refused(self, session: Session, status: int, now: Instant) -> None:
        """Our offer is refused or lost; what was agreed before goes on."""

    def on_refer(self, session: Session, refer: Refer, now: Instant) -> None:
        """They ask for a transfer: ``refer.accept`` or ``refer.refuse``, now or later."""

    def on_refer_progress(
        self, session: Session, status: int, reason: str, final: bool, headers: HeaderLines, now: Instant
    ) -> None:
        """News of a transfer we asked for, with the headers of the NOTIFY or of the response that refused it."""

    def on_info(self, session: Session, request: Request, now: Instant) -> None:
        """An INFO, answered already."""


class Quiet:
    """A handler that refuses what it is asked and ignores what it is told. Subclass it to hear only what matters."""

    def on_progress(self, session: Session, response: Response, now: Instant) -> None:
        """Ignored."""

    def on_answered(self, session: Session, response: Response, now: Instant) -> None:
        """Ignored."""

    def on_refused(self, session: Session, status: int, response: Response | None, now: Instant) -> None:
        """Ignored."""

    def on_ended(self, session: Session, why: End, now: Instant) -> None:
        """Ignored."""

    def on_established(self, session: Session, now: Instant) -> None:
        """Ignored."""

    def on_offer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """Refused."""
        session.refuse_offer(now)

    def on_offer_wanted(self, session: Session, now: Instant) -> None:
        """Refused."""
        session.refuse_offer(now)

    def on_answer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """Ignored."""

    def on_offer_refused(self, session: Session, status: int, now: Instant) -> None:
        """Ignored."""

    def on_refer(self, session: Session, refer: Refer, now: Instant) -> None:
        """Refused."""
        refer.refuse(603, (), now)

    def on_refer_progress(
        self, session: Session, status: int, reason: str, final: bool, headers: HeaderLines, now: Instant
    ) -> None:
        """Ignored."""

    def on_info(self, session: Session, request: Request, now: Instant) -> None:
        """Ignored."""
