"""Who and what exists: accounts, sites, people, places, devices, trunks, lots. Values only; a change is a new ``Directory``.

Sites, lots, people, user groups and ring groups have ids that the store makes. An id is unique within its account and survives
renaming, renumbering, moving and reordering, so what goes on (a parked call above all) refers to ids. Where no id is given
(tests), that of a person or group is its extension.

Secrets are not here: passwords and digests stay with the rooms that check them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TypeAlias

from parkade.calls.identity import Identity


class NotPickedUp(IntEnum):
    """What becomes of a parked call at its deadline. The numbers are those of the API users bring scripts for."""

    VOICEMAIL = 0
    DISCONNECT = 9
    EXTENSION = 50
    OUTSIDE_NUMBER = 51
    RING_BACK = 100


class Assignment(IntEnum):
    """How the system picks a free code."""

    RANDOM = 0
    SEQUENTIAL = 1


class OwnerKind(StrEnum):
    """Whose extension it is."""

    USER = "user"
    COMMON_AREA = "common_area"


class VisibilityKind(StrEnum):
    """Who sees a parked call and may retrieve it: everybody in the account, who is at the site or in the user group of whoever
    parked it, or only people who are named.
    """

    ACCOUNT = "account"
    SITE = "site"
    GROUP = "group"
    PEOPLE = "people"


@dataclass(frozen=True, slots=True)
class Visibility:
    """Whom parked calls are shown to. ``people`` are the ids of those who are named; they are empty for every other kind.

    With ``PEOPLE`` and nobody named a call is for whoever parked it.
    """

    kind: VisibilityKind = VisibilityKind.ACCOUNT
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParkPolicy:
    """How parking behaves for one person or one lot, the levels above already merged in."""

    enable: bool = True
    expiration_s: float = 600.0
    not_picked_up: NotPickedUp = NotPickedUp.RING_BACK
    forward_to: str | None = None
    assignment: Assignment = Assignment.SEQUENTIAL
    reserve_s: float = 30.0
    ring_back_s: float = 30.0
    visibility: Visibility = Visibility()


DEFAULT_CODES = "801-899"
"""The codes of a lot that does not say which it has."""


@dataclass(frozen=True, slots=True)
class Lot:
    """A range of codes. ``first``/``last`` are slot numbers without the star, e.g. 801 and 899.

    ``policy`` is for callers whom no person parked, and for people without a policy of their own.
    """

    name: str
    first: int
    last: int
    policy: ParkPolicy = ParkPolicy()
    id: str = ""

    def code(self, slot: int) -> str:
        """The code one dials for ``slot``: ``*801``."""
        return f"*{slot}"

    def slot(self, code: str) -> int | None:
        """The slot number that ``code`` (``*801`` or ``801``) names in this lot, or None."""
        digits = code.removeprefix("*")
        if not (digits.isascii() and digits.isdigit()) or digits.startswith("0") or len(digits) > len(str(self.last)):
            return None
        slot = int(digits)
        return slot if self.first <= slot <= self.last else None


@dataclass(frozen=True, slots=True)
class Site:
    """A place of an account, with the id of the lot that people there park in while the account is multi-site."""

    id: str
    name: str
    lot: str


@dataclass(frozen=True, slots=True)
class Owner:
    """A phone user or a common-area phone: one extension, any number of devices, all of which ring.

    ``site`` is the id of a site, None for somebody who is nowhere; ``group`` that of a user group. ``policy`` holds the
    person's effective settings, None if those of the lot apply.
    """

    extension: str
    name: str
    kind: OwnerKind = OwnerKind.USER
    language: str = "en"
    licensed: bool = True
    site: str | None = None
    devices: tuple[str, ...] = ()
    id: str = ""
    policy: ParkPolicy | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", self.extension)

    @property
    def identity(self) -> Identity:
        """How the owner appears on other people's phones."""
        return Identity(self.name, self.extension)


@dataclass(frozen=True, slots=True)
class Device:
    """A desk phone, app or gateway. ``id`` is its SIP username, unique on the installation.

    ``address`` is set for a device known by its source IP address instead of a password; ``destination`` is where such a
    device's calls go whatever they dial: ``park``, ``park:805`` or an extension.
    """

    id: str
    account: str
    extension: str
    model: str = "generic"
    address: str | None = None
    destination: str | None = None


