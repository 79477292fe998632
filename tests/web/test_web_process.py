"""The web process of a real server: whatever becomes of it, calls do not notice and nothing that happened is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from parkade.edge.event_log import log_files
from tests.edge.served import PATIENCE_S, Served, lives, served, wait_for
from tests.web.gateway import DIRECTORY, Gateway

T1_S = 0.5
"""When a phone would ask again."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with two accounts, whose gateways park every caller."""
    (tmp_path / "directory.yaml").write_text(json.dumps(DIRECTORY))
    where = [str(tmp_path / "data"), str(tmp_path / "directory.yaml")]
    command = [sys.executable, "-m", "parkade", "import", "--data", *where]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    return tmp_path / "data"


class Api:
    """An administrator of the account. Whoever does not get through tries again, as programs do."""

    def __init__(self, server: Served, account: str = "acme") -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{server.http_port}", timeout=PATIENCE_S)
        login = {"login": f"admin@{account}.test", "password": "admin-secret"}
        self.token = str(self.http.post("/api/v1/login", json=login).json()["token"])
        self.http.headers["Authorization"] = f"Bearer {self.token}"
        self._url = f"ws://127.0.0.1:{server.http_port}/api/v1/events"

    def get(self, path: str, **query: str) -> Any:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self.http.get(path, params=query)
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.05)
                continue
            assert answer.status_code == 200, answer.text
            return answer.json()

    def events(self) -> list[dict[str, Any]]:
        """Every event of the account."""
        found: list[dict[str, Any]] = []
        query: dict[str, str] = {}
        while True:
            page = self.get("/api/v1/events", limit="1000", **query)
            found += page["items"]
            if page["next"] is None:
                return found
            query = {"after": page["next"]}

    def listen(self, after: str | None = None) -> ClientConnection:
        """As they happen."""
        query = f"?after={after}" if after else ""
        return connect(self._url + query, additional_headers={"Authorization": f"Bearer {self.token}"})


SignIn: TypeAlias = Callable[..., Api]


@pytest.fixture
def sign_in() -> Iterator[SignIn]:
    """``sign_in(server)`` gives an administrator of acme, ``sign_in(server, "other")`` one of other."""
    with ExitStack() as stack:

        def made(server: Served, account: str = "acme") -> Api:
            api = Api(server, account)
            stack.callback(api.http.close)
            return api

        yield made


@contextmanager
def calling(server: Served, pause_s: float = 0.01) -> Iterator[list[float]]:
    """Callers who are parked and hang up, one after the other; gives how long each waited for the answer, in seconds."""
    gateway, waits, stop = Gateway(server.port), list[float](), threading.Event()
    failures: list[Exception] = []

    def work() -> None:
        try:
            while not stop.is_set():
                caller = gateway.call()
                time.sleep(pause_s)
                gateway.end(caller)
                waits.append(caller.answered_after_s)
        except (AssertionError, OSError) as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield waits
    finally:
        stop.set()
        thread.join()
        gateway.close()
    assert not failures, failures[0]


def whole(events: list[dict[str, Any]], calls: int) -> bool:
    """Whether every call has happened from its start to its end, each event once."""
    ids = [event["id"] for event in events]
    assert len(ids) == len(set(ids))
    kinds: dict[str, list[str]] = {}
    for event in events:
        if "call" in event["data"]:
            kinds.setdefault(event["data"]["call"], []).append(event["type"])
    assert len(kinds) <= calls
    done = [found for found in kinds.values() if found[-1] == "call.ended"]
    assert all({"call.parked", "call.abandoned"} <= set(found) for found in done)
    return len(done) == calls


def ready_again(server: Served, gone: int) -> Callable[[], bool]:
    """Whether another web process than ``gone`` answers."""

    def answers() -> bool:
        return server.pid("web") != gone and lives(server.pid("web"))

    return answers


