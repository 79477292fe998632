"""A PJSIP phone as a test sees it: a process on the other end of a pipe.

Every method that starts something returns when PJSIP has accepted it; methods called ``wait_…`` return when it has happened.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from tests.interop.hearing import Ear
from tests.interop.sip_text import Message
from tests.interop.waiting import PATIENCE_S, eventually

PROCESS = Path(__file__).with_name("pjsip_process.py")

Value: TypeAlias = str | int | float | bool | None
Event: TypeAlias = dict[str, Value]


class PhoneError(AssertionError):
    """PJSIP itself refused a command."""


class PjsipPhone:
    """One account on one PJSIP endpoint with a tone for a voice. Without ``registrar`` it calls and is called directly."""

    def __init__(
        self,
        name: str,
        workdir: Path,
        *,
        tone_hz: int,
        username: str = "",
        password: str = "",
        registrar: str | None = None,
        transport: str = "udp",
        codecs: str = "PCMU,PCMA",
        **more: str,
    ) -> None:
        self.name = name
        self.tone_hz = tone_hz
        self.username = username or name
        self.workdir = workdir
        workdir.mkdir(parents=True)
        options = {
            "name": name,
            "username": self.username,
            "password": password,
            "workdir": str(workdir),
            "tone_hz": str(tone_hz),
            "transport": transport,
            "codecs": codecs,
            **more,
        }
        if registrar:
            options |= {"registrar": registrar, "domain": registrar}
        self.registrar = registrar
        self._events: list[Event] = []
        self._news = threading.Condition()
        self._commands = 0
        with (workdir / "stderr.log").open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(PROCESS), json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                bufsize=1,
            )
        self._reader = threading.Thread(target=self._read, name=f"{name} events", daemon=True)
        self._reader.start()

    def wait_ready(self) -> None:
        """Returns when the phone can be used."""
        self.wait_event("ready", "its start", within_s=60)

    # Events

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._events.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._events.append({"event": "gone"})
            self._news.notify_all()

    def events(self, kind: str, **wanted: Value) -> list[Event]:
        """The events of one kind up to now whose values are ``wanted``."""
        with self._news:
            return [
                event for event in self._events if event["event"] == kind and all(event.get(k) == v for k, v in wanted.items())
            ]

    def position(self) -> int:
        """How many events there have been: a mark for ``wait_event(since=…)``."""
        with self._news:
            return len(self._events)

    def wait_event(
        self,
        kind: str,
        what: str,
        test: Callable[[Event], bool] = lambda _: True,
        *,
        since: int = 0,
        within_s: float = PATIENCE_S,
    ) -> Event:
        """The first event of that kind that passes ``test``."""
        found: list[Event] = []

        def look() -> bool:
            for event in self._events[since:]:
                if event["event"] == kind and test(event):
                    found.append(event)
                    return True
                if event["event"] in ("crash", "gone"):
                    said = (self.workdir / "stderr.log").read_text(errors="replace")[-2000:]
                    raise AssertionError(f"the phone of {self.name} died: {event.get('text', '')}{said}")
            return False

        with self._news:
            if not self._news.wait_for(look, within_s):
                raise AssertionError(f"{self.name} waited {within_s:g} s in vain for {what}\n{self._story()}")
        return found[0]

    def _story(self) -> str:
        """What the phone lived through, for a failed assertion."""
        lines = []
        for event in self._events[-60:]:
            if event["event"] == "message":
                text = str(event["text"])
                message = Message(str(event["way"]), text, 0.0)
                lines.append(f"  {event['at']:.3f} {event['way']} {message.first_line} ({message.header('CSeq')})")
            else:
                lines.append(f"  {event}")
        return f"the last events of {self.name} (log in {self.workdir}):\n" + "\n".join(lines)

    def messages(self, way: str | None = None, since: int = 0) -> list[Message]:
        """Every SIP message up to now, or those of one ``way``: ``rx`` received, ``tx`` sent."""
        with self._news:
            seen = [event for event in self._events[since:] if event["event"] == "message"]
        return [
            Message(str(event["way"]), str(event["text"]), float(event["at"] or 0))
            for event in seen
            if way in (None, event["way"])
        ]

    def wait_message(
        self, way: str, what: str, test: Callable[[Message], bool], *, since: int = 0, within_s: float = PATIENCE_S
    ) -> Message:
        """The first message that passes ``test``."""
        event = self.wait_event(
            "message",
            what,
            lambda e: e["way"] == way and test(Message(way, str(e["text"]), 0.0)),
            since=since,
            within_s=within_s,
        )
        return Message(way, str(event["text"]), float(event["at"] or 0))

    # Commands

    def _do(self, verb: str, **values: Value) -> Value:
        assert self._process.stdin is not None
        self._commands += 1
        number = self._commands
        self._process.stdin.write(json.dumps({"id": number, "do": verb, **values}) + "\n")
        reply = self.wait_event("reply", f"an answer to {verb}", lambda event: event["id"] == number)
        if "error" in reply:
            raise PhoneError(f"{self.name}: {verb} {values}: {reply['error']}")
        return reply["result"]

    def register(self) -> None:
        """Registers and waits for the 200."""
        since = self.position()
        self._do("register", on=True)
        answer = self.wait_event("registration", "an answer to REGISTER", since=since)
        assert answer["code"] == 200, f"{self.name}: REGISTER was answered {answer['code']} {answer['reason']}"

    def unregister(self) -> None:
        """Takes the registration back and waits for the 200."""
        since = self.position()
        self._do("register", on=False)
        self.wait_event(
            "registration", "an answer to REGISTER", lambda e: e["code"] == 200 and e["expiration"] == 0, since=since
        )

    def uri(self, number: str) -> str:
        """The address that dialling ``number`` means."""
        if number.startswith("sip:") or not self.registrar:
            return number
        return f"sip:{number}@{self.registrar}"

    @property
    def address(self) -> str:
        """The address at which it can be called directly."""
        return f"sip:{self.username}@{self.wait_event('listening', 'its socket')['address']}"

    def dial(self, number: str) -> PjsipCall:
        """Starts a call to an extension, a code or a whole address."""
        number_of_call = self._do("dial", target=self.uri(number))
        assert isinstance(number_of_call, int)
        return PjsipCall(self, number_of_call)

    def wait_call(self, *, since: int = 0, within_s: float = PATIENCE_S) -> PjsipCall:
        """The next call that comes in."""
        event = self.wait_event("incoming", "a call", since=since, within_s=within_s)
        assert isinstance(event["call"], int)
        return PjsipCall(self, event["call"])

    def close(self) -> None:
        """Hangs up and ends the process, whatever it is doing."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"id": 0, "do": "end"}) + "\n")
            self._process.wait(5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class PjsipCall:
    """One call of a ``PjsipPhone``."""

    def __init__(self, phone: PjsipPhone, number: int) -> None:
        self.phone = phone
        self.number = number
        path = phone.workdir / f"heard-{number}.raw"
        self.ear = Ear(lambda: path if path.exists() else None)

    def _do(self, verb: str, **values: Value) -> Value:
        return self.phone._do(verb, call=self.number, **values)

    def _last(self, kind: str) -> Event | None:
        return next(iter(reversed(self.phone.events(kind, call=self.number))), None)

    @property
    def state(self) -> str:
        """``calling``, ``incoming``, ``early``, ``connecting``, ``confirmed`` or ``disconnected``."""
        last = self._last("state")
        return str(last["state"]) if last else "null"

    @property
    def code(self) -> int:
        """The status of the last response."""
        last = self._last("state")
        return int(last["code"] or 0) if last else 0

    @property
    def media(self) -> str:
        """``none``, ``active``, ``local_hold``, ``remote_hold`` or ``error``."""
        last = self._last("media")
        return str(last["media"]) if last else "none"

    @property
    def sip_call_id(self) -> str:
        """The Call-ID."""
        return str(
            self.phone.wait_event("state", "a state", lambda e: e["call"] == self.number)["sip_call_id"],
        )

    def messages(self, way: str | None = None) -> list[Message]:
        """The messages of this call."""
        return [message for message in self.phone.messages(way) if message.header("Call-ID") == self.sip_call_id]

    def wait_state(self, state: str, within_s: float = PATIENCE_S) -> None:
        """Waits until the call has been in ``state``."""
        self.phone.wait_event(
            "state", f"state {state}", lambda e: e["call"] == self.number and e["state"] == state, within_s=within_s
        )

    def wait_media(self, media: str, within_s: float = PATIENCE_S) -> None:
        """Waits until the media are as named."""
        eventually(lambda: self.media == media, f"media {media} at {self.phone.name}, still {self.media}", within_s)

    def wait_ended(self, within_s: float = PATIENCE_S) -> int:
        """Waits for the end; the status it ended with, 200 for a BYE."""
        self.wait_state("disconnected", within_s)
        return self.code

    def wait_talking(self, within_s: float = PATIENCE_S) -> None:
        """Waits until the call is answered and its media run."""
        self.wait_state("confirmed", within_s)
        self.wait_media("active", within_s)

    def ring(self) -> None:
        """Answers 180."""
        self._do("answer", code=180)

    def answer(self, code: int = 200) -> None:
        """Answers with a final status."""
        self._do("answer", code=code)
        if code == 200:
            self.wait_talking()

    def hang_up(self, code: int = 0) -> None:
        """BYE, CANCEL or a refusal, whatever fits the state; waits until it is over."""
        self._do("hangup", code=code)
        self.wait_state("disconnected")

    def hold(self) -> None:
        """re-INVITE with sendonly; waits until it is accepted."""
        self._do("hold")
        self.wait_media("local_hold")

    def resume(self) -> None:
        """re-INVITE with sendrecv; waits until it is accepted."""
        self._do("resume")
        self.wait_media("active")

    def reinvite(self) -> None:
        """re-INVITE with nothing new."""
        self._do("reinvite")

    def transfer(self, number: str, *, referred_by: bool = True) -> None:
        """Blind transfer: REFER."""
        self._do("transfer", target=f"<{self.phone.uri(number)}>", referred_by=referred_by)

    def transfer_to(self, other: PjsipCall) -> None:
        """Attended transfer: REFER with Replaces, so that the far end of this call meets the far end of ``other``."""
        self._do("transfer_replacing", other=other.number)

    def wait_transferred(self, within_s: float = PATIENCE_S) -> int:
        """The status in the final NOTIFY about the last REFER."""
        event = self.phone.wait_event(
            "transfer",
            "the outcome of a transfer",
            lambda e: e["call"] == self.number and e["final"] is True,
            within_s=within_s,
        )
        return int(event["code"] or 0)

    def press(self, digits: str, how: str) -> None:
        """Presses keys: ``rfc4733``, ``info`` or ``inband``."""
        self._do("press", digits=digits, how=how)

    @property
    def remote(self) -> str:
        """The other party's address as PJSIP shows it."""
        since = self.phone.wait_event("state", "a state", lambda e: e["call"] == self.number)
        return str((self._last("state") or since)["remote"])
