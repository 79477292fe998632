"""Writes the place of each leg's stream into the state file, and what it was ordered if that has changed: a tenth of the
legs every 50 ms, so that no tick is long, and so that a call that lasts for a moment costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from parkade.base.clock import Instant
from parkade.media.kept_orders import KeptOrders
from parkade.media.leg import RtpLeg
from parkade.media.state import WRITE_EVERY_S, StateFile, StreamState
from parkade.rtp.orders import Describe, Hear, OpenLeg

_TURNS = 10
_ROUNDS = 2
"""In so many rounds the place of each leg is written once; orders that have changed are in each."""
_TURN_S = WRITE_EVERY_S / (_ROUNDS * _TURNS)
TAKE_UP_S = 20.0
"""A stream that has not been written for longer is not taken up unasked: whom it was for may be gone."""


class Keeper:
    """All legs that have a record; without ``state`` there are none. Without ``orders`` only places are kept."""

    def __init__(self, settle: Callable[[RtpLeg], None], state: StateFile | None, orders: KeptOrders | None = None) -> None:
        """``settle`` lets a leg know where it is."""
        self._settle = settle
        self._state = state
        self._orders = orders
        self._turns: tuple[dict[RtpLeg, None], ...] = tuple({} for _ in range(_TURNS))
        self._count = 0
        self._due: Instant = 0.0

    def adopt(self, leg: str, port: int) -> StreamState | None:
        """What an earlier process wrote of ``leg`` on ``port``."""
        return self._state.adopt(leg, port) if self._state is not None else None

    def left_orders(self, now: Instant) -> tuple[list[OpenLeg | Describe], list[Hear]]:
        """What an earlier process was ordered for the legs whose streams it sent until a moment ago: all that makes legs,
        and what they hear.
        """
        made: list[OpenLeg | Describe] = []
        heard: list[Hear] = []
        if self._state is None or self._orders is None:
            return made, heard
        for opened, orders in self._orders.take():
            place = self._state.peek(opened.leg)
            if place is None or place.port != opened.port or not 0.0 <= now - place.written_at < TAKE_UP_S:
                continue
            made.append(opened)
            for order in orders:
                if isinstance(order, Describe):
                    made.append(order)
                else:
                    heard.append(order)
        return made, heard

    def open(self, leg: RtpLeg, now: Instant) -> None:
        """From now on ``leg`` is kept, if there is a record for it."""
        if self._state is None or not (record := self._state.open(leg.id)):
            return
        leg.record = record
        self._turns[record % _TURNS][leg] = None
        if not self._count:
            self._due = now + _TURN_S
        self._count += 1

    def close(self, leg: RtpLeg) -> None:
        """``leg`` is no more."""
        if self._state is None or not leg.record:
            return
        del self._turns[leg.record % _TURNS][leg]
        self._count -= 1
        self._state.clear(leg.record)
        if self._orders is not None:
            self._orders.clear(leg.record)
        leg.record = 0

    def deadline(self) -> Instant | None:
        """When ``turn`` is wanted."""
        return self._due if self._count else None

    def turn(self, now: Instant) -> None:
        """Write what is due."""
        for _ in range(_TURNS):
            if not self._count or now < self._due:
                return
            turns = int(self._due / _TURN_S)
            is_round_of_places = turns // _TURNS % _ROUNDS == 0
            for leg in self._turns[turns % _TURNS]:
                if is_round_of_places or leg.is_reordered:
                    self.write(leg, now)
                if leg.is_reordered and self._orders is not None:
                    leg.is_reordered = False
                    self._orders.write(leg.record, leg)
            self._due += _TURN_S
        self._due = max(self._due, now)

    def write(self, leg: RtpLeg, now: Instant) -> None:
        """Write where ``leg`` is now."""
        if self._state is None or not leg.record:
            return
        self._settle(leg)
        stream = leg.stream
        place = StreamState(
            leg.ports.port,
            stream.ssrc,
            stream.sequence,
            stream.timestamp,
            leg.ptime_ms,
            leg.mark,
            leg.position * leg.ptime_ms,
            leg.latch.believed,
            now,
        )
        self._state.write(leg.record, leg.id, place)
