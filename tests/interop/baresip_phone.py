"""A baresip phone as a test sees it: Debian's baresip with a directory of its own, driven through its ``ctrl_tcp`` module.

baresip has no sound card here: it speaks from a WAV file with one tone, and its ``sndfile`` module records what it decodes.
Two limits of its version 1.0.0: it cannot transfer with consultation, and a call that it has held is no longer recorded,
because the hold empties its chain of decoding filters; count ``packets`` then.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.interop.hearing import Ear, write_tone
from tests.interop.waiting import PATIENCE_S, eventually

WAV_HEADER_BYTES = 44

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:0
net_interface 127.0.0.1
call_local_timeout 120
call_max_calls 4
audio_player aubridge,nowhere
audio_alert aubridge,nobody
audio_source aufile,{workdir}/tone.wav
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
jitter_buffer_delay 1-5
rtcp_mux no
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
snd_path {workdir}
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{port}
menu_bell no
ringback_disabled yes
"""


def free_port() -> int:
    """A TCP port that was free a moment ago; baresip cannot say which one it chose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


def modules() -> Path:
    """Where Debian keeps baresip's modules."""
    return next(iter(sorted(Path("/usr/lib").glob("**/baresip/modules"))))


Event = dict[str, str]


class BaresipPhone:
    """One account of one baresip. With ``registrar`` it registers as soon as it starts."""

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
    ) -> None:
        program = shutil.which("baresip")
        assert program, "baresip is not installed: these tests need the Debian package baresip-core"
        self.name = name
        self.tone_hz = tone_hz
        self.username = username or name
        self.workdir = workdir
        self.registrar = registrar
        self._transport = f";transport={transport}" if transport != "udp" else ""
        workdir.mkdir(parents=True)
        port = free_port()
        write_tone(workdir / "tone.wav", tone_hz, 180)
        (workdir / "config").write_text(CONFIG.format(workdir=workdir, modules=modules(), port=port))
        (workdir / "accounts").write_text(self._account(password, codecs) + "\n")
        (workdir / "contacts").write_text("")
        with (workdir / "out.log").open("wb") as out:
            self._process = subprocess.Popen(
                [program, "-4", "-s", "-v", "-f", str(workdir)], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        self._events: list[Event] = []
        self._replies: list[Event] = []
        self._news = threading.Condition()
        self._tokens = 0
        self._claimed: set[Path] = set()
        self._control = eventually(lambda: self._connect(port), f"baresip's control port ({name})", 30)
        self._reader = threading.Thread(target=self._read, name=f"{name} events", daemon=True)
        self._reader.start()

    def _account(self, password: str, codecs: str) -> str:
        lists = ",".join(f"{codec.lower()}/8000/1" for codec in codecs.split(","))
        host = self.registrar or "127.0.0.1"
        regint = 300 if self.registrar else 0
        return (
            f'"{self.name}" <sip:{self.username}@{host}{self._transport}>;auth_user={self.username};auth_pass={password}'
            f";regint={regint};audio_codecs={lists};answermode=manual;mwi=no"
        )

    def _connect(self, port: int) -> socket.socket | None:
        if self._process.poll() is not None:
            raise AssertionError(f"baresip ended at once: {self._log()[-2000:]}")
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            return None

    def _log(self) -> str:
        return (self.workdir / "out.log").read_text(errors="replace")

    def wait_ready(self) -> None:
        """baresip is ready as soon as its control port is there."""

    # Events

    def _read(self) -> None:
        pending = b""
        while True:
            try:
                received = self._control.recv(65536)
            except OSError:
                received = b""
            if not received:
                break
            pending += received
            while (colon := pending.find(b":")) > 0 and len(pending) >= colon + 2 + (size := int(pending[:colon])):
                whole, pending = json.loads(pending[colon + 1 : colon + 1 + size]), pending[colon + 2 + size :]
                with self._news:
                    (self._replies if whole.get("response") else self._events).append(whole)
                    self._news.notify_all()
        with self._news:
            self._events.append({"type": "GONE"})
            self._news.notify_all()

    def position(self) -> int:
        """How many events there have been."""
        with self._news:
            return len(self._events)

    def wait_event(self, what: str, test: Callable[[Event], bool], *, since: int = 0, within_s: float = PATIENCE_S) -> Event:
        """The first event that passes ``test``."""
        found: list[Event] = []

        def look() -> bool:
            found.extend(event for event in self._events[since:] if test(event))
            return bool(found)

        with self._news:
            if not self._news.wait_for(look, within_s):
                seen = "\n".join(f"  {event}" for event in self._events[-20:])
                raise AssertionError(f"{self.name} waited {within_s:g} s in vain for {what}\n{seen}\n{self._log()[-6000:]}")
        return found[0]

    # Commands

    def command(self, verb: str, value: str = "") -> str:
        """One of baresip's long commands; what it printed."""
        self._tokens += 1
        token = f"t{self._tokens}"
        data = json.dumps({"command": verb, "params": value, "token": token}).encode()
        self._control.sendall(b"%d:%s," % (len(data), data))
        found: list[Event] = []

        def look() -> bool:
            found.extend(reply for reply in self._replies if reply.get("token") == token)
            return bool(found)

        with self._news:
            assert self._news.wait_for(look, PATIENCE_S), f"{self.name}: no answer to {verb}"
        assert found[0]["ok"], f"{self.name}: {verb} {value}: {found[0]}"
        return found[0]["data"]

    def register(self) -> None:
        """Waits for the 200 to the REGISTER that baresip sends by itself when it starts."""
        eventually(lambda: "OK" in self.command("reginfo"), f"the registration of {self.name}\n{self._log()}")

    def uri(self, number: str) -> str:
        """The address that dialling ``number`` means."""
        if number.startswith("sip:") or not self.registrar:
            return number
        return f"sip:{number}@{self.registrar}{self._transport}"

    @property
    def address(self) -> str:
        """The address at which it can be called directly."""
        found = re.search(r"sip:\S+@127\.0\.0\.1:\d+", self.command("uafind", ""))
        assert found
        return found[0]

    def dial(self, number: str) -> BaresipCall:
        """Starts a call to an extension, a code or a whole address."""
        self.wait_for_a_new_name()
        since = self.position()
        self.command("dial", self.uri(number))
        return BaresipCall(self, since, "outgoing")

    def wait_call(self, *, since: int = 0, within_s: float = PATIENCE_S) -> BaresipCall:
        """The next call that comes in."""
        self.wait_event("a call", lambda e: e["type"] == "CALL_INCOMING", since=since, within_s=within_s)
        return BaresipCall(self, since, "incoming")

    def wait_for_a_new_name(self) -> None:
        """baresip names recordings by the second, and a call in the same second as the one before would overwrite its own."""

        def is_new() -> bool:
            now = time.strftime("dump-%Y-%m-%d-%H-%M-%S")
            return all(path.name < now for path in self.workdir.glob("dump-*"))

        eventually(is_new, "the next second")

    def new_recording(self) -> Path | None:
        """The oldest recording of a call that no call has claimed, claimed now."""
        for path in sorted(self.workdir.glob("dump-*-dec.wav")):
            if path not in self._claimed:
                self._claimed.add(path)
                return path
        return None

    def close(self) -> None:
        """Hangs up and ends the process, whatever it is doing."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()
        self._control.close()
        self._reader.join()


class BaresipCall:
    """One call of a ``BaresipPhone``. Its methods mean what those of ``PjsipCall`` mean."""

    def __init__(self, phone: BaresipPhone, since: int, direction: str) -> None:
        self.phone = phone
        self._since = since
        self._direction = direction
        self._id = ""
        self._recording: Path | None = None
        self.ear = Ear(self._find_recording, WAV_HEADER_BYTES)

    def _find_recording(self) -> Path | None:
        if self._recording is None:
            self._recording = self.phone.new_recording()
        return self._recording

    @property
    def sip_call_id(self) -> str:
        """The Call-ID; known once the far end has said something."""
        if not self._id:
            self._id = self.phone.wait_event(
                "the Call-ID", lambda e: bool(e.get("id")) and e.get("direction") == self._direction, since=self._since
            )["id"]
        return self._id

    def _wait(self, kind: str, within_s: float = PATIENCE_S, since: int | None = None) -> Event:
        call_id = self.sip_call_id
        start = self._since if since is None else since
        return self.phone.wait_event(
            f"{kind} of {call_id}", lambda e: e["type"] == kind and e.get("id") == call_id, since=start, within_s=within_s
        )

    def _do(self, verb: str, value: str = "") -> None:
        self.phone.command("callfind", self.sip_call_id)
        self.phone.command(verb, value)

    def wait_talking(self, within_s: float = PATIENCE_S) -> None:
        """Waits until the call is answered."""
        self._wait("CALL_ESTABLISHED", within_s)

    def wait_ended(self, within_s: float = PATIENCE_S) -> str:
        """Waits for the end; what baresip says about it, such as ``404 Not Found``."""
        return self._wait("CALL_CLOSED", within_s)["param"]

    def answer(self) -> None:
        """Answers 200 and waits for the ACK."""
        self.phone.wait_for_a_new_name()
        self._do("accept")
        self.wait_talking()

    def hang_up(self) -> None:
        """BYE, CANCEL or a refusal, whatever fits the state; waits until it is over."""
        self._do("hangup")
        self.wait_ended()

    def _reinvite(self, verb: str) -> None:
        since = self.phone.position()
        self._do(verb)
        self._wait("CALL_REMOTE_SDP", since=since)

    def hold(self) -> None:
        """re-INVITE with sendonly; waits until it is accepted."""
        self._reinvite("hold")

    def resume(self) -> None:
        """re-INVITE with sendrecv; waits until it is accepted."""
        self._reinvite("resume")

    def transfer(self, number: str) -> None:
        """Blind transfer: REFER."""
        self._do("transfer", self.phone.uri(number))

    def packets(self) -> int:
        """How many RTP packets have come in."""
        self.phone.command("callfind", self.sip_call_id)
        found = re.search(r"rcvd=(\d+)", self.phone.command("audio_debug"))
        return int(found[1]) if found else 0

    def hears_packets(self) -> None:
        """Waits until a second's worth of further packets have come in."""
        before = self.packets()
        eventually(lambda: self.packets() >= before + 50, f"packets at {self.phone.name}", every_s=0.2)

    def press(self, digits: str) -> None:
        """Presses keys, sent as RFC 4733 events."""
        self._do("sndcode", digits)