@dataclass(frozen=True, slots=True)
class Trunk:
    """A line to the telephone network, known by its address: ``host`` is an IP address.

    ``id`` begins with the slug of the account and a slash, which the id of no device has. ``inbound`` says by the number that
    was called where a call from there goes: ``park``, ``park:805`` or an extension; other numbers lead nowhere. ``number`` is
    what the far side is told of whoever calls out, the caller's own if it is empty.

    Limits: no registration and no password at the far side; the store does not give trunks yet.
    """

    id: str
    account: str
    name: str
    host: str
    port: int = 5060
    transport: str = "UDP"
    number: str = ""
    inbound: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.id.partition("/")[:2] != (self.account, "/"):
            raise ValueError(f"a trunk of {self.account} with the id {self.id!r}")


Endpoint: TypeAlias = Device | Trunk
"""What a leg goes to or comes from. The ids of both are of one kind: no two endpoints have the same."""


class Strategy(StrEnum):
    """In what order the members of a ring group are rung."""

    ALL = "all"
    IN_ORDER = "in_order"


@dataclass(frozen=True, slots=True)
class RingGroup:
    """An extension that rings all devices of its members (extensions): of all at once, or one after the other.

    ``each_s`` is for how long each is rung, where it is one after the other. The store knows ``ALL`` only so far.
    """

    extension: str
    name: str
    members: tuple[str, ...]
    id: str = ""
    strategy: Strategy = Strategy.ALL
    each_s: float = 20.0

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", self.extension)


@dataclass(frozen=True, slots=True)
class FeatureCodes:
    """What one dials or presses for features; the defaults are the contract's."""

    park: str = "*800"
    park_dtmf: str = "*5"
    pickup_prefix: str = "**"


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant. Nothing of one account is visible from another.

    ``owners`` and ``ring_groups`` are by extension, ``sites``, ``lots`` and ``trunks`` by id, in the administrator's order.
    """

    slug: str
    name: str
    language: str = "en"
    multi_site: bool = False
    owners: Mapping[str, Owner] = field(default_factory=dict)
    ring_groups: Mapping[str, RingGroup] = field(default_factory=dict)
    sites: Mapping[str, Site] = field(default_factory=dict)
    lots: Mapping[str, Lot] = field(default_factory=dict)
    main_lot: str = ""
    """The id of the lot that everybody parks in while multi-site is off."""
    feature_codes: FeatureCodes = FeatureCodes()
    trunks: Mapping[str, Trunk] = field(default_factory=dict)

    def owner_now(self, then: Owner) -> Owner | None:
        """The person as of now, whatever has changed but the id; None if there is no such person any more."""
        now = self.owners.get(then.extension)
        if now is not None and now.id == then.id:
            return now
        return next((owner for owner in self.owners.values() if owner.id == then.id), None)

    def lot_of(self, site: str | None) -> Lot | None:
        """The lot that people at the site with the id ``site`` park in, the main one if there is no such site.

        None while multi-site is on for somebody at no site: which lot is meant follows from the code that is dialled.
        """
        if self.multi_site and site is None:
            return None
        place = self.sites.get(site) if self.multi_site and site is not None else None
        return self.lots.get(place.lot if place else self.main_lot)

    def lots_in_use(self) -> dict[str, Lot]:
        """The lots that calls can be parked in now, by id: those of the sites, or only the main one. The main one is first."""
        ids = [self.main_lot, *(site.lot for site in self.sites.values() if self.multi_site)]
        return {id_: self.lots[id_] for id_ in ids if id_ in self.lots}


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything one installation knows. Devices are found by id over all accounts, extensions within one."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)

    def endpoint(self, id_: str) -> Endpoint | None:
        """The device or trunk with this id."""
        device = self.devices.get(id_)
        if device is not None:
            return device
        account = self.accounts.get(id_.partition("/")[0])
        return account.trunks.get(id_) if account is not None else None

    def owner_of(self, endpoint: Endpoint) -> Owner | None:
        """The person or place a device belongs to; None for a gateway or a trunk."""
        return self.accounts[endpoint.account].owners.get(endpoint.extension) if isinstance(endpoint, Device) else None
