"""An event package for tests: whether a lamp is lit, and a rig whose user agent tells of lamps and can die."""

from __future__ import annotations

import json
import random

from parkade.base.ids import Ids
from parkade.base.journal import Json
from parkade.sip.message.message import Request, Response
from parkade.sip.session.package import Package
from parkade.sip.session.subscription import Subscription
from parkade.sip.session.ua import UserAgent
from tests.sip.session_peer import US, Rig


class LampPackage(Package):
    """``lit`` says how bright each lamp is. A document is its name, what was said with the last change,
    brightness, version. ``cannot_write`` is a type that it fails at."""

    def __init__(self, name: str = "lamp") -> None:
        super().__init__(name, ("text/plain", "application/lamp+xml"), default_s=600, least_s=60, most_s=3600)
        self.lit: dict[str, int] = {}
        self.cannot_write = ""

    def document(self, resource: str, state: str, version: int, content_type: str) -> bytes:
        if content_type == self.cannot_write:
            raise ZeroDivisionError
        if resource not in self.lit:
            return b""
        mark = "<lamp/> " if "xml" in content_type else ""
        return f"{mark}{resource} {state or '-'} {self.lit[resource]} v{version}".encode()


class LampRig(Rig):
    """The Request-URI of a SUBSCRIBE names the lamp: ``sip:desk@…``. ``journal`` is what is kept, by key."""

    def __init__(self, transport: str = "UDP") -> None:
        super().__init__(transport)
        self.lamps = LampPackage()
        self.lamps.lit.update(desk=0, hall=0)
        self.journal: dict[str, str] = {}
        self._written: dict[str, tuple[object, ...]] = {}
        self._lives = 0
        self.us.resource_of = lambda request: request.address.user_text
        self.us.ua = self._fresh()

    def _fresh(self) -> UserAgent:
        self._lives += 1
        entropy = random.Random(self._lives).randbytes
        return UserAgent(self.us, Ids(entropy), lambda _: (US, 5060), keeps=True, packages=[self.lamps, LampPackage("bell")])

    def subscribe(
        self,
        lamp: str = "desk",
        seq: int = 1,
        *,
        expires: str | None = "300",
        event: str = "lamp",
        extra: str = "",
        to_tag: str = "",
        call_id: str = "sub-1",
        contact: str | None = None,
    ) -> None:
        """The phone sends SUBSCRIBE."""
        lines = [f"Event: {event}" if event else "", "" if expires is None else f"Expires: {expires}", extra]
        more = "\n".join(line for line in lines if line)
        self.ask(
            "SUBSCRIBE",
            seq,
            uri=f"sip:{lamp}@{US}",
            extra=more,
            to_tag=to_tag,
            call_id=call_id,
            from_tag="ph1",
            contact=contact,
        )

    def subscribed(self, lamp: str = "desk", seq: int = 1, **more: str) -> str:
        """The phone has subscribed and been told. Returns our tag."""
        self.subscribe(lamp, seq, **more)
        assert self.take() == ["200 SUBSCRIBE", "NOTIFY"]
        tag = self.got[0].to.tag or ""
        self.reply(self.request_sent("NOTIFY"), 200)
        return tag

    def light(self, lamp: str, brightness: int, state: str = "") -> None:
        """The lamp is so bright now."""
        self.lamps.lit[lamp] = brightness
        self.us.ua.notifier.changed("lamp", lamp, self.now, state)

    def told(self) -> list[tuple[str, str]]:
        """Document and Subscription-State of each NOTIFY among those last taken."""
        return [
            (message.body.decode(), message.headers.get("Subscription-State") or "")
            for message in self.got
            if isinstance(message, Request) and message.method == "NOTIFY"
        ]

    def answer(self, status: int = 200, extra: str = "") -> None:
        """The phone answers each NOTIFY among those last taken."""
        for message in self.got:
            if isinstance(message, Request) and message.method == "NOTIFY":
                self.reply(message, status, extra=extra)

    def write(self) -> None:
        """What the owner of the user agent does after each input: write down what has changed."""
        for usage in sorted(self.us.ua.touched, key=lambda usage: usage.id):
            if usage.is_done:
                self.journal.pop(usage.id, None)
                self._written.pop(usage.id, None)
                continue
            fingerprint = usage.fingerprint if isinstance(usage, Subscription) else None
            if fingerprint is None or self._written.get(usage.id) != fingerprint:
                self.journal[usage.id] = json.dumps(usage.snapshot())
            if fingerprint is not None:
                self._written[usage.id] = fingerprint
        self.us.ua.touched.clear()

    def die(self) -> None:
        """The user agent dies, and another goes on with what was written."""
        self.write()
        self.us.ua = self._fresh()
        kept: list[dict[str, Json]] = [json.loads(text) for text in self.journal.values()]
        self._written.clear()
        for value in kept:
            if "package" in value:
                self.us.ua.notifier.restore(value, self.now)
        for value in kept:
            if "package" not in value:
                self.us.sessions.append(self.us.ua.restore(value, self.us, self.now))
        self.run(0)

    def refused(self, word: str) -> Response:
        """The one answer to a SUBSCRIBE that was refused, after which nothing is left."""
        assert self.take() == [word]
        assert len(self.us.ua.notifier.subscribers()) == 0
        return self.response_sent(word)
