"""A CANCEL that arrives after the 200 ends nothing by itself (:rfc:`3261` section 9.2); the phone then sends ACK and BYE."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from parkade.sip.message.message import Request
from parkade.testing.fake_call import FakeCall
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
    """Without a CANCEL before it, a BYE some time after the ACK is a hang-up like any other."""
    office.run(1)
    phone.send(phone.request("BYE", "*801", seq=9, to_tag=tag))
    office.run(1)
    assert office.alice.calls[-1].ended == "bye"


STEPS: Mapping[str, Callable[[Office, RawPhone, Request, str], object]] = {
    "cancel": lambda office, phone, invite, tag: phone.send(cancel_of(invite)),
    "ack": lambda office, phone, invite, tag: phone.acknowledge(invite),
    "bye": lambda office, phone, invite, tag: phone.send(phone.request("BYE", "*801", seq=9, to_tag=tag)),
    "crash": lambda office, phone, invite, tag: office.world.crash_signalling(),
    "down": lambda office, phone, invite, tag: office.world.crash_signalling(2.0),
    "moment": lambda office, phone, invite, tag: office.run(2.0),
    "minute": lambda office, phone, invite, tag: office.run(60.0),
}


def retrieve(office: Office, steps: str) -> FakeCall:
    """A phone dials the code of a parked caller, is answered, and does ``steps``; the caller."""
    caller = office.parked(office.alice, office.bob)
    phone = RawPhone(office.world, "acme-103", "192.0.2.77")
    invite = phone.ask("INVITE", "*801", body=phone.sdp)
    tag = phone.responses("INVITE")[-1].to.tag or ""
    for step in steps.split():
        STEPS[step](office, phone, invite, tag)
        office.run(0.01)
    office.run(40)
    return caller


@pytest.mark.parametrize(
    "steps",
    [
        "ack bye",
        "bye",
        "bye ack",
        "cancel bye",
        "cancel ack bye",
        "ack cancel bye",
        "bye cancel ack",
        "cancel ack moment bye",
        "crash bye",
        "crash cancel ack bye",
        "cancel crash ack bye",
        "ack crash cancel bye",
        "cancel ack crash bye",
        "cancel ack bye crash bye",
        "down moment ack bye",
        "ack down moment moment bye",
        "cancel down moment ack moment bye",
    ],
)
def test_whoever_gives_up_before_hearing_the_answer_has_retrieved_nothing(office: Office, steps: str) -> None:
    """Also without a CANCEL, which a phone may not send before a provisional response (:rfc:`3261` section 9.1)."""
    caller = retrieve(office, steps)
    assert caller.hears("music")
    retrieved = office.dave.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)


@pytest.mark.parametrize(
    "steps", ["ack moment bye", "ack minute crash bye", "cancel ack minute bye", "cancel ack crash minute bye"]
)
def test_whoever_has_talked_hangs_up(office: Office, steps: str) -> None:
    assert retrieve(office, steps).ended == "bye"
