"""SIPp plays one strict scenario of ``sipp/``: any message out of place ends it with an error.

What SIPp cannot check, such as how a hold is answered, the tests read from its trace of messages.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

from tests.interop.sip_text import Message
from tests.interop.waiting import eventually

SCENARIOS = Path(__file__).with_name("sipp")
TRACED = re.compile(
    r"^-{40,} \S+(?: \S+)?\n(?:UDP|TCP) message (sent|received) [^\n]*\n\n(.*?)(?=^-{40,} |\Z)", re.DOTALL | re.MULTILINE
)


def free_udp_port() -> int:
    """A port that was free a moment ago: a scenario that registers and one that answers must share it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


class SippRun:
    """One run of one scenario, for one call, started at once."""

    def __init__(
        self,
        scenario: str,
        workdir: Path,
        server: str,
        username: str,
        password: str,
        port: int | None = None,
        *,
        repeats: bool = True,
        **keys: str,
    ) -> None:
        """``keys`` are what the scenario calls ``[name]``. Without ``repeats`` SIPp neither sends anything again by itself
        nor takes what comes twice for a repetition."""
        program = shutil.which("sipp")
        assert program, "sipp is not installed: these tests need the Debian package sip-tester"
        workdir.mkdir(parents=True)
        self.scenario = scenario
        self.port = port or free_udp_port()
        self._trace = workdir / "messages.log"
        self._errors = workdir / "errors.log"
        self._output = workdir / "output.log"
        command = [program, server, "-sf", str(SCENARIOS / f"{scenario}.xml"), "-m", "1", "-i", "127.0.0.1", "-bind_local"]
        command += ["-nostdin", "-nd", "-timeout", "60s", "-timeout_error", "-au", username, "-ap", password]
        command += ["-trace_msg", "-message_file", str(self._trace), "-trace_err", "-error_file", str(self._errors)]
        command += ["-p", str(self.port), "-key", "username", username]
        if "target" in keys:  # the digest's URI, which SIPp would else take without the user part
            command += ["-auth_uri", f"{keys['target']}@{server}"]
        if not repeats:
            command.append("-nr")
        for name, value in keys.items():
            command += ["-key", name, value]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=workdir, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def messages(self, way: str | None = None) -> list[Message]:
        """What was sent (``tx``) and received (``rx``) up to now."""
        text = self._trace.read_text(errors="replace") if self._trace.exists() else ""
        found = [
            Message("tx" if sent == "sent" else "rx", message.strip("\n") + "\n", 0.0) for sent, message in TRACED.findall(text)
        ]
        return [message for message in found if way in (None, message.way)]

    def wait(self) -> None:
        """The scenario has run to its end, every message in its place."""
        code = self._process.wait(90)
        if code:
            errors = self._errors.read_text(errors="replace") if self._errors.exists() else ""
            story = "\n".join(f"  {message.way} {message.first_line} ({message.header('CSeq')})" for message in self.messages())
            raise AssertionError(f"SIPp ended {self.scenario} with status {code}\n{errors[-3000:]}\n{story}")

    def wait_message(self, way: str, start: str) -> Message:
        """The first message whose first line begins with ``start``."""
        return eventually(
            lambda: next((m for m in self.messages(way) if m.first_line.startswith(start)), None), f"{start} {way} by SIPp"
        )

    def wait_listening(self) -> None:
        """SIPp has bound its port: a scenario that begins with waiting for a request can be called."""
        eventually(lambda: f":{self.port:04X} " in Path("/proc/net/udp").read_text(), f"SIPp to listen on port {self.port}")

    def close(self) -> None:
        """Ends it, whatever it is doing."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
