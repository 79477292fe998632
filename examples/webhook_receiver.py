"""A receiver of Parkade's webhooks in plain Python: ``webhook_receiver.py PORT DATABASE``, and the secret in ``SECRET``.

It believes only what is signed and fresh, writes each event down once, however often it comes, and answers at once; the work is
done by whoever reads the table ``event``. ``docs/how-to/receive-webhooks.md`` explains it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_BYTES = 1 << 20
TOO_OLD_S = 300


def is_genuine(header: str, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether one of ``secrets`` has signed ``body`` within the last five minutes. ``header`` is ``X-Parkade-Signature``."""
    parts = [part.partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in parts if name == "t" and value.isascii() and value.isdigit()]
    if len(stamps) != 1 or abs(now - int(stamps[0])) > TOO_OLD_S:
        return False
    message = stamps[0].encode() + b"." + body
    right = [hmac.new(secret.encode(), message, hashlib.sha256).hexdigest() for secret in secrets]
    signed = [value for name, _, value in parts if name == "v1"]
    return any(hmac.compare_digest(one.encode(), other.encode()) for one in signed for other in right)


def write_down(database: str, event_id: str, kind: str, body: bytes) -> bool:
    """Keep the event; False if it was there already. It is safe on the disk when this returns."""
    connection = sqlite3.connect(database, timeout=10)
    try:
        with connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT, body TEXT)"
            )
            added = connection.execute(
                "INSERT OR IGNORE INTO event (id, type, body) VALUES (?, ?, ?)", (event_id, kind, body.decode())
            )
            return added.rowcount == 1
    finally:
        connection.close()


class Receiver(BaseHTTPRequestHandler):
    """One request. 2xx: it is ours now. Anything else: it comes again."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    database = ""
    secrets: Sequence[str] = ()

    def do_POST(self) -> None:
        """A delivery."""
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 < length <= MOST_BYTES:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(length)
        if not is_genuine(self.headers.get("X-Parkade-Signature", ""), body, self.secrets, time.time()):
            return self.answer(401)
        kind = self.headers["X-Parkade-Event"]
        if kind != "webhook.test":
            write_down(self.database, self.headers["X-Parkade-Event-Id"], kind, body)
        return self.answer(204)

    def answer(self, status: int) -> None:
        """Say it, with no body."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def main() -> None:
    """Serve until interrupted. ``SECRET`` may hold two secrets, with a comma between, while one is being replaced."""
    port, Receiver.database = int(sys.argv[1]), sys.argv[2]
    Receiver.secrets = os.environ["SECRET"].split(",")
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
