"""The audit trail: what was added comes back, newest first, to whom it belongs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from parkade.store import audit
from parkade.store.audit import AuditEntry, AuditFilter
from parkade.store.store import Store
from tests.store.installation import within

ENTRY = AuditEntry(
    account="acme",
    at=1000.0,
    by="admin@acme.test",
    role="account_admin",
    action="change",
    object="sites/1/settings/call-park",
    before={"enable": True},
    after={"enable": False},
    address="192.0.2.7",
)


def test_entries_come_back_newest_first_and_by_what_is_asked(data: Path) -> None:
    entries = [
        ENTRY,
        replace(ENTRY, at=2000.0, object="sites/12/settings/call-park", before=None),
        replace(ENTRY, at=3000.0, by="bob", action="create", object="users/7", after={"name": "Đặng"}),
        replace(ENTRY, account=None, object="accounts/x", at=4000.0),
        replace(ENTRY, account="other", at=5000.0),
    ]

    async def work(store: Store) -> None:
        async with store.writing() as connection:
            ids = [await audit.add(connection, entry) for entry in entries]
        assert len(set(ids)) == len(ids)

        async def found(wanted: AuditFilter, limit: int = 10, after: tuple[float, int] | None = None) -> list[int]:
            async with store.reading() as connection:
                rows = await audit.page(connection, wanted, limit, after)
            for row in rows:
                entry = entries[ids.index(row["uid"])]
                assert {name: row[name] for name in AuditEntry.__slots__} == {
                    name: getattr(entry, name) for name in AuditEntry.__slots__
                }
            return [ids.index(row["uid"]) for row in rows]

        assert await found(AuditFilter("acme")) == [2, 1, 0]
        assert await found(AuditFilter("acme"), 2) == [2, 1]
        assert await found(AuditFilter(None)) == [3]
        assert await found(AuditFilter("other")) == [4]
        assert await found(AuditFilter("acme", object="sites/1")) == [0]
        assert await found(AuditFilter("acme", object="sites")) == [1, 0]
        assert await found(AuditFilter("acme", object="site_")) == []
        assert await found(AuditFilter("acme", by="bob")) == [2]
        assert await found(AuditFilter("acme", action="change", since=1500.0)) == [1]
        assert await found(AuditFilter("acme", until=2000.0)) == [0]

    within(data, work)
