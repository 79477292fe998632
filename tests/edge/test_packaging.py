"""The files that ship for service managers: they are what their programs read, and their commands are ones that we have."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from parkade.cli import app
from parkade.config import Settings
from parkade.serve import LINGER_S, MEDIA_END_S, SIGNALLING_END_S, WEB_END_S

TOP = Path(__file__).parents[2]
UNIT = TOP / "packaging" / "parkade.service"
CONTAINER = TOP / "packaging" / "Containerfile"


def is_accepted(arguments: list[str]) -> bool:
    """Whether the command line knows the command and its flags (nothing is run)."""
    return CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.read_text())
    return parser


def test_the_command_line_is_told_apart_from_nonsense() -> None:
    assert not is_accepted(["serve", "--no-such-flag", "x"])
    assert not is_accepted(["no-such-command"])


def test_the_service_runs_a_command_that_there_is() -> None:
    program, *arguments = shlex.split(unit()["Service"]["ExecStart"])
    assert Path(program).name == "parkade"
    assert is_accepted(arguments)


def test_the_service_lets_media_linger_and_gives_time_to_drain() -> None:
    service = unit()["Service"]
    assert (service["Restart"], service["KillMode"]) == ("always", "process")
    assert int(service["TimeoutStopSec"]) > Settings(Path()).drain_seconds + SIGNALLING_END_S + WEB_END_S + MEDIA_END_S
    assert LINGER_S >= 30


def test_the_service_runs_without_rights() -> None:
    service = unit()["Service"]
    assert service["User"] != "root"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"


def test_systemd_finds_nothing_wrong_with_the_service(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:  # a machine of another kind; the tests above hold there too
        return
    here = tmp_path / UNIT.name
    text = UNIT.read_text().replace("/opt/parkade/bin/parkade", sys.executable)
    here.write_text(re.sub(r"(?m)^(User|Group|Documentation)=.*\n", "", text))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", here], capture_output=True, text=True, check=False, timeout=60
    )
    said = [line for line in result.stderr.splitlines() if UNIT.name in line]
    assert (result.returncode, said) == (0, []), result.stderr


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", CONTAINER.read_text()))
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def last(instruction: str) -> str:
    return next(rest for name, rest in reversed(instructions()) if name == instruction)


def test_the_container_runs_a_command_that_there_is() -> None:
    words: list[str] = json.loads(last("ENTRYPOINT")) + json.loads(last("CMD"))
    program, *arguments = words
    assert program == "parkade"
    assert is_accepted(arguments)


def test_the_container_is_nobody_keeps_its_data_and_is_stopped_gently() -> None:
    assert last("USER") not in {"root", "0"}
    assert last("STOPSIGNAL") == "SIGTERM"
    assert f"PARKADE_DATA={last('VOLUME')}" in last("ENV")


def test_the_container_is_built_in_stages_from_files_that_there_are() -> None:
    assert sum(name == "FROM" for name, _ in instructions()) == 2
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (TOP / source).exists(), source
