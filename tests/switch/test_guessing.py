"""Somebody guesses at passwords: nothing comes of it, and nobody else is shut out."""

from __future__ import annotations

from random import Random

import pytest

from parkade.base.ids import Ids
from parkade.calls.commands import Banned, LiftBan, ListBanned
from parkade.calls.directory import Account, Device, Directory, Owner
from parkade.calls.events import SourceBanned
from parkade.sip.message.digest import answer_challenge
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Headers, Request, Response
from parkade.switch.gate import Gate, Unknown
from parkade.switch.guesses import KNOWN_S, Guesses, GuessLimits, source_of
from parkade.switch.secrets import DeviceSecret
from parkade.testing.world import password_of
from tests.stories.office import Office
from tests.switch.raw_phone import RawPhone
from tests.switch.test_switch_who_is_it import shape

NOW = 1_790_000_000.0
LIMITS = GuessLimits()


class Guesser(RawPhone):
    """Answers each challenge with another password."""

    def guess(self, passwords: list[str], method: str = "REGISTER", name: str | None = None) -> list[Response]:
        """What it is answered, one by one."""
        self.device = name or self.device
        answers: list[Response] = []
        for number, password in enumerate(passwords):
            call_id = f"{method}-{self.device}-{number}"
            first = self.request(method, self.device, call_id=call_id)
            self.send(first)
            self.world.run(0.01)
            self.password = password
            again = self.request(method, self.device, call_id=call_id, seq=2, headers=[self.authorization(first)])
            self.send(again)
            self.world.run(0.01)
            answers.append(self.responses(method, call_id)[-1])
        return answers


def wrong(count: int) -> list[str]:
    return [f"guess {number}" for number in range(count)]


def test_of_a_thousand_guesses_not_even_the_right_one_gets_anywhere_and_the_owner_comes_in_from_elsewhere(
    office: Office,
) -> None:
    guesser = Guesser(office.world, "acme-104", "203.0.113.66")
    right = password_of("acme-104")
    answers = guesser.guess([*wrong(500), right, *wrong(500)])
    assert {answer.status for answer in answers} == {401}
    assert office.dave.registered, "who is at another address is asked for a password and believed"
    office.run(LIMITS.ban_s)
    assert guesser.guess([right], name="acme-104")[0].status == 200, "nobody is shut out for good"


def test_whoever_is_shut_out_sees_no_difference_between_names(office: Office) -> None:
    """Neither before nor after, in nothing but what differs each time."""
    told = [
        [(answer.status, shape(answer)) for answer in Guesser(office.world, name, host).guess(wrong(2 * LIMITS.tries_of_name))]
        for name, host in (("acme-104", "203.0.113.66"), ("nobody", "203.0.113.67"))
    ]
    assert told[0] == told[1]
    assert len({str(answer) for answer in told[0]}) == 1


