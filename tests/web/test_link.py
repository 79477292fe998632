"""The socket between web process and signalling: what is asked is answered; nonsense from one end does not hurt the other."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.api.link import SignallingLink
from parkade.api.signalling import RefusedError, SignallingAwayError
from parkade.calls import refusals
from parkade.calls.audience import Audience
from parkade.calls.commands import (
    Banned,
    CallDetail,
    CallStage,
    Command,
    HangUpCall,
    ListParked,
    ParkCall,
    ParkedCall,
    ParkState,
    Party,
    PartyState,
    Registered,
    Reply,
    Result,
    RetrieveCall,
    Wanted,
)
from parkade.calls.directory import VisibilityKind
from parkade.calls.identity import Identity
from parkade.edge import command_socket
from parkade.edge.command_socket import CommandSocket
from parkade.edge.link_wire import Answer, Ask, Framer, LinkError, answering, asking, down_from, up_from
from tests.edge.heard import until

pytestmark = pytest.mark.asyncio

PARKED = ParkedCall("*801", "Main", 801, "c1", Identity("Lan", "102"), None, "a note", 1_790_000_000.25, 1_790_000_600.25)


class Switch:
    """Answers what it is told to, at once or later."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.result: Result = None
        self.refusal: refusals.Refusal | None = None
        self.silent = False
        self.asking: list[Callable[[], None]] = []
        self.socket = CommandSocket(self.feed, lambda: {"parkade_calls": 3}, self.asking.append)

    def feed(self, command: Command) -> None:
        self.commands.append(command)
        if not self.silent:
            self.socket.answer(Reply(command.id, self.result, self.refusal))


@asynccontextmanager
async def joined(path: Path, news: Callable[[int], None] = lambda number: None) -> AsyncIterator[tuple[Switch, SignallingLink]]:
    switch = Switch()
    await switch.socket.listen(path)
    link = SignallingLink(path, news)
    link.connect()
    try:
        yield switch, link
    finally:
        await link.close()
        switch.socket.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sock"


async def test_a_command_arrives_as_it_was_and_so_does_its_result(path: Path) -> None:
    async with joined(path) as (switch, link):
        for result in (PARKED, (PARKED, PARKED), (), None):
            switch.result = result
            wanted = ParkCall("c1", "101", None, "Đợi máy")
            assert await link.ask("acme", wanted) == result
            assert (switch.commands[-1].account, switch.commands[-1].command) == ("acme", wanted)
        assert len({command.id for command in switch.commands}) == 4
        assert Path.stat(path).st_mode & 0o777 == 0o600


async def test_a_refusal_keeps_its_words(path: Path) -> None:
    async with joined(path) as (switch, link):
        switch.refusal = refusals.NO_CALL_PARKED.with_(code="*801")
        with pytest.raises(RefusedError) as raised:
            await link.ask("acme", RetrieveCall("*801", "acme-101"))
        assert raised.value.refusal == switch.refusal


async def test_answers_find_whoever_asked_in_whatever_order_they_come(path: Path) -> None:
    async with joined(path) as (switch, link):
        switch.silent = True
        asked = [asyncio.create_task(link.ask("acme", ParkCall(f"c{n}", "101"))) for n in range(20)]
        await until(lambda: len(switch.commands) == 20)
        for command in reversed(switch.commands):
            assert isinstance(command.command, ParkCall)
            switch.socket.answer(Reply(command.id, _of(command.command.call)))
        for n, task in enumerate(asked):
            result = await task
            assert isinstance(result, ParkedCall)
            assert result.call == f"c{n}"


def _of(call: str) -> ParkedCall:
    return ParkedCall("*801", "Main", 801, call, Identity("", "102"), "101", "", 0.0, 1.0)


async def test_who_asks_before_signalling_is_there_waits_for_it_and_not_longer_than_it_wants(path: Path) -> None:
    link = SignallingLink(path)
    link.connect()
    with pytest.raises(SignallingAwayError):
        await link.ask("acme", ListParked(), timeout_s=0.05)
    asked = asyncio.create_task(link.ask("acme", ListParked()))
    await asyncio.sleep(0.05)
    switch = Switch()
    switch.result = (PARKED,)
    await switch.socket.listen(path)
    assert await asked == (PARKED,)
    await link.close()
    switch.socket.stop()


async def test_what_is_under_way_when_signalling_ends_is_not_waited_for_and_the_next_one_is_found(path: Path) -> None:
    async with joined(path) as (switch, link):
        switch.silent = True
        asked = [asyncio.create_task(link.ask("acme", HangUpCall("c1"), timeout_s=30)) for _ in range(3)]
        await until(lambda: len(switch.commands) == 3)
        switch.socket.stop()
        for task in asked:
            with pytest.raises(SignallingAwayError):
                await task
        other = Switch()
        await other.socket.listen(path)
        assert await link.ask("acme", HangUpCall("c1")) is None
        other.socket.stop()
        assert link.asking == 0


async def test_an_answer_that_comes_too_late_is_passed_over(path: Path) -> None:
    async with joined(path) as (switch, link):
        switch.silent = True
        with pytest.raises(SignallingAwayError):
            await link.ask("acme", ListParked(), timeout_s=0.05)
        switch.socket.answer(Reply(switch.commands[0].id, (PARKED,)))
        switch.socket.answer(Reply("of another process", None))
        switch.socket.answer(Reply("12345-1", None))
        switch.silent = False
        assert await link.ask("acme", HangUpCall("c1")) is None


async def test_figures_and_directory(path: Path) -> None:
    async with joined(path) as (switch, link):
        assert await link.figures() == {"parkade_calls": 3}
        changed = asyncio.create_task(link.directory_changed())
        await until(lambda: switch.asking)
        assert not changed.done()
        switch.asking[0]()
        await changed


