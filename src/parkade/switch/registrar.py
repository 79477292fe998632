"""Which device can be reached where (:rfc:`3261` section 10.3).

Bindings belong to the device whose credentials the REGISTER carried; the address-of-record it names is not looked at. A
device may be registered from several places (the same account typed into two phones): all of them ring. There is room for
``MAX_BINDINGS`` of them; the next one takes the place of the one that registered longest ago.

``news`` says which devices may have come or gone, and why they went; ``timers`` when the last place of a device expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from parkade.base.clock import Instant
from parkade.base.journal import Drop, Json, Keep, KeptError
from parkade.base.timers import Timers
from parkade.calls.events import Gone
from parkade.sip.message.flow import Flow
from parkade.sip.message.grammar import number
from parkade.sip.message.message import Request
from parkade.switch.contact import Contact, Phone, read_contact, same_contact

PREFIX = "binding/"
"""What the keys of kept registrations begin with."""

MIN_EXPIRES_S = 30
MAX_EXPIRES_S = 3600
DEFAULT_EXPIRES_S = 600
MAX_BINDINGS = 8
MAX_CONTACT_BYTES = 2048
"""Of one Contact URI: a full set of them still fits into the datagram that answers a REGISTER."""
MAX_CONTACTS = 64
"""In one REGISTER: far more than there is room for, and each is compared with every other."""

Answer = tuple[int, list[tuple[str, str]]]
"""A status and the headers that go with it."""


@dataclass(slots=True)
class Binding:
    """One place where a device can be reached: its Contact URI as it came, and the flow its REGISTER came on.

    ``before`` is the flow that the same place had until then, if it was another one.
    """

    contact: str
    flow: Flow
    expires_at: Instant
    call_id: str
    cseq: int
    instance: str | None
    user_agent: str
    before: Flow | None = None

    @property
    def phone(self) -> Phone:
        """What tells the phone at this place from others."""
        return Phone(self.contact, self.instance, self.call_id)


class Registrar:
    """All bindings of all devices, and which devices have registered on which flow."""

    def __init__(self) -> None:
        self._bindings: dict[str, list[Binding]] = {}
        self._on_flow: dict[Flow, set[str]] = {}
        self._changed: set[str] = set()
        self.news: dict[str, Gone] = {}
        """Devices of which a first place was added or the last one removed since this was last cleared, and why it was."""
        self.timers: Timers[str] = Timers()
        """By device, not later than its last place expires; a place that was refreshed is looked at again."""

    def __len__(self) -> int:
        return sum(len(bindings) for bindings in self._bindings.values())

    def bindings(self, device: str, now: Instant) -> list[Binding]:
        """Where ``device`` can be reached now, latest registration last."""
        current = self._bindings.get(device)
        if current is None:
            return []
        live = [b for b in current if b.expires_at > now]
        if len(live) != len(current):
            self._store(device, live, Gone.EXPIRED)
        return live

    def wake(self, now: Instant) -> None:
        """Forget places that have expired."""
        for device in self.timers.pop_due(now):
            if live := self.bindings(device, now):
                self.timers.set(device, _last_expiry(live))

    def is_registered_on(self, device: str, flow: Flow) -> bool:
        """Whether it has a place on this very flow."""
        return any(binding.flow == flow for binding in self._bindings.get(device, ()))

    def is_registered(self, device: str) -> bool:
        """Whether it has a place, as far as is known."""
        return device in self._bindings

    def register(self, device: str, request: Request, flow: Flow, now: Instant) -> Answer:
        """Perform a REGISTER that was authenticated as ``device``; says what to answer. All or nothing."""
        current = self.bindings(device, now)
        values = request.headers.all("Contact")
        if "*" in values:
            # Never beside others (section 10.3 step 6).
            return self._remove_all(device, request, current, now) if len(values) == 1 else (400, [])
        if len(values) > MAX_CONTACTS:
            return 513, []
        contacts = [contact for value in values if (contact := read_contact(value)) is not None]
        if any(len(contact.uri.encode("utf-8", "surrogateescape")) > MAX_CONTACT_BYTES for contact in contacts):
            return 513, []
        if values and not contacts:
            return 400, []  # Also for Contacts of another scheme: 416 is about the Request-URI.
        try:
            changed = self._merged(current, contacts, request, flow, now)
        except _TooBriefError:
            return 423, [("Min-Expires", str(MIN_EXPIRES_S))]
        except _StaleError:
            return 500, [("Retry-After", "1")]
        self._store(device, changed)
        return 200, _contact_headers(changed, now)

    def refreshed(self, device: str, request: Request, now: Instant) -> list[Binding]:
        """The bindings that the REGISTER ``request`` has made or refreshed."""
        call_id, seq = request.call_id, request.cseq.number
        return [b for b in self.bindings(device, now) if b.call_id == call_id and b.cseq == seq]

    def flow_lost(self, flow: Flow) -> None:
        """A stream is gone: whoever registered on it cannot be reached until it registers again."""
        for device in sorted(self._on_flow.get(flow, ())):
            self._store(device, [b for b in self._bindings[device] if b.flow != flow], Gone.CONNECTION)

    def forget(self, device: str) -> None:
        """The device no longer exists."""
        self._store(device, [], Gone.REMOVED)

    def devices(self) -> list[str]:
        """Devices with any binding, expired ones included."""
        return list(self._bindings)

    # Across a restart

    def changes(self) -> list[Keep | Drop]:
        """What has become of the devices that have registered or gone since this was last asked."""
        changes: list[Keep | Drop] = []
        if not self._changed:
            return changes
        for device in sorted(self._changed):
            bindings = self._bindings.get(device)
            changes.append(Keep(PREFIX + device, [_written(b) for b in bindings]) if bindings else Drop(PREFIX + device))
        self._changed.clear()
        return changes

    def restore(self, device: str, value: Json, now: Instant) -> None:
        """The places that were kept for ``device`` and have not expired. Raises ``KeptError``.

        A stream does not outlive the process: until the phone opens another, it is called by a new connection to where it was.
        """
        try:
            bindings = [_read(one) for one in value]  # type: ignore[union-attr]
        except (TypeError, ValueError) as error:
            raise KeptError(f"kept registrations that cannot be read: {device}: {error!r}") from error
        self._store(device, [binding for binding in bindings if binding.expires_at > now])

    def _store(self, device: str, bindings: list[Binding], why: Gone = Gone.ASKED) -> None:
        self._changed.add(device)
        if (device in self._bindings) != bool(bindings):
            self.news[device] = why
        flows = {binding.flow for binding in bindings}
        for flow in {binding.flow for binding in self._bindings.get(device, ())} - flows:
            there = self._on_flow[flow]
            there.discard(device)
            if not there:
                del self._on_flow[flow]
        for flow in flows:
            self._on_flow.setdefault(flow, set()).add(device)
        if bindings:
            self._bindings[device] = bindings
            expires_at, armed_for = _last_expiry(bindings), self.timers.when(device)
            if armed_for is None or expires_at < armed_for:
                self.timers.set(device, expires_at)
        else:
            self._bindings.pop(device, None)
            self.timers.cancel(device)

    def _remove_all(self, device: str, request: Request, current: list[Binding], now: Instant) -> Answer:
        if number(request.headers.get("Expires") or "") != 0:
            return 400, []
        if any(_is_stale(b, request) for b in current):
            return 500, [("Retry-After", "1")]
        self._store(device, [])
        return 200, []

    def _merged(
        self, current: list[Binding], contacts: list[Contact], request: Request, flow: Flow, now: Instant
    ) -> list[Binding]:
        merged = list(current)
        for contact in contacts:
            wanted_s = _expires_s(contact, request)
            instance = contact.param("+sip.instance") or None
            same = [b for b in merged if _same_place(b, contact.uri, instance)]
            if any(_is_stale(b, request) for b in same):
                raise _StaleError
            merged = [b for b in merged if b not in same]
            if wanted_s:
                agent = request.headers.get("User-Agent") or ""
                expires_at = now + min(wanted_s, MAX_EXPIRES_S)
                before = next((b.flow for b in same if b.flow != flow), None)
                merged.append(
                    Binding(contact.uri, flow, expires_at, request.call_id, request.cseq.number, instance, agent, before)
                )
        # The places that registered longest ago are the likeliest to be dead: the live phone is never locked out by them.
        return merged[-MAX_BINDINGS:]


def _written(b: Binding) -> list[Json]:
    transport, host, port, _ = b.flow
    return [b.contact, [transport, host, port], b.expires_at, b.call_id, b.cseq, b.instance, b.user_agent]


def _read(value: Any) -> Binding:
    contact, (transport, host, port), expires_at, call_id, cseq, instance, user_agent, *_ = value
    flow = Flow(str(transport), str(host), int(port))
    known = None if instance is None else str(instance)
    return Binding(str(contact), flow, float(expires_at), str(call_id), int(cseq), known, str(user_agent))


def _last_expiry(bindings: list[Binding]) -> Instant:
    return max([binding.expires_at for binding in bindings])


class _StaleError(Exception):
    """A REGISTER overtaken by a later one of the same Call-ID (section 10.3, step 7)."""


class _TooBriefError(Exception):
    """Fewer seconds than we let phones refresh in."""


def _same_place(binding: Binding, uri: str, instance: str | None) -> bool:
    if binding.instance and instance:
        return binding.instance == instance
    return same_contact(binding.contact, uri)


def _is_stale(binding: Binding, request: Request) -> bool:
    return binding.call_id == request.call_id and binding.cseq >= request.cseq.number


def _expires_s(contact: Contact, request: Request) -> int:
    # A malformed value counts as the default, not as an error (section 10.2.1.1 treats it as 3600).
    wanted_s = number(contact.param("expires") or request.headers.get("Expires") or "")
    if wanted_s is None:
        return DEFAULT_EXPIRES_S
    if 0 < wanted_s < MIN_EXPIRES_S:
        raise _TooBriefError
    return wanted_s


def _contact_headers(bindings: list[Binding], now: Instant) -> list[tuple[str, str]]:
    return [("Contact", f"<{b.contact}>;expires={max(1, round(b.expires_at - now))}") for b in bindings]
