"""``serve`` with its processes killed one by one: who is left goes on, who died is started again, nobody is refused."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.server import free_rtp_ports
from tests.edge.served import PATIENCE_S, Served, lives, options, phone, served, wait_for


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_signalling_is_started_again_and_who_calls_meanwhile_is_answered(data: Path) -> None:
    with served(data) as server, phone() as caller:
        assert server.ready["pids"] == {name: server.pid(name) for name in ("supervisor", "signalling", "media", "web")}
        media, here = server.pid("media"), caller.getsockname()[1]
        for n in range(3):
            gone = server.kill("signalling")
            wait_for(lambda gone=gone: not lives(gone), "it does not die")  # type: ignore[misc]
            caller.sendto(options(n, here), ("127.0.0.1", server.port))
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as stream:
                stream.settimeout(PATIENCE_S)
                stream.sendall(b"\r\n\r\n")
                assert caller.recv(65536).startswith(b"SIP/2.0 200")
                assert stream.recv(2) == b"\r\n"
            wait_for(lambda gone=gone: server.pid("signalling") != gone, "no new process id")  # type: ignore[misc]
        assert server.pid("media") == media
        assert server.stop() == 0
        assert not lives(media)
    assert "Traceback" not in server.log.read_text()


def test_media_is_started_again_and_signalling_goes_on(data: Path) -> None:
    with served(data) as server, phone() as caller:
        signalling, here = server.pid("signalling"), caller.getsockname()[1]
        gone = server.kill("media")
        wait_for(lambda: server.pid("media") != gone, "media is not started again")
        caller.sendto(options(1, here), ("127.0.0.1", server.port))
        assert caller.recv(65536).startswith(b"SIP/2.0 200")
        assert server.pid("signalling") == signalling


def spare_media(server: Served) -> int:
    """The media process that waits for its turn."""
    found: list[int] = []

    def finds_it() -> bool:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        found[:] = [
            pid
            for pid in map(int, children)
            if lives(pid) and b"--spare" in Path(f"/proc/{pid}/cmdline").read_bytes() and pid != server.pid("media")
        ]
        return len(found) == 1

    wait_for(finds_it, "no spare media process")
    return found[0]


def test_a_spare_media_process_takes_the_place_of_one_that_dies_and_is_itself_replaced(data: Path) -> None:
    with served(data) as server:
        for _ in range(2):
            spare = spare_media(server)
            server.kill("media")
            wait_for(lambda spare=spare: server.pid("media") == spare, "the spare one does not serve")  # type: ignore[misc]
        os.kill(spare_media(server), signal.SIGKILL)
        gone = server.kill("media")
        wait_for(lambda: server.pid("media") != gone, "media is not started again without a spare one")
        spare = spare_media(server)
        assert server.stop() == 0
        wait_for(lambda: not lives(spare), "the spare one outlives its server")
    assert "Traceback" not in server.log.read_text()


def test_a_spare_media_process_ends_with_a_server_that_is_killed(data: Path) -> None:
    with served(data) as server:
        spare = spare_media(server)
        server.kill("supervisor")
        wait_for(lambda: not lives(spare), "the spare one outlives its server")


def test_a_disk_that_takes_no_new_file_does_not_stop_the_server(data: Path) -> None:
    with served(data) as server, phone() as caller:
        here, run = caller.getsockname()[1], data / "run"
        for name in ("signalling", "media"):
            (run / f".{name}.pid.new").mkdir()
            gone = server.kill(name)
            wait_for(lambda name=name, gone=gone: server.pid(name) != gone, f"{name}: no new process id")  # type: ignore[misc]
            assert lives(server.pid(name))
        pid = server.kill("signalling")
        (run / "signalling.pid").unlink()
        (run / "signalling.pid").mkdir()  # now it cannot even be written over
        wait_for(lambda: not lives(pid), "it does not die")
        caller.sendto(options(1, here), ("127.0.0.1", server.port))
        assert caller.recv(65536).startswith(b"SIP/2.0 200")
        (run / "signalling.pid").rmdir()
        (run / "signalling.pid").write_text("0\n")
        assert server.stop() == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert f"{run}/signalling.pid cannot be written" in log


def test_the_next_server_takes_the_place_of_one_that_was_killed(data: Path) -> None:
    with served(data) as first:
        signalling, media = first.pid("signalling"), first.pid("media")
        first.process.kill()
        first.process.wait()
        with served(data) as second:
            assert not lives(signalling)
            assert second.port == first.port
            assert second.pid("media") == second.ready["pids"]["media"] == media
            assert lives(media)
            assert second.stop() == 0
            assert not lives(media)


def test_a_media_process_of_other_settings_is_replaced(data: Path) -> None:
    with served(data) as first:
        media = first.pid("media")
        first.process.kill()
        first.process.wait()
        with served(data, "--rtp-ports", free_rtp_ports(100)) as second:
            assert second.pid("media") != media
            assert not lives(media)


def test_an_adopted_media_process_that_dies_is_started_again(data: Path) -> None:
    with served(data) as first:
        first.process.kill()
        first.process.wait()
        with served(data) as second:
            gone = second.kill("media")
            wait_for(lambda: second.pid("media") != gone, "media is not started again")
            assert lives(second.pid("media"))


def test_a_data_directory_with_a_long_name_has_room_for_a_socket(tmp_path: Path) -> None:
    with served(tmp_path / ("long" * 40)) as server:
        assert server.stop() == 0


def test_everything_killed_at_once_starts_again_at_the_same_place(data: Path) -> None:
    with served(data) as first:
        pids = [first.process.pid, first.pid("signalling"), first.pid("media")]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        first.process.wait()
        with served(data) as second, phone() as caller:
            assert second.port == first.port
            caller.sendto(options(1, caller.getsockname()[1]), ("127.0.0.1", second.port))
            assert caller.recv(65536).startswith(b"SIP/2.0 200")


def test_a_second_server_for_the_same_data_is_refused_in_words(data: Path) -> None:
    with served(data) as server:
        second = subprocess.run(
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
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert second.returncode == 1
        assert second.stdout == ""
        said = f"parkade: data directory {data}: another server uses it (process {server.process.pid})\n"
        assert second.stderr == said
        assert server.process.poll() is None


def test_a_stop_of_a_second_under_load_loses_no_request(data: Path) -> None:
    """300 calls are about 3,000 messages."""
    with served(data) as server, phone() as caller:
        here, pid = caller.getsockname()[1], server.pid("signalling")
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            for n in range(3000):
                caller.sendto(options(n, here) + bytes(500), ("127.0.0.1", server.port))
                if n % 30 == 0:
                    time.sleep(max(0.0, began + n / 3000 - time.monotonic()))
        finally:
            os.kill(pid, signal.SIGCONT)
        answered = {caller.recv(65536).partition(b"\nCSeq: ")[2].partition(b" ")[0] for _ in range(3000)}
        assert len(answered) == 3000


def test_a_journal_that_is_damaged_does_not_stop_the_start(data: Path) -> None:
    data.mkdir()
    (data / "journal.db").write_bytes(b"nothing of the kind" * 1000)
    with served(data) as server:
        assert "is damaged" in server.log.read_text()
        assert server.stop() == 0
