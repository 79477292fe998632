"""Where this server may be sent by what somebody has typed in: to the outside, and not into its own network.

A name is resolved once, every address is judged, and the connection is made to an address that was judged; the name still goes
into ``Host`` and into TLS. So a name that means another address a moment later gets nowhere. Redirects are not followed: the
one who calls sees the status and that is all.

Addresses in allowed networks (the setting ``webhook-private-targets``) may be reached whatever they are.

Limits: an address of another machine in a public network next to ours cannot be told from any other public address.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias

import httpcore

from parkade.base.errors import ParkadeError

if importlib.util.find_spec("sniffio") is None:
    # httpcore asks for this module at each of its locks, several times a request. To look for one that is not installed takes
    # half a millisecond; an entry of None says at once that it is not there.
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

RESOLVE_S: Final = 5.0
_LOOKUPS: Final = 32
_TRIED: Final = 3

_SERVICES_OF_CLOUDS: Final = frozenset({ipaddress.ip_address("168.63.129.16")})
"""Public by number, yet a service of the cloud for the machine that asks (Azure); those of others are link-local or private."""
_CARRIERS_OF_IPV4: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""The last 32 bits are an IPv4 address that somebody translates to: NAT64 (:rfc:`6052`), IPv4-compatible (:rfc:`4291`)."""
_NEVER: Final[tuple[Network, ...]] = (
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments, RFC 6890; a metadata service too
    ipaddress.IPv4Network("192.88.99.0/24"),  # 6to4 relays, RFC 7526
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # local NAT64, RFC 8215
    ipaddress.IPv6Network("2001::/32"),  # Teredo, RFC 4380
    ipaddress.IPv6Network("3fff::/20"),  # documentation, RFC 9637
    ipaddress.IPv6Network("fec0::/10"),  # site-local, RFC 3879
)
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


class TargetRefusedError(ParkadeError):
    """A target inside our own network, or one that is no target at all. The text says why."""


class TargetUnknownError(ParkadeError):
    """A name that has no address now."""


def networks(text: str) -> tuple[Network, ...]:
    """Networks as the setting lists them: ``10.0.0.0/8, fd00::/8, 192.168.1.5``.

    :raises ValueError: one of them is none.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def refused_because(text: str, allowed: Sequence[Network] = (), own: Iterable[str] = ()) -> str | None:
    """Why nobody is to be sent to the address ``text``, or None. ``own``: addresses of this machine that no interface has."""
    address = ipaddress.ip_address(text.partition("%")[0])
    within = _within(address)
    if any(one in network for one in (address, within) for network in allowed):
        return None
    if str(within) in {str(ipaddress.ip_address(one)) for one in own}:
        return "it is this machine"
    return _why(within) or _why(_tunnelled(within)) or ("it is this machine" if _is_ours(within) else None)


def _within(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or ``address``."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    number = int(address)
    if any(address in network for network in _CARRIERS_OF_IPV4) and number > 1:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return address


def _tunnelled(address: Address) -> Address:
    """The IPv4 address at whose end of a tunnel an IPv6 address is, by the form of its last 64 bits, or ``address``.

    Its prefix is a network like any other, so both addresses have to be good (:rfc:`5214`).
    """
    if isinstance(address, ipaddress.IPv6Address) and (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _why(address: Address) -> str | None:
    kinds = (
        (address.is_loopback, "it is a loopback address"),
        (address.is_unspecified, "it is no address of anybody"),
        (address.is_multicast, "it is a multicast address"),
        (address.is_link_local, "it is a link-local address"),
        (address in _SERVICES_OF_CLOUDS, "it is a service of the cloud that this machine may run in"),
        (address.is_private, "it is a private address"),
        (address.is_reserved or not address.is_global, "it is not a public address"),
        (any(address in network for network in _NEVER), "it is not a public address"),
    )
    return next((why for holds, why in kinds if holds), None)


def _is_ours(address: Address) -> bool:
    """Whether an interface of this machine has the address: only then a socket can be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


class Outside:
    """Finds addresses that may be connected to: ``allowed`` ones although they are inside, ``own`` ones only if allowed."""

    def __init__(self, allowed: Sequence[Network] = (), own: Sequence[str] = (), resolve: Resolver | None = None) -> None:
        self._allowed = allowed
        self._own = own
        self._threads: ThreadPoolExecutor | None = None
        self._resolve = resolve or self._ask_system
        self._asked: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of ``host`` that may be connected to.

        :raises TargetRefusedError: it has only such as may not.
        :raises TargetUnknownError: it has none.
        """
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await self._look_up(host, port)
        except TimeoutError:
            raise TargetUnknownError(f"{host}: its address could not be found within {RESOLVE_S:g} s") from None
        except (OSError, UnicodeError):
            raise TargetUnknownError(f"{host}: there is no such host") from None
        if not found:
            raise TargetUnknownError(f"{host}: there is no such host")
        judged = [(address, refused_because(address, self._allowed, self._own)) for address in found]
        good = [address for address, why in judged if why is None]
        if not good:
            address, why = judged[0]
            raise TargetRefusedError(f"{host} ({address}): {why}" if host != address else f"{address}: {why}")
        return good

    def close(self) -> None:
        """Give the threads back, without waiting for a name server."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _look_up(self, host: str, port: int) -> list[str]:
        """One question at a time for a name, so that one which nobody answers takes one thread and not all of them."""
        key = (host, port)
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.ensure_future(self._resolve(host, port))
            asked.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asked)

    def _answered(self, key: tuple[str, int], done: asyncio.Future[list[str]]) -> None:
        self._asked.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever asked may have stopped waiting

    async def _ask_system(self, host: str, port: int) -> list[str]:
        # Threads of our own: with those that everybody shares, a slow name server would hold up everybody.
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="names")
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        return list(dict.fromkeys(str(where[4][0]) for where in found))


class OutsideBackend(httpcore.AsyncNetworkBackend):
    """Makes the connections of an HTTP pool, to addresses that ``Outside`` has found good and to no others."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the good addresses of ``host``.

        :raises TargetRefusedError: it has none.
        :raises TargetUnknownError: it has no address at all.
        """
        *others, last = (await self._outside.addresses(host, port))[:_TRIED]
        for address in others:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never.

        :raises TargetRefusedError: always.
        """
        raise TargetRefusedError("a unix socket is no target")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