async def test_word_of_events_comes_in_order_and_not_for_each_one(path: Path) -> None:
    heard: list[int] = []
    async with joined(path, heard.append) as (switch, link):
        await link.figures()
        for number in range(1, 1001):
            switch.socket.events_up_to(number)
        await until(lambda: heard and heard[-1] == 1000)
        assert len(heard) < 5


async def test_a_new_connection_hears_where_the_log_is(path: Path) -> None:
    heard: list[int] = []
    switch = Switch()
    switch.socket.events_up_to(42)
    await switch.socket.listen(path)
    link = SignallingLink(path, heard.append)
    link.connect()
    await until(lambda: heard == [42])
    await link.close()
    switch.socket.stop()


async def raw(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(str(path))


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff\xff\xff\xff",
        struct.pack(">I", 3) + b"abc",
        struct.pack(">I", 0),
        asking(1, "acme", ListParked()).replace(b"ListParked", b"ListPurked"),
        struct.pack(">I", 8) + msgspec.msgpack.encode(["answer", 1]),
        b"GET / HTTP/1.1\r\n\r\n" + bytes(70_000),
    ],
)
async def test_nonsense_ends_its_connection_and_no_other(path: Path, nonsense: bytes) -> None:
    async with joined(path) as (_, link):
        reader, writer = await raw(path)
        writer.write(nonsense)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert await link.ask("acme", HangUpCall("c1")) is None


async def test_a_flood_of_commands_leaves_the_loop_to_others(path: Path) -> None:
    async with joined(path) as (switch, link):
        reader, writer = await raw(path)
        await link.figures()
        writer.write(b"".join(asking(n, "acme", HangUpCall("c1")) for n in range(5000)))
        turns, done = 0, 0
        while len(switch.commands) < 5000:
            before = len(switch.commands)
            await asyncio.sleep(0)
            turns += 1
            assert len(switch.commands) - before <= 2 * command_socket.BATCH
        assert turns >= 5000 // (2 * command_socket.BATCH)
        framer = Framer()
        while done < 5000:
            done += len(framer.feed(await asyncio.wait_for(reader.read(65536), 5)))
        writer.close()


async def test_who_does_not_read_is_cut_off(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(command_socket, "MAX_UNREAD_BYTES", 100_000)
    async with joined(path) as (switch, link):
        switch.result = (PARKED,) * 500
        deaf = socket.socket(socket.AF_UNIX)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, str(path))
        for n in range(100):
            deaf.send(asking(n, "acme", ListParked()))
        await until(lambda: "does not read its answers" in caplog.text)
        deaf.close()
        assert await link.ask("acme", ListParked()) == switch.result


async def test_too_many_connections_are_refused(path: Path) -> None:
    async with joined(path) as (_, link):
        await link.figures()
        others = [await raw(path) for _ in range(command_socket.MAX_CONNECTIONS + 3)]
        closed = [asyncio.create_task(reader.read(1)) for reader, _ in others]
        await until(lambda: sum(task.done() for task in closed) == 4)
        assert (await link.figures())["parkade_calls"] == 3
        for task in closed:
            task.cancel()
        for _, writer in others:
            writer.close()


@given(st.binary(max_size=200))
async def test_no_bytes_raise_anything_but_a_link_error(data: bytes) -> None:
    for read in (up_from, down_from):
        try:
            message = read(data)
        except LinkError:
            continue
        try:
            getattr(message, "wanted", None)
            getattr(message, "result", None)
        except LinkError:
            pass


async def test_every_command_can_be_sent() -> None:
    for kind in get_args(Wanted):
        wanted = kind(**{field.name: "7" for field in fields(kind) if field.default is MISSING})
        message = up_from(asking(7, "acme", wanted)[4:])
        assert isinstance(message, Ask)
        assert message.wanted == wanted


FULL = ParkedCall(
    "*801",
    "Main",
    801,
    "c1",
    Identity("Lan", "102"),
    "101",
    "a note",
    1.5,
    2.5,
    ParkState.RESERVED,
    "main",
    "l1",
    "Alice",
    2,
    Audience(VisibilityKind.PEOPLE, "main", ("alice", "bob")),
    Identity("Bob", "102"),
    9.5,
)
DETAIL = CallDetail("c1", "acme", CallStage.PARKED, 1.5, 2.5, (Party("Lan", "102", None, PartyState.PARKED),), FULL)


@pytest.mark.parametrize(
    "result",
    [
        None,
        (),
        PARKED,
        FULL,
        (PARKED, FULL),
        DETAIL,
        (DETAIL,),
        (Registered("acme-101", 1, "UDP", "192.0.2.1:5060", "phone", 1.5),),
        (Banned("192.0.2.1", 1.5, 7),),
    ],
)
async def test_every_result_can_be_sent(result: Result) -> None:
    message = down_from(answering(7, result)[4:])
    assert isinstance(message, Answer)
    assert message.result == result
    assert repr(message.result) == repr(result)  # so enumerations are what they were


async def test_no_kind_of_result_was_forgotten() -> None:
    tried = {type(None), ParkedCall, CallDetail, Registered, Banned}
    assert {(get_args(kind) or (kind,))[0] for kind in get_args(Result)} == tried


async def test_members_that_a_command_has_not_are_a_link_error() -> None:
    for what in ({"code": "*801"}, {"code": "*801", "note": 5}, {"code": "*801", "note": "", "more": ""}, ["*801", ""], 5):
        body = msgspec.msgpack.encode(["ask", 7, "acme", "NoteCall", what])
        message = up_from(body)
        assert isinstance(message, Ask)
        with pytest.raises(LinkError):
            _ = message.wanted
