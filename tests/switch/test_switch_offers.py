"""Offers and answers with phones: late ones, every spelling of hold, codecs nobody shares, sound that moves."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from parkade.rtp.orders import Describe
from parkade.sip.message.flow import Flow, Send
from parkade.sip.message.message import Request
from parkade.testing.fake_call import FakeCall
from parkade.testing.misbehaviour import changes_sdp
from parkade.testing.world import SERVER
from tests.stories.office import Office, errors, heard, response
from tests.switch.raw_phone import RawPhone, sdp

HOSTILE_TO_US = ("18 96", "a=rtpmap:18 G729/8000\na=rtpmap:96 opus/48000/2")
"""Formats and attributes of a phone that speaks G.729 and Opus only."""


def speaks_only(formats: str, attributes: str) -> Callable[[bytes], bytes | None]:
    """The phone's descriptions name these formats instead of its own."""

    def change(description: bytes) -> bytes:
        lines = [line for line in description.decode().split("\r\n") if not line.startswith(("a=rtpmap", "a=fmtp"))]
        lines = [re.sub(r"(m=audio \d+ \S+) .*", rf"\1 {formats}", line) for line in lines if line]
        return "".join(f"{line}\r\n" for line in [*lines, *attributes.split("\n")]).encode()

    return changes_sdp(change)


@pytest.mark.parametrize("number", ["102", "*801", "*800"])
def test_an_invite_without_an_offer_is_offered_everything_in_the_200_and_answered_in_the_ack(
    office: Office, number: str
) -> None:
    """:rfc:`3261` section 13.2.1 with :rfc:`3264`: the first offer may come in the 2xx."""
    alice, bob, carol = office.alice, office.bob, office.carol
    if number == "*801":
        office.parked(carol, bob)
    if number == "*800":
        _, held = office.talk(carol, alice)
        held.hold()
        office.run(0.5)
    call = alice.call(number, late_offer=True)
    office.run(0.2)
    if number == "102":
        bob.answer()
        office.run(0.2)
    offer = response(call, 200).body
    assert b"PCMU" in offer
    assert b"PCMA" in offer
    assert not response(call, 200).headers.get("Warning")
    match number:
        case "102":
            assert call.hears(bob)
            assert bob.current.hears(alice)
        case "*801":
            assert call.hears(carol)
            assert carol.current.hears(alice)
        case _:
            assert call.hears("parked-at star 8 0 1")


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "a=sendonly": lambda d: d.replace(b"a=sendrecv", b"a=sendonly"),
    "a=inactive": lambda d: d.replace(b"a=sendrecv", b"a=inactive"),
    "a=sendonly for the session": lambda d: d.replace(b"a=sendrecv\r\n", b"").replace(b"t=0 0\r\n", b"t=0 0\r\na=sendonly\r\n"),
    "c=0.0.0.0": lambda d: re.sub(rb"c=IN IP4 [\d.]+", b"c=IN IP4 0.0.0.0", d),
    "c=0.0.0.0 of the stream": lambda d: re.sub(rb"(m=audio [^\r]+\r\n)", rb"\1c=IN IP4 0.0.0.0\r\n", d),
    "c=0.0.0.0 and a=inactive": lambda d: re.sub(rb"c=IN IP4 [\d.]+", b"c=IN IP4 0.0.0.0", d).replace(b"sendrecv", b"inactive"),
}


@pytest.mark.parametrize("by_update", [False, True], ids=["INVITE", "UPDATE"])
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("who", ["caller", "called"])
def test_every_spelling_of_hold_is_understood_and_so_is_its_end(
    office: Office, who: str, spelling: str, by_update: bool
) -> None:
    """:rfc:`3264` section 8.4 and, for an address of zeros, :rfc:`2543` appendix B.5."""
    caller, answered = office.talk(office.alice, office.bob)
    holder, other = (caller, answered) if who == "caller" else (answered, caller)
    now = office.world.now
    holder.session.offer(SPELLINGS[spelling](holder.negotiator.offer()), now, prefer_update=by_update)
    office.run(0.5)
    assert other.hears("music")
    assert heard(other)[-2:] == [holder.phone.name, "music"]
    holder.resume(by_update=by_update)
    office.run(0.5)
    assert other.hears(holder.phone)
    assert holder.hears(other.phone)


