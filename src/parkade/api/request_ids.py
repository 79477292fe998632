"""Every request has an id: that of its ``X-Request-Id``, or a new one. The answer and each line of the log have it too."""

from __future__ import annotations

import re
import secrets
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parkade.logs import request_id

REQUEST_ID: Final = "X-Request-Id"
_GOOD: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class RequestIds:
    """A layer around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the request its id, which stays for whatever is logged about it by those around this layer."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        id_ = given if _GOOD.fullmatch(given) else secrets.token_hex(8)
        request_id.set(id_)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = id_
            await send(message)

        await self._app(scope, receive, send_with_id)
