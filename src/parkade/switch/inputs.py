"""What the switch is told, and what it decides: the whole surface between the pure product and its edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from parkade.base.journal import Drop, Keep
from parkade.base.values import valueclass
from parkade.calls.commands import Command, Reply
from parkade.calls.directory import Account, Device, Directory
from parkade.calls.effects import SlotChanged
from parkade.calls.events import Event
from parkade.rtp.orders import Order, Report
from parkade.sip.message.flow import CloseFlow, Flow, Send
from parkade.switch.secrets import DeviceSecret


@valueclass(frozen=True, slots=True)
class Received:
    """One whole SIP message (or keepalive) as it came from the network."""

    flow: Flow
    data: bytes


@valueclass(frozen=True, slots=True)
class FlowLost:
    """A stream was closed, or could not be opened, or refused what was sent on it."""

    flow: Flow


@valueclass(frozen=True, slots=True)
class MediaReport:
    """The media process says something."""

    report: Report


@valueclass(frozen=True, slots=True)
class DirectoryLoaded:
    """From now on this directory holds, all of it: at the start, and when more than one account has changed."""

    directory: Directory
    secrets: Mapping[str, DeviceSecret]


@valueclass(frozen=True, slots=True)
class AccountLoaded:
    """One account has changed, or is gone (``account`` is None). ``devices`` by id and ``secrets`` are all that it has."""

    slug: str
    account: Account | None
    devices: Mapping[str, Device]
    secrets: Mapping[str, DeviceSecret]


@valueclass(frozen=True, slots=True)
class Drain:
    """Take no new calls from now on; those in progress go on."""


@valueclass(frozen=True, slots=True)
class HangUp:
    """End every leg there is."""


@valueclass(frozen=True, slots=True)
class Note:
    """Effect: one line for the log that says why somebody's call came to nothing. Holds no secrets.

    ``error`` is set where the software itself has failed; what failed was left out, and the rest was done. ``call`` is the
    call that it is about, where there is one.
    """

    text: str
    error: Exception | None = None
    call: str | None = None


@valueclass(frozen=True, slots=True)
class SessionOfCall:
    """Effect: the SIP session with this Call-ID has begun for ``call``. Given only where calls are traced."""

    account: str
    call: str
    call_id: str


SwitchInput: TypeAlias = Received | FlowLost | MediaReport | DirectoryLoaded | AccountLoaded | Drain | HangUp | Command
SwitchEffect: TypeAlias = Send | CloseFlow | Order | Event | Note | Keep | Drop | SlotChanged | Reply | SessionOfCall
