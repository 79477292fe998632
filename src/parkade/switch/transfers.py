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
from parkade.sip.session.notifier import REFER, Notifier
from parkade.sip.session.refer import Refer
from parkade.switch.address import target_of
from parkade.switch.leg import PhoneLeg
from parkade.switch.statuses import refer_status_of, refusal_headers, status_of

PARK_CODE_HEADER = "X-Parkade-Park-Code"


class Transfers:
    """REFERs of phones, by the name call control knows them under; the notifier tells what becomes of them."""

    def __init__(self, notifier: Notifier, leg_by_dialog: Callable[[Replaces], PhoneLeg | None]) -> None:
        self._notifier = notifier
        self._leg_by_dialog = leg_by_dialog
        self._asked: dict[str, tuple[PhoneLeg, Refer]] = {}
        """Those that call control has yet to accept or refuse."""

    def __len__(self) -> int:
        return len(self._asked)

    def asked(self, leg: PhoneLeg, refer: Refer, now: Instant) -> None:
        """A phone sent REFER inside the dialog of ``leg``."""
        consult: PhoneLeg | None = None
        if refer.replaces is not None:
            consult = self._leg_by_dialog(refer.replaces)
            if consult is None or consult.account != leg.account:
                refer.refuse(refer_status_of(NO_SUCH_CALL), refusal_headers(NO_SUCH_CALL), now)
                return
        target = consult.dialled if consult else target_of(refer.refer_to)
        self._asked[refer.id] = (leg, refer)
        leg.tell(TransferAsked(leg.id, refer.id, target, consult.id if consult else None))

    def abandon(self, transfer: str) -> None:
        """Nothing more can be said about this one; the phone's subscription runs out by itself."""
        self._asked.pop(transfer, None)

    def unknown_to(self, known: Container[str], now: Instant) -> None:
        """After a restart: what call control does not know any more has failed."""
        for transfer in self._notifier.resources(REFER.name):
            if transfer not in known:
                self.progress(TransferProgress(transfer, Progress.FAILED), now)

    def progress(self, effect: TransferProgress, now: Instant) -> None:
        """Tell the phone that asked."""
        transfer = effect.transfer
        headers = [(PARK_CODE_HEADER, effect.park_code)] if effect.park_code else []
        refusal = effect.refusal or TRANSFER_IMPOSSIBLE
        match effect.progress:
            case Progress.ACCEPTED if transfer in self._asked:
                leg, refer = self._asked.pop(transfer)
                self._notifier.accept_refer(refer, now, headers, leg.endpoint)
            case Progress.REFUSED if transfer in self._asked:
                _, refer = self._asked.pop(transfer)
                refer.refuse(refer_status_of(refusal), refusal_headers(refusal), now)
            case Progress.RINGING:
                self._notifier.report(transfer, 180, REASONS[180], now)
            case Progress.DONE:
                self._notifier.report(transfer, 200, REASONS[200], now, headers, final=True)
            case Progress.FAILED:
                status = status_of(refusal)
                self._notifier.report(transfer, status, REASONS[status], now, refusal_headers(refusal), final=True)
            case _:
                pass
