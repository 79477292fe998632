"""What is kept of the messages of calls: whose they are, for how long, how much, and what is crossed out."""

from __future__ import annotations

import asyncio
import gc
import re

import pytest

from parkade.edge import trace as trace_module
from parkade.edge.trace import OVERHEAD_BYTES, Trace, call_id_of, masked
from parkade.sip.message.flow import CloseFlow, Flow, Send
from parkade.switch.inputs import FlowLost, Received

pytestmark = pytest.mark.asyncio

FLOW = Flow("UDP", "192.0.2.1", 5062)
HERE = ("198.51.100.1", 5060)


def here(flow: Flow) -> tuple[str, int]:
    return HERE


def message(call_id: str, first: str = "INVITE sip:101@example.com SIP/2.0", header: str = "Call-ID") -> bytes:
    return f"{first}\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n{header}: {call_id}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_the_messages_of_one_call_in_both_directions_and_no_others() -> None:
    trace = Trace(60, 1 << 20, here)
    trace.passed([Received(FLOW, message("a")), Received(FLOW, message("b")), FlowLost(FLOW)], [], 1.0)
    trace.passed([], [Send(FLOW, message("a", "SIP/2.0 100 Trying")), CloseFlow(FLOW), Send(FLOW, message("c"))], 2.0)
    trace.belongs("acme", "call1", ["a", "c"], 2.0)
    found = await trace.of_call("acme", "call1")
    assert found is not None
    assert [(each.at, each.came, each.transport, each.local, each.remote) for each in found] == [
        (1.0, True, "UDP", HERE, ("192.0.2.1", 5062)),
        (2.0, False, "UDP", HERE, ("192.0.2.1", 5062)),
        (2.0, False, "UDP", HERE, ("192.0.2.1", 5062)),
    ]
    assert [call_id_of(each.data) for each in found] == [b"a", b"a", b"c"]


async def test_another_accounts_call_and_an_unknown_one_look_the_same() -> None:
    trace = Trace(60, 1 << 20, here)
    trace.belongs("acme", "call1", ["a"], 1.0)
    assert await trace.of_call("acme", "call1") == []
    assert await trace.of_call("other", "call1") is None
    assert await trace.of_call("acme", "call2") is None


async def test_a_call_id_that_is_only_mentioned_is_not_that_of_the_message() -> None:
    trace = Trace(60, 1 << 20, here)
    trace.passed([Received(FLOW, message("other\r\nRefer-To: <sip:x@y?Replaces=a>"))], [], 1.0)
    trace.passed([Received(FLOW, message("a", header="i"))], [], 1.0)
    trace.belongs("acme", "call1", ["a"], 1.0)
    found = await trace.of_call("acme", "call1")
    assert found is not None
    assert [call_id_of(each.data) for each in found] == [b"a"]


async def test_old_messages_and_calls_are_forgotten() -> None:
    trace = Trace(60, 1 << 20, here)
    for at in range(200):
        trace.passed([Received(FLOW, message(f"call-id-{at}"))], [], float(at))
        trace.belongs("acme", f"call{at}", [f"call-id-{at}"], float(at))
    assert await trace.of_call("acme", "call100") is None
    found = await trace.of_call("acme", "call150")
    assert found is not None
    assert len(found) == 1
    trace.forget(1000.0)
    assert trace.size == 0
    assert await trace.of_call("acme", "call199") is None


async def test_memory_is_bounded() -> None:
    trace = Trace(1e9, 100_000, here)
    one = message("a")
    for at in range(5000):
        trace.passed([Received(FLOW, one)], [], float(at))
        trace.passed([], [Send(FLOW, one)], float(at))
        assert trace.size <= 100_000
    trace.belongs("acme", "call1", ["a"], 5000.0)
    found = await trace.of_call("acme", "call1")
    assert found is not None
    assert 0.9 < len(found) * (len(one) + OVERHEAD_BYTES) / 100_000 <= 1
    assert found[-1].at == 4999.0


async def test_calls_and_their_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "MAX_CALLS", 10)
    trace = Trace(1e9, 1 << 20, here)
    for i in range(50):
        trace.belongs("acme", f"call{i}", [f"{i}-{n}" for n in range(1000)], float(i))
    assert [await trace.of_call("acme", f"call{i}") for i in (39, 40)] == [None, []]


async def test_phones_have_their_turn_during_a_search() -> None:
    trace = Trace(1e9, 1 << 30, here)
    trace.belongs("acme", "call1", ["a"], 0.0)
    for at in range(20_000):
        trace.passed([Received(FLOW, message(str(at)))], [], float(at))
    turns = 0

    async def phones() -> None:
        nonlocal turns
        while True:
            turns += 1
            trace.passed([Received(FLOW, message("new"))], [], 20_000.0)
            await asyncio.sleep(0)

    task = asyncio.create_task(phones())
    assert await trace.of_call("acme", "call1") == []
    task.cancel()
    assert turns >= 20_000 // trace_module.SLICE


SECRETS = (
    ('INVITE sip:1@x SIP/2.0\nAuthorization: Digest username="a", realm="r", response="SECRET", cnonce="c"\n\n', "username"),
    ("INVITE sip:1@x SIP/2.0\nProxy-Authorization: Digest realm=r, response=SECRET\n\n", "Digest"),
    ('SIP/2.0 200 OK\nAuthentication-Info: rspauth="SECRET", qop=auth\n\n', "qop"),
    ("REGISTER sip:x SIP/2.0\nAuthorization: Basic SECRET\n\n", "Basic"),
    ("REGISTER sip:x SIP/2.0\nAuthorization: Bearer SECRET\n\n", "Bearer"),
    ("SIP/2.0 200 OK\n\nv=0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET|2^20|1:32\n", "AES_CM_128"),
    ("SIP/2.0 200 OK\n\nv=0\na=ice-ufrag:abc\na=ice-pwd:SECRET\n", "ice-ufrag:abc"),
    ("SIP/2.0 200 OK\n\nv=0\nk=clear:SECRET\n", "v=0"),
    ("INVITE sip:bob:SECRET@example.com SIP/2.0\n\n", "bob"),
    ("INFO sip:1@x SIP/2.0\nContent-Type: application/dtmf-relay\n\nSignal=5\nDuration=160\n", "Duration=160"),
    ("INFO sip:1@x SIP/2.0\nContent-Type: application/dtmf\n\n5", "application/dtmf"),
)


@pytest.mark.parametrize(("text", "kept"), SECRETS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
async def test_what_nobody_should_read_is_crossed_out_and_the_length_stays(text: str, kept: str, line_end: str) -> None:
    data = text.replace("\n", line_end).encode()
    crossed = masked(data)
    assert b"SECRET" not in crossed
    assert not re.search(rb"(?:Signal=|\n)5\s*$", crossed)
    assert kept.encode() in crossed
    assert len(crossed) == len(data)


async def test_what_is_no_secret_stays() -> None:
    plain = message("a") + b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
    assert masked(plain) == plain
    assert masked(bytes(range(256))) == bytes(range(256))


async def test_what_is_kept_is_no_work_for_the_collector() -> None:
    trace = Trace(1e9, 1 << 30, here)
    received = [Received(FLOW, message(str(i))) for i in range(1000)]
    gc.collect()
    before = len(gc.get_objects())
    trace.passed(received, [], 1.0)
    assert len(gc.get_objects()) - before < 10
