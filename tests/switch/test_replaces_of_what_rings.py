"""An INVITE with Replaces (:rfc:`3891`): of a phone that still rings, of one that has answered, and ``early-only``."""

from __future__ import annotations

import pytest

from parkade.sip.message.message import Request
from parkade.testing.fake_call import FakeCall
from tests.stories.office import Office, invite, response


def replaces(office: Office, call: FakeCall, *, early_only: bool = False) -> tuple[str, str]:
    """The header that names the dialog in which our server rings or holds Bob's phone, as dialog-info would tell it."""
    rung: Request = invite(call)
    ringing = next(m for m in office.bob.recorder.sent("180 INVITE"))
    value = f"{rung.call_id};to-tag={rung.from_.tag};from-tag={ringing.to.tag}"
    return "Replaces", value + (";early-only" if early_only else "")


@pytest.mark.parametrize("early_only", [False, True])
def test_a_phone_that_still_rings_can_be_replaced(office: Office, early_only: bool) -> None:
    """A pick-up by Replaces: the colleague takes the call, the phone stops ringing."""
    bob, carol = office.bob, office.carol
    caller = office.alice.call("102")
    office.run(1)
    assert bob.ringing
    header = replaces(office, bob.ringing, early_only=early_only)
    picked_up = carol.call("102", headers=[header])
    office.run(1)
    assert caller.hears(carol)
    assert picked_up.hears(office.alice)
    assert not bob.live


@pytest.mark.parametrize("early_only", ["", ";early-only"])
def test_a_caller_who_waits_keeps_its_place(office: Office, early_only: str) -> None:
    """Section 3: 481, at once and without words, for an early dialog that we have not begun ourselves."""
    bob, carol = office.bob, office.carol
    caller = office.alice.call("102")
    office.run(1)
    ringing = response(caller, 180)
    value = f"{caller.call_id};to-tag={ringing.to.tag};from-tag={ringing.from_.tag}{early_only}"
    taking = carol.call("102", headers=[("Replaces", value)])
    office.run(1)
    assert taking.refused == 481
    assert 183 not in taking.statuses
    bob.answer()
    office.run(1)
    assert caller.hears(bob)


def test_early_only_never_takes_a_conversation(office: Office) -> None:
    """Section 6.1: 486 for a dialog that is answered; the pick-up came a moment late."""
    bob, carol = office.bob, office.carol
    caller = office.alice.call("102")
    office.run(1)
    header = replaces(office, bob.calls[-1], early_only=True)
    bob.answer()
    office.run(1)
    late = carol.call("102", headers=[header])
    office.run(1)
    assert late.refused == 486
    assert caller.hears(bob)
    assert bob.current.hears(office.alice)


def test_without_early_only_a_conversation_is_taken_over(office: Office) -> None:
    bob, carol = office.bob, office.carol
    caller = office.alice.call("102")
    office.run(1)
    header = replaces(office, bob.calls[-1])
    bob.answer()
    office.run(1)
    taking = carol.call("102", headers=[header])
    office.run(1)
    assert caller.hears(carol)
    assert taking.hears(office.alice)
    assert not bob.live


def test_another_account_replaces_nothing(office: Office) -> None:
    bob, zoe = office.bob, office.zoe
    caller = office.alice.call("102")
    office.run(1)
    stolen = zoe.call("102", headers=[replaces(office, bob.calls[-1])])
    office.run(1)
    assert stolen.refused == 481
    bob.answer()
    office.run(1)
    assert caller.hears(bob)
