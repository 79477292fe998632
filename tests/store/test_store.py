"""The store: import and export undo each other, what call control is given has every default, and secrets stay out."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from sqlalchemy import select

from parkade.calls.directory import Assignment, NotPickedUp, OwnerKind
from parkade.store import tables as t
from parkade.store.database import DATABASE_FILE
from parkade.store.directory_import import ImportRefusedError
from parkade.store.errors import StoreError
from parkade.store.logins import NoSuchLoginError
from parkade.store.passwords import password_fits
from parkade.store.store import Store
from tests.store.directory_text import ACME, changed, read
from tests.store.installation import account, exported, imported, site_id, within


def test_importing_the_same_file_twice_changes_nothing_the_second_time(data: Path) -> None:
    assert "acme: created user 101 Alice" in imported(data, ACME)
    assert imported(data, ACME) == []


def test_importing_what_was_exported_changes_nothing(data: Path) -> None:
    imported(data, ACME)
    text = exported(data)
    assert imported(data, text) == []
    assert exported(data) == text


def test_what_was_exported_makes_the_same_installation_elsewhere(data: Path) -> None:
    imported(data / "here", ACME)
    text = exported(data / "here")
    imported(data / "there", text)
    assert exported(data / "there") == text


def test_every_key_of_the_file_comes_back(data: Path) -> None:
    text = changed(
        "reserve_seconds: 30",
        'reserve_seconds: 30, locked: true, announce: "130", expiration_seconds: 2, chain: [{action: 9, seconds: 1}], '
        'music: Rain, visibility: ["102", "110"]',
        changed("    ring_groups:", "    devices: [{username: gw-1, address: 127.0.0.1, to: park}]\n    ring_groups:"),
    )
    text = changed('password: "admin-secret"}', 'password: "admin-secret"}, {login: site@acme.test, site: Main}', text)
    text = changed(
        "    users:", "    user_groups: [{name: Sales, settings: {call_park: {visibility: group}}}]\n    users:", text
    )
    text = changed("        voicemail: true", "        voicemail: true\n        group: Sales", text)
    keys = (
        '{type: park, value: "*801", label: Bay 1}, {type: extension, value: "101"}, {type: speed_dial, value: "+84281234567"}'
    )
    text = changed("model: generic}", f"model: generic, keys: [{keys}]}}", text)
    imported(data, text)
    file, said = within(data, lambda store: store.export_directory()), read(text)
    made_here = {"id", "password", "password_hash", "ha1_md5", "ha1_sha256"}

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key not in made_here}
        return [plain(item) for item in value] if isinstance(value, list) else value

    assert plain(file.model_dump(exclude_none=True)) == plain(said.model_dump(exclude_none=True))


def test_what_a_file_leaves_out_of_its_account_is_removed(data: Path) -> None:
    imported(data, ACME)
    without_bob = changed('members: ["101", "102"]', 'members: ["101"]')
    bob = without_bob[without_bob.index('      - extension: "102"') : without_bob.index("    common_areas")]
    changes = imported(data, without_bob.replace(bob, ""))
    assert changes == ["acme: removed member 102 of group 120", "acme: removed device acme-102", "acme: removed user 102 Bob"]
    directory, secrets = within(data, lambda store: store.directory())
    assert "acme-102" not in directory.devices
    assert "acme-102" not in secrets


def test_accounts_that_a_file_does_not_name_stay_as_they_are(data: Path) -> None:
    imported(data, ACME)
    imported(data, "accounts: [{slug: beta, name: Beta}]")
    assert set(within(data, lambda store: store.directory())[0].accounts) == {"acme", "beta"}
    assert len(account(data).owners) == 3


def test_a_device_of_another_account_is_not_taken_over_and_nothing_is_changed(data: Path) -> None:
    imported(data, ACME)
    before = exported(data)
    thief = """
    accounts:
      - {slug: beta, name: Beta, users: [{extension: "201", name: Eve, devices: [{username: acme-101, password: x}]}]}
    """
    with pytest.raises(ImportRefusedError, match="device acme-101 belongs to another account"):
        imported(data, thief)
    assert exported(data) == before


def test_a_login_of_another_account_is_not_taken_over(data: Path) -> None:
    imported(data, ACME)
    with pytest.raises(ImportRefusedError, match=r"login admin@acme\.test belongs to another account"):
        imported(data, "accounts: [{slug: beta, name: Beta, admins: [{login: admin@acme.test, password: x}]}]")


def test_no_password_is_kept_as_text(tmp_path: Path) -> None:
    imported(tmp_path, ACME)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"acme-101" in kept
    for secret in (b"sip-secret-101", b"alice-secret", b"admin-secret"):
        assert secret not in kept
    assert "secret" not in exported(tmp_path)


def test_a_device_proves_itself_by_digests_of_its_username_and_password(data: Path) -> None:
    imported(data, ACME)
    _, secrets = within(data, lambda store: store.directory())
    text = b"acme-101:parkade:sip-secret-101"
    assert secrets["acme-101"].ha1_md5 == hashlib.md5(text).hexdigest()
    assert secrets["acme-101"].ha1_sha256 == hashlib.sha256(text).hexdigest()


def test_a_password_that_is_not_said_stays(data: Path) -> None:
    imported(data, ACME)
    assert imported(data, changed('        password: "alice-secret"\n', "")) == []


def test_the_revision_grows_with_a_change_and_only_then(data: Path) -> None:
    def revision() -> int:
        return within(data, lambda store: store.revision())

    start = revision()
    imported(data, ACME)
    once = revision()
    imported(data, ACME)
    assert once > start
    assert revision() == once


def test_call_control_is_given_people_places_devices_and_the_one_lot(data: Path) -> None:
    imported(data, ACME)
    acme = account(data)
    assert acme.owners["110"].kind is OwnerKind.COMMON_AREA
    assert acme.owners["101"].devices == ("acme-101",)
    assert acme.ring_groups["120"].members == ("101", "102")
    assert set(acme.lots) == {acme.main_lot}
    lot = acme.lot_of(site_id(acme, "Main"))
    assert lot is not None
    assert (lot.first, lot.last) == (801, 899)
    assert (lot.policy.expiration_s, lot.policy.reserve_s) == (600.0, 30.0)
    assert (lot.policy.not_picked_up, lot.policy.assignment) == (NotPickedUp.RING_BACK, Assignment.SEQUENTIAL)


def test_an_account_that_says_nothing_gets_every_default(data: Path) -> None:
    imported(data, "accounts: [{slug: bare, name: Bare, users: [{extension: '10', name: Ann}]}]")
    bare = account(data, "bare")
    assert set(bare.lots) == {bare.main_lot}
    lot = bare.lots[bare.main_lot]
    assert (lot.first, lot.last, lot.policy.enable) == (801, 899, True)
    assert (bare.owners["10"].licensed, bare.owners["10"].language, bare.owners["10"].site) == (True, "en", None)
    assert bare.feature_codes.park == "*800"


def test_language_licence_and_gateway_reach_call_control(data: Path) -> None:
    text = changed(
        "language: en", "language: vi", changed("licensed: true", "licensed: false, language: en".replace(", ", "\n        "))
    )
    text = changed(
        "    ring_groups:", "    devices: [{username: gw-1, address: 127.0.0.1, to: 'park:805'}]\n    ring_groups:", text
    )
    imported(data, text)
    directory, secrets = within(data, lambda store: store.directory())
    acme = directory.accounts["acme"]
    assert (acme.owners["101"].language, acme.owners["102"].language) == ("en", "vi")
    assert (acme.owners["101"].licensed, acme.owners["102"].licensed) == (False, True)
    gateway = directory.devices["gw-1"]
    assert (gateway.address, gateway.destination, directory.owner_of(gateway)) == ("127.0.0.1", "park:805", None)
    assert "gw-1" not in secrets


MANY_SITES = """
accounts:
  - slug: wide
    name: Wide
    multi_site: {multi_site}
    sites:
      - name: North
        park: {{codes: "701-709"}}
        settings: {{call_park: {{expiration_seconds: 2.5, call_not_picked_up_action: 9}}}}
      - {{name: South, park: {{codes: "10001-30000"}}}}
    settings: {{call_park: {{expiration_period: 20, sequence: 0}}}}
    users: [{{extension: "11", name: Ann, site: South}}, {{extension: "12", name: Ben}}]
