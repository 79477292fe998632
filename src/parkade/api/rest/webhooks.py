"""Webhooks of an account: where events are sent, what has become of them, and sending them again."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator, BaseModel, Field

from parkade.api import refusals
from parkade.api.auth import AccountSlug, allowed, may_manage_webhooks
from parkade.api.describe import answers
from parkade.api.models import Body, Time, time, time_or_none
from parkade.api.outside import TargetRefusedError, TargetUnknownError
from parkade.api.paging import Page, Paged
from parkade.api.principal import Principal
from parkade.api.problems import Fault, Problem
from parkade.api.services import Services, Use
from parkade.edge.event_json import TYPES, iso
from parkade.store import audit, webhooks
from parkade.store.audit import AuditEntry
from parkade.store.webhooks import Delivery, Webhook

MOST = 50
MOST_AT_ONCE = 10_000
EVENT_TYPES = ("*", *TYPES.values())

router = APIRouter(tags=["webhooks"])
Manager = Annotated[Principal, Depends(allowed(may_manage_webhooks))]
Form = Literal["parkade", "callee_parked"]
State = Literal["waiting", "delivered", "failed"]


def _url(text: str) -> str:
    parts = urlsplit(text)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or any(ord(letter) <= 32 or ord(letter) >= 127 for letter in text)
    ):
        raise ValueError("an address that begins with https:// or http:// is wanted, in ASCII")
    if parts.username is not None or parts.fragment:
        raise ValueError("an address without a user name and without a # is wanted")
    if parts.port == 0:
        raise ValueError("0 is no port")
    return text


def _event_type(text: str) -> str:
    if text not in EVENT_TYPES:
        raise ValueError(f"none of {', '.join(EVENT_TYPES)}")
    return text


Url = Annotated[str, Field(max_length=2000, examples=["https://example.com/parkade"]), AfterValidator(_url)]
Events = Annotated[
    list[Annotated[str, AfterValidator(_event_type)]],
    Field(min_length=1, max_length=50, description="Types of events, or `*` for all."),
]


class NewWebhook(Body):
    """`form`: `parkade` as everywhere in this API, `callee_parked` as `phone.callee_parked` of another service."""

    url: Url
    events: Annotated[Events, Field(default_factory=lambda: ["*"])]
    form: Form = "parkade"
    active: bool = True


class WebhookChanges(Body):
    url: Url | None = None
    events: Events | None = None
    form: Form | None = None
    active: bool | None = None


class WebhookBody(BaseModel):
    """`failing_since`: nothing has arrived since then; `switched_off_at`: that had lasted for too long."""

    id: str
    url: str
    events: list[str]
    form: Form
    active: bool
    created_at: Time
    failing_since: Time | None
    switched_off_at: Time | None


class WebhookWithSecret(WebhookBody):
    secret: str = Field(description="Shown this once: it signs what is sent.")


class DeliveryBody(BaseModel):
    """`next_at` is null while an earlier event of the same call is on its way, and at the end."""

    id: str
    event_id: str | None
    event_type: str | None
    call_id: str | None
    state: State
    attempts: int
    next_at: Time | None
    last_status: int | None
    last_error: str | None
    created_at: Time
    ended_at: Time | None


class Replay(Body):
    after: Annotated[str, Field(max_length=100, description="The id of the last event that is not to be sent again.")]


class Replayed(BaseModel):
    """`next`: where to go on if there is more, as `after`."""

    queued: int
    next: str | None


class Tested(BaseModel):
    """What the receiver has answered to an event of the type `webhook.test`."""

    delivered: bool
    status: int | None
    error: str | None
    took_s: float


@dataclass(frozen=True, slots=True)
class _By:
    """Who changes a webhook, for the audit trail."""

    who: Principal
    request: Request
    use: Services

    def entry(
        self, hook: Webhook, action: str, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
    ) -> AuditEntry:
        address = self.request.client.host if self.request.client else None
        who, path = self.who, f"webhooks/{hook.uid}"
        return AuditEntry(hook.account, self.use.now(), who.by, who.role, action, path, before, after, address)


async def _by(who: Manager, request: Request, use: Use) -> _By:
    return _By(who, request, use)


By = Annotated[_By, Depends(_by)]


@router.get("/webhooks")
async def list_webhooks(who: Manager, account: AccountSlug, use: Use, wanted: Paged) -> Page[WebhookBody]:
    """Where events are sent, oldest first."""
    after = wanted.after(int)
    async with use.store.reading() as connection:
        found = await webhooks.webhooks(connection, account, after=int(after[0]) if after else 0, limit=wanted.limit + 1)
    here, following = wanted.page(found, lambda hook: [hook.id])
    return Page(items=[_body(hook) for hook in here], next=following)


@router.post("/webhooks", status_code=201, responses=answers(refusals.TARGET_REFUSED, refusals.TOO_MANY_WEBHOOKS))
async def add_webhook(given: NewWebhook, who: Manager, by: By, account: AccountSlug, use: Use) -> WebhookWithSecret:
    """Have events sent somewhere from now on. The answer has the secret that signs them, this once."""
    await _look_at(use, given.url)
    secret = _new_secret()
    async with use.store.writing() as connection:
        if await webhooks.count(connection, account) >= MOST:
            raise Problem(refusals.TOO_MANY_WEBHOOKS.with_(count=str(MOST)))
        hook = await webhooks.add(connection, account, **given.model_dump(), secret=secret, now=use.now())
        await audit.add(connection, by.entry(hook, "create", None, given.model_dump()))
    return WebhookWithSecret(**_body(hook).model_dump(), secret=secret)


@router.get("/webhooks/{webhook}")
async def get_webhook(webhook: str, who: Manager, account: AccountSlug, use: Use) -> WebhookBody:
    """One webhook."""
    return _body(await _find(use, account, webhook))


@router.patch("/webhooks/{webhook}", responses=answers(refusals.TARGET_REFUSED))
async def change_webhook(
    webhook: str, given: WebhookChanges, who: Manager, by: By, account: AccountSlug, use: Use
) -> WebhookBody:
    """Change what is given. One that is switched off gets nothing, and what waited for it has failed."""
    changes = given.model_dump(exclude_none=True)
    if given.url is not None:
        await _look_at(use, given.url)
    async with use.store.writing() as connection:
        hook = await webhooks.webhook(connection, account, webhook)
        if hook is None:
            raise Problem(refusals.NOT_FOUND)
        was = _body(hook).model_dump(include=set(changes))
        if was != changes:
            await webhooks.change(connection, hook, changes, use.now())
            await audit.add(connection, by.entry(hook, "change", was, changes))
    use.sender.wake()
    return _body(await _find(use, account, webhook))


@router.delete("/webhooks/{webhook}", status_code=204)
async def remove_webhook(webhook: str, who: Manager, by: By, account: AccountSlug, use: Use) -> None:
    """Remove it, with its deliveries."""
    async with use.store.writing() as connection:
        hook = await webhooks.webhook(connection, account, webhook)
        if hook is None:
            raise Problem(refusals.NOT_FOUND)
        await webhooks.remove(connection, hook)
        await audit.add(connection, by.entry(hook, "delete", _body(hook).model_dump(mode="json")))


@router.post("/webhooks/{webhook}/rotate-secret")
async def rotate_secret(webhook: str, who: Manager, by: By, account: AccountSlug, use: Use) -> WebhookWithSecret:
    """A new secret. The one before signs too for a day, so that the receiver may be changed in between."""
    secret = _new_secret()
    async with use.store.writing() as connection:
        hook = await webhooks.webhook(connection, account, webhook)
        if hook is None:
            raise Problem(refusals.NOT_FOUND)
        await webhooks.rotate_secret(connection, hook, secret, use.now())
        await audit.add(connection, by.entry(hook, "rotate_secret"))
    return WebhookWithSecret(**_body(hook).model_dump(), secret=secret)


@router.post("/webhooks/{webhook}/test")
async def test_webhook(webhook: str, who: Manager, account: AccountSlug, use: Use) -> Tested:
    """Send it an event of the type `webhook.test` now, once; what it has answered. It need not be switched on."""
    hook = await _find(use, account, webhook)
    now = use.now()
    event = {"id": secrets.token_hex(8), "type": "webhook.test", "at": iso(now), "account": account, "data": _SAMPLE}
    answer = await use.sender.test(hook, event, secrets.token_hex(8))
    return Tested(delivered=answer.error is None, status=answer.status, error=answer.error, took_s=round(answer.took_s, 3))


@router.get("/webhooks/{webhook}/deliveries")
async def list_deliveries(
    webhook: str,
    who: Manager,
    account: AccountSlug,
    use: Use,
    wanted: Paged,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
) -> Page[DeliveryBody]:
    """What was sent and what waits, newest first."""
    after = wanted.after(int)
    async with use.store.reading() as connection:
        hook = await webhooks.webhook(connection, account, webhook)
        if hook is None:
            raise Problem(refusals.NOT_FOUND)
        before = int(after[0]) if after else None
        found = await webhooks.deliveries(connection, hook, state=state, before=before, limit=wanted.limit + 1)
    here, following = wanted.page(found, lambda delivery: [delivery.id])
    return Page(items=[_delivery(delivery) for delivery in here], next=following)


@router.post(
    "/webhooks/{webhook}/deliveries/{delivery}/replay",
    status_code=201,
    responses=answers(refusals.EVENT_GONE, refusals.WEBHOOK_OFF),
)
async def replay_delivery(webhook: str, delivery: str, who: Manager, account: AccountSlug, use: Use) -> DeliveryBody:
    """Send the event of a delivery once more: a new delivery of the same event."""
    async with use.store.writing() as connection:
        hook = await webhooks.webhook(connection, account, webhook)
        found = await webhooks.find_delivery(connection, hook, delivery) if hook else None
        if hook is None or found is None:
            raise Problem(refusals.NOT_FOUND)
        if not hook.active:
            raise Problem(refusals.WEBHOOK_OFF)
        again = await webhooks.replay(connection, hook, found, use.now())
        if again is None:
            raise Problem(refusals.EVENT_GONE)
    use.sender.wake()
    return _delivery(again)


@router.post("/webhooks/{webhook}/replay", responses=answers(refusals.EVENT_GONE, refusals.WEBHOOK_OFF))
async def replay_since(webhook: str, given: Replay, who: Manager, account: AccountSlug, use: Use) -> Replayed:
    """Send every event after one again, in order, as new deliveries; at most 10,000 at a time."""
    async with use.store.writing() as connection:
        hook = await webhooks.webhook(connection, account, webhook)
        if hook is None:
            raise Problem(refusals.NOT_FOUND)
        if not hook.active:
            raise Problem(refusals.WEBHOOK_OFF)
        done = (
            None
            if "\0" in given.after
            else await webhooks.replay_since(connection, hook, given.after, use.now(), limit=MOST_AT_ONCE)
        )
        if done is None:
            raise Problem(refusals.EVENT_GONE)
    use.sender.wake()
    return Replayed(queued=done[0], next=done[1])


_SAMPLE: Mapping[str, Any] = {
    "call": "test",
    "caller_name": "Test",
    "caller_number": "+15550100",
    "code": "*801",
    "lot": "Main",
    "parked_by": "101",
}


async def _find(use: Services, account: str, webhook: str) -> Webhook:
    async with use.store.reading() as connection:
        hook = await webhooks.webhook(connection, account, webhook)
    if hook is None:
        raise Problem(refusals.NOT_FOUND)
    return hook


async def _look_at(use: Services, url: str) -> None:
    """Refuse a target that nothing would be sent to anyway, while somebody is there to read it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    try:
        await use.outside.addresses(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    except (TargetRefusedError, TargetUnknownError) as error:
        raise Problem(refusals.TARGET_REFUSED, errors=[Fault("body.url", str(error))]) from None


def _new_secret() -> str:
    return "whs_" + secrets.token_urlsafe(32)


def _body(hook: Webhook) -> WebhookBody:
    return WebhookBody(
        id=hook.uid,
        url=hook.url,
        events=list(hook.events),
        form=cast("Form", hook.form),
        active=hook.active,
        created_at=time(hook.created_at),
        failing_since=time_or_none(hook.failing_since),
        switched_off_at=time_or_none(hook.switched_off_at),
    )


def _delivery(delivery: Delivery) -> DeliveryBody:
    return DeliveryBody(
        id=delivery.uid,
        event_id=delivery.event,
        event_type=delivery.type,
        call_id=delivery.call,
        state=cast("State", delivery.state),
        attempts=delivery.attempts,
        next_at=time_or_none(delivery.next_at),
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        created_at=time(delivery.created_at),
        ended_at=time_or_none(delivery.ended_at),
    )
