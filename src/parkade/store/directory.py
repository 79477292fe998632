"""The directory as call control wants it, with every default filled in, and the digests of its devices beside it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.calls.directory import (
    Account,
    Assignment,
    Device,
    Directory,
    FeatureCodes,
    Lot,
    NotPickedUp,
    Owner,
    OwnerKind,
    ParkPolicy,
    RingGroup,
    Site,
)
from parkade.store import directory_model as model
from parkade.store import tables
from parkade.store.directory_export import read_directory
from parkade.switch.secrets import DeviceSecret

DEFAULT_LANGUAGE = "en"


async def load_directory(connection: AsyncConnection) -> tuple[Directory, dict[str, DeviceSecret]]:
    """Everything as of the moment that ``connection`` sees. Secrets are by username; a device known by address has none."""
    file = await read_directory(connection)
    devices = {device.id: device for account in file.accounts for device in _devices(account)}
    secrets = {
        device.username: DeviceSecret(device.ha1_md5, device.ha1_sha256)
        for account in file.accounts
        for _, device in _all_devices(account)
        if device.ha1_md5 is not None and device.ha1_sha256 is not None
    }
    return Directory({account.slug: _account(account) for account in file.accounts}, devices), secrets


async def revision(connection: AsyncConnection) -> int:
    """The number of the directory in force: one row of one table, cheap enough to ask every second."""
    number: int = (await connection.execute(select(tables.directory.c.revision))).scalar_one()
    return number


def _all_devices(account: model.Account) -> Iterator[tuple[str, model.Device]]:
    """Each device with the extension of its owner, which is empty for a gateway."""
    for person in (*(account.users or ()), *(account.common_areas or ())):
        for device in person.devices or ():
            yield person.extension, device
    for device in account.devices or ():
        yield "", device


def _devices(account: model.Account) -> Iterator[Device]:
    for extension, device in _all_devices(account):
        yield Device(device.username, account.slug, extension, device.model or "generic", device.address, device.to)


def _account(account: model.Account) -> Account:
    language = account.language or DEFAULT_LANGUAGE
    main_site = account.sites[0].name if account.sites else None
    owners = [
        _owner(person, kind, language, main_site)
        for kind, people in ((OwnerKind.USER, account.users), (OwnerKind.COMMON_AREA, account.common_areas))
        for person in people or ()
    ]
    codes = account.feature_codes.model_dump(exclude_none=True) if account.feature_codes else {}
    lots = _lots(account)
    return Account(
        slug=account.slug,
        name=account.name,
        language=language,
        multi_site=bool(account.multi_site),
        owners={owner.extension: owner for owner in owners},
        ring_groups={g.extension: RingGroup(g.extension, g.name, tuple(g.members)) for g in account.ring_groups or ()},
        sites={site.name: Site(site.name, site.name, site.name) for site in account.sites or ()},
        lots=lots,
        main_lot=next(iter(lots)),
        feature_codes=FeatureCodes(**codes),
    )


def _owner(person: model.Person, kind: OwnerKind, language: str, main_site: str | None) -> Owner:
    return Owner(
        extension=person.extension,
        name=person.name,
        kind=kind,
        language=person.language or language,
        licensed=person.licensed is not False,
        site=person.site or main_site,
        devices=tuple(device.username for device in person.devices or ()),
    )


def _lots(account: model.Account) -> dict[str, Lot]:
    """One lot a site with multi-site on, else one for the account, whose codes are those of the first site."""
    sites = account.sites or []
    above = _call_park(account.settings)
    if account.multi_site and sites:
        return {site.name: _lot(site.name, site, above | _call_park(site.settings)) for site in sites}
    return {"": _lot("", sites[0] if sites else None, above)}


def _lot(name: str, site: model.Site | None, settings: dict[str, object]) -> Lot:
    codes = site.park.codes if site and site.park else model.DEFAULT_CODES
    first, _, last = codes.partition("-")
    return Lot(name, int(first), int(last), _policy(model.CallPark.model_validate(settings)), name)


def _call_park(settings: model.LevelSettings | None) -> dict[str, object]:
    if settings is None or settings.call_park is None or settings.call_park.reset:
        return {}
    return settings.call_park.model_dump(exclude_none=True)


def _policy(park: model.CallPark) -> ParkPolicy:
    default = ParkPolicy()
    expiration_s = 60.0 * park.expiration_period if park.expiration_period is not None else default.expiration_s
    action = park.call_not_picked_up_action
    return ParkPolicy(
        enable=default.enable if park.enable is None else park.enable,
        expiration_s=expiration_s if park.expiration_seconds is None else float(park.expiration_seconds),
        not_picked_up=default.not_picked_up if action is None else NotPickedUp(action),
        forward_to=park.forward_to,
        assignment=default.assignment if park.sequence is None else Assignment(park.sequence),
        reserve_s=default.reserve_s if park.reserve_seconds is None else float(park.reserve_seconds),
        ring_back_s=default.ring_back_s if park.ring_back_seconds is None else float(park.ring_back_seconds),
    )
