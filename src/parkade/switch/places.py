"""Where an endpoint can be called, and as what: each phone of a device by its registration, a trunk at its address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from parkade.calls.directory import Device, Trunk
from parkade.calls.effects import Alert
from parkade.calls.identity import Identity
from parkade.sip.message.flow import Flow
from parkade.sip.message.grammar import escape
from parkade.sip.message.uri import host_port
from parkade.switch.contact import Phone, request_uri
from parkade.switch.displays import alert_headers
from parkade.switch.registrar import Binding


class Place(NamedTuple):
    """One INVITE to be sent: over ``flow``, to the URI ``target``, for ``number``, from ``caller``.

    ``host`` is empty at our own phones, which may see who calls and be told how to ring (``headers``); else whose number it is.
    """

    flow: Flow
    target: str
    number: str
    caller: Identity
    phone: Phone
    host: str = ""
    headers: Sequence[tuple[str, str]] = ()


def places_of_device(
    device: Device, bindings: Sequence[Binding], caller: Identity, alert: Alert, auto_answer: bool = False
) -> list[Place]:
    """Every phone that is registered as ``device``."""
    headers = alert_headers(alert, auto_answer)
    return [Place(b.flow, request_uri(b.contact), device.extension, caller, b.phone, "", headers) for b in bindings]


def place_of_number(trunk: Trunk, number: str, caller: Identity) -> Place:
    """The far end of ``trunk``, to be asked for ``number``. It is told the number of the trunk, else the caller's; no name."""
    transport = "" if trunk.transport == "UDP" else f";transport={trunk.transport.lower()}"
    target = f"sip:{escape(number, '+')}@{host_port(trunk.host, trunk.port)}{transport}"
    shown = Identity("", trunk.number or caller.number)
    return Place(Flow(trunk.transport, trunk.host, trunk.port), target, number, shown, Phone(target), trunk.host)
