"""Who and what exists: accounts, people, places, devices, lots. Values only; a change is a new ``Directory``.

Secrets are not here: passwords and digests stay with the rooms that check them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

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


class OwnerKind(Enum):
    """Whose extension it is."""

    USER = "user"
    COMMON_AREA = "common_area"


@dataclass(frozen=True, slots=True)
class ParkPolicy:
    """How parking behaves for one lot (levels below the account are merged before they come here)."""

    enable: bool = True
    expiration_s: float = 600.0
    not_picked_up: NotPickedUp = NotPickedUp.RING_BACK
    forward_to: str | None = None
    assignment: Assignment = Assignment.SEQUENTIAL
    reserve_s: float = 30.0
    ring_back_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Lot:
    """A range of codes. ``first``/``last`` are slot numbers without the star, e.g. 801 and 899."""

    name: str
    first: int
    last: int
    policy: ParkPolicy = ParkPolicy()

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
class Owner:
    """A phone user or a common-area phone: one extension, any number of devices, all of which ring."""

    extension: str
    name: str
    kind: OwnerKind = OwnerKind.USER
    language: str = "en"
    licensed: bool = True
    site: str | None = None
    devices: tuple[str, ...] = ()

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
class RingGroup:
    """An extension that rings all devices of its members at once."""

    extension: str
    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeatureCodes:
    """What one dials or presses for features; the defaults are the contract's."""

    park: str = "*800"
    park_dtmf: str = "*5"
    pickup_prefix: str = "**"


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant. Nothing of one account is visible from another."""

    slug: str
    name: str
    language: str = "en"
    multi_site: bool = False
    owners: Mapping[str, Owner] = field(default_factory=dict)
    ring_groups: Mapping[str, RingGroup] = field(default_factory=dict)
    lots: Mapping[str, Lot] = field(default_factory=dict)
    """By site name when multi-site is on, else exactly one under the empty string."""
    feature_codes: FeatureCodes = FeatureCodes()

    def lot_of(self, site: str | None) -> Lot | None:
        """The lot that people at ``site`` park in."""
        return self.lots.get(site or "") if self.multi_site else self.lots.get("")


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything one installation knows. Devices are found by id over all accounts, extensions within one."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)

    def owner_of(self, device: Device) -> Owner | None:
        """The person or place a device belongs to; None for a gateway."""
        return self.accounts[device.account].owners.get(device.extension)
