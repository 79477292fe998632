"""The compiled product is the same product: the tests of its pure rooms pass with it.

Those marked ``interpreted`` are left out, because they replace or copy parts in a way that compiled classes refuse.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ROOMS = ("sip", "switch", "calls", "stories", "testing")
WRITTEN_DOWN = ("edge/test_event_json.py", "edge/test_event_log.py", "web/test_link.py")
"""What writes values of those rooms down and reads them back: compiled classes do not say the types of their members."""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the compiled package. It is not optimized, which would take a minute more."""
    folder = tmp_path_factory.mktemp("compiled")
    run(folder, "tools/compile_rooms.py", str(folder), "--optimize", "0")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """What Python says to it, with the package of ``folder``."""
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        cwd=TOP,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_every_pure_room_is_compiled(compiled: Path) -> None:
    for name in ("base.timers", "sip.message.message", "sip.session.session", "rtp.sdp", "calls.park", "switch.switch"):
        assert run(compiled, "-c", f"import parkade.{name} as room; print(room.__file__)").strip().endswith(".so")


def test_it_does_what_the_source_does(compiled: Path) -> None:
    options = ["-q", "-m", "not interpreted", "-o", f"pythonpath={compiled} .", "-p", "no:cacheprovider"]
    said = run(compiled, "-m", "pytest", *options, *(f"tests/{each}" for each in (*ROOMS, *WRITTEN_DOWN)))
    assert " passed" in said
    assert " skipped" not in said