def test_a_hold_by_an_invite_without_an_offer_is_offered_the_whole_of_what_we_can(office: Office) -> None:
    """:rfc:`3261` section 14.2: a re-INVITE without SDP is answered with an offer, as of a new call, sendrecv."""
    caller, answered = office.talk(office.alice, office.bob)
    phone = RawReInvite(office, answered)
    offer = phone.ask_for_an_offer()
    assert b"a=sendrecv" in offer
    assert b"PCMU" in offer
    phone.confirm(sdp(office.bob.host, answered.rtp_port, attributes="a=sendonly"))
    assert caller.hears("music")
    phone.ask_for_an_offer()
    phone.confirm(sdp(office.bob.host, answered.rtp_port))
    assert caller.hears(office.bob)


def test_a_hold_by_switching_the_stream_off_is_one_too(office: Office) -> None:
    """Port 0 (:rfc:`3264` section 8.2) is answered with port 0; the call lives, and so does the stream when it comes back."""
    caller, answered = office.talk(office.alice, office.bob)
    phone = RawReInvite(office, answered)
    assert b"m=audio 0 " in phone.offer(sdp(office.bob.host, 0))
    assert caller.hears("music")
    assert b"m=audio 0 " not in phone.offer(sdp(office.bob.host, answered.rtp_port))
    assert caller.hears(office.bob)


class RawReInvite:
    """A phone while it re-INVITEs in ways in which the project's own user agent never does."""

    def __init__(self, office: Office, call: FakeCall) -> None:
        assert call.session.dialog is not None
        self._office = office
        self._call = call
        self._dialog = call.session.dialog
        self._invite: Request

    def ask_for_an_offer(self) -> bytes:
        """Re-INVITE without SDP; the offer that comes back, to be answered by ``confirm``."""
        self._invite = self._dialog.request("INVITE")
        self._send(self._invite)
        answers = self._call.phone.recorder.received("200 INVITE", self._call.call_id)
        (answer,) = [a for a in answers if a.cseq.number == self._invite.cseq.number]
        return answer.body

    def confirm(self, answer: bytes) -> None:
        """The ACK, with the answer."""
        self._send(self._dialog.ack(self._invite.cseq.number, (), answer))

    def offer(self, body: bytes) -> bytes:
        """Re-INVITE with SDP; the answer."""
        self._invite = self._dialog.request("INVITE", (), body, "application/sdp")
        self._send(self._invite)
        answer = self._call.phone.recorder.received("200 INVITE", self._call.call_id)[-1]
        self._send(self._dialog.ack(self._invite.cseq.number))
        return answer.body

    def _send(self, request: Request) -> None:
        phone = self._call.phone
        branch = f"z9hG4bKraw-{request.method}-{request.cseq.number}"
        request.headers.prepend("Via", f"SIP/2.0/UDP {phone.host};branch={branch}")
        self._office.world.net.perform(phone.address, Send(Flow("UDP", *SERVER), request.encode()), self._office.world.now)
        self._office.run(0.1)


@pytest.mark.parametrize("number", ["102", "*801", "*800"])
def test_a_caller_who_speaks_nothing_we_know_gets_488_and_nobody_is_disturbed(office: Office, number: str) -> None:
    """:rfc:`3261` section 21.4.26; the refusal says what to do about it."""
    bob, carol = office.bob, office.carol
    parked = office.parked(office.alice, bob)
    carol.misbehave(speaks_only(*HOSTILE_TO_US))
    call = carol.call(number)
    office.run(1)
    assert call.statuses == [401, 488]
    error_id, reason = errors(response(call, 488))
    assert error_id == "incompatible"
    assert "no audio codec" in reason
    assert bob.ringing is None
    assert parked.hears("music")
    carol.misbehave()
    again = carol.call("*801")
    office.run(1)
    assert again.hears(office.alice)


def test_a_callee_who_answers_with_nothing_we_know_costs_the_caller_this_call_only(office: Office) -> None:
    office.bob.misbehave(speaks_only(*HOSTILE_TO_US))
    call = office.alice.call("102")
    office.run(0.1)
    answered = office.bob.answer()
    office.run(1)
    assert call.refused == 488
    assert errors(response(call, 488))[0] == "incompatible"
    assert answered.ended == "bye"
    office.bob.misbehave()
    office.talk(office.alice, office.bob)