@contextmanager
def receiving() -> Iterator[tuple[str, list[str]]]:
    """A receiver of webhooks: where it is, and the ids of the events that have come."""
    ids: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            ids.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{receiver.server_port}/", ids
        finally:
            receiver.shutdown()
            thread.join()


def test_the_web_process_is_killed_again_and_again_and_nothing_is_lost_and_no_call_notices(data: Path, sign_in: SignIn) -> None:
    with receiving() as (url, told), served(data, "--webhook-private-targets", "127.0.0.1") as server:
        api = sign_in(server)
        assert api.http.post("/api/v1/webhooks", json={"url": url, "events": ["call.parked"]}).status_code == 201
        with calling(server) as waits:
            for pause_s in (0.3, 1.5, 0.1, 2.5):
                gone = server.kill("web")
                wait_for(ready_again(server, gone), "web is not started again")
                time.sleep(pause_s)
            wait_for(lambda: len(waits) > 30, "no calls")
        signalling = server.pid("signalling")
        wait_for(lambda: whole(api.events(), len(waits)), "events are missing")
        parks = api.get("/api/v1/history/parks", limit="1000")["items"]
        assert [park["outcome"] for park in parks] == ["abandoned"] * len(waits)
        assert len({park["call_id"] for park in parks}) == len(waits)
        parked = {event["id"] for event in api.events() if event["type"] == "call.parked"}
        wait_for(lambda: set(told) == parked, "webhooks are missing")
        assert max(waits) < T1_S
        assert signalling == server.ready["pids"]["signalling"]
        assert server.stop() == 0
    log = server.log.read_text()
    assert "web ended (SIGKILL)" in log
    assert "Traceback" not in log


def test_whoever_listens_comes_back_with_the_last_id_and_has_heard_everything_once(data: Path, sign_in: SignIn) -> None:
    with served(data) as server:
        api, heard = sign_in(server), list[str]()
        with calling(server) as waits:
            for _ in range(2):
                with api.listen(heard[-1] if heard else None) as client:
                    for _ in range(20):
                        heard.append(json.loads(client.recv(PATIENCE_S))["id"])
                gone = server.kill("web")
                wait_for(ready_again(server, gone), "web is not started again")
        wait_for(lambda: whole(api.events(), len(waits)), "events are missing")
        every = [event["id"] for event in api.events()]
        begin = every.index(heard[0])
        assert heard == every[begin : begin + len(heard)]


def test_a_web_process_that_stands_still_delays_no_call(data: Path, sign_in: SignIn) -> None:
    with served(data) as server:
        api = sign_in(server)
        pid = server.pid("web")
        with socket.create_connection(("127.0.0.1", server.http_port)), calling(server) as waits:
            os.kill(pid, signal.SIGSTOP)
            try:
                wait_for(lambda: len(waits) > 50, "no calls")
            finally:
                os.kill(pid, signal.SIGCONT)
        assert max(waits) < T1_S
        wait_for(lambda: whole(api.events(), len(waits)), "events are missing")
        assert server.pid("web") == pid


def test_signalling_is_started_again_under_the_web_process(data: Path, sign_in: SignIn) -> None:
    with served(data) as server:
        api, gateway = sign_in(server), Gateway(server.port)
        web = server.pid("web")
        with api.listen() as client:
            caller = gateway.call()
            server.kill("signalling")
            gateway.end(caller)
            kinds = []
            while "call.ended" not in kinds:
                kinds.append(json.loads(client.recv(PATIENCE_S))["type"])
        assert kinds.count("call.parked") >= 1
        wait_for(lambda: api.http.get("/readyz").status_code == 200, "signalling is not found again")
        assert server.pid("web") == web
        gateway.close()
        assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_what_happens_while_there_is_no_web_process_is_taken_at_the_next_start(data: Path, sign_in: SignIn) -> None:
    with served(data) as server:
        os.kill(server.pid("web"), signal.SIGSTOP)
        with calling(server) as waits:
            wait_for(lambda: len(waits) >= 10, "no calls")
        for name in ("web", "signalling", "supervisor"):
            server.kill(name)
        server.process.wait()
        with served(data) as again:
            assert again.http_port == server.http_port
            api = sign_in(again)
            wait_for(lambda: whole(api.events(), len(waits)), "events are missing")
            assert len(log_files(data / "events")) == 1
            assert again.stop() == 0


