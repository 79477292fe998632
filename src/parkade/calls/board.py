"""What the events of an account say that there is: every call, who is parked, which devices are registered.

Told each event once, in order, a ``Board`` has at any time exactly what ``ListCalls``, ``ListParked`` and ``ListRegistered``
would answer. For whoever follows the events and would rather not ask: boards, phones' lamps, tests.

A board that begins in the middle knows only what was told since; after ``CallsResumed`` it knows all.
"""

from __future__ import annotations

from collections.abc import Collection

from parkade.calls.commands import CallDetail, ParkedCall, ParkState
from parkade.calls.events import (
    CallEnded,
    CallEvent,
    CallsResumed,
    DeviceRegistered,
    DevicesResumed,
    DeviceUnregistered,
    Happening,
    Restarted,
)


class Board:
    """``calls`` by id, ``devices`` that are registered; of one account, if only its events are told."""

    def __init__(self) -> None:
        self.calls: dict[str, CallDetail] = {}
        self.devices: set[str] = set()
        self._account_of: dict[str, str] = {}
        """By device."""

    def tell(self, event: Happening) -> None:
        """The next event."""
        if isinstance(event, CallEnded):
            self.calls.pop(event.call, None)
        elif isinstance(event, CallEvent):
            if (detail := event.moment.detail) is not None:
                self.calls[event.call] = detail
        elif isinstance(event, CallsResumed):
            for detail in list(self.calls.values()):
                if detail.account == event.account and detail.id not in event.calls:
                    del self.calls[detail.id]
        elif isinstance(event, Restarted):
            self._forget_others(event.accounts)
        elif isinstance(event, DeviceRegistered):
            self.devices.add(event.device)
            self._account_of[event.device] = event.account
        elif isinstance(event, DeviceUnregistered):
            self.devices.discard(event.device)
            self._account_of.pop(event.device, None)
        elif isinstance(event, DevicesResumed):
            self._account_of = {id_: account for id_, account in self._account_of.items() if account != event.account}
            self._account_of.update(dict.fromkeys(event.devices, event.account))
            self.devices = set(self._account_of)

    def _forget_others(self, accounts: Collection[str]) -> None:
        self.calls = {detail.id: detail for detail in self.calls.values() if detail.account in accounts}
        self._account_of = {id_: account for id_, account in self._account_of.items() if account in accounts}
        self.devices = set(self._account_of)

    def parked(self, *, reserved: bool = False) -> list[ParkedCall]:
        """Who waits in the lots, by lot and slot; with ``reserved`` also who was just picked up and could be given back."""
        found = [detail.parked for detail in self.calls.values() if detail.parked is not None]
        return sorted([one for one in found if reserved or one.state is not ParkState.RESERVED], key=_place)


def _place(parked: ParkedCall) -> tuple[str, int, str]:
    return parked.lot, parked.slot, parked.call
