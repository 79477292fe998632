"""A subscription as its notifier sees it (:rfc:`6665` section 4.2): who is told of which resource, and what is yet to be told.

One NOTIFY is on its way at a time. What changes meanwhile is told when that is answered, the newest state only: each NOTIFY
tells all there is to say. A NOTIFY that is refused, or not answered, ends the subscription, and nothing else in its dialog
(:rfc:`5057` section 5.1); one that is put off (Retry-After) is sent again, with what is new by then.

Departure from section 4.2.2: a connection that is lost does not end a subscription, because its phone comes back over another
one and believes itself subscribed. It is told when the owner says where the phone is (``move``), or when it refreshes; also
what went the old way in vain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from parkade.base.clock import Instant
from parkade.base.journal import Json, KeptError
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Response
from parkade.sip.session.agent import Agent
from parkade.sip.session.ask import Ask, Credentials, HeaderLines, Outcome, Purpose, retry_after_s
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.kept import dialog_of, dialog_value, is_text, is_time, items, lines_of, lines_value, number, text
from parkade.sip.session.package import Package
from parkade.sip.session.usage import Deadline, Usage

Reason: TypeAlias = Literal["", "deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant"]
"""Why a subscription is over, in the words of section 4.1.3; empty while it is not."""
REASONS: Mapping[str, Reason] = {
    "": "",
    "deactivated": "deactivated",
    "probation": "probation",
    "rejected": "rejected",
    "timeout": "timeout",
    "giveup": "giveup",
    "noresource": "noresource",
    "invariant": "invariant",
}


class Subscription(Usage):
    """One subscriber of one resource, in ``dialog``.

    ``event`` is the Event of each NOTIFY, ``names`` the ids by which a SUBSCRIBE may mean it. ``subscriber`` is what its owner
    calls who subscribed. ``state`` and ``headers`` are what was last said of the resource, ``version`` how many NOTIFYs have
    told of it. ``expires_at`` is when it ends unless refreshed. ``over`` is why it has ended; it is done when the subscriber
    knows. ``owes`` tells that there is something to say, ``asked`` is the NOTIFY on its way, ``rests`` that the next one
    waits for a time (RETRY) or a way, ``overtaken`` that the last one came too late. ``way`` is where the last one went.
    """

    __slots__ = (
        "_done",
        "_registry",
        "agent",
        "asked",
        "content_type",
        "credentials",
        "dialog",
        "event",
        "expires_at",
        "headers",
        "names",
        "over",
        "overtaken",
        "owes",
        "package",
        "resource",
        "rests",
        "state",
        "subscriber",
        "version",
        "way",
    )

    def __init__(
        self,
        agent: Agent,
        registry: Registry,
        package: Package,
        subscription_id: str,
        dialog: Dialog,
        *,
        event: str,
        names: tuple[str, ...],
        resource: str,
        subscriber: str,
        content_type: str,
        credentials: Credentials | None = None,
    ) -> None:
        super().__init__(subscription_id)
        self._registry = registry
        self._done = False
        self.agent = agent
        self.package = package
        self.dialog = dialog
        self.event = event
        self.names = names
        self.resource = resource
        self.subscriber = subscriber
        self.content_type = content_type
        self.credentials = credentials
        self.state = ""
        self.headers: HeaderLines = ()
        self.version = 0
        self.expires_at: Instant = 0.0
        self.over: Reason = ""
        self.owes = False
        self.asked: Ask | None = None
        self.rests = False
        self.overtaken = False
        self.way: Flow | None = None

    @property
    def is_done(self) -> bool:
        """Whether it is over and nothing is left to be told."""
        return self._done

    def begin(self) -> None:
        """From now on it is found by its dialog, its resource and its subscriber."""
        self.agent.usages[self.id] = self
        self.agent.bind(self.dialog, self)
        self._registry.add(self)

    # What the notifier does with it

    def renew(self, expires_s: int, now: Instant) -> None:
        """It lives for ``expires_s`` from now on, or ends with 0; the subscriber is told all there is to say, either way."""
        self._awake()
        self.expires_at = now + expires_s
        self.owes = True
        if expires_s:
            self.agent.timers.set((self.id, Deadline.EXPIRES), self.expires_at)
        else:
            self.agent.timers.cancel((self.id, Deadline.EXPIRES))
            self.over = "timeout"
        self.tell(now)

    def change(self, state: str, headers: HeaderLines, over: Reason, now: Instant) -> None:
        """The resource has changed; with ``over`` that was the last of it. What comes after the end is not told."""
        if not self.over:
            self.state = state
            self.headers = headers
            self.over = over
            self.owes = True
            self.tell(now)

    def end(self, reason: Reason, now: Instant) -> None:
        """Tell the subscriber that it is over, and what was last said of the resource."""
        self.change(self.state, self.headers, reason, now)

    def move(self, flow: Flow, now: Instant) -> None:
        """The subscriber is reached over ``flow`` from now on."""
        self.dialog.move(flow)
        if self.agent.timers.when((self.id, Deadline.RETRY)) is None:
            self.rests = False
        self.tell(now)

    def tell(self, now: Instant) -> None:
        """Send what is owed, unless a NOTIFY is on its way, or has to wait. Raises what the package raises."""
        if self.owes and self.asked is None and not self.rests:
            try:
                body = self.package.document(self.resource, self.state, self.version, self.content_type)
            except Exception:
                self._end_of_it()  # A fault of ours: nothing could be told later either, not even the end.
                raise
            self.owes = False
            self.version += 1
            lines = (("Event", self.event), ("Subscription-State", self._standing(now)), *self.headers)
            self.asked = Ask(self, self.dialog, "NOTIFY", Purpose.NOTIFY, lines, body, self.content_type, self.over)
            self.way = self.dialog.next_hop()
            self.asked.send(now)
        self.touch()

    def touch(self) -> None:
        """What must be kept of it may have changed."""
        if self.agent.keeps:
            self.agent.touched.add(self)

    # What happens to it

    def due(self, what: Deadline, now: Instant) -> None:
        """A timer has fired."""
        if what is Deadline.RETRY:
            self.rests = False
            self.tell(now)
        elif self.over or self.rests:
            self._end_of_it()
        else:
            self.end("timeout", now)

    def outcome(self, ask: Ask, outcome: Outcome, now: Instant) -> None:
        """What became of a NOTIFY."""
        if ask is not self.asked:
            return
        self.asked = None
        if isinstance(outcome, Response) and outcome.status < 300:
            if ask.about:
                self._end_of_it()
            else:
                self.overtaken = False
                self.tell(now)
            return
        if not isinstance(outcome, Response) and self.dialog.next_hop() != self.way:
            self.owes = True  # It went where the subscriber was before.
            self.tell(now)
            return
        wait_s = self._wait_s(outcome)
        if self.expires_at > now and (outcome == "transport" or wait_s is not None):
            self.owes = self.rests = True
            if wait_s is not None:
                self.agent.timers.set((self.id, Deadline.RETRY), now + wait_s)
            self.touch()
        else:
            self._end_of_it()

    def _wait_s(self, outcome: Outcome) -> int | None:
        """How long the subscriber puts us off, in seconds; None if it does not.

        Whoever has taken a later request of the same dialog before says 500 (:rfc:`3261` section 12.2.2): worth another try.
        """
        if not isinstance(outcome, Response) or outcome.status in (408, 481):
            return None
        wait_s = retry_after_s(outcome)
        if wait_s is None and outcome.status == 500 and not self.overtaken:
            self.overtaken = True
            return 1
        return None if wait_s is None else max(wait_s, 1)

    def _awake(self) -> None:
        if self.rests:
            self.rests = False
            self.agent.timers.cancel((self.id, Deadline.RETRY))

    def _standing(self, now: Instant) -> str:
        return f"terminated;reason={self.over}" if self.over else f"active;expires={max(round(self.expires_at - now), 0)}"

    def _end_of_it(self) -> None:
        self._done = True
        self.asked = None
        self.agent.timers.cancel((self.id, Deadline.EXPIRES))
        self.agent.timers.cancel((self.id, Deadline.RETRY))
        self.agent.usages.pop(self.id, None)
        self.agent.unbind(self.dialog, self)
        self._registry.remove(self)
        self.touch()

    # Kept

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What makes it worth writing down again. The answer to a NOTIFY does not: after a restart it may be sent once more."""
        return (
            self.version,
            self.owes,
            self.state,
            self.expires_at,
            self.over,
            self.content_type,
            self.dialog.local_seq,
            self.dialog.target,
            self.dialog.flow,
        )

    def snapshot(self) -> dict[str, Json]:
        """What ``Notifier.restore`` needs to go on with it."""
        value = dialog_value(self.dialog)
        value["id"] = self.id
        value["package"] = self.package.name
        value["event"] = self.event
        value["names"] = [*self.names]
        value["resource"] = self.resource
        value["subscriber"] = self.subscriber
        value["content_type"] = self.content_type
        value["state"] = self.state
        value["headers"] = lines_value(self.headers)
        value["version"] = self.version
        value["expires_at"] = self.expires_at
        value["over"] = self.over
        value["owes"] = self.owes or self.asked is not None
        return value