def test_the_last_events_are_taken_before_the_end(data: Path, sign_in: SignIn) -> None:
    with served(data) as server:
        with calling(server) as waits:
            wait_for(lambda: len(waits) >= 5, "no calls")
        assert server.stop() == 0
        pids = [server.ready["pids"][name] for name in ("web", "signalling", "media")]
        assert not any(map(lives, pids))
    with served(data) as again:
        assert whole(sign_in(again).events(), len(waits))


def test_the_web_process_ends_with_a_supervisor_that_is_killed_also_if_it_is_busy(data: Path, sign_in: SignIn) -> None:
    with served(data) as server:
        web = server.pid("web")
        server.kill("supervisor")
        wait_for(lambda: not lives(web), "it outlives its supervisor")
        server.process.wait()
        with served(data) as second:
            assert second.http_port == server.http_port
            web = second.pid("web")
            os.kill(web, signal.SIGSTOP)
            second.kill("supervisor")
            second.process.wait()
            with served(data) as third:
                assert not lives(web)
                assert sign_in(third).events()


def test_no_secret_is_on_a_command_line_and_the_web_process_gives_way(data: Path) -> None:
    with served(data) as server:
        web = Path(f"/proc/{server.pid('web')}")
        words = (web / "cmdline").read_bytes().split(b"\0")
        assert words[1:3] == [b"-m", b"parkade.web"]
        assert all(word.startswith(b"--") or word.isdigit() for word in words[3:-1])
        assert os.getpriority(os.PRIO_PROCESS, server.pid("web")) > os.getpriority(os.PRIO_PROCESS, server.pid("signalling"))


def test_accounts_do_not_see_each_other_s_events(data: Path, sign_in: SignIn) -> None:
    with served(data) as server:
        acme, other = sign_in(server), sign_in(server, "other")
        gateway = Gateway(server.port, "127.0.0.4")
        with acme.listen() as deaf, other.listen() as client:
            gateway.end(gateway.call())
            while json.loads(client.recv(PATIENCE_S))["type"] != "call.ended":
                pass
            with pytest.raises(TimeoutError):
                deaf.recv(0.2)
        assert {event["account"] for event in acme.events()} == {"acme"}
        assert not any("call" in event["data"] for event in acme.events())
        assert {event["account"] for event in other.events()} == {"other"}
        gateway.close()


def test_a_client_that_never_reads_and_one_that_says_nothing_harm_nobody(data: Path, sign_in: SignIn) -> None:
    with served(data) as server:
        api = sign_in(server)
        deaf = [socket.create_connection(("127.0.0.1", server.http_port)) for _ in range(20)]
        for one in deaf[:10]:
            one.sendall(
                b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                b"Authorization: Bearer " + api.token.encode() + b"\r\n\r\n"
            )
        with api.listen() as client, calling(server) as waits:
            began = time.monotonic()
            while len(waits) < 40:
                json.loads(client.recv(PATIENCE_S))
            assert time.monotonic() - began < PATIENCE_S
        assert max(waits) < T1_S
        for one in deaf:
            one.close()


def test_a_second_sigterm_is_not_needed_while_somebody_listens(data: Path, sign_in: SignIn) -> None:
    with served(data) as server:
        api = sign_in(server)
        with api.listen() as client:
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 8
            with pytest.raises(Exception, match="1012"):
                client.recv(PATIENCE_S)
    assert "Traceback" not in server.log.read_text()
