"""An answer leaves once what it promises is kept: in order, at most a quarter of a second late, and media never waits."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from parkade.base.clock import Instant
from parkade.base.journal import Drop, Keep
from parkade.edge.clock import Clock
from parkade.edge.pump import LONGEST_WAIT_S, Pump
from parkade.rtp.orders import CloseLeg
from parkade.sip.message.flow import Send
from parkade.store.journal import Journal
from parkade.switch.inputs import Received, SwitchEffect, SwitchInput
from tests.edge.heard import until
from tests.edge.test_pump import FLOW, Performed, received

pytestmark = pytest.mark.asyncio


class Keeps:
    """A machine that keeps what is written in capitals, and answers everything."""

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


class Slow:
    """A journal that commits when it is told, or cannot be written."""

    def __init__(self) -> None:
        self.written: list[list[Keep | Drop]] = []
        self.fails = False

    def write(self, changes: list[Keep | Drop]) -> int:
        self.written.append(changes)
        return 0 if self.fails else len(self.written)


def pump_with(journal: Slow | Journal | None) -> tuple[Pump, Performed]:
    pump = Pump(Keeps(), Clock(), print, journal)
    return pump, Performed(pump)


async def test_what_promises_waits_and_what_was_decided_before_does_not() -> None:
    journal = Slow()
    pump, performed = pump_with(journal)
    pump.feed_all(received(b"a", b"B", b"c", b"D"))
    assert performed.all == [["a", "B", "c", "D"], b"a"]
    assert journal.written == [[Keep("B", "B"), Keep("D", "D")]]
    pump.committed(1)
    assert performed.all[1:] == [b"a", b"B", b"c", b"D"]


async def test_what_is_only_dropped_holds_nobody_up_and_goes_with_the_next_write() -> None:
    journal = Slow()
    pump, performed = pump_with(journal)
    pump.feed_all(received(b"-A"))
    assert performed.all == [["-A"], b"-A"]
    assert journal.written == []
    pump.feed_all(received(b"B"))
    assert journal.written == [[Drop("A"), Keep("B", "B")]]
    assert performed.all[2:] == [["B"]]
    pump.committed(1)
    assert performed.all[2:] == [["B"], b"B"]


async def test_what_is_only_dropped_is_written_soon_all_the_same() -> None:
    journal = Slow()
    pump, _ = pump_with(journal)
    pump.feed_all(received(b"-A", b"-B"))
    await until(lambda: bool(journal.written))
    assert journal.written == [[Drop("A"), Drop("B")]]
    pump.feed_all(received(b"-C"))
    pump.write_drops()
    assert journal.written[1:] == [[Drop("C")]]


async def test_what_comes_later_waits_behind_it_but_media_does_not() -> None:
    journal = Slow()
    pump, performed = pump_with(journal)
    for text in (b"A", b"b", b"C", b"d"):
        pump.feed_all(received(text))
    assert performed.all == [["A"], ["b"], ["C"], ["d"]]
    pump.committed(1)
    assert performed.all[4:] == [b"A", b"b"]
    pump.committed(2)
    assert performed.all[4:] == [b"A", b"b", b"C", b"d"]
    pump.feed_all(received(b"e"))
    assert performed.all[-1] == b"e"


async def test_one_word_of_the_journal_may_be_for_many_batches() -> None:
    pump, performed = pump_with(Slow())
    for text in (b"A", b"B", b"C"):
        pump.feed_all(received(text))
    pump.committed(3)
    assert performed.all[3:] == [b"A", b"B", b"C"]


async def test_nothing_waits_longer_than_a_quarter_of_a_second_and_the_order_stays() -> None:
    pump, performed = pump_with(Slow())
    began = time.monotonic()
    pump.feed_all(received(b"A"))
    await asyncio.sleep(0.1)
    pump.feed_all(received(b"b"))
    pump.feed_all(received(b"C"))
    await until(lambda: b"A" in performed.all)
    assert LONGEST_WAIT_S - 0.01 < time.monotonic() - began < LONGEST_WAIT_S + 0.08
    assert b"b" not in performed.all
    await until(lambda: b"C" in performed.all)
    assert time.monotonic() - began < LONGEST_WAIT_S + 0.18
    assert performed.all[-3:] == [b"A", b"b", b"C"]
    pump.committed(2)
    pump.feed_all(received(b"d"))
    assert performed.all[-1] == b"d"


async def test_nobody_waits_for_a_journal_that_cannot_be_written() -> None:
    journal = Slow()
    journal.fails = True
    pump, performed = pump_with(journal)
    pump.feed_all(received(b"A"))
    assert performed.all == [["A"], b"A"]


async def test_without_a_journal_nothing_waits() -> None:
    pump, performed = pump_with(None)
    pump.feed_all(received(b"A", b"b"))
    assert performed.all == [["A", "b"], b"A", b"b"]


async def test_the_real_journal_has_what_was_promised_when_the_answer_leaves(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    journal = Journal.open(tmp_path / "journal.db")
    pump, performed = pump_with(journal)

    def committed(number: int) -> None:
        loop.call_soon_threadsafe(pump.committed, number)

    journal.start(committed)
    for n in range(200):
        pump.feed_all([Received(FLOW, b"CALL/%d" % n)])
        if n % 20 == 0:
            await asyncio.sleep(0.001)
    await until(lambda: b"CALL/199" in performed.all)
    other = Journal.open(tmp_path / "journal.db")
    assert len(other.load()) == 200
    other.close()
    assert [what for what in performed.all if isinstance(what, bytes)] == [b"CALL/%d" % n for n in range(200)]
    journal.close()