def test_the_other_phone_of_a_person_still_rings_when_one_answers_with_nothing_we_know(office: Office) -> None:
    office.world.device("acme-102-app", "acme", "102")
    desk, app = office.bob, office.phone("acme-102-app")
    desk.misbehave(speaks_only(*HOSTILE_TO_US))
    call = office.alice.call("102")
    office.run(0.1)
    desk.answer()
    office.run(0.5)
    assert call.state == "calling"
    app.answer()
    office.run(0.5)
    assert call.hears(app)


@pytest.mark.parametrize("by_update", [False, True], ids=["INVITE", "UPDATE"])
def test_a_change_to_something_we_do_not_know_is_refused_and_the_call_goes_on_as_before(
    office: Office, by_update: bool
) -> None:
    """:rfc:`3261` section 14.2: a rejected re-INVITE leaves the session as if it had never been sent."""
    caller, answered = office.talk(office.alice, office.bob)
    office.bob.misbehave(speaks_only(*HOSTILE_TO_US))
    answered.hold(by_update=by_update)
    office.run(1)
    method = "UPDATE" if by_update else "INVITE"
    assert office.bob.recorder.statuses(method, answered.call_id)[-1] == 488
    assert caller.hears(office.bob)
    assert answered.is_up


def test_a_retriever_who_answers_nothing_usable_in_the_ack_does_not_take_the_caller_down(office: Office) -> None:
    """A 2xx whose offer finds no good answer in the ACK ends this session, not that of whoever was waiting."""
    caller = office.parked(office.alice, office.bob)
    office.carol.misbehave(speaks_only(*HOSTILE_TO_US))
    retrieved = office.carol.call("*801", late_offer=True)
    office.run(2)
    assert retrieved.ended == "bye"
    assert caller.is_up
    assert caller.hears("music")


def test_sound_that_moves_to_another_port_is_followed(office: Office) -> None:
    """:rfc:`3264` section 8.3.1: a later offer may name another address and port."""
    _, answered = office.talk(office.alice, office.bob)
    offer = answered.negotiator.offer().replace(f"m=audio {answered.rtp_port}".encode(), b"m=audio 7000")
    answered.session.offer(offer, office.world.now)
    office.run(0.5)
    last = [order for _, order in office.world.media.orders if isinstance(order, Describe) and order.address == office.bob.host]
    assert last[-1].port == 7000


def test_two_phones_without_a_common_law_are_both_served(office: Office) -> None:
    """Each leg has a codec of its own; the media process converts where they differ."""
    alice, bob = office.alice, office.bob
    alice.misbehave(speaks_only("8 101", "a=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000"))
    bob.misbehave(speaks_only("0 101", "a=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000"))
    office.talk(alice, bob)
    described = {o.address: o.codec for _, o in office.world.media.orders if isinstance(o, Describe)}
    assert (described[alice.host], described[bob.host]) == ("PCMA", "PCMU")


def test_where_both_phones_can_the_codec_of_the_caller_is_used_on_both_sides(office: Office) -> None:
    alice, bob = office.alice, office.bob
    alice.misbehave(speaks_only("8 101", "a=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000"))
    office.talk(alice, bob)
    described = {o.address: o.codec for _, o in office.world.media.orders if isinstance(o, Describe)}
    assert (described[alice.host], described[bob.host]) == ("PCMA", "PCMA")


def test_who_picks_up_gets_the_codec_of_the_parked_caller_if_possible(office: Office) -> None:
    office.alice.misbehave(speaks_only("8 101", "a=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000"))
    office.parked(office.alice, office.bob)
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)
    assert b"m=audio" in response(retrieved, 200).body
    assert b"PCMU" not in response(retrieved, 200).body


@pytest.mark.parametrize("offer", [b"hello?", b"v=0\r\n", sdp("192.0.2.77", formats="18"), sdp("not-an-address")])
def test_an_offer_that_makes_no_sense_is_refused_with_a_reason(office: Office, offer: bytes) -> None:
    phone = RawPhone(office.world, "acme-104", "192.0.2.77")
    invite = phone.ask("INVITE", "*801", body=offer)
    phone.acknowledge(invite)
    assert phone.statuses("INVITE")[-1] in (400, 488)
    assert errors(phone.responses("INVITE")[-1])[0]
    assert office.world.switch.counts()["legs"] == 0
