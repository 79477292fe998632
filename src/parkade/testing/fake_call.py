"""One call of a ``FakePhone``: what a person does with it, and what that person hears and sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from parkade.base.clock import Instant
from parkade.calls.identity import Identity
from parkade.rtp.offer_answer import AudioNegotiator
from parkade.rtp.sdp import Direction, SdpError
from parkade.sip.message.message import Request, Response
from parkade.sip.session.ask import HeaderLines
from parkade.sip.session.handler import End, Quiet
from parkade.sip.session.session import Session

if TYPE_CHECKING:
    from parkade.testing.phone import FakePhone

HoldStyle = Literal["sendonly", "inactive", "zero"]
"""How a phone says hold: a direction, or the address ``0.0.0.0`` as before :rfc:`3264`."""


class FakeCall(Quiet):
    """Made by ``FakePhone.call``, or by an INVITE that comes.

    ``state`` is ``calling`` (ours, not answered), ``ringing`` (theirs, not answered), ``up`` or ``ended``. ``refused`` is the
    status that refused our call, ``ended`` why any other call ended, ``transfer`` the reports on a REFER of ours as
    (status, reason, whether it is the last). ``heard`` is what was heard, change by change, with the time.
    """

    def __init__(self, phone: FakePhone, number: int, *, incoming: bool, late_offer: bool = False) -> None:
        self.phone = phone
        self.incoming = incoming
        self.late_offer = late_offer
        self.state: Literal["calling", "ringing", "up", "ended"] = "ringing" if incoming else "calling"
        self.refused: int | None = None
        self.ended: str | None = None
        self.transfer: list[tuple[int, str, bool]] = []
        self.infos: list[Request] = []
        self.heard: list[tuple[Instant, str]] = []
        self.rtp_port = phone.first_rtp_port + 2 * number
        self.negotiator = AudioNegotiator(phone.host, self.rtp_port, number + 1, 1)
        self.direction = Direction.SENDRECV
        self.session: Session

    def __repr__(self) -> str:
        return f"<{self.phone.name} {'called' if self.incoming else 'calling'}, {self.state}>"

    # What one sees and hears

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.session.request.call_id

    @property
    def is_up(self) -> bool:
        """Answered and not ended."""
        return self.state == "up"

    @property
    def statuses(self) -> list[int]:
        """Statuses received for our INVITEs in this call, retransmissions and challenges included."""
        return self.phone.recorder.statuses("INVITE", self.call_id)

    @property
    def displays(self) -> list[Identity]:
        """Each party that the display has shown."""
        return self.phone.recorder.displays(self.call_id)

    @property
    def display(self) -> Identity | None:
        """The party that the display shows now."""
        return self.displays[-1] if self.displays else None

    @property
    def sipfrags(self) -> list[str]:
        """What NOTIFYs said of our REFER."""
        return self.phone.recorder.sipfrags(self.call_id)

    @property
    def hearing(self) -> str:
        """What is heard now.

        ``silence``, ``music``, ``ringback``, ``busy``, the phrases of a prompt (``parked-at star 8 0 1``), or the
        name of the phone that is heard.
        """
        return self.phone.hearing(self)

    def hears(self, what: FakePhone | FakeCall | str) -> bool:
        """Whether ``what`` is heard now: a phone, a call of a phone, or a word of ``hearing``."""
        if isinstance(what, str):
            return self.hearing == what
        return self.hearing == (what.phone.name if isinstance(what, FakeCall) else what.name)

    # What one does

    def answer(self) -> None:
        """Pick up."""
        assert self.state == "ringing", f"{self} cannot be answered"
        offer = self.session.request.body
        sdp = self._answer_to(offer) if offer else self.negotiator.offer()
        if sdp is None:
            self.reject(488)
            return
        self.state = "up"
        self.session.accept(sdp, self.phone.now)

    def ring(self, status: int = 180, *, early_media: bool = False) -> None:
        """Say that the phone rings, with sound of its own if ``early_media``."""
        offer = self.session.request.body
        sdp = self._answer_to(offer) if early_media and offer else None
        self.session.progress(status, self.phone.now, sdp=sdp)

    def reject(self, status: int = 486) -> None:
        """Refuse the call."""
        assert self.state == "ringing", f"{self} cannot be rejected"
        self.session.reject(status, self.phone.now)

    def hang_up(self) -> None:
        """Hang up, give up calling, or refuse."""
        self.session.end(self.phone.now)

    def hold(self, style: HoldStyle = "sendonly", *, by_update: bool = False) -> None:
        """Put the other party on hold."""
        self.direction = Direction.INACTIVE if style == "inactive" else Direction.SENDONLY
        if style != "zero":
            sdp = self.negotiator.offer(self.direction)
        else:
            sdp = self.negotiator.offer().replace(f"c=IN IP4 {self.phone.host}".encode(), b"c=IN IP4 0.0.0.0")
        self.session.offer(sdp, self.phone.now, prefer_update=by_update)

    def resume(self, *, by_update: bool = False) -> None:
        """Take the other party off hold."""
        self.direction = Direction.SENDRECV
        self.session.offer(self.negotiator.offer(), self.phone.now, prefer_update=by_update)

    def refer(self, target: str) -> None:
        """Blind transfer of the other party to ``target``: what one would dial, or a whole URI."""
        self.session.refer(self.phone.uri(target), self.phone.now)

    def transfer_to(self, consultation: FakeCall) -> None:
        """Attended transfer: the other party of this call takes our place in ``consultation``."""
        self.session.refer(consultation.party_uri, self.phone.now, consultation.session)

    def press(self, keys: str, how: Literal["info", "rtp"] = "rtp") -> None:
        """Press keys, told by SIP INFO or in RTP."""
        if how == "rtp":
            self.phone.press_in_rtp(self, keys)
            return
        for key in keys:
            self.session.info("application/dtmf-relay", f"Signal={key}\r\nDuration=160\r\n".encode(), self.phone.now)

    @property
    def party_uri(self) -> str:
        """The URI of the other party, as From or To had it."""
        request = self.session.request
        return request.from_.uri if self.incoming else request.to.uri

    # SessionHandler

    def on_progress(self, session: Session, response: Response, now: Instant) -> None:
        """Early media is listened to."""
        self._take(response.body)

    def on_answered(self, session: Session, response: Response, now: Instant) -> None:
        """They have picked up; an INVITE without an offer gets its answer in the ACK."""
        self.state = "up"
        if self.late_offer:
            sdp = self._answer_to(response.body)
            session.confirm(sdp or b"", now)
            if sdp is None:
                session.end(now)
        else:
            self._take(response.body)

    def on_refused(self, session: Session, status: int, response: Response | None, now: Instant) -> None:
        """The end of a call that was not answered."""
        self.state, self.refused = "ended", status

    def on_ended(self, session: Session, why: End, now: Instant) -> None:
        """The end."""
        self.state, self.ended = "ended", why

    def on_offer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """Answered at once, no wider than our hold."""
        answer = self._answer_to(sdp, self.direction)
        if answer is None:
            session.refuse_offer(now)
        else:
            session.answer(answer, now)

    def on_offer_wanted(self, session: Session, now: Instant) -> None:
        """Given at once."""
        session.answer(self.negotiator.offer(self.direction), now)

    def on_answer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """Hold, resume, or the ACK of a late offer."""
        # Our offer may have had to wait, and have been overtaken by one of theirs.
        self.negotiator.offer(self.direction)
        self._take(sdp)

    def on_refer_progress(
        self, session: Session, status: int, reason: str, final: bool, headers: HeaderLines, now: Instant
    ) -> None:
        """Most phones hang up when a blind transfer has worked; this one does if it was told to."""
        self.transfer.append((status, reason, final))
        if final and status < 300 and self.phone.hangs_up_after_transfer:
            session.end(now)

    def on_info(self, session: Session, request: Request, now: Instant) -> None:
        """Kept."""
        self.infos.append(request)

    def _take(self, sdp: bytes) -> None:
        if not sdp:
            return
        try:
            self.negotiator.receive_answer(sdp)
        except SdpError:
            if not self.phone.forgiving:
                raise
            self.session.end(self.phone.now)

    def _answer_to(self, sdp: bytes, direction: Direction = Direction.SENDRECV) -> bytes | None:
        """Our answer to an offer; None if there can be none."""
        try:
            return self.negotiator.answer(sdp, direction=direction)
        except SdpError:
            if not self.phone.forgiving:
                raise
            return None