def restored(agent: Agent, registry: Registry, package: Package, value: Mapping[str, Json], now: Instant) -> Subscription:
    """The subscription that ``value``, a snapshot, is of. Raises KeptError, and does nothing, if it cannot be read.

    It says nothing before it is woken: until then its dialog may learn from others what it said last.
    """
    try:
        subscription = Subscription(
            agent,
            registry,
            package,
            text(value, "id"),
            dialog_of(value),
            event=text(value, "event"),
            names=tuple([is_text(name) for name in items(value, "names")]),
            resource=text(value, "resource"),
            subscriber=text(value, "subscriber"),
            content_type=text(value, "content_type"),
        )
        subscription.state = text(value, "state")
        subscription.headers = lines_of(value.get("headers", ()))
        subscription.version = number(value, "version")
        subscription.expires_at = is_time(value.get("expires_at"))
        subscription.over = REASONS[text(value, "over")]
        subscription.owes = subscription.rests = value.get("owes") is True
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise KeptError(f"a kept subscription that cannot be read: {error!r}") from error
    subscription.dialog = agent.joined(subscription.dialog)
    subscription.begin()
    if not subscription.over or subscription.expires_at > now:
        agent.timers.set((subscription.id, Deadline.EXPIRES), subscription.expires_at)
    if subscription.rests:
        agent.timers.set((subscription.id, Deadline.RETRY), now)
    return subscription


