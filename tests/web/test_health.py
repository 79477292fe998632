"""What a watchdog and Prometheus are told, and who may ask."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from parkade.api.rest.health import HELP
from parkade.edge.event_log import EventLog
from parkade.edge.figures import Figures
from parkade.store.errors import StoreError
from tests.api.conftest import Office
from tests.web.conftest import Happening, ended, parked, retrieved

pytestmark = pytest.mark.asyncio


def from_(office: Office, address: str, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(office.app, client=(address, 5))
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)


async def test_it_lives(office: Office) -> None:
    answer = await office.anybody.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})


async def test_it_is_ready_or_says_what_is_missing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await office.anybody.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "missing": []})
    office.signalling.away = True

    def locked() -> None:
        raise StoreError("database parkade.db: database is locked")

    monkeypatch.setattr(office.services.store, "reading", locked)
    answer = await office.anybody.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["missing"] == [
        "signalling: the signalling process is not there",
        "database: database parkade.db: database is locked",
    ]


async def test_metrics_are_for_this_machine_and_for_who_runs_the_installation(office: Office) -> None:
    tokens = {who: (await office.as_(who)).headers["Authorization"] for who in ("installation", "admin@acme.test")}
    for address, headers, status in (
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("192.0.2.1", {}, 401),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 401),
        ("192.0.2.1", {"Authorization": "Bearer nonsense"}, 401),
        ("192.0.2.1", {"Authorization": tokens["admin@acme.test"]}, 403),
        ("192.0.2.1", {"Authorization": tokens["installation"]}, 200),
    ):
        async with from_(office, address, headers) as client:
            assert (await client.get("/metrics")).status_code == status, (address, headers)


async def scraped(office: Office) -> dict[tuple[str, str], float]:
    async with from_(office, "127.0.0.1") as client:
        text = (await client.get("/metrics")).text
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[sample.name, labels] = sample.value
    return found


async def test_metrics_say_how_it_is_going(office: Office, happen: Happening, monkeypatch: pytest.MonkeyPatch) -> None:
    async def figures() -> dict[str, float]:
        return {"parkade_parked_calls": 2, "parkade_event_log_number": 7, "parkade_rtp_packets_lost_total": 5, "of_tomorrow": 1}

    monkeypatch.setattr(office.signalling, "figures", figures)
    await happen(parked(1), *(retrieved(n, waited_s) for n, waited_s in enumerate((0.5, 12.0, 4000.0))), ended(2))
    found = await scraped(office)
    assert found["parkade_parked_calls", ""] == 2
    assert found["parkade_rtp_packets_lost_total", ""] == 5
    assert found["of_tomorrow", ""] == 1
    assert found["parkade_events_waiting", ""] == 2
    assert found["parkade_events_total", "type=call.retrieved"] == 3
    assert found["parkade_park_wait_seconds_bucket", "le=1.0,outcome=retrieved"] == 1
    assert found["parkade_park_wait_seconds_bucket", "le=20.0,outcome=retrieved"] == 2
    assert found["parkade_park_wait_seconds_bucket", "le=+Inf,outcome=retrieved"] == 3
    assert found["parkade_park_wait_seconds_sum", "outcome=retrieved"] == 4012.5
    assert found["parkade_signalling_up", ""] == found["parkade_database_up", ""] == 1


async def test_every_figure_of_signalling_has_its_words(tmp_path: Path) -> None:
    log = EventLog.open(tmp_path)
    names = Figures(lambda: dict.fromkeys(("calls", "parked"), 0), lambda: 0, log).now()
    assert set(names) <= set(HELP)
    log.close()


async def test_metrics_are_told_as_far_as_they_are_known(office: Office) -> None:
    office.signalling.away = True
    found = await scraped(office)
    assert found["parkade_signalling_up", ""] == 0
    assert found["parkade_database_up", ""] == 1
