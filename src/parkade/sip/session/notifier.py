"""The notifier (:rfc:`6665` section 4.2): takes SUBSCRIBE and REFER, and tells subscribers what becomes of resources.

It knows packages by name, and resources and subscribers by what its owner calls them. Whether somebody may subscribe is for the
owner to say before ``accept``; how a subscription goes on is in ``subscription``. Limits: no conditional notification
(:rfc:`5839`), no throttling but one NOTIFY at a time (:rfc:`6446`), no filters (:rfc:`4660`), no state ``pending``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from parkade.base.clock import Instant
from parkade.base.journal import Json, KeptError
from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import WHITESPACE, number, param_of, parse_params
from parkade.sip.message.message import Request, make_response
from parkade.sip.session.agent import Agent
from parkade.sip.session.ask import HeaderLines
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.package import Package
from parkade.sip.session.refer import Refer, ReferPackage, unreported_by
from parkade.sip.session.subscription import Reason, Registry, Subscription, restored
from parkade.sip.transaction.layer import Refusal
from parkade.sip.transaction.transaction import ServerTransaction

REFER = ReferPackage()


class Notifier:
    """All subscriptions of one user agent. ``packages`` by name, ``refer`` among them."""

    def __init__(self, agent: Agent, packages: Sequence[Package]) -> None:
        self._agent = agent
        self.packages: dict[str, Package] = {package.name: package for package in (REFER, *packages)}
        self.allow_events_line = ("Allow-Events", ", ".join(sorted(self.packages)))
        self._registry = Registry()

    # Subscribing

    def package_of(self, request: Request) -> str:
        """The name of the package that a SUBSCRIBE asks for; empty if it says none."""
        return _event_of(request)[0]

    def refusal(self, request: Request) -> Refusal | None:
        """What keeps a SUBSCRIBE from beginning a subscription, whatever it is to; None if nothing does."""
        name, _ = _event_of(request)
        package = self.packages.get(name)
        if package is None:
            return 489, [self.allow_events_line]
        if not package.by_subscribe:
            return 403, ()
        return _refusal(package, request)

    def accept(self, tx: ServerTransaction, resource: str, subscriber: str, now: Instant) -> Subscription | None:
        """Begin the subscription that ``tx``, a SUBSCRIBE in a dialog or outside, asks for: 200, and a first NOTIFY.

        ``subscriber`` is what the owner calls who asks. Refuses what ``refusal`` says; None then.
        """
        request = tx.request
        refusal = self.refusal(request)
        dialog = self._dialog_for(tx) if refusal is None else None
        if dialog is None:
            status, headers = refusal or (481, ())
            tx.respond(make_response(request, status, to_tag=tx.to_tag, headers=headers), now)
            return None
        event, name = _event_of(request)
        package = self.packages[event]
        subscription = Subscription(
            self._agent,
            self._registry,
            package,
            self._agent.ids.token(),
            dialog,
            event=f"{event};id={name}" if name else event,
            names=(name,),
            resource=resource,
            subscriber=subscriber,
            content_type=package.types[0],
        )
        subscription.begin()
        _grant(subscription, tx, now)
        return subscription

    def take(self, dialog: Dialog, tx: ServerTransaction, now: Instant) -> bool:
        """Answer a SUBSCRIBE in ``dialog`` that refreshes or ends a subscription there, or cannot begin one; else False."""
        request = tx.request
        event, name = _event_of(request)
        refusal: Refusal | None = None
        for usage in dialog.usages:
            if isinstance(usage, Subscription) and usage.package.name == event and name in usage.names:
                refusal = (481, ()) if usage.over else _refusal(usage.package, request)
                if refusal is None:
                    dialog.refresh_target(request)
                    _grant(usage, tx, now)
                    return True
                break
        else:
            package = self.packages.get(event)
            # What SUBSCRIBE cannot begin is over, if it is not here.
            refusal = (481, ()) if package is not None and not package.by_subscribe else self.refusal(request)
        if refusal is None:
            return False
        status, headers = refusal
        tx.respond(make_response(request, status, to_tag=tx.to_tag, headers=headers), now)
        return True

    def _dialog_for(self, tx: ServerTransaction) -> Dialog | None:
        """The dialog that ``tx`` is in, or opens; None if it is in one that is gone. Raises SipError(400)."""
        request = tx.request
        if request.to.tag is None:
            return Dialog.of_server(request, tx.to_tag, self._agent.contact_on(tx.source), tx.flow)
        dialog = self._agent.dialogs.get((request.call_id, request.to.tag, request.from_.tag or ""))
        if dialog is not None:
            dialog.refresh_target(request)
        return dialog

    # Transfers

    def accept_refer(self, refer: Refer, now: Instant, headers: HeaderLines = (), subscriber: str = "") -> None:
        """Say 202 to ``refer``, and 100 Trying in a first NOTIFY unless no reports are wanted. Ignored once it is answered."""
        if refer.tx is None:
            return
        lines = [("Contact", refer.dialog.contact), *headers]
        unreported = unreported_by(refer.tx.request)
        if unreported and "Refer-Sub" in refer.tx.request.headers:
            lines.append(("Refer-Sub", "false"))
        refer.answer(202, lines, now)
        if unreported:
            return
        subscription = Subscription(
            self._agent,
            self._registry,
            REFER,
            refer.id,
            refer.dialog,
            event=refer.event,
            names=refer.names,
            resource=refer.id,
            subscriber=subscriber,
            content_type=REFER.types[0],
            credentials=refer.session.credentials,
        )
        subscription.state = "100 Trying"
        subscription.begin()
        subscription.renew(REFER.default_s, now)

    def report(
        self, refer_id: str, status: int, reason: str, now: Instant, headers: HeaderLines = (), *, final: bool = False
    ) -> None:
        """Say how far the transfer that the Refer ``refer_id`` asked for has come; ``final`` ends the subscription.

        Nothing happens if it was not accepted, wants no reports, or is over.
        """
        self.changed(REFER.name, refer_id, now, f"{status} {reason}", headers, "noresource" if final else "")

    # Telling

    def changed(
        self, package: str, resource: str, now: Instant, state: str = "", headers: HeaderLines = (), over: Reason = ""
    ) -> None:
        """``resource`` has changed: all who have subscribed to it are told, the newest state at least.

        ``state`` is given to the package for its document, and kept; ``headers`` go into the NOTIFY. ``over``: that was the
        last of it (``noresource``), or they have to subscribe anew (``deactivated``).
        """
        fault: Exception | None = None
        for subscription in self._registry.of_resource(package, resource):
            try:
                subscription.change(state, headers, over, now)
            except Exception as error:  # noqa: BLE001 - the others are told before anybody hears of it
                fault = error
        if fault is not None:
            raise fault

    def resources(self, package: str) -> list[str]:
        """What somebody has subscribed to of ``package``."""
        return self._registry.resources(package)

    def of_resource(self, package: str, resource: str) -> list[Subscription]:
        """Who is told of ``resource``."""
        return self._registry.of_resource(package, resource)

    def subscribers(self) -> list[str]:
        """Who has subscribed to anything."""
        return self._registry.subscribers()

    def of_subscriber(self, subscriber: str) -> list[Subscription]:
        """What ``subscriber`` is told."""
        return self._registry.of_subscriber(subscriber)

    # After a restart

    def restore(self, value: Mapping[str, Json], now: Instant) -> Subscription:
        """The subscription that ``value``, a snapshot, is of: what it owed is told at the next ``wake``.

        To be done before sessions are restored: those begin to speak at once, in a dialog that may be the same, and must not
        use a number that a NOTIFY has used. Raises KeptError if the value cannot be read, or its package is no more.
        """
        name, subscription_id = value.get("package"), value.get("id")
        package = self.packages.get(name) if isinstance(name, str) else None
        if package is None:
            raise KeptError(f"a kept subscription to a package that is not known: {name!r}")
        if subscription_id in self._agent.usages:
            raise KeptError("a kept subscription without an id of its own")
        return restored(self._agent, self._registry, package, value, now)


def _grant(subscription: Subscription, tx: ServerTransaction, now: Instant) -> None:
    """Say 200 to the SUBSCRIBE ``tx``, in which nothing is wrong, and tell its subscriber all there is to say."""
    package, request = subscription.package, tx.request
    subscription.content_type = package.type_for(request.headers.all("Accept")) or subscription.content_type
    expires_s = package.granted_s(_expires_of(request)) or 0
    headers = [("Contact", subscription.dialog.contact), ("Expires", str(expires_s))]
    tx.respond(make_response(request, 200, to_tag=tx.to_tag, headers=headers), now)
    subscription.renew(expires_s, now)


def _refusal(package: Package, request: Request) -> Refusal | None:
    if package.type_for(request.headers.all("Accept")) is None:
        return 406, [("Accept", ", ".join(package.types))]
    if package.granted_s(_expires_of(request)) is None:
        return 423, [("Min-Expires", str(package.least_s))]
    return None


def _event_of(request: Request) -> tuple[str, str]:
    """The package that Event names, in lower case, and its id; both empty if not said, or not readable."""
    name, semicolon, params = (request.headers.get("Event") or "").partition(";")
    try:
        id_ = param_of(parse_params(semicolon + params), "id") or ""
    except SipError:
        return "", ""
    return name.strip(WHITESPACE).lower(), id_


def _expires_of(request: Request) -> int | None:
    """How long the subscription is wanted, in seconds; None if not said, or not readable."""
    return number((request.headers.get("Expires") or "").strip(WHITESPACE))
