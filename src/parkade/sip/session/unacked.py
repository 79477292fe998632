"""A 2xx to an INVITE until its ACK comes (:rfc:`3261` section 13.3.1.4): sent again and again, for 64*T1 at most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from parkade.base.clock import Instant
from parkade.sip.message.message import make_response
from parkade.sip.session.capabilities import ALLOW_LINE, SDP_LINE, SUPPORTED_LINE
from parkade.sip.session.offers import Move
from parkade.sip.transaction.timers import T1, T2
from parkade.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from parkade.sip.session.session import Session


class Unacked:
    """``number`` is the CSeq that the ACK will carry; ``offers`` tells that it must bring the answer to an offer of ours."""

    __slots__ = ("_give_up_at", "_response", "_session", "_tx", "_wait_s", "number", "offers")

    def __init__(
        self, session: Session, tx: ServerTransaction, sdp: bytes, headers: Iterable[tuple[str, str]], now: Instant
    ) -> None:
        """Build and send the 2xx to ``tx``, first or later INVITE of ``session``, with ``sdp`` as answer or offer, if any."""
        dialog = session.dialog
        assert dialog is not None
        theirs = dialog.offers.move(Move.WE_ANSWER, sdp) if sdp else False
        self.offers = bool(sdp) and not theirs and dialog.offers.move(Move.WE_OFFER, sdp)
        self.number = tx.request.cseq.number
        lines = [("Contact", dialog.contact), ALLOW_LINE, SUPPORTED_LINE, *session.refresh.grant(tx.request, now), *headers]
        if sdp:
            lines.append(SDP_LINE)
        self._session = session
        self._tx = tx
        self._response = make_response(tx.request, 200, to_tag=dialog.local_tag, headers=lines, body=sdp)
        self._wait_s = T1
        self._give_up_at = now + 64 * T1
        tx.respond(self._response, now)
        session.ua.timers.set(self._again, now + T1)

    def stop(self) -> None:
        """The ACK has come, or does not matter any more."""
        self._session.ua.timers.cancel(self._again)

    def _again(self, now: Instant) -> None:
        if now >= self._give_up_at:
            self._session.ack_lost(now)
            return
        self._tx.respond(self._response, now)
        self._wait_s = min(2 * self._wait_s, T2)
        self._session.ua.timers.set(self._again, min(now + self._wait_s, self._give_up_at))
