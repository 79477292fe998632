"""Whether the server lives, whether it is ready, and its metrics: outside ``/api/v1``, for whatever watches over it.

``/healthz`` says that the web process answers; ``/readyz`` whether signalling and the database do too, and if not, what is
missing. Calls need neither the web process nor the database, so a server that is not ready may still be answering phones.

``/metrics`` is for this machine itself, or for a token of the installation's administrator: it says how many calls there are. A
proxy on this machine asks for others, so a request that was forwarded needs the token.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from parkade.api import refusals
from parkade.api.auth import authenticate_token
from parkade.api.counting import Counting
from parkade.api.live import live_of
from parkade.api.principal import Role
from parkade.api.problems import Problem
from parkade.api.services import Use
from parkade.api.signalling import SignallingAwayError
from parkade.store import events, webhooks
from parkade.store.errors import StoreError

router = APIRouter(tags=["operation"])

PATIENCE_S: Final = 2.0
_FORWARDED: Final = ("x-forwarded-for", "forwarded", "x-real-ip")

HELP: Mapping[str, str] = {
    "parkade_calls": "Calls that there are now, parked ones among them",
    "parkade_parked_calls": "Callers who are parked now",
    "parkade_legs": "Phones that are in calls now",
    "parkade_registrations": "Contacts that are registered now",
    "parkade_rtp_ports_free": "RTP ports that are ready for new legs",
    "parkade_calls_waiting_for_a_port": "Calls that wait for an RTP port",
    "parkade_sip_transactions_and_dialogs": "SIP transactions, dialogs and subscriptions that are alive",
    "parkade_transfers": "Transfers under way",
    "parkade_journal_waiting": "Changes that the journal could not write to the disk yet",
    "parkade_event_log_waiting_bytes": "Bytes of events that could not be written to the disk yet",
    "parkade_event_log_number": "The number of the last event of the log",
    "parkade_rtp_legs_ended_total": "Legs that have ended",
    "parkade_rtp_jitter_seconds_total": "Jitter of what phones sent, the sum over legs that have ended",
    "parkade_rtp_packets_sent_total": "RTP packets sent on legs that have ended",
    "parkade_rtp_packets_received_total": "RTP packets received on legs that have ended",
    "parkade_rtp_packets_lost_total": "RTP packets that phones sent and that did not arrive, on legs that have ended",
    "parkade_rtp_packets_refused_total": "RTP packets of strangers, on legs that have ended",
    "parkade_signalling_up": "1 if signalling answers",
    "parkade_database_up": "1 if the database answers",
    "parkade_events_waiting": "Events of the log that are not in the database yet",
    "parkade_event_listeners": "WebSockets that listen to events",
    "parkade_webhooks_waiting": "Webhook deliveries that wait to be sent",
    "parkade_webhook_attempts_delivered_total": "Webhook deliveries that have arrived",
    "parkade_webhook_attempts_retried_total": "Attempts of webhook deliveries that failed and are made again",
    "parkade_webhook_attempts_failed_total": "Webhook deliveries that have failed for good",
    "parkade_events_position": "The number of the last event in the database",
}


class Health(BaseModel):
    """The process lives."""

    alive: bool = True


class Readiness(BaseModel):
    """`missing` says in words what is."""

    ready: bool
    missing: list[str]


@router.get("/healthz", summary="Does the web process live?")
async def healthz() -> Health:
    """Always the same."""
    return Health()


@router.get("/readyz", summary="Do signalling and the database answer?", responses={503: {"model": Readiness}})
async def readyz(use: Use) -> Response:
    """200 if all of it does, 503 if something is missing."""
    signalling, database = await asyncio.gather(_or_why(use.signalling.figures()), _or_why(_position(use)))
    missing = [
        f"{what}: {answer}" for what, answer in (("signalling", signalling), ("database", database)) if isinstance(answer, str)
    ]
    body = Readiness(ready=not missing, missing=missing)
    return JSONResponse(body.model_dump(), 503 if missing else 200)


@router.get("/metrics", summary="Metrics in Prometheus' format", response_class=Response)
async def metrics(request: Request, use: Use) -> Response:
    """From this machine, or with a token of the installation's administrator."""
    await _let_in(request, use)
    signalling, database = await asyncio.gather(_or_why(use.signalling.figures()), _or_why(_database(use)))
    figures: dict[str, float] = {"parkade_event_listeners": live_of(use).listeners}
    figures |= {f"parkade_webhook_attempts_{outcome}_total": count for outcome, count in use.sender.counts.items()}
    for name, answer in (("signalling", signalling), ("database", database)):
        figures[f"parkade_{name}_up"] = float(not isinstance(answer, str))
        if not isinstance(answer, str):
            figures |= answer
    if (newest := figures.get("parkade_event_log_number")) is not None and "parkade_events_position" in figures:
        figures["parkade_events_waiting"] = max(0.0, newest - figures["parkade_events_position"])
    registry = CollectorRegistry()
    registry.register(_Given(figures, live_of(use).counting))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Given(Collector):
    """Figures that were asked for a moment ago."""

    def __init__(self, figures: Mapping[str, float], counting: Counting) -> None:
        self._figures = figures
        self._counting = counting

    def collect(self) -> Iterator[Metric]:
        for name, value in sorted(self._figures.items()):
            text = HELP.get(name, name)
            if name.endswith("_total"):
                yield CounterMetricFamily(name.removesuffix("_total"), text, value)
            else:
                yield GaugeMetricFamily(name, text, value)
        yield from self._counting.collect()


async def _let_in(request: Request, use: Use) -> None:
    if request.client is not None and not any(name in request.headers for name in _FORWARDED):
        address = ipaddress.ip_address(request.client.host)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if (mapped or address).is_loopback:
            return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    principal = await authenticate_token(use, token.strip()) if scheme.lower() == "bearer" and token else None
    if principal is None:
        raise Problem(refusals.NOT_SIGNED_IN, headers={"WWW-Authenticate": "Bearer"})
    if principal.role is not Role.INSTALLATION_ADMIN:
        raise Problem(refusals.NOT_ALLOWED)


async def _position(use: Use) -> int:
    async with use.store.reading() as connection:
        return await events.position(connection)


async def _database(use: Use) -> Mapping[str, float]:
    async with use.store.reading() as connection:
        position, waiting = await events.position(connection), await webhooks.waiting(connection)
    return {"parkade_events_position": position, "parkade_webhooks_waiting": waiting}


async def _or_why(asked: Awaitable[Any]) -> Any:
    """What comes of it, or in words why nothing does."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await asked
    except (SignallingAwayError, StoreError) as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {time.monotonic() - began:.0f} s"
