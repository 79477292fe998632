"""What both kinds of database promise the rest of the product, and what is said when one is not there or not ours."""

from __future__ import annotations

import asyncio
import stat
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from parkade.store import engines
from parkade.store import tables as t
from parkade.store.database import DATABASE_FILE, ELSEWHERE_FILE, is_older, open_database
from parkade.store.database_url import DatabaseUrl
from parkade.store.errors import StoreError
from parkade.store.journal import Journal
from parkade.store.store import Store
from tests.databases import nothing_in, postgres, url_of
from tests.store.directory_text import ACME
from tests.store.installation import imported, within

ONE = select(t.directory.c.revision)
MORE = update(t.directory).values(revision=t.directory.c.revision + 1)


def test_a_reader_sees_one_moment_and_waits_for_no_writer(data: Path) -> None:
    async def work(store: Store) -> None:
        async with store.reading() as reader:
            assert (await reader.execute(ONE)).scalar_one() == 0
            async with store.writing() as writer:
                await writer.execute(MORE)
                assert (await reader.execute(ONE)).scalar_one() == 0
            assert (await reader.execute(ONE)).scalar_one() == 0
        assert await store.revision() == 1

    within(data, work)


def test_there_is_one_writer_at_a_time_and_it_sees_what_the_one_before_has_written(data: Path) -> None:
    async def work(store: Store) -> None:
        async def add() -> None:
            async with store.writing() as writer:
                now = (await writer.execute(ONE)).scalar_one()
                await asyncio.sleep(0.005)
                await writer.execute(update(t.directory).values(revision=now + 1))

        await asyncio.gather(*(add() for _ in range(10)))
        assert await store.revision() == 10

    within(data, work)


def test_a_writer_that_waits_too_long_is_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_WAIT_S", 1)

    async def work(store: Store) -> None:
        async with store.writing() as writer:
            await writer.execute(MORE)
            with pytest.raises(StoreError, match=r"database is locked|lock timeout"):
                async with store.writing():
                    pass

    within(data, work)


def test_two_processes_that_open_an_empty_database_at_once_make_it_once(data: Path) -> None:
    nothing_in(data)
    data.mkdir()

    async def work() -> None:
        stores = await asyncio.gather(*(Store.open(data, url_of(data)) for _ in range(3)))
        assert [await store.revision() for store in stores] == [0, 0, 0]
        for store in stores:
            await store.close()

    asyncio.run(work())


def test_an_error_undoes_the_transaction_and_is_one_line(data: Path) -> None:
    imported(data, ACME)

    async def work(store: Store) -> None:
        async def fails() -> None:
            async with store.writing() as writer:
                await writer.execute(MORE)
                await writer.execute(t.account.insert().values(uid="u", slug="acme", name="Again"))

        with pytest.raises(StoreError) as caught:
            await fails()
        assert isinstance(caught.value.__cause__, IntegrityError)
        assert "\n" not in str(caught.value)
        assert await store.revision() == 1

    within(data, work)


