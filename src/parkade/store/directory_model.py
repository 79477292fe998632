"""The directory file as a tree of strict models: every key, its type, and what its value may be.

What concerns one value is checked here; what concerns several (duplicates, members that must exist) is in ``directory_rules``.
None always means "not said".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, model_validator

from parkade.calls.directory import DEFAULT_CODES, VisibilityKind
from parkade.calls.park_settings import EXPIRATION_MINUTES

MOST_SEEN_BY = 500


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    matches = re.compile(pattern).fullmatch

    def check(text: str) -> str:
        if not matches(text):
            raise ValueError(f"{text!r} is not {what}")
        return text

    return check


def _ip_address(text: str) -> str:
    """As packets have it: one spelling for one address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _codes(text: str) -> str:
    match = re.fullmatch(r"([1-9]\d{2,5})-([1-9]\d{2,5})", text)
    if not match or int(match[1]) > int(match[2]):
        raise ValueError(f"{text!r} is not a range of codes of 3 to 6 digits, like 801-899")
    return text


def _one_of(*numbers: int) -> Callable[[int], int]:
    def check(number: int) -> int:
        if number not in numbers:
            raise ValueError(f"{number} is none of {', '.join(map(str, numbers))}")
        return number

    return check


def _expiration_minutes(minutes: int) -> int:
    if minutes not in EXPIRATION_MINUTES:
        raise ValueError(f"{minutes} is none of 1-10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60 minutes")
    return minutes


def _visibility(value: str | list[str]) -> str | list[str]:
    if isinstance(value, str) and value not in {VisibilityKind.ACCOUNT, VisibilityKind.SITE, VisibilityKind.GROUP}:
        raise ValueError(f"{value!r} is none of account, site, group, nor a list of extensions")
    return value


_SIGN = r"[^\x00-\x1f\x7f\ud800-\udfff]"
"""What can be printed, and written down as UTF-8."""

