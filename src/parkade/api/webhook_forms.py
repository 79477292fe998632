"""What a webhook is sent: the body of an event in each form, and the headers that let the receiver believe it.

Both forms carry ``X-Parkade-Signature: t=<seconds>,v1=<hex>``: HMAC-SHA256, keyed with the webhook's secret, over the text of
``t``, a full stop and the body as it is. While a secret is being replaced there are two ``v1``. ``t`` is when this attempt was
made, so that a receiver may refuse what somebody has recorded and sends again.

The form ``callee_parked`` is ``phone.callee_parked`` of the service that this product's settings are called after, so that a
script written for it goes on: its envelope, its names, ``x-zm-signature: v0=<hex>`` over ``v0:<t>:<body>`` and
``x-zm-request-timestamp``. An extension is a number there. What this server does not know (time zones, device ids) is left out.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from parkade import __version__
from parkade.calls import refusals
from parkade.calls.refusals import Refusal

SIGNATURE: Final = "X-Parkade-Signature"
EVENT: Final = "X-Parkade-Event"
EVENT_ID: Final = "X-Parkade-Event-Id"
DELIVERY_ID: Final = "X-Parkade-Delivery-Id"
ATTEMPT: Final = "X-Parkade-Attempt"
PARKED_SUCCESSFULLY: Final = "Park successfully."
LONGEST_EXTENSION: Final = 6

_REASONS: Final = {value.id: value.en for value in vars(refusals).values() if isinstance(value, Refusal)}


def body_of(form: str, event: Mapping[str, Any]) -> bytes:
    """The body, the same at every attempt. ``event`` is as the contract writes it."""
    return json.dumps(_FORMS[form](event), ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(
    form: str, event: Mapping[str, Any], delivery: str, attempt: int, body: bytes, secrets: Sequence[str], now: float
) -> list[tuple[str, str]]:
    """The headers of one attempt (counted from 1) at ``now``. ``secrets`` sign, the present one first."""
    at = str(int(now))
    headers = [
        ("Content-Type", "application/json"),
        ("User-Agent", f"Parkade/{__version__}"),
        (EVENT, str(event["type"])),
        (EVENT_ID, str(event["id"])),
        (DELIVERY_ID, delivery),
        (ATTEMPT, str(attempt)),
        (SIGNATURE, ",".join([f"t={at}", *(f"v1={signature(secret, f'{at}.', body)}" for secret in secrets)])),
    ]
    if form == "callee_parked":
        headers += [("x-zm-request-timestamp", at), ("x-zm-signature", f"v0={signature(secrets[0], f'v0:{at}:', body)}")]
    return headers


def signature(secret: str, prefix: str, body: bytes) -> str:
    """HMAC-SHA256 as hex."""
    return hmac.new(secret.encode(), prefix.encode() + body, hashlib.sha256).hexdigest()


def _callee_parked(event: Mapping[str, Any]) -> dict[str, Any]:
    data, at = event["data"], datetime.fromisoformat(event["at"]).astimezone(UTC)
    reason = data.get("reason")
    parked: dict[str, Any] = {
        "call_id": data["call"],
        "caller": _party(data.get("caller_number") or "", data.get("caller_name") or ""),
        "callee": _party(data.get("parked_by") or "", ""),
        "park_code": data.get("code") or "",
        "park_failure_reason": _REASONS.get(str(reason), str(reason)) if reason is not None else PARKED_SUCCESSFULLY,
        "date_time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {
        "event": "phone.callee_parked",
        "event_ts": int(at.timestamp() * 1000),
        "payload": {"account_id": event["account"], "object": parked},
    }


def _party(number: str, name: str) -> dict[str, Any]:
    party: dict[str, Any] = {"phone_number": number}
    if name:
        party["name"] = name
    if number.isascii() and number.isdigit() and len(number) <= LONGEST_EXTENSION:
        return party | {"extension_type": "user", "extension_number": int(number), "connection_type": "voip"}
    return party | {"extension_type": "pstn", "connection_type": "pstn_off_net"}


_FORMS: Final[Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    "parkade": lambda event: event,
    "callee_parked": _callee_parked,
}
