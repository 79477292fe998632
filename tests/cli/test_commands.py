"""What a person at the command line sees: one clear line for each mistake, never a traceback, and the right exit code."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.server import free_rtp_ports
from parkade.cli import app

ACME = Path(__file__).parents[2] / "examples" / "acme.yaml"


def parkade(*arguments: str | Path, stdin: str | None = None, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, env=env, catch_exceptions=False)


def one_line(result: Result) -> str:
    """The only line on standard error."""
    (line,) = result.stderr.splitlines()
    return line


def test_help_names_every_command_and_what_is_for_later() -> None:
    listed = parkade("--help").stdout
    for command in ("demo", "serve", "import", "export", "check", "set-password", "backup", "restore"):
        assert command in listed
    text = " ".join(parkade("serve", "--help", env={"COLUMNS": "200"}).stdout.split())
    for flag in ("--data", "--host", "--advertise", "--sip-port", "--rtp-ports", "--config"):
        assert flag in text
    for flag in ("--sips-port", "--https-port"):
        assert "does not listen there yet" in text[text.index(flag) :][:120]


def test_an_import_says_what_changed_and_then_that_nothing_does(tmp_path: Path) -> None:
    first = parkade("import", "--data", tmp_path, ACME)
    assert first.exit_code == 0
    assert "acme: created user 101 Alice" in first.stdout
    assert first.stdout.splitlines()[-1] == "25 created, 0 updated, 0 removed"
    assert parkade("import", "--data", tmp_path, ACME).stdout == "nothing to change\n"


def test_an_export_imports_as_no_change(tmp_path: Path) -> None:
    parkade("import", "--data", tmp_path, ACME)
    text = parkade("export", "--data", tmp_path).stdout
    assert parkade("import", "--data", tmp_path, "-", stdin=text).stdout == "nothing to change\n"
    assert parkade("export", "--data", tmp_path).stdout == text


def test_a_bad_file_says_line_and_reason_and_changes_nothing(tmp_path: Path) -> None:
    parkade("import", "--data", tmp_path, ACME)
    before = parkade("export", "--data", tmp_path).stdout
    bad = tmp_path / "bad.yaml"
    bad.write_text(ACME.read_text().replace("name: Alice", "name: Alicia").replace("sequence: 1", "sequence: 7"))
    result = parkade("import", "--data", tmp_path, bad)
    assert result.exit_code == 1
    line = bad.read_text()[: bad.read_text().index("sequence")].count("\n") + 1
    assert one_line(result) == f"parkade: {bad}:{line}: settings.call_park.sequence: 7 is none of 0, 1"
    assert parkade("export", "--data", tmp_path).stdout == before


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = parkade("import", "--data", tmp_path, tmp_path / "none.yaml")
    assert (result.exit_code, one_line(result)) == (1, f"parkade: {tmp_path / 'none.yaml'}: no such file or directory")


def test_an_export_of_nothing_makes_nothing(tmp_path: Path) -> None:
    result = parkade("export", "--data", tmp_path / "none")
    assert result.exit_code == 1
    assert one_line(result).endswith("there is no database; serve or import makes one")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", ["serve", "export", "check"])
def test_a_bad_setting_is_a_usage_error(command: str) -> None:
    result = parkade(command, "--data", "d", env={"PARKADE_DATA": "", "PARKADE_CONFIG": "/nowhere.toml"})
    assert (result.exit_code, one_line(result)) == (2, "parkade: /nowhere.toml: no such file or directory")


def test_every_command_wants_a_data_directory() -> None:
    for arguments in (("serve",), ("export",), ("check",), ("import", str(ACME)), ("set-password", "x"), ("backup", "x")):
        result = parkade(*arguments, env={"PARKADE_DATA": ""})
        assert result.exit_code == 2
        assert one_line(result).startswith("parkade: no data directory")


def test_the_environment_serves_as_well_as_a_flag(tmp_path: Path) -> None:
    assert parkade("import", ACME, env={"PARKADE_DATA": str(tmp_path)}).exit_code == 0
    assert (tmp_path / "parkade.db").exists()


def test_a_new_password_comes_from_standard_input(tmp_path: Path) -> None:
    parkade("import", "--data", tmp_path, ACME)
    result = parkade("set-password", "--data", tmp_path, "alice@acme.test", stdin="hunter2\n")
    assert (result.exit_code, result.stdout) == (0, "New password set for login alice@acme.test.\n")
    for user, password, reason in (("nobody", "x\n", "no login and no device nobody"), ("acme-101", "\n", "empty password")):
        result = parkade("set-password", "--data", tmp_path, user, stdin=password)
        assert result.exit_code == 1
        assert reason in one_line(result)


def test_a_backup_is_restored_elsewhere_and_over_what_is_there(tmp_path: Path) -> None:
    parkade("import", "--data", tmp_path / "a", ACME)
    made = parkade("backup", "--data", tmp_path / "a", tmp_path / "file")
    assert made.exit_code == 0
    assert made.stdout.endswith(
        f"in {tmp_path / 'file'}: accounts 1, people 3, devices 3, parked calls of the past 0, files 0\n"
    )
    for said in (1, 2):
        restored = parkade("restore", "--data", tmp_path / "b", tmp_path / "file")
        assert (restored.exit_code, len(restored.stdout.splitlines())) == (0, said), restored.stderr
    assert restored.stdout.startswith(f"what was there before is in {tmp_path / 'b' / 'before-restore-'}")
    assert parkade("export", "--data", tmp_path / "b").stdout == parkade("export", "--data", tmp_path / "a").stdout


@pytest.mark.parametrize("what", ["none", "examples"])
def test_what_cannot_be_backed_up_or_restored_is_one_line_and_makes_nothing(tmp_path: Path, what: str) -> None:
    file = ACME.parent if what == "examples" else tmp_path / "none"
    result = parkade("restore", "--data", tmp_path / "new", file)
    assert result.exit_code == 1
    assert one_line(result).startswith(f"parkade: {file}: ")
    result = parkade("backup", "--data", tmp_path / "new", tmp_path / "file")
    assert (result.exit_code, one_line(result)) == (
        1,
        f"parkade: data directory {tmp_path / 'new'}: there is nothing to back up",
    )
    parkade("import", "--data", tmp_path / "there", ACME)
    result = parkade("backup", "--data", tmp_path / "there", tmp_path / "none" / "file")
    assert result.exit_code == 1
    assert one_line(result).endswith("no such file or directory")
    assert not (tmp_path / "new").exists()


# check --------------------------------------------------------------------------------------------------------------


def checked(tmp_path: Path, *arguments: str) -> Result:
    ports = ("--sip-port", "0", "--rtp-ports", free_rtp_ports(1000))
    return parkade("check", "--data", tmp_path, "--host", "127.0.0.1", *ports, *arguments)


def test_a_sound_installation_passes_the_doctor_with_a_line_for_each_thing(tmp_path: Path) -> None:
    parkade("import", "--data", tmp_path, ACME)
    result = checked(tmp_path)
    assert result.exit_code == 0, result.stdout
    assert all(line.split()[0] in {"ok", "warn"} for line in result.stdout.splitlines())
    for said in (
        "SIP",
        "RTP",
        "address",
        "data directory",
        "accounts 1, devices 3",
        "TLS",
        "(en)",
        "(vi)",
        "music",
        "open files",
    ):
        assert said in result.stdout


@contextmanager
def taken_port(kind: socket.SocketKind) -> Iterator[int]:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            holder.listen()
        yield holder.getsockname()[1]


@pytest.mark.parametrize(("kind", "name"), [(socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")])
def test_the_doctor_sees_a_port_that_is_taken(tmp_path: Path, kind: socket.SocketKind, name: str) -> None:
    with taken_port(kind) as port:
        result = checked(tmp_path, "--sip-port", str(port))
    assert result.exit_code == 1
    assert f"fail SIP over {name}: 127.0.0.1 port {port}: address already in use" in result.stdout


def test_while_a_server_runs_its_own_ports_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with taken_port(socket.SOCK_DGRAM) as port, subprocess.Popen(["sleep", "60"], executable="/bin/sleep") as other:
        for pid, verdict in ((0, "fail"), (other.pid, "fail"), (-1, "fail")):
            (tmp_path / "run" / "supervisor.pid").write_text(f"{pid}\n")
            assert f"{verdict} SIP over UDP" in checked(tmp_path, "--sip-port", str(port)).stdout
        other.kill()
    server = ["sh", "-c", "sleep 60 & wait", "parkade"]
    with taken_port(socket.SOCK_DGRAM) as port, subprocess.Popen(server, start_new_session=True) as running:
        (tmp_path / "run" / "supervisor.pid").write_text(f"{running.pid}\n")
        result = checked(tmp_path, "--sip-port", str(port))
        os.killpg(running.pid, signal.SIGKILL)
    assert result.exit_code == 0, result.stdout
    assert f"ok   server: process {running.pid} serves this data directory now" in result.stdout
    assert f"ok   SIP over UDP: 127.0.0.1 port {port} is in use, as it should be while the server runs" in result.stdout


@pytest.mark.parametrize(("free_mib", "verdict"), [(0, "fail"), (7, "fail"), (8, "warn"), (99, "warn"), (100, "ok  ")])
def test_the_doctor_sees_a_disk_that_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mib: int, verdict: str
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=free_mib << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: usage)
    result = checked(tmp_path)
    assert f"{verdict} disk: {free_mib} MiB free" in result.stdout
    assert result.exit_code == (verdict == "fail")


def test_the_doctor_sees_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = checked(tmp_path / "file")
    assert result.exit_code == 1
    assert "it is a file" in result.stdout
    result = checked(tmp_path / "file" / "below")
    assert result.exit_code == 1
    assert "cannot be written" in result.stdout


def test_the_doctor_warns_of_a_data_directory_that_others_can_enter(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for mode, said in ((0o755, "warn data directory"), (0o750, "warn data directory"), (0o700, "ok   data directory")):
        data.mkdir(exist_ok=True)
        data.chmod(mode)
        result = checked(data)
        assert f"{said} {data}: can be written" in result.stdout
        assert ("chmod 700" in result.stdout) == (mode != 0o700)


def test_the_doctor_sees_a_broken_database(tmp_path: Path) -> None:
    (tmp_path / "parkade.db").write_bytes(b"nothing of the kind" * 99)
    result = checked(tmp_path)
    assert result.exit_code == 1
    assert "file is not a database" in result.stdout


def test_the_doctor_leaves_a_database_of_an_earlier_version_as_it_is(tmp_path: Path) -> None:
    parkade("import", "--data", tmp_path, ACME)
    database = tmp_path / "parkade.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
        before = list(connection.iterdump())
        result = checked(tmp_path)
        assert list(connection.iterdump()) == before
    assert result.exit_code == 0
    assert "warn database: of an earlier version of Parkade" in result.stdout


def test_the_doctor_warns_of_an_address_that_others_cannot_reach(tmp_path: Path) -> None:
    assert "warn address: phones are told 127.0.0.1, which only phones on this machine can reach" in checked(tmp_path).stdout
    assert "which is not this machine's" in checked(tmp_path, "--advertise", "203.0.113.9").stdout


def test_the_doctor_warns_of_a_receive_queue_that_a_pause_would_fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parkade.check.grow_receive_queue", lambda _: 212_992)
    said = checked(tmp_path).stdout
    assert "warn SIP receive queue: 208 KiB, so a pause of a second may lose messages from 20 calls a second on" in said
    assert "net.core.rmem_max to 16777216" in said


def test_the_doctor_sees_missing_and_broken_sounds(tmp_path: Path) -> None:
    for language in ("en", "vi"):
        (tmp_path / "prompts" / language).mkdir(parents=True)
    (tmp_path / "prompts" / "en" / "star.wav").write_bytes(b"no sound")
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "default.wav").write_bytes(b"RIFF")
    result = checked(tmp_path / "data", "--sounds", str(tmp_path))
    assert result.exit_code == 1
    assert "fail prompts (en): missing 0, 1, 2" in result.stdout
    assert f"in {tmp_path / 'prompts' / 'en'}" in result.stdout
    assert "fail prompts (vi): missing 0, 1, 2" in result.stdout
    assert "fail music: " in result.stdout


# the installed command ----------------------------------------------------------------------------------------------


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "parkade", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("where", ["file", "file/below", "x" * 300])
def test_serve_explains_a_data_directory_that_cannot_be(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    result = run("serve", "--data", tmp_path / where, "--sip-port", "0", "--http-port", "0", "--host", "127.0.0.1")
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"parkade: data directory {tmp_path / where}: ")


@pytest.mark.parametrize(
    ("kind", "flag", "other", "name"),
    [
        (socket.SOCK_DGRAM, "--sip-port", "--http-port", "UDP"),
        (socket.SOCK_STREAM, "--sip-port", "--http-port", "TCP"),
        (socket.SOCK_STREAM, "--http-port", "--sip-port", "HTTP"),
    ],
)
def test_serve_explains_a_port_that_is_taken(tmp_path: Path, kind: socket.SocketKind, flag: str, other: str, name: str) -> None:
    with taken_port(kind) as port:
        result = run("serve", "--data", tmp_path, flag, str(port), other, "0", "--host", "127.0.0.1")
    assert (result.returncode, result.stdout) == (1, "")
    said = f"parkade: cannot listen on 127.0.0.1 port {port} ({name}): address already in use"
    assert result.stderr.splitlines()[-1] == said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_gives_the_password_once_says_ready_in_json_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    data = tmp_path / "new"
    passwords = []
    for _ in range(2):
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "parkade",
                "serve",
                "--data",
                data,
                "--host",
                "127.0.0.1",
                "--sip-port",
                "0",
                "--http-port",
                "0",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            assert ready["ready"] is True
            assert ready["sip"] > 0
            server.send_signal(number)
            _, errors = server.communicate(timeout=30)
        finally:
            if server.poll() is None:
                server.kill()
                server.communicate()
        assert server.returncode == 0, errors
        assert "Traceback" not in errors
        passwords += [line for line in errors.splitlines() if "password:" in line]
    assert len(passwords) == 1
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
