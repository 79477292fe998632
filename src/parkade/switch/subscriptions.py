"""Who may be told what: SUBSCRIBE of phones, from the device that asks to the resource of a package.

The user agent's notifier does the rest. A subscription belongs to its device: it follows the phone to another connection, and
ends with the device. The product offers no package yet but what REFER opens: any other SUBSCRIBE gets 489.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mypy_extensions import mypyc_attr

from parkade.base.clock import Instant
from parkade.calls.directory import Device
from parkade.sip.message.message import make_response
from parkade.sip.session.notifier import Notifier
from parkade.sip.session.package import Package
from parkade.sip.transaction.transaction import ServerTransaction
from parkade.switch.address import dialled_of
from parkade.switch.contact import Phone
from parkade.switch.flows import LostFlows
from parkade.switch.registrar import Binding


class Subscribed(NamedTuple):
    """What a phone asks to be told of: ``dialled`` is what its SUBSCRIBE names, as if it had been dialled."""

    device: Device
    dialled: str


@mypyc_attr(allow_interpreted_subclasses=True)
class PhonePackage(Package):
    """An event package that phones may subscribe to."""

    __slots__ = ()

    def resource(self, asked: Subscribed) -> str | None:
        """What the package and ``Notifier.changed`` call that of which the phone wants to be told; None if there is none."""
        raise NotImplementedError


class Subscriptions:
    """Subscriptions of devices."""

    def __init__(self, notifier: Notifier, packages: Sequence[PhonePackage]) -> None:
        self._notifier = notifier
        self._packages = {package.name: package for package in packages}

    def asked(self, device: Device, tx: ServerTransaction, now: Instant) -> None:
        """``device`` has sent SUBSCRIBE, in a dialog or outside: answer it. Raises SipError(400)."""
        request = tx.request
        refusal = self._notifier.refusal(request)
        if refusal is None:
            package = self._packages[self._notifier.package_of(request)]
            resource = package.resource(Subscribed(device, dialled_of(request)))
            if resource is not None:
                self._notifier.accept(tx, resource, device.id, now)
                return
            refusal = 404, ()
        status, headers = refusal
        tx.respond(make_response(request, status, to_tag=tx.to_tag, headers=headers), now)

    def reconnect(self, device: str, binding: Binding, lost: LostFlows, now: Instant) -> None:
        """A phone of ``device`` has registered: what it is told goes there, if the way it had leads nowhere."""
        for subscription in self._notifier.of_subscriber(device):
            flow = subscription.dialog.flow
            leads_nowhere = flow == binding.before or lost.has(flow) or (flow.reliable and not flow.connection)
            if flow == binding.flow or (leads_nowhere and Phone(subscription.dialog.target).is_same(binding.phone)):
                subscription.move(binding.flow, now)

    def end(self, device: str, now: Instant) -> None:
        """``device`` is not one any more: it is told that, and nothing else. A transfer that it has begun is reported on."""
        for subscription in self._notifier.of_subscriber(device):
            if subscription.package.name in self._packages:
                subscription.end("rejected", now)