Text = Annotated[str, AfterValidator(_matching(rf"{_SIGN}*[^\x00-\x20\x7f\ud800-\udfff]{_SIGN}*", "a line of text"))]
Secret = Annotated[str, AfterValidator(_matching(rf"{_SIGN}+", "a password of printable characters"))]
Slug = Annotated[str, AfterValidator(_matching(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "made of a-z, 0-9 and hyphens"))]
Id = Annotated[str, AfterValidator(_matching(r"[A-Za-z0-9_-]{1,64}", "an id of letters, digits, _ and -"))]
Extension = Annotated[str, AfterValidator(_matching(r"\d{2,10}", "an extension of 2 to 10 digits"))]
Login = Annotated[str, AfterValidator(_matching(r"[^\s\x00-\x1f\x7f\ud800-\udfff]+", "a login without spaces"))]
Username = Annotated[str, AfterValidator(_matching(r"[A-Za-z0-9._~+-]{1,64}", "a username of letters, digits and . _ ~ + -"))]
Mac = Annotated[str, AfterValidator(_matching(r"[0-9A-Fa-f]{2}(?:[:-]?[0-9A-Fa-f]{2}){5}", "a MAC address"))]
Address = Annotated[str, AfterValidator(_ip_address)]
HostPort = Annotated[str, AfterValidator(_matching(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?", "HOST or HOST:PORT"))]
Number = Annotated[str, AfterValidator(_matching(r"\+?\d{3,15}", "a telephone number"))]
ForwardTo = Annotated[str, AfterValidator(_matching(r"\+?\d{2,15}", "an extension or a telephone number"))]
Destination = Annotated[str, AfterValidator(_matching(r"park(?::[1-9]\d{2,5})?|\d{2,10}", "an extension, park or park:CODE"))]
FeatureCode = Annotated[str, AfterValidator(_matching(r"[*#][0-9*#]{0,9}", "a code that begins with * or #"))]
Codes = Annotated[str, AfterValidator(_codes)]
HexMd5 = Annotated[str, AfterValidator(_matching(r"[0-9a-f]{32}", "an MD5 digest in lower-case hex"))]
HexSha256 = Annotated[str, AfterValidator(_matching(r"[0-9a-f]{64}", "a SHA-256 digest in lower-case hex"))]
PasswordHash = Annotated[str, AfterValidator(_matching(r"\$argon2id\$[^\s]+", "an argon2id hash"))]
Language = Literal["vi", "en"]
KeyLabel = Annotated[Text, Field(max_length=32)]
Visibility = Annotated[str | Annotated[list[Id], Field(max_length=MOST_SEEN_BY)], AfterValidator(_visibility)]
Action = Annotated[int, AfterValidator(_one_of(0, 9, 50, 51, 100))]


class Model(BaseModel):
    """Strict: no unknown key, no silent conversion (an extension without quotes is a number, and refused)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)


class ChainStep(Model):
    """One step of what happens when nobody picks up: an action, whom it is for, how long it is tried."""

    action: Action
    to: ForwardTo | None = None
    seconds: Annotated[int, Field(ge=1, le=600)]


class CallPark(Model):
    """Call Park settings of one level; a key that is not said is inherited from the level above.

    ``visibility`` may name people, by extension or by id.
    """

    enable: bool | None = None
    expiration_period: Annotated[int, AfterValidator(_expiration_minutes)] | None = None
    expiration_seconds: Annotated[int | float, Field(gt=0, le=86400)] | None = None
    call_not_picked_up_action: Action | None = None
    forward_to: ForwardTo | None = None
    sequence: Annotated[int, AfterValidator(_one_of(0, 1))] | None = None
    reserve_seconds: Annotated[int, Field(ge=0, le=600)] | None = None
    ring_back_seconds: Annotated[int, Field(ge=1, le=600)] | None = None
    announce: bool | Extension | None = None
    chain: list[ChainStep] | None = None
    music: Text | None = None
    visibility: Visibility | None = None
    locked: bool | None = None
    reset: bool | None = None


class LevelSettings(Model):
    """The settings of one level by topic."""

    call_park: CallPark | None = None


class SitePark(Model):
    """The lot of a site. ``expiration_seconds`` overrides the minutes of the site's settings and of those above."""

    codes: Codes | None = None
    expiration_seconds: Annotated[int | float, Field(gt=0, le=86400)] | None = None


class Site(Model):
    """``id`` tells a site that is renamed from a new one; an export gives it."""

    name: Text
    id: Id | None = None
    park: SitePark | None = None
    settings: LevelSettings | None = None

    @property
    def codes(self) -> str:
        """The range of codes that holds, also where none is said."""
        return (self.park.codes if self.park else None) or DEFAULT_CODES


class UserGroup(Model):
    """People with settings in common. ``id`` tells a group that is renamed from a new one."""

    name: Text
    id: Id | None = None
    settings: LevelSettings | None = None


_KEY_VALUES = {
    "park": (r"\*[1-9]\d{2,5}", "a parking code like *801"),
    "extension": (r"\d{2,10}", "an extension of 2 to 10 digits"),
    "speed_dial": (r"\+?[0-9*#]{1,32}", "a number to dial"),
}


class DeviceKey(Model):
    """A programmable key of a phone. ``park`` shows a parking code (BLF) and parks there or retrieves."""

    type: Literal["park", "extension", "speed_dial"]
    value: str
    label: KeyLabel | None = None

    @model_validator(mode="after")
    def _value_fits(self) -> DeviceKey:
        pattern, what = _KEY_VALUES[self.type]
        if not re.fullmatch(pattern, self.value):
            raise ValueError(f"{self.value!r} is not {what}")
        return self


class Device(Model):
    """Known by exactly one of: a password, the two digests of one, a source address."""

    username: Username
    password: Secret | None = None
    ha1_md5: HexMd5 | None = None
    ha1_sha256: HexSha256 | None = None
    address: Address | None = None
    to: Annotated[Destination | None, Field(validation_alias=AliasChoices("to", "destination"))] = None
    model: Text | None = None
    mac: Mac | None = None
    keys: list[DeviceKey] | None = None

    @model_validator(mode="after")
    def _known_by_one_thing(self) -> Device:
        digests = self.ha1_md5 is not None or self.ha1_sha256 is not None
        if digests and (self.ha1_md5 is None or self.ha1_sha256 is None):
            raise ValueError("ha1_md5 and ha1_sha256 go together")
        if (self.password is not None) + digests + (self.address is not None) != 1:
            raise ValueError("one of password, address, or ha1_md5 with ha1_sha256 is wanted")
        return self


class Admin(Model):
    """Of the account, or of the ``site`` that is named."""

    login: Login
    password: Secret | None = None
    password_hash: PasswordHash | None = None
    site: Text | None = None

    @model_validator(mode="after")
    def _one_password(self) -> Admin:
        if self.password is not None and self.password_hash is not None:
            raise ValueError("either password or password_hash, not both")
        return self


class Person(Model):
    """What users and common areas have in common. ``id`` tells who gets another extension from somebody new."""

    extension: Extension
    name: Text
    id: Id | None = None
    language: Language | None = None
    licensed: bool | None = None
    site: Text | None = None
    group: Text | None = None
    devices: list[Device] | None = None
    settings: LevelSettings | None = None


class User(Person):
    login: Login | None = None
    password: Secret | None = None
    password_hash: PasswordHash | None = None
    voicemail: bool | None = None

    @model_validator(mode="after")
    def _one_password(self) -> User:
        if self.password is not None and self.password_hash is not None:
            raise ValueError("either password or password_hash, not both")
        if self.login is None and (self.password is not None or self.password_hash is not None):
            raise ValueError("a password needs a login")
        return self


class CommonArea(Person):
    pass


class Group(Model):
    """Not a user group: an extension that reaches several people or places."""

    extension: Extension
    name: Text
    id: Id | None = None
    members: list[Extension]


class RingGroup(Group):
    strategy: Literal["all"] | None = None


class PagingGroup(Group):
    pass


class Inbound(Model):
    number: Number
    to: Destination


class Trunk(Model):
    name: Text
    address: HostPort
    inbound: list[Inbound] | None = None


class FeatureCodes(Model):
    park: FeatureCode | None = None
    park_dtmf: FeatureCode | None = None
    pickup_prefix: FeatureCode | None = None


class Account(Model):
    slug: Slug
    name: Text
    language: Language | None = None
    multi_site: bool | None = None
    admins: list[Admin] | None = None
    sites: list[Site] | None = None
    settings: LevelSettings | None = None
    user_groups: list[UserGroup] | None = None
    users: list[User] | None = None
    common_areas: list[CommonArea] | None = None
    devices: list[Device] | None = None
    ring_groups: list[RingGroup] | None = None
    paging_groups: list[PagingGroup] | None = None
    trunks: list[Trunk] | None = None
    feature_codes: FeatureCodes | None = None


class DirectoryFile(Model):
    accounts: list[Account]
