"""Whatever bytes arrive, and whatever phones garble: nothing is raised, and when it is over nothing is left."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.sip.message.flow import Flow
from parkade.switch.inputs import Note, Received
from parkade.testing.world import SimWorld

SESSION_EXPIRES_S = 1800.0
STRANGE = (
    b"\x00",
    b"\r\n",
    b"\n",
    b"<",
    b">",
    b'"',
    b";",
    b",",
    b":",
    b"%",
    b"\xff",
    b"-1",
    b"99999999999",
    b"sip:",
    b"[::",
    b"*",
)


def garble(data: bytes, dice: Random) -> bytes:
    """A message with a few bytes cut out, put in, doubled or moved."""
    for _ in range(dice.randint(1, 4)):
        start = dice.randrange(len(data) + 1)
        end = min(len(data), start + dice.randint(0, 30))
        match dice.randrange(4):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:start] + dice.choice(STRANGE) + data[start:]
            case 2:
                data = data[:end] + data[start:end] + data[end:]
            case _:
                data = data[:start] + dice.choice(STRANGE) + data[end:]
    return data


def office(seed: int) -> SimWorld:
    world = SimWorld(seed)
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol"})
    return world


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.02, 0.6))
def test_phones_that_garble_what_they_send_lose_nobody_and_leave_nothing(seed: int, share: float) -> None:
    dice = Random(seed)
    world = office(seed)
    phones = [world.phone(f"acme-{n}") for n in (101, 102, 103)]
    for phone in phones:
        phone.misbehave(lambda data: garble(data, dice) if dice.random() < share else data)
    deeds = (
        lambda p: p.call(dice.choice(("101", "102", "103", "*801", "*802", "*800", "nobody"))),
        lambda p: p.answer() if p.ringing else None,
        lambda p: p.live[0].refer(dice.choice(("*800", "*805", "103"))) if p.live and p.live[0].is_up else None,
        lambda p: p.live[0].hold() if p.live and p.live[0].is_up else None,
        lambda p: p.hang_up() if dice.random() < 0.3 else None,
        lambda p: p.register(),
    )
    for _ in range(25):
        dice.choice(deeds)(dice.choice(phones))
        world.run(dice.choice((0.01, 0.3, 2.0)))
    for phone in phones:
        phone.misbehave()
        phone.hang_up()
    # A phone that gave up on its garbled BYE leaves us a call that only the session timer can find dead.
    world.assert_nothing_leaks(within_s=3 * SESSION_EXPIRES_S)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(0, 2**32))
def test_bytes_from_strangers_change_nothing(datagrams: list[bytes], seed: int) -> None:
    dice = Random(seed)
    world = office(1)
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    call = alice.call("102")
    world.run(1.0)
    bob.answer()
    world.run(1.0)
    overheard = [message.encode() for message in (*alice.recorder.sent(), *bob.recorder.received())]
    before = world.switch.counts()["calls"]
    stranger = Flow("UDP", "203.0.113.66", 5060)
    for data in (*datagrams, *(garble(dice.choice(overheard), dice) for _ in range(8))):
        world.switch.tell(Received(stranger, data), world.now)
    assert world.switch.counts()["calls"] == before
    assert call.is_up
    assert call.hears(bob)


def test_garbage_is_noted_in_one_line_a_minute_for_each_host() -> None:
    world = office(1)
    for _ in range(5):
        for host in ("203.0.113.66", "203.0.113.67"):
            world.switch.tell(Received(Flow("UDP", host, 5060), b"no SIP at all"), world.now)
    effects = [world.switch.tell(Received(Flow("UDP", "203.0.113.68", 5060), b"INVITE"), world.now)]
    assert [type(e).__name__ for e in effects[0]] == ["Note"]
    text = str(effects[0][0])
    assert "203.0.113.68:5060 sent what is no SIP" in text
    spoof = b"OPTIONS sip:a@b SIP/\x1b[2J\r\n\r\n"
    noted = [e for e in world.switch.tell(Received(Flow("UDP", "203.0.113.69", 5060), spoof), world.now) if isinstance(e, Note)]
    assert len(noted) == 1
    assert noted[0].text.isprintable(), "what a stranger sends cannot write on the administrator's screen"
    later = world.switch.tell(Received(Flow("UDP", "203.0.113.68", 5060), b"INVITE"), world.now + 1)
    assert later == []
    assert len(world.switch.tell(Received(Flow("UDP", "203.0.113.68", 5060), b"INVITE"), world.now + 61)) == 1
