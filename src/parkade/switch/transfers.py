"""REFER as call control sees it: who is to be sent where, and how far it has come (:rfc:`3515`, :rfc:`3891`).

A Refer-To with a Replaces names the consultation leg by the dialog ids of the phone that sent it; they are looked up
among our own dialogs, so another account's dialog or a foreign one is simply not found.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from parkade.base.clock import Instant
from parkade.calls.effects import Progress, TransferProgress
from parkade.calls.inputs import TransferAsked
from parkade.calls.refusals import NO_SUCH_CALL, TRANSFER_IMPOSSIBLE
from parkade.sip.message.headers import Replaces
from parkade.sip.message.message import REASONS
from parkade.sip.session.refer import Refer
from parkade.switch.address import target_of
from parkade.switch.leg import FinalReport, PhoneLeg
from parkade.switch.statuses import refer_status_of, refusal_headers, status_of

PARK_CODE_HEADER = "X-Parkade-Park-Code"


class Transfers:
    """REFERs under way, by the name call control knows them under."""

    def __init__(self, leg_by_dialog: Callable[[Replaces], PhoneLeg | None]) -> None:
        self._leg_by_dialog = leg_by_dialog
        self._refers: dict[str, Refer] = {}
        self._legs: dict[str, PhoneLeg] = {}

    def __len__(self) -> int:
        return len(self._refers)

    def asked(self, leg: PhoneLeg, refer: Refer, now: Instant) -> None:
        """A phone sent REFER inside the dialog of ``leg``."""
        consult: PhoneLeg | None = None
        if refer.replaces is not None:
            consult = self._leg_by_dialog(refer.replaces)
            if consult is None or consult.account != leg.account:
                refer.refuse(refer_status_of(NO_SUCH_CALL), refusal_headers(NO_SUCH_CALL), now)
                return
        target = consult.dialled if consult else target_of(refer.refer_to)
        self._refers[refer.id] = refer
        self._legs[refer.id] = leg
        leg.tell(TransferAsked(leg.id, refer.id, target, consult.id if consult else None))

    def abandon(self, transfer: str) -> None:
        """Nothing more can be said about this one; the phone's subscription runs out by itself."""
        self._refers.pop(transfer, None)
        self._legs.pop(transfer, None)

    def go_on(self, leg: PhoneLeg, refer: Refer) -> None:
        """After a restart: ``refer`` of ``leg`` has been accepted, and call control will say what becomes of it."""
        self._refers[refer.id] = refer
        self._legs[refer.id] = leg

    def unknown_to(self, known: Container[str], now: Instant) -> None:
        """After a restart: what call control does not know any more has failed."""
        for transfer in [id_ for id_ in self._refers if id_ not in known]:
            self.progress(TransferProgress(transfer, Progress.FAILED), now)

    def progress(self, effect: TransferProgress, now: Instant) -> None:
        """Tell the phone that asked."""
        refer = self._refers.get(effect.transfer)
        if refer is None:
            return
        headers = [(PARK_CODE_HEADER, effect.park_code)] if effect.park_code else []
        refusal = effect.refusal or TRANSFER_IMPOSSIBLE
        match effect.progress:
            case Progress.ACCEPTED:
                refer.accept(headers, now)
            case Progress.RINGING:
                refer.notify(180, REASONS[180], (), now, final=False)
            case Progress.DONE:
                self._report(refer, 200, headers, now)
            case Progress.FAILED:
                self._report(refer, status_of(refusal), refusal_headers(refusal), now)
            case Progress.REFUSED:
                refer.refuse(refer_status_of(refusal), refusal_headers(refusal), now)
        if effect.progress in {Progress.DONE, Progress.FAILED, Progress.REFUSED}:
            self.abandon(effect.transfer)

    def _report(self, refer: Refer, status: int, headers: list[tuple[str, str]], now: Instant) -> None:
        self._legs[refer.id].reported = FinalReport(refer.id, refer.event, status, tuple(headers), now)
        refer.notify(status, REASONS[status], headers, now, final=True)
