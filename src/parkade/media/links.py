"""Which leg hears which: the two lists each leg has of its listeners are changed here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

from parkade.media.leg import RtpLeg


def await_peer(leg: RtpLeg, peer: RtpLeg | None) -> None:
    """Let ``leg`` hear ``peer`` from its next packet on; what it hears now goes on until then. None waits for nobody."""
    if leg.awaited is not None:
        leg.awaited.waiting.remove(leg)
        leg.awaited = None
    if peer is not None and leg.relayed is not peer:
        leg.awaited = peer
        peer.waiting.append(leg)


def connect_waiting(peer: RtpLeg, stop: Callable[[RtpLeg], None]) -> None:
    """``peer`` speaks: whoever waited for it hears it now, and nothing else."""
    for leg in peer.waiting:
        if leg.relayed is not None:
            leg.relayed.listeners.remove(leg)
        stop(leg)
        leg.stream.switch()
        leg.awaited, leg.relayed = None, peer
        peer.listeners.append(leg)
    peer.waiting.clear()


def unhear(leg: RtpLeg) -> None:
    """``leg`` hears nobody, and waits for nobody."""
    await_peer(leg, None)
    if leg.relayed is not None:
        leg.relayed.listeners.remove(leg)
        leg.relayed = None


def unheard(leg: RtpLeg) -> None:
    """Nobody hears ``leg``, and nobody waits for it."""
    for listener in leg.listeners:
        listener.relayed = None
    for listener in leg.waiting:
        listener.awaited = None
