"""A media process that only pretends: it takes the same orders, keeps who hears what, and complains about wrong ones.

No packet is sent. Where the real one would play a prompt, this one lets ``PHRASE_S`` pass for each phrase. An order that no
media process should ever be given raises AssertionError at once, so that every story that runs on it checks the orders too.

Both deaths can be pretended: ``reconnect`` is a signalling process that comes back to a media process that lived on,
``restart`` a media process that comes back without its legs. Ports of the lost legs are kept for them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from parkade.base.clock import Instant
from parkade.base.sound import Music, Peer, Playlist, Silence, Sound, Spoken, Tone
from parkade.base.timers import Timers
from parkade.rtp.orders import (
    CloseLeg,
    Describe,
    Hear,
    Inventory,
    KeyHeard,
    LegClosed,
    LegFailed,
    LegSilent,
    LegState,
    OpenLeg,
    Order,
    PortsExhausted,
    PortsReady,
    PromptEnded,
    Record,
    Recorded,
    Report,
    StopRecording,
)

PHRASE_S = 0.4
"""How long a phrase takes to say."""
RESERVE = 32
"""How many ports are announced and not in use, as long as there are any."""
PORTS = range(20_000, 21_000, 2)
"""All the ports there are, unless said otherwise."""


@dataclass(slots=True)
class MediaLeg:
    """One leg as the media process knows it. ``described`` is None until offer/answer has agreed on something.

    A leg that is to hear a peer goes on hearing ``before`` until the peer says something: then somebody sets ``begun``.
    """

    id: str
    port: int
    opened_at: Instant
    described: Describe | None = None
    sound: Sound = field(default_factory=Silence)
    before: Sound = field(default_factory=Silence)
    begun: bool = False
    parts: tuple[Music | Tone | Spoken, ...] = ()
    """What follows ``sound`` when it has ended."""
    ended: str | None = None
    """The prompt that was played to its end last."""
    recording: Record | None = None
    recording_since: Instant = 0.0
    heard: list[tuple[Instant, Sound]] = field(default_factory=list)
    """Every sound it was given, with the time."""


class FakeMedia:
    """Orders in by ``perform``, reports out by ``drain``, prompts end by ``wake``.

    ``legs`` are the open legs by id, ``closed`` those that were, with what they heard, ``orders`` everything ordered so far.
    With ``reports_prompts`` False it never says that a prompt has ended.
    """

    def __init__(self, ports: range = PORTS) -> None:
        self.legs: dict[str, MediaLeg] = {}
        self.closed: dict[str, MediaLeg] = {}
        self.orders: list[tuple[Instant, Order]] = []
        self.reports_prompts = True
        self._free = deque(ports)
        self._announced: dict[int, None] = {}
        self._kept: set[int] = set()
        self._stolen: set[int] = set()
        self._over: set[str] = set()
        self._reconnected = False
        self._failed: set[str] = set()
        self._exhausted = False
        self._prompts: Timers[str] = Timers()
        self._reports: list[Report] = [Inventory(())]
        self._announce()

    def perform(self, order: Order, now: Instant) -> None:
        """Carry out one order. Raises AssertionError if it is for a leg that is not open, or opens one wrongly."""
        self.orders.append((now, order))
        if self._failed and self._is_in_vain(order):
            return
        match order:
            case OpenLeg(leg, port):
                self._open(leg, port, now)
            case Describe(leg):
                self._leg(leg, order).described = order
            case Hear(leg, sound):
                self._hear(self._leg(leg, order), sound, now)
            case Record(leg):
                self._record(self._leg(leg, order), order, now)
            case StopRecording(leg):
                self._stop_recording(self._leg(leg, order), "stopped", now)
            case CloseLeg(leg):
                self._close(self._leg(leg, order), now)

    def _is_in_vain(self, order: Order) -> bool:
        """Whether it is about a leg that could not be opened; orders may have crossed that report."""
        if isinstance(order, OpenLeg):
            return False
        hears_it = isinstance(order, Hear) and isinstance(order.sound, Peer) and order.sound.leg in self._failed
        return hears_it or order.leg in self._failed

    def deadline(self) -> Instant | None:
        """When the next prompt ends."""
        return self._prompts.deadline()

    def wake(self, now: Instant) -> None:
        """End the prompts that have been said."""
        for leg_id in self._prompts.pop_due(now):
            leg = self.legs[leg_id]
            assert isinstance(leg.sound, Spoken)
            leg.ended = leg.sound.prompt
            if self.reports_prompts:
                self._reports.append(PromptEnded(leg_id, leg.ended))
            self._play(leg, *(leg.parts or (Silence(),)), now=now)

    def drain(self) -> list[Report]:
        """What it has to say since the last time, first of all ``Inventory`` and ``PortsReady``."""
        reports, self._reports = self._reports, []
        return reports

    def reconnect(self) -> None:
        """Signalling is another process: it is told all legs, all free ports, then what it has not taken yet.

        It may have died before it wrote down that a leg is over: such a leg may be opened again.
        """
        self._over.clear()
        self._reconnected = True
        waiting = [report for report in self._reports if not isinstance(report, PortsReady | PortsExhausted | Inventory)]
        ports: tuple[Report, ...] = (PortsReady(tuple(self._announced)),) if self._announced else (PortsExhausted(),)
        self._reports = [Inventory(tuple(map(_state, self.legs.values()))), *ports, *waiting]

    def restart(self) -> None:
        """The media process died and another one is there: no leg is open, nothing that was not taken yet will come."""
        for leg in self.legs.values():
            self._prompts.cancel(leg.id)
            self._kept.add(leg.port)
        self.legs.clear()
        self._reports = [Inventory(())]
        self._exhausted = False
        if self._announced:
            self._reports.append(PortsReady(tuple(self._announced)))
        self._announce()

    def steal(self, port: int) -> None:
        """Another program takes a port that was kept for a leg: whoever opens it is told so."""
        self._kept.discard(port)
        self._stolen.add(port)

    def fall_silent(self, leg: str, silent_s: float = 60.0) -> None:
        """Report that nothing has come from the phone of ``leg``."""
        assert leg in self.legs, f"no leg {leg} is open"
        self._reports.append(LegSilent(leg, silent_s))

    def press(self, leg: str, keys: str) -> None:
        """Report keys as if the far side of ``leg`` had sent them in RTP."""
        assert leg in self.legs, f"no leg {leg} is open"
        self._reports += [KeyHeard(leg, key) for key in keys]

    def toward(self, host: str, port: int) -> MediaLeg | None:
        """The open leg whose RTP goes to that address."""
        ends = ((leg, leg.described) for leg in self.legs.values())
        return next((leg for leg, end in ends if end is not None and (end.address, end.port) == (host, port)), None)

    def on_port(self, port: int) -> MediaLeg | None:
        """The open leg that receives RTP on our ``port``."""
        return next((leg for leg in self.legs.values() if leg.port == port), None)

    def _open(self, leg: str, port: int, now: Instant) -> None:
        assert leg not in self.legs, f"leg {leg} is open already"
        assert leg not in self._over, f"leg {leg} was closed before"
        if port in self._stolen:
            self._reports.append(LegFailed(leg, port))
            self._failed.add(leg)
            return
        self._failed.discard(leg)
        if self._reconnected and port in self._free:
            self._free.remove(port)
            self._announced[port] = None
        assert port in self._announced or port in self._kept, f"port {port} was not announced, or is in use"
        self._announced.pop(port, None)
        self._kept.discard(port)
        self.legs[leg] = MediaLeg(leg, port, now)
        self._announce()

    def _hear(self, leg: MediaLeg, sound: Sound, now: Instant) -> None:
        if isinstance(sound, Peer):
            assert sound.leg in self.legs, f"{leg.id} is to hear {sound.leg}, which is not open"
            assert sound.leg != leg.id, f"{leg.id} is to hear itself"
        if isinstance(sound, Spoken) and sound.prompt == leg.ended:
            self._reports.append(PromptEnded(leg.id, sound.prompt))
            sound = Silence()
        if leg.begun or not isinstance(leg.sound, Peer):
            leg.before = leg.sound
        leg.begun = False
        self._play(leg, *(sound.parts if isinstance(sound, Playlist) else (sound,)), now=now)

    def _play(self, leg: MediaLeg, sound: Sound, *parts: Music | Tone | Spoken, now: Instant) -> None:
        leg.sound, leg.parts = sound, parts
        leg.heard.append((now, sound))
        if isinstance(sound, Spoken):
            self._prompts.set(leg.id, now + PHRASE_S * len(sound.phrases))
        else:
            self._prompts.cancel(leg.id)

    def _record(self, leg: MediaLeg, order: Record, now: Instant) -> None:
        self._stop_recording(leg, "stopped", now)
        leg.recording, leg.recording_since = order, now

    def _stop_recording(self, leg: MediaLeg, why: str, now: Instant) -> None:
        order, leg.recording = leg.recording, None
        if order is not None:
            self._reports.append(Recorded(leg.id, order.path, now - leg.recording_since, why))

    def _close(self, leg: MediaLeg, now: Instant) -> None:
        self._prompts.cancel(leg.id)
        self._stop_recording(leg, "closed", now)
        self.closed[leg.id] = self.legs.pop(leg.id)
        self._over.add(leg.id)
        for other in self.legs.values():
            if other.sound == Peer(leg.id):
                other.sound = Silence()
                other.heard.append((now, other.sound))
            if other.before == Peer(leg.id):
                other.before = Silence()
        self._reports.append(LegClosed(leg.id, 0, 0, 0, 0))
        self._free.append(leg.port)
        self._announce()

    def _leg(self, leg: str, order: Order) -> MediaLeg:
        assert leg in self.legs, f"{order} for a leg that is {'closed' if leg in self.closed else 'unknown'}"
        return self.legs[leg]

    def _announce(self) -> None:
        fresh = [self._free.popleft() for _ in range(min(len(self._free), RESERVE - len(self._announced)))]
        if fresh:
            self._announced |= dict.fromkeys(fresh)
            self._reports.append(PortsReady(tuple(fresh)))
        elif not self._announced and not self._exhausted:
            self._reports.append(PortsExhausted())
        self._exhausted = not self._announced


def _state(leg: MediaLeg) -> LegState:
    end = leg.described
    return LegState(leg.id, leg.port, 0, 0, 0, None if end is None else (end.address, end.port), leg.sound)
