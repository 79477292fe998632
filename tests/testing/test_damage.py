"""The damages of the fuzzer: each is repeatable, does something, and leaves what a network could carry."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.testing.damage import DAMAGES, LARGEST_DATAGRAM, Damage, Wire
from parkade.testing.damager import Damaged, Damager

INVITE = (
    b"INVITE sip:102@acme.example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n"
    b'From: "Alice" <sip:acme-101@acme.example.com>;tag=1\r\n'
    b"To: <sip:102@acme.example.com>\r\n"
    b"Call-ID: a\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:acme-101@192.0.2.1:5060>\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 92\r\n"
    b"\r\n"
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n"
)
OPTIONS = INVITE.replace(b"INVITE", b"OPTIONS")
RINGING = INVITE.replace(b"INVITE sip:102@acme.example.com SIP/2.0", b"SIP/2.0 180 Ringing")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_each_damage_changes_a_message_and_the_same_dice_do_the_same(damage: Damage) -> None:
    changed = 0
    for message in (INVITE, RINGING):
        for seed in range(20):
            one, other = Wire.parse(message), Wire.parse(message)
            damage(one, Random(seed))
            damage(other, Random(seed))
            assert one.encode() == other.encode()
            changed += one.encode() != message
    assert changed >= 10


@given(st.binary(max_size=400), st.integers(0, 2**16))
def test_anything_can_be_damaged_and_fits_a_datagram(data: bytes, seed: int) -> None:
    damager = Damager(seed, "phone", [], share=1.0)
    for message in (data, INVITE + data):
        assert len(damager(message)) <= LARGEST_DATAGRAM


def test_what_is_taken_apart_is_put_together_again() -> None:
    assert Wire.parse(INVITE).encode() == INVITE


def test_a_share_of_the_messages_is_damaged_and_each_is_noted() -> None:
    log: list[Damaged] = []
    damager = Damager(1, "phone", log)
    damaged = sum(damager(OPTIONS) != OPTIONS for _ in range(1000))
    assert 100 < damaged <= len(log) < 200
    assert log[0].start == "OPTIONS sip:102@acme.example.com SIP/2.0"


def test_a_phone_has_a_habit() -> None:
    methods = (b"ACK", b"BYE", b"REGISTER", b"REFER", b"PRACK", b"UPDATE", b"INFO", b"CANCEL")
    kinds = [INVITE, RINGING, *(INVITE.replace(b"INVITE", method) for method in methods)]
    kinds += [RINGING.replace(b"180 Ringing", status) for status in (b"200 OK", b"486 Busy")]
    habits = 0
    for seed in range(40):
        log: list[Damaged] = []
        damager = Damager(seed, "phone", log, share=0.0)
        changed = [{damager(kind) for _ in range(20)} - {kind} for kind in kinds]
        assert len({entry.what for entry in log}) <= 1
        assert all(len(ways) <= 1 for ways in changed)
        habits += any(changed)
    assert habits > 20


def test_messages_can_be_spared_and_the_others_are_damaged_as_before() -> None:
    log: list[Damaged] = []
    everything = Damager(1, "phone", log, share=0.5)
    first = [everything(INVITE) for _ in range(20)]
    spared = log[0].key
    kept = {entry.key for entry in log} - {spared}
    second_log: list[Damaged] = []
    without = Damager(1, "phone", second_log, share=0.5, only=kept)
    second = [without(INVITE) for _ in range(20)]
    at = int(spared.partition("#")[2]) - 1
    assert second[at] == INVITE
    assert [*first[:at], *first[at + 1 :]] == [*second[:at], *second[at + 1 :]]
    assert second_log == log[1:]