def test_an_error_says_whether_it_may_pass_or_is_about_what_was_asked(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes events into the database waits for the one and goes on after the other."""
    imported(data, ACME)
    monkeypatch.setattr(engines, "_WAIT_S", 1)

    async def refused(store: Store, statement: Any) -> StoreError:
        try:
            async with store.writing() as writer:
                await writer.execute(statement)
        except StoreError as error:
            return error
        raise AssertionError(statement)

    async def work(store: Store) -> None:
        account = t.account.insert()
        for wrong in (
            account.values(uid="u", slug="acme", name="Again"),
            account.values(uid="u", slug=None, name="Nobody"),
            t.site.insert().values(uid="u", account_id=77, name="Nowhere", position=0),
            text("INSERT INTO nowhere VALUES (1)") if url_of(data) else account.values(uid="u", slug="acme", name=""),
        ):
            assert not (await refused(store, wrong)).may_pass
        async with store.writing():
            assert (await refused(store, MORE)).may_pass

    within(data, work)
    away = DatabaseUrl("postgresql://parkade@127.0.0.1:9/x")
    with pytest.raises(StoreError) as caught:
        asyncio.run(open_database(data / "elsewhere", away))
    assert caught.value.may_pass


def test_more_readers_than_connections_wait_and_are_told_when_it_takes_too_long(data: Path) -> None:
    async def work(store: Store) -> None:
        store._database._engine.pool._timeout = 0.2  # type: ignore[attr-defined]
        async with AsyncExitStack() as readers:

            async def all_at_once() -> None:
                for _ in range(100):
                    await readers.enter_async_context(store.reading())

            with pytest.raises(StoreError) as caught:
                await all_at_once()
            assert caught.value.may_pass
        assert await store.revision() == 0

    within(data, work)


def test_a_database_of_a_newer_version_is_left_alone(data: Path) -> None:
    async def newer(store: Store) -> None:
        async with store.writing() as writer:
            await writer.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    within(data, newer)
    with pytest.raises(StoreError, match="made by a newer version of Parkade"):
        within(data, lambda store: store.revision())
    assert asyncio.run(is_older(data, url_of(data))) is False


def test_whoever_only_looks_makes_nothing(data: Path) -> None:
    async def look() -> None:
        with pytest.raises(StoreError, match=r"there is no .*; serve or import makes one"):
            await Store.open(data, url_of(data), make=False)

    nothing_in(data)
    asyncio.run(look())
    assert not data.exists()
    assert asyncio.run(is_older(data, url_of(data))) is None


# on a server --------------------------------------------------------------------------------------------------------


def opened(data: Path, url: DatabaseUrl | None) -> str:
    async def work() -> str:
        try:
            await (await open_database(data, url)).close()
        except StoreError as error:
            return str(error)
        return ""

    return asyncio.run(work())


def test_whoever_forgets_where_the_database_is_gets_no_empty_file(tmp_path: Path) -> None:
    url = postgres().new_database()
    assert opened(tmp_path, url) == ""
    said = opened(tmp_path, None)
    assert said.startswith(f"data directory {tmp_path}: its database is {url}: give its URL")
    assert not (tmp_path / DATABASE_FILE).exists()
    (tmp_path / ELSEWHERE_FILE).unlink()
    assert opened(tmp_path, None) == ""
    postgres().drop(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://parkade:hunter2@127.0.0.1:9/x", "connection refused"),
        ("postgresql://parkade:hunter2@/x?host=/nowhere", "no such file or directory"),
        ("postgresql://parkade:hunter2@127.0.0.1:hunter2/x", "its URL cannot be understood"),
        ("postgresql://parkade:hunter2@127.0.0.1:9/x?sslmode=hunter2", "its URL cannot be understood"),
    ],
)
def test_a_server_that_is_not_there_is_explained_in_one_line_without_the_password(
    tmp_path: Path, url: str, reason: str
) -> None:
    said = opened(tmp_path, DatabaseUrl.parse(url))
    assert said.startswith("database postgresql://parkade@")
    assert said.lower().endswith(reason.lower())
    assert "hunter2" not in said.replace(":hunter2/x", "")
    assert "\n" not in said


def test_a_database_that_the_server_does_not_have_is_explained(tmp_path: Path) -> None:
    url = DatabaseUrl.parse(postgres().url("nobody").text)
    assert opened(tmp_path, url) == f'database {url}: database "nobody" does not exist'


def test_a_server_that_was_started_again_is_found_again(tmp_path: Path) -> None:
    url = postgres().new_database()

    async def cut(store: Store) -> None:
        async with store.writing() as connection:
            postgres().disconnect(url)
            await connection.execute(MORE)

    async def work() -> None:
        async with await Store.open(tmp_path, url) as store:
            assert await store.revision() == 0
            postgres().disconnect(url)
            assert await store.revision() == 0
            with pytest.raises(StoreError, match=r"terminat|closed") as caught:
                await cut(store)
            assert caught.value.may_pass
            assert await store.revision() == 0

    asyncio.run(work())
    postgres().drop(url)


@pytest.mark.parametrize(
    ("text_", "shown"),
    [
        ("postgresql://u:secret@h:5433/db", "postgresql://u@h:5433/db"),
        ("postgres://u@h/db", "postgres://u@h/db"),
        ("postgresql:///db?host=/run/pg&port=5433", "postgresql:///db?host=/run/pg&port=5433"),
        ("postgresql://h/db?user=u&password=secret&sslmode=require", "postgresql://h/db"),
        ("postgresql://u:secr%40et@h1,h2:5433/db", "postgresql://u@h1,h2:5433/db"),
    ],
)
def test_a_url_shows_itself_without_its_password(text_: str, shown: str) -> None:
    url = DatabaseUrl.parse(text_)
    assert (str(url), repr(url), f"{url}", url.text) == (shown, shown, shown, text_)
    assert "secret" not in f"{[url]}{ {'x': url} }"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "mysql://u:secret@h/db",
        "postgresql://",
        "postgresql://u:se/cret@h/db",
        "postgresql://u:se#cret@h/db",
        "postgresql://[u",
    ],
)
def test_what_is_no_url_is_refused_and_not_repeated(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a URL") as caught:
        DatabaseUrl.parse(wrong)
    assert "cret" not in str(caught.value)


# files --------------------------------------------------------------------------------------------------------------


def modes(data: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in data.iterdir() if path.is_file()}


def test_files_of_a_data_directory_that_others_may_enter_are_for_their_owner_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    async def look(store: Store) -> dict[str, str]:
        await store.first_start()
        return modes(tmp_path)

    journal = Journal.open(tmp_path / "journal.db")
    found = within(tmp_path, look)
    journal.close()
    assert {"parkade.db", "parkade.db-wal", "journal.db"} <= found.keys()
    assert set(found.values()) == {"0o600"}


def test_files_of_an_earlier_version_are_too_once_they_are_opened(tmp_path: Path) -> None:
    within(tmp_path, lambda store: store.first_start())
    Journal.open(tmp_path / "journal.db").close()
    for path in tmp_path.iterdir():
        path.chmod(0o644)
    Journal.open(tmp_path / "journal.db").close()

    async def look(_store: Store) -> Any:
        return modes(tmp_path)

    assert set(within(tmp_path, look).values()) == {"0o600"}
