"""The office in which every story happens: Alice, Bob, Carol and Dave at one firm, strangers next door, a line to the outside.

A phone is plugged in when a story first mentions it. ``close`` sends everybody home and looks whether anything is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TypedDict, TypeVar, Unpack

from parkade.base.sound import Spoken
from parkade.calls.directory import ParkPolicy
from parkade.calls.events import CallEvent
from parkade.calls.identity import Identity
from parkade.sip.message.message import Message, Request, Response
from parkade.testing.fake_call import FakeCall
from parkade.testing.phone import FakePhone
from parkade.testing.recorder import identity_in
from parkade.testing.world import SimWorld

Kind = TypeVar("Kind", bound=CallEvent)
PARK_CODE = "X-Parkade-Park-Code"
PEOPLE = {"101": "Alice", "102": "Bob", "103": "Carol", "104": "Dave"}
ALICE, BOB, CAROL = (Identity(PEOPLE[extension], extension) for extension in ("101", "102", "103"))
GATEWAY = "203.0.113.9"
"""Where calls from outside come from."""


class Plugged(TypedDict, total=False):
    """How a phone may be plugged in; see ``SimWorld.phone``."""

    transport: str
    nat: bool
    password: str
    register: bool


class Office:
    """``world`` is the installation; people are found by name."""

    def __init__(self, policy: ParkPolicy, lot: tuple[int, int], language: str) -> None:
        self.world = SimWorld()
        self.phones: list[FakePhone] = []
        self.world.account(
            "acme",
            PEOPLE,
            common_areas={"110": "Warehouse wall"},
            policy=policy,
            lot=lot,
            language=language,
        )

    @cached_property
    def alice(self) -> FakePhone:
        return self.phone("acme-101")

    @cached_property
    def bob(self) -> FakePhone:
        return self.phone("acme-102")

    @cached_property
    def carol(self) -> FakePhone:
        return self.phone("acme-103")

    @cached_property
    def dave(self) -> FakePhone:
        return self.phone("acme-104")

    @cached_property
    def wall(self) -> FakePhone:
        """A common-area phone."""
        return self.phone("acme-110")

    @cached_property
    def zoe(self) -> FakePhone:
        """Somebody of another account, whose codes are the same."""
        self.world.account("zeta", {"101": "Zoe", "102": "Zack"})
        return self.phone("zeta-101")

    @cached_property
    def zack(self) -> FakePhone:
        """Zoe's colleague."""
        _ = self.zoe
        return self.phone("zeta-102")

    @cached_property
    def outside(self) -> FakePhone:
        """The line to the outside: a gateway known by its address. What it dials is what was dialled there."""
        self.world.device("line", "acme", "", address=GATEWAY)
        return self.phone("line", register=False)

    def phone(self, device: str, **how: Unpack[Plugged]) -> FakePhone:
        """Plug in one more phone."""
        phone = self.world.phone(device, **how)
        self.phones.append(phone)
        return phone

    # What happens

    def talk(self, caller: FakePhone, called: FakePhone) -> tuple[FakeCall, FakeCall]:
        """``caller`` calls, ``called`` answers, and both hear each other."""
        calling = caller.call(called.name.rpartition("-")[2])
        self.world.run(0.1)
        answered = called.answer()
        self.world.run(0.1)
        assert calling.hears(called)
        assert answered.hears(caller)
        return calling, answered

    def park(self, call: FakeCall, target: str = "*800") -> str:
        """The person at ``call`` parks the other party by a blind transfer; the code that the phone is told."""
        call.refer(target)
        self.run(1)
        assert call.transfer[-1][0] == 200
        code = told_code(call)
        assert code is not None
        return code

    def parked(self, caller: FakePhone, parker: FakePhone, target: str = "*800") -> FakeCall:
        """``caller`` calls ``parker`` and is parked; the caller's call."""
        calling, answered = self.talk(caller, parker)
        self.park(answered, target)
        assert calling.hears("music")
        return calling

    def run(self, seconds: float) -> None:
        """Time passes."""
        self.world.run(seconds)

    # What was seen

    def events(self, *kinds: type[Kind]) -> list[Kind]:
        """Events of these classes so far."""
        return [event for event in self.world.events if isinstance(event, kinds)]

    def languages(self, call: FakeCall) -> list[str]:
        """The languages in which something has been said to a call."""
        legs = [*self.world.media.legs.values(), *self.world.media.closed.values()]
        ours = [leg for leg in legs if leg.described and leg.described.port == call.rtp_port]
        ours = [leg for leg in ours if leg.described and leg.described.address == call.phone.host]
        return [sound.language for leg in ours for _, sound in leg.heard if isinstance(sound, Spoken)]

    def close(self) -> None:
        """Everybody hangs up, and nothing is left."""
        for _ in range(3):
            for phone in self.phones:
                phone.misbehave()
                phone.hang_up()
            self.run(40)
        self.world.assert_nothing_leaks()