def test_whoever_tries_many_names_is_banned_and_that_is_told(office: Office) -> None:
    guesser = Guesser(office.world, "acme-104", "203.0.113.66")
    for number in range(LIMITS.tries_of_source // LIMITS.tries_of_name):
        guesser.guess(wrong(LIMITS.tries_of_name), name=f"name-{number}")
    (banned,) = office.world.answer_to("acme", ListBanned())  # type: ignore[misc]
    assert isinstance(banned, Banned)
    assert (banned.source, banned.guesses) == ("203.0.113.66", LIMITS.tries_of_source)
    assert banned.until == pytest.approx(office.world.now + LIMITS.ban_s, abs=1)
    (event,) = [event for event in office.world.events if isinstance(event, SourceBanned)]
    assert (event.account, event.source, event.guesses, event.until_at) == ("", "203.0.113.66", 50, banned.until)
    assert any("203.0.113.66" in note and "anybody" in note for note in office.world.notes)
    assert guesser.guess([password_of("acme-104")], name="acme-104")[0].status == 401
    office.world.answer_to("acme", LiftBan("203.0.113.66"))
    assert office.world.answer_to("acme", ListBanned()) == ()
    assert guesser.guess([password_of("acme-104")], name="acme-104")[0].status == 200


def test_phones_behind_the_address_of_a_guesser_go_on(office: Office) -> None:
    """An office behind one address: what is registered there registers again, also on another port; what is not, waits."""
    host = "203.0.113.66"
    there = RawPhone(office.world, "acme-102", host)
    there.ask("REGISTER", "acme-102")
    assert there.statuses("REGISTER")[-1] == 200
    gate = office.world.switch._gate
    for number in range(LIMITS.tries_of_source):
        gate.guesses.wrong(f"name-{number}", host, office.world.now)
    there.ask("REGISTER", "acme-102", call_id="same-port")
    assert there.statuses("REGISTER", "same-port")[-1] == 200
    moved = RawPhone(office.world, "acme-102", host, transport="TCP")
    moved.ask("REGISTER", "acme-102", call_id="another-port")
    assert moved.statuses("REGISTER", "another-port")[-1] == 200
    new = RawPhone(office.world, "acme-103", host)
    new.ask("REGISTER", "acme-103", call_id="new")
    assert new.statuses("REGISTER", "new")[-1] == 401


def test_a_registered_phone_is_listened_to_where_it_is_though_somebody_there_guesses_its_password(office: Office) -> None:
    host = "203.0.113.66"
    phone = RawPhone(office.world, "acme-102", host)
    phone.ask("REGISTER", "acme-102")
    for _ in range(LIMITS.tries_of_name):
        office.world.switch._gate.guesses.wrong("acme-102", host, office.world.now)
    phone.ask("REGISTER", "acme-102", call_id="again")
    assert phone.statuses("REGISTER", "again")[-1] == 200


# The gate alone


def gate() -> Gate:
    account = Account("acme", "Acme", owners={"101": Owner("101", "Alice", devices=("alice",))})
    directory = Directory({"acme": account}, {"alice": Device("alice", "acme", "101")})
    secrets = {"alice": DeviceSecret("0" * 32, "0" * 64)}
    return Gate(directory, secrets, Ids(Random(1).randbytes), LIMITS, lambda *_: False)


def register(name: str, proof: str | None = None) -> Request:
    headers = [("From", f"<sip:{name}@x>;tag=1"), ("To", f"<sip:{name}@x>"), ("CSeq", "1 REGISTER"), ("Call-ID", "1")]
    return Request("REGISTER", "sip:x", Headers([*headers, *([("Authorization", proof)] if proof else [])]))


def challenge(at: Gate, flow: Flow, request: Request, now: float = NOW) -> list[str]:
    answer = at.identify(request, flow, now)
    assert isinstance(answer, Unknown)
    assert answer.status == 401
    return [value for _, value in answer.headers]


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_whoever_forges_an_address_has_nobody_shut_out_and_learns_nothing(name: str) -> None:
    """The nonce that reached the forger is none at the victim's address: the answer is not even looked at."""
    door, forger, victim = gate(), Flow("UDP", "203.0.113.66", 5060), Flow("UDP", "192.0.2.1", 5060)
    offered = challenge(door, forger, register(name))
    for _ in range(2000):
        proof = answer_challenge(offered, name, "guess", "REGISTER", "sip:x", "c")
        assert proof is not None
        (first, *_) = challenge(door, victim, register(name, proof))
        assert "stale=true" in first
    assert not len(door.guesses)
    assert door.guesses.listens(name, victim.host, NOW)


def test_a_nonce_of_ones_own_making_says_nothing_about_a_password() -> None:
    """Otherwise ``stale`` would tell whether the password was right, as often as one likes."""
    door, flow = gate(), Flow("UDP", "203.0.113.66", 5060)
    offered = ['Digest realm="parkade", nonce="made-up", algorithm=MD5, qop="auth"']
    for password in ("guess", "other"):
        proof = answer_challenge(offered, "alice", password, "REGISTER", "sip:x", "c")
        assert proof is not None
        assert "stale=true" in challenge(door, flow, register("alice", proof))[0]
    assert not len(door.guesses)


# What is counted


def test_a_name_that_is_guessed_at_from_everywhere_is_not_shut_for_its_owner() -> None:
    guesses = Guesses(LIMITS)
    for number in range(LIMITS.tries_for_name // 2):
        for _ in range(2):
            assert guesses.listens("alice", f"198.51.100.{number}", NOW)
            guesses.wrong("alice", f"198.51.100.{number}", NOW)
    assert guesses.listens("alice", "192.0.2.1", NOW), "the owner, from wherever"
    for _ in range(LIMITS.tries_guarded):
        assert guesses.listens("alice", "203.0.113.1", NOW)
        guesses.wrong("alice", "203.0.113.1", NOW)
    assert not guesses.listens("alice", "203.0.113.1", NOW)
    guesses.registered("alice", "203.0.113.1", NOW)
    assert guesses.listens("alice", "203.0.113.1", NOW), "who was registered from there has all tries"


def test_what_is_counted_is_forgotten() -> None:
    guesses = Guesses(LIMITS)
    for _ in range(LIMITS.tries_of_name - 1):
        guesses.wrong("alice", "192.0.2.1", NOW)
    guesses.wrong("alice", "192.0.2.1", NOW + LIMITS.window_s)
    assert guesses.listens("alice", "192.0.2.1", NOW + LIMITS.window_s)
    for _ in range(LIMITS.tries_of_name):
        guesses.wrong("alice", "192.0.2.1", NOW + LIMITS.window_s)
    assert not guesses.listens("alice", "192.0.2.1", NOW + LIMITS.window_s + LIMITS.ban_s - 1)
    assert guesses.listens("alice", "192.0.2.1", NOW + LIMITS.window_s + LIMITS.ban_s)


def test_a_source_that_was_known_long_ago_is_as_any() -> None:
    guesses = Guesses(GuessLimits(ban_s=2 * KNOWN_S))
    guesses.registered("bob", "192.0.2.1", NOW)
    for number in range(LIMITS.tries_of_source):
        guesses.wrong(f"name-{number}", "192.0.2.1", NOW)
    assert guesses.listens("bob", "192.0.2.1", NOW + KNOWN_S - 1)
    assert not guesses.listens("bob", "192.0.2.1", NOW + KNOWN_S)


def test_one_wrong_phone_does_not_ban_its_office() -> None:
    guesses = Guesses(LIMITS)
    for _ in range(500):
        guesses.wrong("alice", "192.0.2.1", NOW)
    assert guesses.banned(NOW) == ()
    assert guesses.listens("bob", "192.0.2.1", NOW)
    assert [(shut.name, shut.banned) for shut in guesses.news] == [("alice", False)]


def test_memory_is_bounded_whatever_comes() -> None:
    guesses = Guesses(GuessLimits(remembered=100))
    for number in range(20_000):
        guesses.wrong(f"{number}" * 1000, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", NOW)
        guesses.registered(f"{number}", "192.0.2.1", NOW)
    assert len(guesses) == 400


def test_it_can_be_switched_off() -> None:
    guesses = Guesses(GuessLimits(ban_s=0))
    for _ in range(1000):
        guesses.wrong("alice", "192.0.2.1", NOW)
    assert guesses.listens("alice", "192.0.2.1", NOW)
    assert not len(guesses)


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:aaaa:bbbb:cccc:dddd", "2001:db8:0:1::/64"),
        ("2001:db8::5", "2001:db8:0:0::/64"),
        ("::1", "0:0:0:0::/64"),
        ("fe80::1%eth0", "fe80:0:0:0::/64"),
    ],
)
def test_of_ipv6_one_subscriber_is_one_source(host: str, source: str) -> None:
    assert source_of(host) == source
