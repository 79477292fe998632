"""Whoever types in an address sends this server to the outside, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import httpcore
import pytest

from parkade.api.outside import (
    Outside,
    OutsideBackend,
    TargetRefusedError,
    TargetUnknownError,
    networks,
    refused_because,
)
from tests.api.receiver import receiving

pytestmark = pytest.mark.asyncio

INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd12:3456::1",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "2606:4700::5efe:10.0.0.1",
    "fd00::5efe:8.8.8.8",
    "fe80::5efe:8.8.8.8",
    "fd12::200:5efe:808:808",
    "ff02::5efe:8.8.8.8",
    "2606:4700::200:5efe:127.0.0.1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "192.169.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


@pytest.mark.parametrize("address", INSIDE)
async def test_inside_is_refused(address: str) -> None:
    assert refused_because(address)


@pytest.mark.parametrize("address", PUBLIC)
async def test_outside_is_not(address: str) -> None:
    assert refused_because(address) is None


async def test_allowed_networks_may_be_reached_in_every_spelling() -> None:
    allowed = networks("10.0.0.0/8, fd00::/8,127.0.0.1")
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a00:1", "fd00::1", "127.0.0.1"):
        assert refused_because(address, allowed) is None
    for address in ("127.0.0.2", "192.168.0.1", "fe80::1", "169.254.169.254"):
        assert refused_because(address, allowed)
    with pytest.raises(ValueError, match="host bits"):
        networks("10.0.0.1/8")


async def test_addresses_of_this_machine_are_refused_though_they_are_public() -> None:
    assert refused_because("8.8.8.8", own=["8.8.8.8"]) == "it is this machine"
    assert refused_because("::ffff:8.8.8.8", own=["8.8.8.8"]) == "it is this machine"


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1", "localhost", "[::1]".strip("[]")])
async def test_every_spelling_of_an_address_is_judged_by_what_it_is(host: str) -> None:
    outside = Outside()
    try:
        with pytest.raises((TargetRefusedError, TargetUnknownError)):
            await outside.addresses(host, 80)
    finally:
        outside.close()


class Rebinding:
    """A name server that first says one thing, then another."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = [*answers]
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def test_of_several_addresses_only_good_ones_are_used() -> None:
    found = await Outside(resolve=Rebinding(["10.0.0.1", "8.8.8.8", "::1"])).addresses("mixed.example", 443)
    assert found == ["8.8.8.8"]


async def test_a_name_that_changes_its_mind_gets_nowhere() -> None:
    """The connection is made to what was judged: nothing asks a second time."""
    names = Rebinding(["127.0.0.1"], ["8.8.8.8"])
    async with receiving() as good:
        backend = OutsideBackend(Outside(networks("127.0.0.1"), resolve=names))
        stream = await backend.connect_tcp("rebinding.example", good.port)
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        assert names.asked == 1
        await stream.aclose()
    refuses = OutsideBackend(Outside(resolve=Rebinding(["127.0.0.1"])))
    with pytest.raises(TargetRefusedError, match="loopback"):
        await refuses.connect_tcp("rebinding.example", 80)
    with pytest.raises(TargetRefusedError):
        await refuses.connect_unix_socket("/run/docker.sock")


async def test_host_and_tls_say_the_name_and_not_the_address() -> None:
    said: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _socket, name, _context: said.append(name)
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    names = Outside(networks("127.0.0.1"), resolve=Rebinding(["127.0.0.1"]))
    async with receiving() as plain, httpcore.AsyncConnectionPool(network_backend=OutsideBackend(names)) as pool:
        await pool.request("POST", f"http://hooks.example:{plain.port}/hook", content=b"{}")
        assert plain.got[0].headers["host"] == f"hooks.example:{plain.port}"
        with contextlib.suppress(httpcore.ConnectError):
            await pool.request("POST", f"https://hooks.example:{port}/hook", content=b"{}")
    assert said == ["hooks.example"]
    server.close()


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with receiving() as good:
            names = Outside(networks("127.0.0.0/8"), resolve=Rebinding(["127.0.0.2", "127.0.0.1"]))
            stream = await OutsideBackend(names).connect_tcp("two.example", good.port, timeout=2)
            assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
            await stream.aclose()


async def test_a_name_that_nobody_knows_and_a_name_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.sleep(3600)
        return []

    async def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr("parkade.api.outside.RESOLVE_S", 0.05)
    with pytest.raises(TargetUnknownError, match="could not be found within"):
        await Outside(resolve=never).addresses("slow.example", 80)
    with pytest.raises(TargetUnknownError, match="no such host"):
        await Outside(resolve=unknown).addresses("none.example", 80)
    with pytest.raises(TargetUnknownError):
        await Outside(resolve=Rebinding([])).addresses("none.example", 80)


async def test_a_slow_name_is_asked_for_once_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def slow(host: str, port: int) -> list[str]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.2)
        return ["8.8.8.8"]

    monkeypatch.setattr("parkade.api.outside.RESOLVE_S", 0.05)
    outside = Outside(resolve=slow)
    waited = await asyncio.gather(*(outside.addresses("slow.example", 80) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(each, TargetUnknownError) for each in waited)
    assert asked == 1
    await asyncio.sleep(0.3)
    monkeypatch.setattr("parkade.api.outside.RESOLVE_S", 5.0)
    assert await outside.addresses("slow.example", 80) == ["8.8.8.8"]
