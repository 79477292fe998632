"""The history of parked calls and its figures: who may see what, in pages, and as CSV that is no danger to a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pytest

from parkade.api.paging import cursor_of
from parkade.api.principal import Role
from parkade.api.spreadsheet import cell
from parkade.edge.event_json import iso
from parkade.store import history
from tests.api.conftest import Office, error_id
from tests.store.happenings import START, Happenings

pytestmark = pytest.mark.asyncio

PARKS = "/api/v1/history/parks"
REPORT = "/api/v1/reports/parks"


async def happened(office: Office) -> None:
    """Alice parks two at the main site, of which Bob takes one; Dũng one in Đà Nẵng; Charlie, of the other account, another."""
    it, other = Happenings("acme"), Happenings("other")
    it.park("c1", 10, "retrieved", retrieved_by="102", site="main", note="for Bob")
    it.now += 3600
    it.park("c2", 20, "abandoned", site="main", code="*802", caller_name='=HYPERLINK("http://evil")')
    it.now += 3600
    it.park("c3", 40, "returned", returned_to="103", site="danang", parked_by="103", code="*701", lot="Đà Nẵng")
    it.now += 3600
    it("parked", "c4", site="danang", parked_by="103", code="*702", lot="Đà Nẵng")
    other.park("o1", 5, "retrieved", retrieved_by="102", site="othersite", parked_by="101")
    async with office.store.writing() as connection:
        await history.apply(connection, [*it.events, *other.events])


async def calls(client: httpx.AsyncClient, query: str = "") -> list[str]:
    answer = await client.get(PARKS + query)
    assert answer.status_code == 200, answer.text
    return [park["call_id"] for park in answer.json()["items"]]


async def test_a_park_is_told_from_start_to_end(office: Office) -> None:
    await happened(office)
    alice = await office.as_("alice@acme.test")
    park = (await alice.get(PARKS + "?call=c1")).json()["items"][0]
    assert park == {
        "id": park["id"],
        "call_id": "c1",
        "code": "*801",
        "lot": "Main",
        "site": "main",
        "caller": {"name": "Lan", "number": "+84281234567"},
        "parked_by": "101",
        "parked_by_id": "alice",
        "note": "for Bob",
        "parked_at": iso(START),
        "ended_at": iso(START + 10),
        "waited_s": 10.0,
        "outcome": "retrieved",
        "ended_by": "102",
        "ended_by_id": "bob",
        "reparks": 0,
    }
    assert (await alice.get(f"{PARKS}/{park['id']}")).json() == park


async def test_everybody_sees_their_part_of_it(office: Office) -> None:
    await happened(office)
    assert await calls(await office.as_("admin@acme.test")) == ["c4", "c3", "c2", "c1"]
    assert await calls(await office.as_("alice@acme.test")) == ["c2", "c1"]
    assert await calls(await office.as_("bob@acme.test")) == ["c1"]
    assert await calls(await office.as_("charlie@other.test")) == ["o1"]
    assert await calls(await office.as_("admin@other.test")) == ["o1"]
    site_admin = await office.with_token(await office.token_of(None, Role.SITE_ADMIN, account="acme", site="danang"))
    assert await calls(site_admin) == ["c4", "c3"]
    installation = await office.as_("installation")
    assert error_id(await installation.get(PARKS)) == "account_needed"
    assert await calls(installation, "?account=other") == ["o1"]
    board = await office.with_token(await office.token_of(None, Role.WALL_BOARD, account="acme", site="main"))
    for url in (PARKS, REPORT):
        assert error_id(await board.get(url)) == "not_allowed"
        assert (await office.anybody.get(url)).status_code == 401
        assert (await (await office.as_("charlie@other.test")).get(url + "?account=acme")).status_code == 404


async def test_who_asks_for_what_is_anothers_is_refused_and_a_park_of_another_is_not_there(office: Office) -> None:
    await happened(office)
    alice, charlie = await office.as_("alice@acme.test"), await office.as_("charlie@other.test")
    site_admin = await office.with_token(await office.token_of(None, Role.SITE_ADMIN, account="acme", site="danang"))
    for url in (PARKS, REPORT):
        assert error_id(await alice.get(f"{url}?person=bob")) == "not_allowed"
        assert error_id(await site_admin.get(f"{url}?site=main")) == "not_allowed"
    parks = (await (await office.as_("admin@acme.test")).get(PARKS)).json()["items"]
    ids = {park["call_id"]: park["id"] for park in parks}
    for client, call in ((charlie, "c1"), (alice, "c3"), (site_admin, "c1"), (alice, "none")):
        assert (await client.get(f"{PARKS}/{ids.get(call, call)}")).status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("site=danang", ["c4", "c3"]),
        ("code=802", ["c2"]),
        ("code=*802", ["c2"]),
        ("person=bob", ["c1"]),
        ("extension=103", ["c4", "c3"]),
        ("outcome=parked", ["c4"]),
        ("outcome=abandoned", ["c2"]),
        ("since=2027-01-15T09:00:00Z&until=2027-01-15T17:00:00%2B07:00", ["c2"]),
    ],
)
async def test_filters(office: Office, query: str, found: list[str]) -> None:
    await happened(office)
    assert await calls(await office.as_("admin@acme.test"), f"?{query}") == found


async def test_pages_put_together_are_the_list(office: Office) -> None:
    await happened(office)
    admin = await office.as_("admin@acme.test")
    found: list[str] = []
    cursor = ""
    while True:
        page = (await admin.get(f"{PARKS}?limit=1{cursor}")).json()
        found += [park["call_id"] for park in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == ["c4", "c3", "c2", "c1"]
    assert error_id(await admin.get(f"{PARKS}?cursor=nonsense")) == "bad_cursor"
    for query in ("outcome=x", "since=yesterday", "since=2027-01-15T09:00:00", "limit=0", "format=xml"):
        assert (await admin.get(f"{PARKS}?{query}")).status_code == 422


def table(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_a_spreadsheet_gets_all_of_it_and_no_formula(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parkade.api.rest.history._PORTION", 2)
    await happened(office)
    admin = await office.as_("admin@acme.test")
    rows = table(await admin.get(f"{PARKS}?format=csv"))
    assert rows == table(await admin.get(PARKS, headers={"Accept": "text/csv"}))
    assert [row["call_id"] for row in rows] == ["c4", "c3", "c2", "c1"]
    assert rows[2]["caller_name"] == '\'=HYPERLINK("http://evil")'
    assert rows[2]["caller_number"] == "+84281234567"
    assert (rows[0]["outcome"], rows[0]["ended_at"], rows[0]["lot"]) == ("parked", "", "Đà Nẵng")
    assert [row["call_id"] for row in table(await (await office.as_("bob@acme.test")).get(f"{PARKS}?format=csv"))] == ["c1"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        ("Lan", "Lan"),
        ("=1+1", "'=1+1"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2", "-2"),
        ("+84281234567", "+84281234567"),
        ("\t=1", "'\t=1"),
        ("*801", "*801"),
        (1.5, "1.5"),
    ],
)
async def test_a_cell_is_text_or_a_number(value: object, shown: str) -> None:
    assert cell(value) == shown


async def test_figures(office: Office) -> None:
    await happened(office)
    admin = await office.as_("admin@acme.test")

    async def of(by: str, query: str = "") -> dict[str, Any]:
        answer = (await admin.get(f"{REPORT}?by={by}{query}")).json()
        return {row["key"]: row for row in answer["items"]} | {"total": answer["total"]}

    total = (await of("slot"))["total"]
    assert (total["parks"], total["waiting"], total["retrieved"], total["abandoned"]) == (4, 1, 1, 1)
    assert (total["wait_p50_s"], total["wait_p90_s"], total["abandon_rate"]) == (20.0, 40.0, 0.3333)
    assert set(await of("slot")) == {"*801", "*802", "*701", "*702", "total"}
    assert {key: row.get("name") for key, row in (await of("site")).items()} == {
        "main": "Main",
        "danang": "Đà Nẵng",
        "total": None,
    }
    people = await of("person")
    assert (people["101"]["name"], people["101"]["parks"], people["103"]["waiting"]) == ("Alice", 2, 1)
    assert (await of("retriever"))["102"]["name"] == "Bob"
    assert list(await of("hour")) == ["08", "09", "10", "11", "total"]
    assert list(await of("hour", "&time_zone=Asia/Ho_Chi_Minh")) == ["15", "16", "17", "18", "total"]
    assert list(await of("day", "&time_zone=Pacific/Auckland")) == ["2027-01-15", "2027-01-16", "total"]
    assert (await of("slot", "&site=danang"))["total"]["parks"] == 2
    for zone in ("Nowhere/Else", "../../etc/passwd", "x" * 60, "", "Asia"):
        assert (await admin.get(REPORT, params={"by": "hour", "time_zone": zone})).status_code == 422
    alice = await office.as_("alice@acme.test")
    assert (await alice.get(REPORT)).json()["total"]["parks"] == 2
    assert (await (await office.as_("charlie@other.test")).get(f"{REPORT}?outcome=timed_out")).json()["total"]["parks"] == 0
    rows = table(await admin.get(f"{REPORT}?by=slot&format=csv"))
    assert [(row["key"], row["parks"]) for row in rows] == [("*701", "1"), ("*702", "1"), ("*801", "1"), ("*802", "1")]


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (PARKS, [1.0, 2**31]),
        ("/api/v1/audit", [1.0, 2**40]),
        ("/api/v1/lots", [2**52]),
        ("/api/v1/sites", [0, 2**31]),
        ("/api/v1/groups", [2**31, 0]),
        ("/api/v1/tokens", [2**31]),
        ("/api/v1/webhooks", [2**31]),
    ],
)
async def test_a_made_up_cursor_is_refused_before_any_database_is_asked(office: Office, path: str, values: list[Any]) -> None:
    admin = await office.as_("admin@acme.test")
    assert error_id(await admin.get(path, params={"cursor": cursor_of(values)})) == "bad_cursor"
    within: list[Any] = [value if isinstance(value, float) else 2**31 - 1 for value in values]
    assert (await admin.get(path, params={"cursor": cursor_of(within)})).status_code == 200
