"""What all usages of one user agent share: transactions, timers, ids, the index of dialogs. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from parkade.base.ids import Ids
from parkade.base.timers import Timers
from parkade.sip.message.flow import Flow, SipEffect
from parkade.sip.message.uri import host_port
from parkade.sip.session.dialog import Dialog, DialogId
from parkade.sip.session.usage import Deadline, Usage
from parkade.sip.transaction.layer import TransactionLayer

TimerKey: TypeAlias = tuple[str, Deadline]
"""The id of a usage, and what is due."""


class Agent:
    """``usages`` by id; ``dialogs`` finds that of a request or response. ``out`` is what is to be sent.

    ``touched`` holds the usages that have changed since its owner cleared it, if ``keeps`` is set.
    """

    __slots__ = ("_address", "_user", "dialogs", "ids", "keeps", "layer", "name", "out", "timers", "touched", "usages")

    def __init__(
        self,
        layer: TransactionLayer,
        out: list[SipEffect],
        ids: Ids,
        address: Callable[[Flow], tuple[str, int]],
        name: str,
        user: str | None,
        *,
        keeps: bool,
    ) -> None:
        self.layer = layer
        self.out = out
        self.ids = ids
        self.name = name
        self.keeps = keeps
        self.timers: Timers[TimerKey] = Timers()
        self.usages: dict[str, Usage] = {}
        self.dialogs: dict[DialogId, Dialog] = {}
        self.touched: set[Usage] = set()
        self._address = address
        self._user = f"{user}@" if user else ""

    def contact_on(self, flow: Flow) -> str:
        """Our Contact value for the peer of ``flow``."""
        where = f"sip:{self._user}{host_port(*self._address(flow))}"
        return f"<{where}>" if flow.transport == "UDP" else f"<{where};transport={flow.transport.lower()}>"

    def bind(self, dialog: Dialog, usage: Usage) -> None:
        """Requests in ``dialog`` may be for ``usage``."""
        if usage not in dialog.usages:
            dialog.usages = (*dialog.usages, usage)
        self.dialogs[dialog.id] = dialog

    def unbind(self, dialog: Dialog, usage: Usage) -> None:
        """``usage`` needs ``dialog`` no more; with its last usage the dialog ends."""
        dialog.usages = tuple([other for other in dialog.usages if other is not usage])
        if not dialog.usages:
            self.dialogs.pop(dialog.id, None)
        for other in dialog.usages:
            other.touch()  # What it has kept of the dialog may be older than what ``usage`` had kept.

    def joined(self, dialog: Dialog) -> Dialog:
        """After a restart: ``dialog`` as one usage has kept it, made one with what another has kept of the same dialog.

        Each usage is written down when it has something to say, so the other's numbers may be from before. Both numbers only
        rise, which tells who was written last, and knows where the far side is.
        """
        known = self.dialogs.get(dialog.id)
        if known is None:
            return dialog
        theirs = known.remote_seq is None or (dialog.remote_seq is not None and dialog.remote_seq >= known.remote_seq)
        if theirs:
            known.remote_seq = dialog.remote_seq
        if theirs and dialog.local_seq >= known.local_seq:
            known.target = dialog.target
            known.flow = dialog.flow
        known.local_seq = max(known.local_seq, dialog.local_seq)
        return known
