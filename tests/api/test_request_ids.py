"""Each request has an id that its answer and the log have too."""

from __future__ import annotations

import logging

import pytest

from parkade.logs import request_id
from tests.api.conftest import Office

pytestmark = pytest.mark.asyncio


async def test_an_id_is_made_or_taken_over_if_it_is_harmless(office: Office) -> None:
    made = [(await office.anybody.get("/api/v1/errors")).headers["X-Request-Id"] for _ in range(2)]
    assert made[0] != made[1]
    for given, taken in (("abc-1.2", True), ("a" * 65, False), ("with space", False), ('{"a"}', False)):
        answer = await office.anybody.get("/api/v1/errors", headers={"X-Request-Id": given})
        assert (answer.headers["X-Request-Id"] == given) == taken


async def test_what_is_logged_meanwhile_knows_the_request(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str | None] = []

    class Sees(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(request_id.get())

    office.signalling.away = True
    logger = logging.getLogger("parkade.api")
    handler = Sees()
    logger.addHandler(handler)
    try:
        client = await office.as_("alice@acme.test")
        await client.get("/api/v1/calls", headers={"X-Request-Id": "mine"})
    finally:
        logger.removeHandler(handler)
    assert seen == ["mine"]
