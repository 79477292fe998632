"""Two phones of one device over TCP: whichever stream breaks first and whoever registers first, each keeps its own call."""

from __future__ import annotations

from itertools import permutations

import pytest

from parkade.sip.message.message import Request
from tests.stories.office import Office
from tests.switch.raw_phone import HeaderLines, RawPhone

ORDERS = [
    order
    for order in permutations(["break 0", "break 1", "register 0", "register 1"])
    if all(order.index(f"break {n}") < order.index(f"register {n}") for n in (0, 1))
]


class StreamPhone(RawPhone):
    """Its Contact names the port of its stream, and ``instance``, if it has one."""

    port = 40000
    instance = ""
    registrations = 0

    def request(
        self,
        method: str,
        number: str,
        *,
        call_id: str = "one",
        seq: int = 1,
        to_tag: str = "",
        headers: HeaderLines = (),
        body: bytes = b"",
    ) -> Request:
        if method == "REGISTER":
            self.registrations += 1
            seq = self.registrations
        made = super().request(method, number, call_id=call_id, seq=seq, to_tag=to_tag, headers=headers, body=body)
        instance = f';+sip.instance="<urn:uuid:{self.instance}>"' if self.instance else ""
        made.headers.set("Contact", f"<sip:{self.device}@{self.contact_host}:{self.port};transport=tcp>{instance}")
        return made


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("new_port", [False, True])
@pytest.mark.parametrize("instances", [False, True])
@pytest.mark.parametrize("host", [None, "10.0.0.5"])
@pytest.mark.parametrize("order", ORDERS)
def test_each_phone_keeps_its_own_call(
    office: Office, order: tuple[str, ...], host: str | None, instances: bool, new_port: bool, crash: bool
) -> None:
    called = [office.alice, office.bob]
    phones = [StreamPhone(office.world, "acme-103", f"192.0.2.{80 + n}", "TCP") for n in (0, 1)]
    invites = []
    for n, phone in enumerate(phones):
        phone.port += n
        phone.contact_host = host or phone.contact_host
        phone.instance = f"phone-{n}" if instances else ""
        phone.register(call_id=f"register-{n}")
    for n, phone in enumerate(phones):
        invites.append(phone.ask("INVITE", f"10{1 + n}", body=phone.sdp, call_id=f"call-{n}"))
        office.run(0.1)
        called[n].answer()
        office.run(0.1)
        phone.acknowledge(invites[n])
    for position, step in enumerate(order):
        if crash and position == 1:
            office.world.crash_signalling(0.5)
            office.run(1)
        what, number = step.split()
        phone = phones[int(number)]
        if what == "register":
            phone.register(call_id=f"register-{number}")
            continue
        for flow in office.world.net.streams(phone.address):
            office.world.net.break_stream(flow, office.world.now)
        office.run(0.1)
        phone.port += 100 if new_port else 0
    office.run(6)
    for phone, invite in zip(phones, invites, strict=True):
        phone.acknowledge(invite)
    for other in called:
        other.hang_up()
    office.run(1)
    for n, phone in enumerate(phones):
        byes = phone.requests("BYE")
        assert {bye.call_id for bye in byes} == {f"call-{n}"}
        phone.answer(byes[0], 200)
