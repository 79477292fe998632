"""What is in the directory, in pages; and that of another account nothing is there."""

from __future__ import annotations

import pytest

from parkade.api.principal import Role
from tests.api.conftest import Office, error_id

pytestmark = pytest.mark.asyncio

NOUNS = ("sites", "groups", "users", "common-areas", "devices", "lots", "licences")


async def test_the_lists_have_what_the_account_has(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    found = {noun: (await admin.get(f"/api/v1/{noun}")).json() for noun in NOUNS}
    assert [site["name"] for site in found["sites"]["items"]] == ["Main", "Đà Nẵng"]
    assert [site["main"] for site in found["sites"]["items"]] == [True, False]
    assert [user["id"] for user in found["users"]["items"]] == ["alice", "bob", "dung"]
    assert [place["extension"] for place in found["common-areas"]["items"]] == ["110"]
    assert [device["username"] for device in found["devices"]["items"]] == ["acme-101", "acme-102", "acme-103", "acme-110"]
    assert [device["registered"]["phones"] for device in found["devices"]["items"]] == [1, 1, 1, 1]
    assert [lot["codes"] for lot in found["lots"]["items"]] == ["801-899", "701-709"]
    assert [licence["licensed"] for licence in found["licences"]["items"]] == [True] * 4
    assert all(page["next"] is None for page in found.values())


@pytest.mark.parametrize("noun", NOUNS)
async def test_pages_put_together_are_the_list(office: Office, noun: str) -> None:
    admin = await office.as_("admin@acme.test")
    whole = (await admin.get(f"/api/v1/{noun}")).json()["items"]
    cursor, parts = "", []
    while True:
        page = (await admin.get(f"/api/v1/{noun}?limit=1{cursor}")).json()
        parts += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert parts == whole


async def test_lists_are_filtered(office: Office) -> None:
    admin = await office.as_("admin@acme.test")

    async def ids(query: str) -> list[str]:
        return [user["id"] for user in (await admin.get(f"/api/v1/users?{query}")).json()["items"]]

    assert await ids("site=danang") == ["dung"]
    assert await ids("site=main") == ["alice", "bob"]
    assert await ids("find=li") == ["alice"]
    assert await ids("find=10") == ["alice", "bob", "dung"]
    assert await ids("find=%25") == []
    assert await ids("licensed=false") == []
    assert await ids("group=none") == []
    devices = (await admin.get("/api/v1/devices?owner=bob")).json()["items"]
    assert [device["username"] for device in devices] == ["acme-102"]


async def test_a_user_sees_no_logins_but_the_own_and_no_phones_of_others(office: Office) -> None:
    alice = await office.as_("alice@acme.test")
    users = (await alice.get("/api/v1/users")).json()["items"]
    assert [user["login"] for user in users] == ["alice@acme.test", None, None]
    devices = (await alice.get("/api/v1/devices")).json()["items"]
    assert [device["username"] for device in devices] == ["acme-101"]
    assert (await alice.get("/api/v1/devices/acme-102")).status_code == 404


async def test_another_account_is_not_there(office: Office) -> None:
    acme, charlie = await office.as_("admin@acme.test"), await office.as_("charlie@other.test")
    other_admin = await office.as_("admin@other.test")
    for noun in NOUNS:
        items = (await acme.get(f"/api/v1/{noun}")).json()["items"]
        for asker in (charlie, other_admin):
            theirs = (await asker.get(f"/api/v1/{noun}")).json()["items"]
            assert not [item for item in theirs if item in items]
            for item in items:
                answer = await asker.get(f"/api/v1/{noun}/{item['id']}")
                assert (answer.status_code, error_id(answer)) == (404, "not_found"), answer.url
    for asker in (charlie, other_admin):
        assert (await asker.get("/api/v1/accounts/acme")).status_code == 404
        assert [item["slug"] for item in (await asker.get("/api/v1/accounts")).json()["items"]] == ["other"]
        for noun in ("calls", "parked-calls", "users", "settings/call-park"):
            answer = await asker.get(f"/api/v1/{noun}?account=acme")
            assert (answer.status_code, error_id(answer)) == (404, "not_found"), noun


async def test_the_administrator_of_it_all_says_which_account(office: Office) -> None:
    admin = await office.as_("installation")
    answer = await admin.get("/api/v1/users")
    assert (answer.status_code, error_id(answer)) == (400, "account_needed")
    assert [user["id"] for user in (await admin.get("/api/v1/users?account=other")).json()["items"]] == ["charlie", "dora"]
    assert (await admin.get("/api/v1/users?account=nowhere")).status_code == 404
    assert [item["slug"] for item in (await admin.get("/api/v1/accounts")).json()["items"]] == ["acme", "other"]
    assert [item["slug"] for item in (await admin.get("/api/v1/accounts?find=oth")).json()["items"]] == ["other"]


async def test_a_wall_board_sees_lots_and_no_people(office: Office) -> None:
    board = await office.with_token(await office.token_of(None, Role.WALL_BOARD, account="acme", site="main"))
    assert (await board.get("/api/v1/lots")).status_code == 200
    answer = await board.get("/api/v1/users")
    assert (answer.status_code, error_id(answer)) == (403, "not_allowed")


async def test_an_etag_saves_the_answer(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    for path in ("users/alice", "common-areas/wall", "sites/main", "accounts/acme", "devices/acme-101"):
        first = await admin.get(f"/api/v1/{path}")
        again = await admin.get(f"/api/v1/{path}", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
