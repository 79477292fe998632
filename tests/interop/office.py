"""One account of the server and the phones a test starts in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.interop.baresip_phone import BaresipCall, BaresipPhone
from tests.interop.pjsip_phone import PjsipCall, PjsipPhone
from tests.interop.server import NAMES, TONES_HZ, Server, password
from tests.interop.waiting import PATIENCE_S

PARK_CODE = "X-Parkade-Park-Code"


class Office:
    """Starts phones with the right credentials and ends them all."""

    def __init__(self, server: Server, slug: str, workdir: Path) -> None:
        self.server = server
        self.slug = slug
        self._workdir = workdir
        self._phones: list[PjsipPhone | BaresipPhone] = []

    def username(self, extension: str) -> str:
        """The device of that extension."""
        return f"{self.slug}-{extension}"

    def pjsip(self, extension: str, **options: str) -> PjsipPhone:
        """A PJSIP phone that is starting."""
        username = self.username(extension)
        phone = PjsipPhone(
            NAMES[extension],
            self._workdir / f"{len(self._phones)}-pjsip-{extension}",
            tone_hz=TONES_HZ[extension],
            username=username,
            password=options.pop("password", password(username)),
            registrar=self.server.address,
            transport=options.pop("transport", "udp"),
            codecs=options.pop("codecs", "PCMU,PCMA"),
            **options,
        )
        self._phones.append(phone)
        return phone

    def baresip(self, extension: str, codecs: str = "PCMU,PCMA", transport: str = "udp") -> BaresipPhone:
        """A baresip phone that is starting."""
        username = self.username(extension)
        phone = BaresipPhone(
            NAMES[extension],
            self._workdir / f"{len(self._phones)}-baresip-{extension}",
            tone_hz=TONES_HZ[extension],
            username=username,
            password=password(username),
            registrar=self.server.address,
            codecs=codecs,
            transport=transport,
        )
        self._phones.append(phone)
        return phone

    def ready(self) -> None:
        """Every phone that was started is registered."""
        for phone in self._phones:
            phone.wait_ready()
        for phone in self._phones:
            phone.register()

    def phones(self, *extensions: str) -> Sequence[PjsipPhone]:
        """Registered PJSIP phones."""
        started = [self.pjsip(extension) for extension in extensions]
        self.ready()
        return started

    def close(self) -> None:
        """Ends every phone."""
        for phone in self._phones:
            phone.close()


def talk(caller: PjsipPhone, callee: PjsipPhone, extension: str) -> tuple[PjsipCall, PjsipCall]:
    """``caller`` dials ``extension``, ``callee`` answers, and they hear each other."""
    since = callee.position()
    outgoing = caller.dial(extension)
    incoming = callee.wait_call(since=since)
    incoming.ring()
    outgoing.wait_state("early")
    incoming.answer()
    outgoing.wait_talking()
    hear_each_other(outgoing, incoming)
    return outgoing, incoming


def hear_each_other(one: PjsipCall | BaresipCall, other: PjsipCall | BaresipCall, within_s: float = PATIENCE_S) -> None:
    """Each hears the voice of the other and nothing else."""
    since = other.ear.position()
    one.ear.hears_tone(other.phone.tone_hz, within_s)
    other.ear.hears_tone(one.phone.tone_hz, within_s, since)


def park_code(phone: PjsipPhone, since: int = 0) -> str:
    """The code that the server told the parking phone in a header."""
    return phone.wait_message("rx", "a park code", lambda m: bool(m.header(PARK_CODE)), since=since).header(PARK_CODE)


def refer_status(call: PjsipCall) -> int:
    """The final status of the last REFER of a call."""
    answer = call.phone.wait_message(
        "rx",
        "an answer to REFER",
        lambda m: (m.status or 0) >= 200 and m.method == "REFER" and m.header("Call-ID") == call.sip_call_id,
    )
    assert answer.status is not None
    return answer.status
