"""What phones say right after a restart finds what it belongs to."""

from __future__ import annotations

import pytest

from parkade.sip.message.message import Request
from tests.stories.office import Office
from tests.switch.raw_phone import HeaderLines, RawPhone


@pytest.mark.parametrize("down_s", [0.0, 1.0])
@pytest.mark.parametrize("lost", [0, 1, 3])
def test_an_invite_that_comes_again_gets_its_200_again_and_no_challenge(office: Office, down_s: float, lost: int) -> None:
    """Its nonce is from before the restart, but it was let in then; a 401 would begin a second call."""
    caller = office.parked(office.alice, office.bob)
    phone = RawPhone(office.world, "acme-103", "192.0.2.77")
    first = phone.request("INVITE", "*801", body=phone.sdp)
    phone.send(first)
    office.run(0.01)
    phone.acknowledge(first)
    invite = phone.request("INVITE", "*801", headers=[phone.authorization(first)], body=phone.sdp, seq=2)
    office.world.net.lose("SIP/2.0 200", times=1 + lost)
    phone.send(invite)
    office.run(0.01)
    office.world.crash_signalling(down_s)
    office.run(down_s)
    for _ in range(4):
        phone.send(invite)
        office.run(0.5)
    assert phone.statuses("INVITE")[0] == 401
    assert set(phone.statuses("INVITE")[1:]) == {200}
    phone.acknowledge(invite)
    office.run(5)
    (leg,) = [leg for leg in office.world.media.legs.values() if leg.described and leg.described.address == "192.0.2.77"]
    assert office.world.media.toward(caller.phone.host, caller.rtp_port) is not leg
    assert office.world.switch.counts()["calls"] == 1
    phone.send(phone.request("BYE", "*801", seq=9, to_tag=phone.responses("INVITE")[-1].to.tag or ""))
    office.run(1)
    assert caller.ended == "bye"


class StreamPhone(RawPhone):
    """Over TCP, with a Contact that names the port its stream comes from."""

    stream_port = 40001
    seq = 0

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
        self.seq += 1
        seq = self.seq if method == "REGISTER" else seq
        made = super().request(method, number, call_id=call_id, seq=seq, to_tag=to_tag, headers=headers, body=body)
        made.headers.set("Contact", f"<sip:{self.device}@{self.contact_host}:{self.stream_port};transport=tcp>")
        return made


@pytest.mark.parametrize("port", [40001, 40002])
@pytest.mark.parametrize("down_s", [0.0, 1.0])
def test_a_call_over_tcp_goes_on_when_its_phone_has_registered_over_a_new_stream(
    office: Office, port: int, down_s: float
) -> None:
    """Also where its Contact names the new stream: the Call-ID of its registrations says that it is the same phone."""
    bob, phone = office.bob, StreamPhone(office.world, "acme-101", "192.0.2.77", "TCP")
    phone.register()
    invite = phone.ask("INVITE", "102", body=phone.sdp)
    office.run(0.1)
    bob.answer()
    office.run(0.1)
    phone.acknowledge(invite)
    office.world.crash_signalling(down_s)
    office.run(down_s + 1)
    phone.stream_port = port
    phone.register()
    office.run(5)
    assert phone.statuses("INVITE")[-2:] == [200, 200], "an ACK is not written down"
    phone.acknowledge(invite)
    bob.hang_up()
    office.run(1)
    (bye,) = phone.requests("BYE")
    phone.answer(bye, 200)
    office.run(1)


@pytest.mark.parametrize("port", [0, -1, 65536, 1e300, 10**30])
def test_a_kept_port_that_cannot_be_is_told_of_and_ordered_from_nobody(office: Office, port: float) -> None:
    office.talk(office.alice, office.bob)
    key = next(key for key in office.world.journal if key.startswith("leg/"))
    kept = office.world.journal[key]
    assert isinstance(kept, dict)
    kept["port"] = port
    office.world.crash_signalling()
    office.run(1)
    assert any(key.removeprefix("leg/") in note for note in office.world.notes)


def test_a_leg_that_was_kept_before_there_were_trunks_goes_on(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    journal = office.world.journal
    ((key, leg),) = [(key, value) for key, value in journal.items() if key.startswith("leg/")]
    assert isinstance(leg, dict)
    journal[key] = {"device" if name == "endpoint" else name: member for name, member in leg.items()}
    office.world.crash_signalling(0.5)
    office.run(1)
    assert caller.ended is None
    assert office.world.switch.counts()["parked"] == 1
