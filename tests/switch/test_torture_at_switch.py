"""Every kind of message of :rfc:`4475` at the door of a whole installation: answered as the RFC says, and nothing is left.

Each message comes twice: from a stranger, and from a gateway that is known by its address, so that what is not refused at
the door gets to the end. ``outcome`` of a case is what the server makes of it; a case that ``departs`` from what the RFC
would prefer says why.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from parkade.base.clock import Instant
from parkade.sip.message.flow import Flow, Send, SipEffect
from parkade.sip.message.grammar import unescape
from parkade.testing.net import Address
from parkade.testing.world import SERVER, SimWorld
from tests.sip.torture.torture_messages import CASES

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("PARKADE_RFC4475") or ROOT.parent / "shared" / "data" / "rfc4475")
ORIGINALS = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.dat"))}
MESSAGES = [
    *(pytest.param(name, case.data, id=name) for name, case in CASES.items()),
    *(pytest.param(name, data, id=f"{name}-of-the-rfc") for name, data in ORIGINALS.items()),
]
STRANGER, GATEWAY = Address("192.0.2.200", 5060), Address("192.0.2.201", 5060)

ORDINARY = {"OPTIONS": 200, "INVITE": 401, "REGISTER": 401, "MESSAGE": 401}
"""What a stranger gets for a request that has nothing wrong with it."""
KNOWN = {"OPTIONS": 200, "INVITE": 404, "REGISTER": 200, "MESSAGE": 405}
"""What the gateway gets, which may call but dials a number that nobody has."""
REGISTRARS = {"regbadct", "unksm2"}
"""What only the registrar finds wrong: nobody gets that far who has not said who he is."""
NOT_THE_GATEWAY = {"unksm2", "regaut01"}
"""Registrations that the address of the gateway does not vouch for: names that are none of a device, and credentials."""


class Ear:
    """Where a message comes from: whatever comes back, also to the address that its Via names, is kept."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def receive(self, flow: Flow, data: bytes, now: Instant) -> None:
        self.heard.append(data)

    def flow_lost(self, flow: Flow, now: Instant) -> None:
        """Nothing is awaited."""

    def deadline(self) -> Instant | None:
        return None

    def wake(self, now: Instant) -> None:
        """Never due."""

    def drain(self) -> list[SipEffect]:
        return []


def statuses(name: str, data: bytes, source: Address, transport: str) -> list[int]:
    """The final statuses with which the switch answers ``data``, each once; then it must be as if nothing had come."""
    world = SimWorld()
    world.account("acme", {"101": "Alice"})
    world.device(named_in(data) or "gateway", "acme", "", address=GATEWAY.host)
    world.attach(source, Ear())
    world.net.perform(source, Send(Flow(transport, *SERVER), data), world.now)
    world.run(700)
    left = {kind: count for kind, count in world.switch.counts().items() if kind not in ("bindings", "ports") and count}
    assert not left, f"{name} leaves {left}"
    assert not world.media.legs
    # What was broken in a request is as broken in its answer, so only the first line is read.
    answers = [packet.data.split(b" ") for _, packet in world.net.log if packet.source == SERVER]
    assert all(answer[0] == b"SIP/2.0" for answer in answers)
    return [*dict.fromkeys(int(answer[1]) for answer in answers if not answer[1].startswith(b"1"))]


def named_in(data: bytes) -> str:
    """Whom a REGISTER names, so that the gateway is taken for the one that it registers."""
    found = re.search(rb"^From:.*sip:([^@>]+)@", data, re.MULTILINE) if method_of(data) == "REGISTER" else None
    return unescape(found[1].decode("latin-1")) if found else ""


def method_of(data: bytes) -> str:
    return data.lstrip(b"\r\n").split(b" ", 1)[0].decode("latin-1")


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize(("name", "data"), MESSAGES)
def test_a_stranger_gets_the_answer_of_the_rfc_and_leaves_nothing(name: str, data: bytes, transport: str) -> None:
    outcome = CASES[name].outcome
    answered = statuses(name, data, STRANGER, transport)
    if outcome == "dropped":
        assert answered == []
    elif outcome == "ordinary" or name in REGISTRARS:
        assert answered == [ORDINARY[method_of(data)]]
    else:
        assert answered == [outcome]


@pytest.mark.parametrize(("name", "data"), MESSAGES)
def test_a_gateway_gets_the_answer_of_the_rfc_and_leaves_nothing(name: str, data: bytes) -> None:
    outcome = CASES[name].outcome
    answered = statuses(name, data, GATEWAY, "UDP")
    if outcome == "dropped":
        assert answered == []
    elif name in NOT_THE_GATEWAY:
        assert answered == [401]
    elif outcome in ("ordinary", 401):
        assert answered == [KNOWN[method_of(data)]]
    else:
        assert answered == [outcome]