"""


def test_with_multi_site_every_site_has_its_lot_and_its_own_settings_win(data: Path) -> None:
    imported(data, MANY_SITES.format(multi_site="true"))
    wide = account(data, "wide")
    north, south = (wide.lots[wide.sites[site_id(wide, name)].lot] for name in ("North", "South"))
    assert (north.first, north.last, south.first, south.last) == (701, 709, 10001, 30000)
    assert (north.policy.expiration_s, north.policy.not_picked_up) == (2.5, NotPickedUp.DISCONNECT)
    assert (south.policy.expiration_s, south.policy.not_picked_up) == (1200.0, NotPickedUp.RING_BACK)
    assert north.policy.assignment is south.policy.assignment is Assignment.RANDOM
    assert wide.lot_of(wide.owners["11"].site) is south
    assert wide.lot_of(wide.owners["12"].site) is north


def test_without_multi_site_there_is_one_lot_with_the_codes_of_the_first_site(data: Path) -> None:
    imported(data, MANY_SITES.format(multi_site="false"))
    wide = account(data, "wide")
    assert list(wide.lots_in_use()) == [wide.main_lot]
    lot = wide.lot_of(site_id(wide, "South"))
    assert lot is not None
    assert (lot.first, lot.last, lot.policy.expiration_s) == (701, 709, 1200.0)


def test_the_first_start_makes_an_administrator_once(data: Path) -> None:
    password = within(data, lambda store: store.first_start())
    assert password
    assert within(data, lambda store: store.first_start()) is None
    ((name, password_hash),) = within(data, _logins)
    assert name == "admin"
    assert password_fits(password_hash, password)
    assert "admin" not in exported(data)


async def _logins(store: Store) -> list[tuple[str, str]]:
    async with store.reading() as connection:
        return [
            (name, password_hash)
            for name, password_hash in await connection.execute(select(t.login.c.name, t.login.c.password_hash))
        ]


def test_a_new_password_is_for_a_person_or_for_a_phone(data: Path) -> None:
    imported(data, ACME)
    before, start = exported(data), within(data, lambda store: store.revision())
    assert within(data, lambda store: store.set_password("alice@acme.test", "new")) == "login alice@acme.test"
    assert within(data, lambda store: store.set_password("acme-101", "new")) == "device acme-101"
    assert within(data, lambda store: store.revision()) > start
    changes = imported(data, before)
    assert changes == ["acme: updated login alice@acme.test", "acme: updated device acme-101"]
    with pytest.raises(NoSuchLoginError, match="there is no login and no device nobody"):
        within(data, lambda store: store.set_password("nobody", "new"))


def test_a_new_data_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "new" / "deep"
    within(data, lambda store: store.revision())
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


@pytest.mark.parametrize("where", ["file", "file/below", "x" * 300])
def test_a_data_directory_that_cannot_be_is_explained_in_one_line(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError) as caught:
        within(tmp_path / where, lambda store: store.revision())
    assert str(caught.value).startswith(f"data directory {tmp_path / where}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_explained_in_one_line(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        within(tmp_path, lambda store: store.revision())