class Registry:
    """All subscriptions of a notifier, by what they are about and by who has them, each in the order in which they began."""

    __slots__ = ("_by_resource", "_by_subscriber")

    def __init__(self) -> None:
        self._by_resource: dict[tuple[str, str], dict[str, Subscription]] = {}
        self._by_subscriber: dict[str, dict[str, Subscription]] = {}

    def add(self, subscription: Subscription) -> None:
        """It has begun."""
        about = (subscription.package.name, subscription.resource)
        self._by_resource.setdefault(about, {})[subscription.id] = subscription
        self._by_subscriber.setdefault(subscription.subscriber, {})[subscription.id] = subscription

    def remove(self, subscription: Subscription) -> None:
        """It is done."""
        about = (subscription.package.name, subscription.resource)
        of_resource = self._by_resource.get(about)
        if of_resource is not None:
            of_resource.pop(subscription.id, None)
            if not of_resource:
                self._by_resource.pop(about)
        of_subscriber = self._by_subscriber.get(subscription.subscriber)
        if of_subscriber is not None:
            of_subscriber.pop(subscription.id, None)
            if not of_subscriber:
                self._by_subscriber.pop(subscription.subscriber)

    def resources(self, package: str) -> list[str]:
        """What is subscribed to of ``package``."""
        return [resource for name, resource in self._by_resource if name == package]

    def of_resource(self, package: str, resource: str) -> list[Subscription]:
        """Who is told of ``resource``."""
        return list(self._by_resource.get((package, resource), {}).values())

    def subscribers(self) -> list[str]:
        """Who has subscribed to anything."""
        return list(self._by_subscriber)

    def of_subscriber(self, subscriber: str) -> list[Subscription]:
        """What ``subscriber`` is told."""
        return list(self._by_subscriber.get(subscriber, {}).values())
