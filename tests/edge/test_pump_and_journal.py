"""What an input has kept is in the journal before its answer leaves; media never waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from parkade.base.clock import Instant
from parkade.base.journal import Drop, Keep
from parkade.edge.clock import Clock
from parkade.edge.pump import Pump
from parkade.rtp.orders import CloseLeg
from parkade.sip.message.flow import Flow, Send
from parkade.store.journal import Journal
from parkade.switch.inputs import Received, SwitchEffect, SwitchInput
from tests.edge.test_pump import FLOW, Performed, received

pytestmark = pytest.mark.asyncio


class Keeps:
    """A machine that keeps what is written in capitals, drops what begins with a minus, and answers everything."""

    def tell(self, given: SwitchInput, now: Instant) -> list[SwitchEffect]:
        assert isinstance(given, Received)
        text = given.data.decode()
        change: list[SwitchEffect] = [Keep(text, text)] if text.isupper() else []
        if text.startswith("-"):
            change = [Drop(text[1:])]
        return [*change, Send(given.flow, given.data), CloseLeg(text)]

    def deadline(self) -> Instant | None:
        return None

    def wake(self, now: Instant) -> list[SwitchEffect]:
        return []


def pump_with(journal: Journal | None) -> tuple[Pump, Performed]:
    pump = Pump(Keeps(), Clock(), print, journal)
    return pump, Performed(pump)


async def test_media_is_told_first_then_the_journal_then_the_phones() -> None:
    pump, performed = pump_with(None)

    class Noted:
        def write(self, changes: Sequence[Keep | Drop]) -> None:
            performed.all.append(changes)

    pump = Pump(Keeps(), Clock(), print, Noted())
    pump.transports["UDP"], pump.send_orders = performed, performed.orders
    pump.feed_all(received(b"a", b"B", b"-c", b"D"))
    assert performed.all == [["a", "B", "-c", "D"], [Keep("B", "B"), Drop("c"), Keep("D", "D")], b"a", b"B", b"-c", b"D"]
    pump.feed_all(received(b"e"))
    assert performed.all[6:] == [["e"], b"e"]


async def test_without_a_journal_nothing_waits() -> None:
    pump, performed = pump_with(None)
    pump.feed_all(received(b"A", b"b"))
    assert performed.all == [["A", "b"], b"A", b"b"]


async def test_the_real_journal_has_what_was_promised_when_the_answer_leaves(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db")
    journal.load()
    journal.start()
    pump, _ = pump_with(journal)
    kept: list[dict[str, object]] = []

    class Reads(Performed):
        """Looks at the journal as a process would that is started now."""

        def send(self, flow: Flow, data: bytes) -> None:
            other = Journal.open(tmp_path / "journal.db")
            kept.append({**other.load()})
            other.close()

    Reads(pump)
    for n in range(20):
        pump.feed_all([Received(FLOW, b"CALL/%d" % n)])
    assert [list(each) for each in kept] == [[f"CALL/{m}" for m in range(n + 1)] for n in range(20)]
    pump.feed_all([Received(FLOW, b"-CALL/3")])
    assert "CALL/3" not in kept[-1]
    journal.close()
