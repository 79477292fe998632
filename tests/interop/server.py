"""The real server, as a process of its own, with a directory of many small accounts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from bench.server import free_rtp_ports
from tests.interop.waiting import eventually

LOWEST_RTP_PORT = 20_000
"""Below are the ports that the phones choose from."""

PARKADE = Path(sys.executable).with_name("parkade")

NAMES = {"101": "Alice", "102": "Bob", "103": "Carol", "104": "Dave", "105": "Erin"}
TONES_HZ = {"101": 440, "102": 620, "103": 1050, "104": 1800, "105": 2300}
"""The voice of whoever has that extension. Far from each other and from the frequencies of keys."""

Tree: TypeAlias = "str | int | float | bool | list[Tree] | dict[str, Tree] | None"


def password(username: str) -> str:
    """The password of a device."""
    return f"secret-of-{username}"


def account(slug: str, codes: str = "801-899", language: str = "en", **call_park: float | str) -> Tree:
    """One account with five users, each with one device ``slug-extension``."""
    return {
        "slug": slug,
        "name": f"Account {slug}",
        "language": language,
        "sites": [{"name": "Main", "park": {"codes": codes}}],
        "settings": {"call_park": {"sequence": 1, **call_park}},
        "users": [
            {
                "extension": extension,
                "name": name,
                "language": language,
                "licensed": True,
                "site": "Main",
                "devices": [{"username": f"{slug}-{extension}", "password": password(f"{slug}-{extension}")}],
            }
            for extension, name in NAMES.items()
        ],
    }


class Server:
    """``parkade import``, then ``parkade serve``, on loopback and on free ports."""

    def __init__(self, workdir: Path, accounts: list[Tree], environment: Mapping[str, str] | None = None) -> None:
        assert PARKADE.exists(), f"{PARKADE} is not there: run make setup"
        self._log_path = workdir / "server.log"
        data, file = workdir / "data", workdir / "directory.yaml"
        tree: Tree = {"accounts": accounts}
        file.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")  # JSON is YAML
        imported = subprocess.run(
            [PARKADE, "import", "--data", data, file], capture_output=True, text=True, check=False, timeout=120
        )
        assert imported.returncode == 0, f"parkade import failed:\n{imported.stdout}\n{imported.stderr}"
        command = [
            PARKADE,
            "serve",
            "--data",
            data,
            "--host",
            "127.0.0.1",
            "--sip-port",
            "0",
            "--http-port",
            "0",
            "--rtp-ports",
            free_rtp_ports(1000, LOWEST_RTP_PORT),
        ]
        self._log_file = self._log_path.open("wb")
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            env={**os.environ, **(environment or {})},
            text=True,
        )
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read, name="server output", daemon=True)
        self._reader.start()
        ready = eventually(self._ready, "the line that says ready", within_s=60)
        port = ready["sip"]
        assert isinstance(port, int)
        self.sip_port = port

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line)

    def _ready(self) -> dict[str, Tree] | None:
        assert self._process.poll() is None, f"parkade serve ended at once:\n{self.log()}"
        for line in self._said:
            if line.startswith("{"):
                found = json.loads(line)
                assert isinstance(found, dict)
                return found if found.get("ready") else None
        return None

    @property
    def address(self) -> str:
        """Host and port of the SIP side."""
        return f"127.0.0.1:{self.sip_port}"

    @property
    def running(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def log(self, since: int = 0) -> str:
        """What the server wrote to its standard error, from a byte position on."""
        return self._log_path.read_bytes()[since:].decode(errors="replace")

    def log_size(self) -> int:
        """A mark for ``log``."""
        return self._log_path.stat().st_size

    def stop(self) -> int:
        """SIGTERM, and SIGKILL if that does not help; gives the exit status."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(40)
            except subprocess.TimeoutExpired:
                self._process.kill()
        code = self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log_file.close()
        return code
