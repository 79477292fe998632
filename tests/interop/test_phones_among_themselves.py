"""The phones of these tests call each other without a server, so that a failure elsewhere is not a failure of the tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.baresip_phone import BaresipPhone
from tests.interop.pjsip_phone import PjsipPhone

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_two_pjsip_phones_hear_each_other_hold_and_press_keys(tmp_path: Path, transport: str) -> None:
    alice = PjsipPhone("alice", tmp_path / "alice", tone_hz=440, transport=transport)
    bob = PjsipPhone("bob", tmp_path / "bob", tone_hz=650, transport=transport, codecs="PCMA")
    try:
        alice.wait_ready()
        bob.wait_ready()
        outgoing = alice.dial(bob.address)
        incoming = bob.wait_call()
        incoming.ring()
        outgoing.wait_state("early")
        incoming.answer()
        outgoing.wait_talking()
        outgoing.ear.hears_tone(650)
        incoming.ear.hears_tone(440)
        for how in ("rfc4733", "info"):
            since = bob.position()
            outgoing.press("*", how)
            bob.wait_event("digit", f"a key by {how}", lambda e: e["digit"] == "*", since=since)
        outgoing.hold()
        incoming.wait_media("remote_hold")
        incoming.ear.hears_nothing()
        outgoing.resume()
        outgoing.ear.hears_tone(650)
        incoming.hang_up()
        assert outgoing.wait_ended() == 200
    finally:
        alice.close()
        bob.close()


def test_baresip_and_pjsip_hear_each_other_hold_and_press_keys(tmp_path: Path) -> None:
    alice = PjsipPhone("alice", tmp_path / "alice", tone_hz=440)
    bob = BaresipPhone("bob", tmp_path / "bob", tone_hz=650, codecs="PCMA")
    try:
        alice.wait_ready()
        outgoing = bob.dial(alice.address)
        incoming = alice.wait_call()
        incoming.ring()
        incoming.answer()
        outgoing.wait_talking()
        outgoing.ear.hears_tone(440)
        incoming.ear.hears_tone(650)
        outgoing.press("*5")
        alice.wait_event("digit", "a key", lambda e: e["digit"] == "5")
        outgoing.hold()
        incoming.wait_media("remote_hold")
        outgoing.ear.hears_nothing()
        outgoing.resume()
        outgoing.hears_packets()
        incoming.ear.hears_tone(650)
        outgoing.hang_up()
        assert incoming.wait_ended() == 200
    finally:
        alice.close()
        bob.close()