class Furnish:
    """Makes offices and remembers them."""

    def __init__(self) -> None:
        self.offices: list[Office] = []

    def __call__(
        self,
        policy: ParkPolicy = ParkPolicy(),  # noqa: B008 - frozen
        lot: tuple[int, int] = (801, 899),
        language: str = "en",
    ) -> Office:
        self.offices.append(Office(policy, lot, language))
        return self.offices[-1]


# Questions about what a phone was sent


def told_code(call: FakeCall) -> str | None:
    """The park code that came to the phone in this call, in a NOTIFY or a response."""
    return call.phone.recorder.header(PARK_CODE, call.call_id)


def response(call: FakeCall, status: int) -> Response:
    """The first response to the INVITE of ``call`` with that status."""
    messages = call.phone.recorder.received(f"{status} INVITE", call.call_id)
    assert messages, f"no {status}, only {call.statuses}"
    first = messages[0]
    assert isinstance(first, Response)
    return first


def responses(call: FakeCall) -> list[Response]:
    """All responses to the INVITEs of ``call`` that say something: no 100, no challenge."""
    received = call.phone.recorder.received(None, call.call_id)
    ours = [m for m in received if isinstance(m, Response) and m.cseq.method == "INVITE"]
    return [m for m in ours if m.status not in (100, 401)]


def invite(call: FakeCall) -> Request:
    """The INVITE that made ``call`` ring."""
    first = call.phone.recorder.received("INVITE", call.call_id)[0]
    assert isinstance(first, Request)
    return first


def requests_since(call: FakeCall, at: float) -> list[str]:
    """The methods of the requests that came to the phone in ``call`` after ``at``."""
    seen = [entry for entry in call.phone.recorder.seen if entry.at > at and not entry.sent]
    return [entry.kind for entry in seen if isinstance(entry.message, Request) and entry.message.call_id == call.call_id]


def heard(call: FakeCall) -> list[str]:
    """What was heard, change by change."""
    return [what for _, what in call.heard]


def errors(message: Message) -> tuple[str, str]:
    """The ids of the refusal in Warning and in words, and the text of Reason: ``(error_id, text)``."""
    warning = message.headers.get("Warning") or ""
    agent, _, quoted = warning.removeprefix("399 ").partition(" ")
    error_id, _, text = quoted.strip('"').partition(" ")
    assert agent == "parkade", warning
    reason = message.headers.get("Reason") or ""
    assert text in reason, (warning, reason)
    return error_id, reason


def shown_in(message: Message) -> Identity | None:
    """The party that one message shows, the same in both headers that carry it."""
    asserted, remote = message.headers.get("P-Asserted-Identity"), message.headers.get("Remote-Party-ID")
    assert (asserted is None) is (remote is None)
    assert asserted is None or (remote or "").startswith(asserted)
    return identity_in(message)


def without_ids(message: Message, *words: Sequence[str]) -> str:
    """The text of a message without what differs from one transaction to the next, and with ``(word, stand-in)`` replaced."""
    lines = []
    for line in message.encode().decode().split("\r\n"):
        name = line.partition(":")[0]
        if name in ("Via", "From", "To", "Call-ID", "CSeq", "RSeq", "Content-Length"):
            continue
        lines.append("o=" if line.startswith("o=") else "m=audio" if line.startswith("m=audio ") else line)
    text = "\n".join(lines)
    for word, stand_in in words:
        text = text.replace(word, stand_in)
    return text
