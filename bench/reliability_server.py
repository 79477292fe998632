"""The server that is killed: ``parkade serve`` with a data directory of its own, its processes by role, its log.

Roles are ``supervisor``, ``signalling`` and ``media``. Their pids are read from ``<data>/run/ROLE.pid``, which the server
writes anew whenever it has started a process again. A server without these files (up to version 0.1) is one process with
media as its child: killing its signalling kills everything.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, SOCK_STREAM, socket
from typing import ClassVar

PARKED_GATEWAY, RETRIEVER, TIMED_GATEWAY = "127.0.0.2", "127.0.0.3", "127.0.0.4"
"""Where the devices call from that are known by their address."""
PHONES = 8
FIRST_PHONE = 101
LOT, TIMED = "lot", "timed"
START_S = 60.0
_EVENT = re.compile(r"parkade\.events: (\{.*\})\s*$", re.MULTILINE)

KINDS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "signalling": ("signalling",),
    "media": ("media",),
    "both": ("signalling", "media"),
    "everything": ("supervisor", "signalling", "media"),
}
"""What is killed at once. After ``everything`` the server is started again by us, else it must do so itself.
``nothing`` shows what the harness sees without a crash."""


CRASHES = tuple(kind for kind, roles in KINDS.items() if roles)


def device(account: str, extension: int) -> tuple[str, str]:
    """Username and password of the phone of that extension."""
    username = f"{account}-{extension}"
    return username, f"secret-of-{username}"


def _user(account: str, extension: int) -> dict[str, object]:
    username, password = device(account, extension)
    devices = [{"username": username, "password": password}]
    return {"extension": str(extension), "name": f"Phone {extension}", "licensed": True, "site": "Main", "devices": devices}


def directory(expiration_s: float) -> dict[str, object]:
    """One account whose callers stay, and one whose callers are given back to extension 101 after ``expiration_s``."""
    return {
        "accounts": [
            {
                "slug": LOT,
                "name": "Lot",
                "sites": [{"name": "Main", "park": {"codes": f"{Victim.first_code}-19999"}}],
                "settings": {"call_park": {"sequence": 1, "expiration_period": 60, "reserve_seconds": 0}},
                "users": [_user(LOT, FIRST_PHONE + n) for n in range(PHONES)],
                "devices": [
                    {"username": "lot-gateway", "address": PARKED_GATEWAY, "to": "park"},
                    {"username": "lot-retriever", "address": RETRIEVER},
                ],
            },
            {
                "slug": TIMED,
                "name": "Timed",
                "sites": [{"name": "Main", "park": {"codes": "8001-8999"}}],
                "settings": {
                    "call_park": {
                        "sequence": 1,
                        "expiration_seconds": expiration_s,
                        "call_not_picked_up_action": 50,
                        "forward_to": str(FIRST_PHONE),
                    }
                },
                "users": [_user(TIMED, FIRST_PHONE)],
                "devices": [{"username": "timed-gateway", "address": TIMED_GATEWAY, "to": "park"}],
            },
        ]
    }


@dataclass(slots=True)
class Victim:
    """A server under test. ``tree`` is the source tree it runs from."""

    first_code: ClassVar[int] = 10001

    folder: Path
    tree: Path
    rtp_ports: str
    expiration_s: float
    sip_port: int = 0
    started_at: float = 0.0
    process: subprocess.Popen[str] | None = None
    _ready: dict[str, object] | None = None

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What all of its lives wrote to standard error."""
        return self.folder / "server.log"

    def prepare(self) -> None:
        """Import the directory and choose a port."""
        file = self.folder / "directory.yaml"
        file.write_text(json.dumps(directory(self.expiration_s)))  # JSON is YAML
        command = [sys.executable, "-m", "parkade", "import", "--data", str(self.data), str(file)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=self._environment())
        self.sip_port = _free_sip_port()

    def start(self) -> None:
        """Start it and wait until it says that it is ready; ``SystemExit`` with its log if it does not."""
        command = [
            sys.executable,
            "-m",
            "parkade",
            "serve",
            "--data",
            str(self.data),
            "--host",
            "127.0.0.1",
            "--http-port",
            "0",
        ]
        command += ["--sip-port", str(self.sip_port), "--rtp-ports", self.rtp_ports, "--log-level", "info"]
        with self.log.open("ab") as log:
            self.started_at = time.time()
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment()
            )
        assert self.process.stdout is not None
        line = next((line for line in self.process.stdout if line.startswith("{")), None)
        if line is None:
            raise SystemExit(f"the server did not start:\n{self.log.read_text(errors='replace')[-4000:]}")
        self._ready = json.loads(line)

    def pids(self) -> dict[str, int]:
        """The processes by role, as far as they are known; a process that has two roles is there twice."""
        files = {file.stem: file for file in (self.data / "run").glob("*.pid")}
        if files:
            return {role: int(text) for role, file in files.items() if (text := file.read_text().strip()).isdigit()}
        if self._ready and isinstance(said := self._ready.get("pids"), dict):
            return {str(role): int(pid) for role, pid in said.items()}
        if self.process is None:
            return {}
        own = self.process.pid
        try:
            children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        except FileNotFoundError:
            children = []
        return {"supervisor": own, "signalling": own, **({"media": int(children[0])} if children else {})}

    def kill(self, kind: str) -> dict[str, int]:
        """``kill -9`` of what ``kind`` names; gives the pids that were killed by role."""
        pids = {role: pid for role, pid in self.pids().items() if role in KINDS[kind]}
        for pid in dict.fromkeys(pids.values()):
            _kill(pid)
        if kind == "everything":
            self._reap()
        return pids

    def back(self, killed: dict[str, int]) -> bool:
        """Whether each process that was killed has a successor."""
        if self.process is not None and self.process.poll() is not None:
            return False
        now = self.pids()
        return all(now.get(role, pid) != pid and alive(now[role]) for role, pid in killed.items())

    def end(self) -> None:
        """End every process of it."""
        pids = self.pids()
        self._reap()
        for pid in pids.values():
            if self._is_ours(pid):
                _kill(pid)

    def _reap(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def events(self) -> Counter[str]:
        """How many events of each kind are in the log."""
        return Counter(kind for kind, _ in self._events())

    def events_twice(self) -> Counter[str]:
        """Kinds of events that may come once a call, and how many came again for the same call."""
        seen = Counter(self._events())
        once = ("call.retrieved", "call.timed_out", "call.returned")
        return Counter({kind: count - 1 for (kind, _), count in seen.items() if kind in once and count > 1})

    def _events(self) -> list[tuple[str, str]]:
        """Kind and call of each event."""
        found: list[tuple[str, str]] = []
        for text in _EVENT.findall(self.log.read_text(errors="replace")):
            with suppress(ValueError, KeyError, TypeError):
                event = json.loads(text)
                found.append((str(event["type"]), str(event["data"].get("call"))))
        return found

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.tree / "src")}

    def _is_ours(self, pid: int) -> bool:
        """Whether the process still is one of the server's, and not another with its number."""
        try:
            return b"parkade" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False


def alive(pid: int) -> bool:
    """Whether there is such a process, and not only what is left of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _free_sip_port() -> int:
    """A port below those that the kernel hands out, free for UDP and TCP: it must be free again after a crash."""
    for port in range(7000 + os.getpid() % 2000, 12000):
        try:
            with socket(AF_INET, SOCK_DGRAM) as udp, socket(AF_INET, SOCK_STREAM) as tcp:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
    raise SystemExit("no free port for SIP")
