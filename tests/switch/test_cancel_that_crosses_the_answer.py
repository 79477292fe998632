"""A CANCEL that arrives after the 200 ends nothing by itself (:rfc:`3261` section 9.2); the phone then sends ACK and BYE."""

from __future__ import annotations

import pytest

from parkade.sip.message.message import Request
from tests.stories.office import Office
from tests.switch.raw_phone import RawPhone


def cancel_of(invite: Request) -> Request:
    headers = invite.headers.copy()
    for name in ("Authorization", "Contact", "Content-Type"):
        headers.remove(name)
    headers.set("CSeq", f"{invite.cseq.number} CANCEL")
    return Request("CANCEL", invite.uri, headers)


@pytest.mark.parametrize("ack_first", [False, True])
@pytest.mark.parametrize("crash", [False, True])
def test_a_retrieve_that_was_given_up_too_late_puts_the_caller_back(office: Office, ack_first: bool, crash: bool) -> None:
    caller = office.parked(office.alice, office.bob)
    phone = RawPhone(office.world, "acme-103", "192.0.2.77")
    invite = phone.ask("INVITE", "*801", body=phone.sdp)
    assert phone.statuses("INVITE")[-1] == 200
    if not ack_first:
        phone.send(cancel_of(invite))
        office.run(0.01)
    answer = phone.responses("INVITE")[-1]
    phone.acknowledge(invite)
    if ack_first:
        return hang_up_plainly(office, phone, invite, answer.to.tag or "")
    if crash:
        office.world.crash_signalling()
    bye = phone.request("BYE", "*801", seq=9, to_tag=answer.to.tag or "")
    phone.send(bye)
    office.run(1)
    assert phone.statuses("BYE") == [200]
    assert caller.hears("music")
    retrieved = office.dave.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)
    return None


def hang_up_plainly(office: Office, phone: RawPhone, invite: Request, tag: str) -> None:
    """Without a CANCEL before it, a BYE after the ACK is a hang-up like any other."""
    phone.send(phone.request("BYE", "*801", seq=9, to_tag=tag))
    office.run(1)
    assert office.alice.calls[-1].ended == "bye"
