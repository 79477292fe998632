"""Which device can be reached where (:rfc:`3261` section 10.3).

Bindings belong to the device whose credentials the REGISTER carried; the address-of-record it names is not looked at. A
device may be registered from several places (the same account typed into two phones): all of them ring.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from parkade.base.clock import Instant
from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow
from parkade.sip.message.grammar import number
from parkade.sip.message.headers import NameAddr, parse_name_addr
from parkade.sip.message.message import Request
from parkade.sip.message.uri import parse_uri, same_uri

MIN_EXPIRES_S = 30
MAX_EXPIRES_S = 3600
DEFAULT_EXPIRES_S = 600
MAX_BINDINGS = 8

Answer = tuple[int, list[tuple[str, str]]]
"""A status and the headers that go with it."""


@dataclass(slots=True)
class Binding:
    """One place where a device can be reached: its Contact URI, and the flow its REGISTER came on."""

    contact: str
    flow: Flow
    expires_at: Instant
    call_id: str
    cseq: int
    instance: str | None
    user_agent: str


@dataclass(slots=True)
class Registrar:
    """All bindings of all devices."""

    _bindings: dict[str, list[Binding]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(bindings) for bindings in self._bindings.values())

    def bindings(self, device: str, now: Instant) -> list[Binding]:
        """Where ``device`` can be reached now, latest registration last."""
        current = self._bindings.get(device)
        if current is None:
            return []
        live = [b for b in current if b.expires_at > now]
        if len(live) != len(current):
            self._store(device, live)
        return live

    def register(self, device: str, request: Request, flow: Flow, now: Instant) -> Answer:
        """Perform a REGISTER that was authenticated as ``device``; says what to answer. All or nothing."""
        current = self.bindings(device, now)
        try:
            contacts = request.headers.all("Contact")
            if contacts == ["*"]:
                return self._remove_all(device, request, current, now)
            changed = self._merged(current, [parse_name_addr(c) for c in contacts], request, flow, now)
        except SipError:
            return 400, []  # Also for a Contact of another scheme: 416 is about the Request-URI.
        except _TooBriefError:
            return 423, [("Min-Expires", str(MIN_EXPIRES_S))]
        except _StaleError:
            return 500, [("Retry-After", "1")]
        except _TooManyError:
            return 403, []
        self._store(device, changed)
        return 200, _contact_headers(changed, now)

    def flow_lost(self, flow: Flow) -> None:
        """A stream is gone: whoever registered on it cannot be reached until it registers again."""
        for device in [d for d, bindings in self._bindings.items() if any(b.flow == flow for b in bindings)]:
            self._store(device, [b for b in self._bindings[device] if b.flow != flow])

    def forget(self, device: str) -> None:
        """The device no longer exists."""
        self._bindings.pop(device, None)

    def devices(self) -> list[str]:
        """Devices with any binding, expired ones included."""
        return list(self._bindings)

    def _store(self, device: str, bindings: list[Binding]) -> None:
        if bindings:
            self._bindings[device] = bindings
        else:
            self._bindings.pop(device, None)

    def _remove_all(self, device: str, request: Request, current: list[Binding], now: Instant) -> Answer:
        if request.headers.get("Expires") != "0":
            return 400, []
        if any(_is_stale(b, request) for b in current):
            return 500, [("Retry-After", "1")]
        self._store(device, [])
        return 200, []

    def _merged(
        self, current: list[Binding], contacts: list[NameAddr], request: Request, flow: Flow, now: Instant
    ) -> list[Binding]:
        merged = list(current)
        for contact in contacts:
            wanted_s = _expires_s(contact, request)
            address = contact.address
            uri = str(address)
            instance = contact.param("+sip.instance")
            same = [b for b in merged if same_uri(parse_uri(b.contact), address) or (instance and b.instance == instance)]
            if any(_is_stale(b, request) for b in same):
                raise _StaleError
            merged = [b for b in merged if b not in same]
            if wanted_s:
                agent = request.headers.get("User-Agent") or ""
                expires_at = now + min(wanted_s, MAX_EXPIRES_S)
                merged.append(Binding(uri, flow, expires_at, request.call_id, request.cseq.number, instance, agent))
        if len(merged) > MAX_BINDINGS:
            raise _TooManyError
        return merged


class _StaleError(Exception):
    """A REGISTER overtaken by a later one of the same Call-ID (section 10.3, step 7)."""


class _TooBriefError(Exception):
    """Fewer seconds than we let phones refresh in."""


class _TooManyError(Exception):
    """One device claims to be in more places than anyone has phones."""


def _is_stale(binding: Binding, request: Request) -> bool:
    return binding.call_id == request.call_id and binding.cseq >= request.cseq.number


def _expires_s(contact: NameAddr, request: Request) -> int:
    # A malformed value counts as the default, not as an error (section 10.2.1.1 treats it as 3600).
    wanted_s = number(contact.param("expires") or request.headers.get("Expires") or "")
    if wanted_s is None:
        return DEFAULT_EXPIRES_S
    if 0 < wanted_s < MIN_EXPIRES_S:
        raise _TooBriefError
    return wanted_s


def _contact_headers(bindings: list[Binding], now: Instant) -> list[tuple[str, str]]:
    return [("Contact", f"<{b.contact}>;expires={max(1, round(b.expires_at - now))}") for b in bindings]
