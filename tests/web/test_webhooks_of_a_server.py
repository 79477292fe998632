"""Webhooks of a real server, from a call to the receiver; its web process is killed meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.edge.served import served, wait_for
from tests.web.gateway import Gateway
from tests.web.test_web_process import Api, data, ready_again

__all__ = ["data"]


class Inbox:
    """What came, in order: call, event, delivery and type of each."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[tuple[str, str, str, str]] = []

    def of_call(self, call: str) -> list[str]:
        """The types of its events, as they came first."""
        return [kind for _, kind in dict.fromkeys((event, kind) for of, event, _, kind in self.got if of == call)]


@contextmanager
def inbox() -> Iterator[Inbox]:
    box = Inbox()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            box.got.append((event["data"]["call"], event["id"], self.headers["X-Parkade-Delivery-Id"], event["type"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is given
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    box.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


WANTED = ["call.started", "call.parked", "call.abandoned", "call.ended"]


def test_every_event_of_every_call_arrives_in_order_though_the_web_process_is_killed(data: Path) -> None:
    with inbox() as box, served(data, "--webhook-private-targets", "127.0.0.1") as server:
        api, gateway = Api(server), Gateway(server.port)
        made = api.http.post("/api/v1/webhooks", json={"url": box.url, "events": WANTED})
        assert made.status_code == 201, made.text
        for kill in range(3):
            for _ in range(5):
                gateway.end(gateway.call())
            time.sleep(0.05 * kill)
            wait_for(ready_again(server, server.kill("web")), "web is not started again")
        wait_for(lambda: len({call for call, *_ in box.got}) == 15, "calls are missing")
        wait_for(lambda: len({event for _, event, *_ in box.got}) == 60, "events are missing")
        for call in {call for call, *_ in box.got}:
            assert box.of_call(call) == WANTED
        assert len({(event, delivery) for _, event, delivery, _ in box.got}) == 60, "what came twice has the same id"
        hook = made.json()["id"]
        wait_for(lambda: not api.get(f"/api/v1/webhooks/{hook}/deliveries", state="waiting")["items"], "something waits")
        gateway.close()
        api.http.close()


def test_without_that_setting_nothing_inside_is_a_target(data: Path) -> None:
    with inbox() as box, served(data) as server:
        api = Api(server)
        refused = api.http.post("/api/v1/webhooks", json={"url": box.url})
        assert (refused.status_code, refused.json()["error_id"]) == (422, "target_refused")
        api.http.close()
