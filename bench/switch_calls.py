"""What one parked call costs signalling: park, retrieve and hang-up through the whole ``Switch``, from bytes to bytes.

Run ``python -m bench.switch_calls``; prints microseconds of CPU a call, and what one parked call keeps or leaves behind.
``--profile`` shows where they go. The gateway and the phone are prepared text, so only the switch is measured; the sockets and
the media process are not in it. Calls come at ``--rate`` a second of the switch's own time, so that as many transactions wait
for their timers as on a server that is called so often.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import os
import pstats
import re
import time
import tracemalloc
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.calls.directory import Account, Device, Directory, Lot, Owner, ParkPolicy
from parkade.edge.collector import settle_collector
from parkade.rtp.orders import PortsReady
from parkade.sip.message.flow import Flow, Send
from parkade.switch.inputs import MediaReport, Received, SwitchEffect, SwitchInput
from parkade.switch.switch import Switch

GATEWAY, PHONE = Flow("UDP", "127.0.0.2", 5060), Flow("UDP", "127.0.0.3", 5060)
PORTS = tuple(range(10000, 60000, 2))
WARM_UP = 300
PARKED = 2000
TALK_S = 1.0
"""How long a call lasts after it was picked up: whoever hangs up at once has given up, and the caller goes back."""
SDP = (
    "v=0\r\no=- {n} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
    "a=ptime:20\r\na=sendrecv\r\n"
)
REQUEST = (
    "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bK{method}{call}{n};rport\r\nMax-Forwards: 70\r\n"
    'From: "Caller" <sip:c@{host}>;tag={call}{n}\r\nTo: {to}\r\nCall-ID: {call}{n}@{host}\r\nCSeq: {seq} {method}\r\n'
    "Contact: <sip:c@{host}:5060>\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE\r\nUser-Agent: bench\r\n{type}"
    "Content-Length: {size}\r\n\r\n{body}"
)
COPIED = (b"Via", b"From", b"To", b"Call-ID", b"CSeq")


@dataclass
class Office:
    """A switch with one gateway, whose calls are parked, and one phone, which picks them up. ``spent_s`` is its CPU time."""

    switch: Switch = field(default_factory=lambda: Switch(_directory(), {}, Ids(os.urandom), lambda _: ("127.0.0.1", 5060)))
    now: Instant = 1.8e9
    spent_s: float = 0.0
    _calls: int = 0
    _talking: deque[tuple[Instant, bytes]] = field(default_factory=deque)

    def tell(self, given: SwitchInput) -> list[SwitchEffect]:
        """Tell the switch, and ask for its deadline as the edge does."""
        start = time.process_time()
        effects = self.switch.tell(given, self.now)
        deadline = self.switch.deadline()
        if deadline is not None and deadline <= self.now:
            effects += self.switch.wake(self.now)
        self.spent_s += time.process_time() - start
        return effects

    def park(self) -> str:
        """The gateway calls and is parked; the code."""
        self._calls += 1
        ok = self._call(GATEWAY, "c", self._calls, "sip:park@127.0.0.1")
        return _header(ok, b"X-Parkade-Park-Code")

    def retrieve(self, code: str) -> None:
        """The phone picks up; those who have talked for ``TALK_S`` hang up, and the gateway agrees."""
        n, uri = self._calls, f"sip:{code}@127.0.0.1"
        ok = self._call(PHONE, "d", n, uri)
        bye = _request(PHONE, "BYE", "d", n, "sip:127.0.0.1:5060", to=_header(ok, b"To"), seq=2)
        self._talking.append((self.now + TALK_S, bye))
        self._hang_up()

    def _hang_up(self) -> None:
        while self._talking and self._talking[0][0] <= self.now:
            _, bye = self._talking.popleft()
            (theirs,) = [data for data in _sent(self.tell(Received(PHONE, bye))) if data.startswith(b"BYE")]
            self.tell(Received(GATEWAY, _agree(theirs)))

    def _call(self, flow: Flow, call: str, n: int, uri: str) -> bytes:
        sdp = SDP.format(n=n, host=flow.host, port=4000 + 2 * n % 10000)
        invite = _request(flow, "INVITE", call, n, uri, to=f"<{uri}>", body=sdp)
        ok = _sent(self.tell(Received(flow, invite)))[-1]
        assert ok.startswith(b"SIP/2.0 200"), ok
        ack = _request(flow, "ACK", call, n, "sip:127.0.0.1:5060", to=_header(ok, b"To"))
        self.tell(Received(flow, ack))
        return ok

    def rest(self) -> None:
        """Whoever talks hangs up, and nobody calls until the last timer has fired."""
        self.now += TALK_S
        self._hang_up()
        self.now += 100
        start = time.process_time()
        self.switch.wake(self.now)
        self.spent_s += time.process_time() - start


def cpu_us(calls: int, rate: float) -> float:
    """Microseconds of CPU for one call that is parked, retrieved and hung up, its timers included."""
    office = Office()
    office.tell(MediaReport(PortsReady(PORTS)))
    for n in range(WARM_UP + calls):
        if n == WARM_UP:
            office.spent_s = 0.0
        office.retrieve(office.park())
        office.now += 1 / rate
        if n % 1000 == 0:
            office.tell(MediaReport(PortsReady(PORTS[:2000])))  # else all ports would be used up some day
    office.rest()
    assert not office.switch.counts()["sip"], office.switch.counts()
    return 1e6 * office.spent_s / calls


def parked_kib() -> float:
    """KiB that one more parked call keeps, once the timers of its INVITE are over."""
    office = Office()
    office.tell(MediaReport(PortsReady(PORTS)))
    for _ in range(WARM_UP):
        office.retrieve(office.park())
    office.rest()
    gc.collect()
    tracemalloc.start()
    for _ in range(PARKED):
        office.park()
    office.rest()
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / PARKED / 1024


def left_to_the_collector() -> float:
    """Containers a call that reference counts do not free, once it is over."""
    office = Office()
    office.tell(MediaReport(PortsReady(PORTS)))
    office.retrieve(office.park())
    office.rest()
    gc.collect()
    gc.disable()
    for _ in range(WARM_UP):
        office.retrieve(office.park())
    office.rest()
    found = gc.collect()
    gc.enable()
    return found / WARM_UP


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=1000.0, help="calls a second of the switch's own time (default 1000)")
    parser.add_argument("--profile", action="store_true", help="show where the time goes; the figure is too high then")
    given = parser.parse_args()
    if not given.profile:
        print(f"one more parked call: {parked_kib():.1f} KiB")
        print(f"left to the collector by a call: {left_to_the_collector():.1f} objects")
    settle_collector()
    if given.profile:
        profile = cProfile.Profile()
        print(f"{profile.runcall(cpu_us, given.calls, given.rate):.0f} us a call, profiled")
        pstats.Stats(profile).sort_stats("tottime").print_stats(50)
    else:
        print(f"park, retrieve, hang up: {cpu_us(given.calls, given.rate):.0f} us of CPU a call")


def _directory() -> Directory:
    lot = Lot("", 10001, 30000, ParkPolicy(reserve_s=0))
    account = Account("a", "A", owners={"101": Owner("101", "Ann", devices=("ph",))}, lots={"": lot})
    gateway = Device("gw", "a", "gw", address=GATEWAY.host, destination="park")
    return Directory({"a": account}, {"gw": gateway, "ph": Device("ph", "a", "101", address=PHONE.host)})


def _request(flow: Flow, method: str, call: str, n: int, uri: str, *, to: str, seq: int = 1, body: str = "") -> bytes:
    kind = "Content-Type: application/sdp\r\n" if body else ""
    text = REQUEST.format(
        method=method, uri=uri, host=flow.host, call=call, n=n, to=to, seq=seq, type=kind, size=len(body), body=body
    )
    return text.encode()


def _agree(request: bytes) -> bytes:
    lines = [line for line in request.split(b"\r\n") if line.partition(b":")[0] in COPIED]
    return b"\r\n".join([b"SIP/2.0 200 OK", *lines, b"Content-Length: 0", b"", b""])


def _sent(effects: Iterable[SwitchEffect]) -> list[bytes]:
    return [effect.data for effect in effects if isinstance(effect, Send)]


def _header(data: bytes, name: bytes) -> str:
    found = re.search(rb"(?m)^" + name + rb": (.*?)\r$", data)
    assert found, data
    return found[1].decode()


if __name__ == "__main__":
    main()
