"""The demo proves what it says, and fails when what it says is not true."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

from parkade.media.sounds import BUILT_IN

LIMIT_S = 120


def demo(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "parkade", "demo", "--once", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def test_every_step_of_the_demo_works() -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step worked." in done.stdout
    assert "his phone was told the code *801" in done.stdout
    assert "Alice heard hold music" in done.stdout
    assert "Carol heard Alice" in done.stdout
    assert "✗" not in done.stdout


def test_the_demo_fails_when_the_music_is_broken(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    shutil.copytree(BUILT_IN, sounds)
    (sounds / "music" / "default.wav").write_bytes(b"this is no music")
    done = demo("--sounds", str(sounds))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "✗ Alice heard hold music (recognised for 0 ms" in done.stdout
    # Broken music costs the music and nothing else.
    assert "✓ Carol heard Alice" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = demo("--sip-port", str(port))
    assert done.returncode == 1
    assert f"parkade: cannot listen on 127.0.0.1 port {port} (UDP): address already in use" in done.stderr
    assert "Traceback" not in done.stderr
