"""A backup has everything and comes back as it was, into either kind of database; what is no whole backup changes nothing."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from parkade.store import audit, backup, history
from parkade.store import tables as t
from parkade.store.audit import AuditEntry
from parkade.store.backup import BackupError, BackupFile, restore
from parkade.store.database import unchanged_database
from parkade.store.errors import StoreError
from parkade.store.migrate import migrate
from parkade.store.store import Store
from tests.databases import nothing_in, on_postgres, url_of
from tests.store.directory_text import ACME, changed
from tests.store.happenings import START, Happenings
from tests.store.installation import exported, imported, within

WORDS = "đỗ cuộc gọi \u2028 \U0001f4de"


async def fill(store: Store) -> None:
    """Rows of every sort."""
    it = Happenings()
    for number in range(600):
        it.park(f"c{number}", 1 / 3 + number, "abandoned", caller_name=WORDS)
    it("parked", "open")
    async with store.writing() as connection:
        await history.apply(connection, it.events)
        await audit.add(connection, AuditEntry("acme", START + 0.1, "x", "y", "z", "o", {"a": [1, 2.5, None, WORDS]}, None))
        await connection.execute(
            insert(t.event).values(
                number=2**40, uid="e", account="acme", at=START + 1e-6, type="call.parked", call=None, data={"x": {"y": 1e300}}
            )
        )
        await connection.execute(t.event_position.update().values(number=2**40))


def everything(data: Path) -> dict[str, list[Any]]:
    """Every row of every table."""

    async def work(store: Store) -> dict[str, list[Any]]:
        async with store.reading() as connection:
            return {
                table.name: [tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key.columns))]
                for table in t.metadata.sorted_tables
            }

    return within(data, work)


def filled(data: Path) -> None:
    imported(data, ACME)
    within(data, fill)


def back_up(data: Path, file: Path) -> backup.Summary:
    return asyncio.run(backup.backup(data, url_of(data), file))


def put_back(data: Path, file: Path) -> Path | None:
    with BackupFile.open(file) as looked_at:
        return asyncio.run(restore(data, url_of(data), looked_at))


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A data directory to restore into, of either kind, whatever kind the other one is of."""
    there = tmp_path / "target"
    if request.param == "sqlite":
        yield there
        return
    with on_postgres(there):
        nothing_in(there)
        yield there


def test_a_backup_comes_back_as_it_was_into_either_kind_of_database(data: Path, target: Path, tmp_path: Path) -> None:
    filled(data)
    summary = back_up(data, tmp_path / "backup")
    assert str(summary) == "accounts 1, people 3, devices 3, parked calls of the past 601, files 0"
    assert put_back(target, tmp_path / "backup") is None
    assert everything(target) == everything(data)
    assert imported(target, exported(data)) == []
    # Rows that are new get numbers of their own.
    assert imported(
        target,
        changed("name: Bob", "name: Bob\n      - {extension: '103', name: Carol}\n      - extension: '104'\n        name: Bob"),
    )


def test_the_file_is_for_its_owner_alone_and_there_is_no_other(data: Path, tmp_path: Path) -> None:
    imported(data, ACME)
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "backup"
    file.write_text("of yesterday")
    back_up(data, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    with tarfile.open(file) as tar:
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
        assert manifest["database"] == ("sqlite" if url_of(data) is None else "postgresql")
        assert manifest["schema"] == "0003"
        assert set(tar.getnames()) == {"manifest.json", *manifest["members"]}


def test_a_backup_is_of_one_moment_and_disturbs_no_writer(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account is renamed while the rows are written, table by table."""
    imported(data, ACME)
    add = backup._Lines.add
    done: list[Any] = []

    def slowly(lines: backup._Lines, values: Any) -> None:
        if not done:
            done.append(
                subprocess.run([sys.executable, "-c", RENAME, str(data), getattr(url_of(data), "text", "")], check=True)
            )
        add(lines, values)

    monkeypatch.setattr(backup._Lines, "add", slowly)
    back_up(data, tmp_path / "backup")
    assert 'name: "Acme"\n' in exported(data)
    put_back(data, tmp_path / "backup")
    assert 'name: "Acme Logistics"\n' in exported(data)


RENAME = """
import asyncio, sys
from pathlib import Path
from parkade.store import tables as t
from parkade.store.database_url import DatabaseUrl
from parkade.store.store import Store
async def work():
    async with await Store.open(Path(sys.argv[1]), DatabaseUrl(sys.argv[2]) if sys.argv[2] else None) as store:
        async with store.writing() as connection:
            await connection.execute(t.account.update().values(name="Acme"))
asyncio.run(work())
"""


def test_what_was_there_is_kept_as_a_backup(data: Path, tmp_path: Path) -> None:
    filled(data)
    back_up(data, tmp_path / "backup")
    imported(data, changed("name: Alice", "name: Alicia"))
    now = everything(data)
    kept = put_back(data, tmp_path / "backup")
    assert "Alicia" not in exported(data)
    assert kept is not None
    assert kept.parent == data
    put_back(data, kept)
    assert everything(data) == now


def test_folders_come_with_it_and_replace_those_that_are_there(data: Path, target: Path, tmp_path: Path) -> None:
    imported(data, ACME)
    (data / "sounds" / "acme").mkdir(parents=True)
    (data / "sounds" / "acme" / "own.wav").write_bytes(bytes(range(256)) * 999)
    (data / "sounds" / "leads-away").symlink_to("/etc/passwd")
    (data / "voicemail" / "101").mkdir(parents=True)
    (data / "voicemail" / "101" / "1.wav").write_bytes(b"hello")
    back_up(data, tmp_path / "backup")
    (target / "sounds").mkdir(parents=True)
    (target / "sounds" / "old.wav").write_bytes(b"old")
    (target / "other").mkdir()
    put_back(target, tmp_path / "backup")
    files = {str(path.relative_to(target)): path for path in target.rglob("*") if path.is_file() and path.suffix == ".wav"}
    assert files.keys() == {"sounds/acme/own.wav", "voicemail/101/1.wav"}
    assert files["sounds/acme/own.wav"].read_bytes() == bytes(range(256)) * 999
    assert stat.S_IMODE(files["sounds/acme/own.wav"].stat().st_mode) == 0o600
    assert not [path for path in target.iterdir() if path.name.startswith((".restore", ".replaced"))]


def test_a_restore_that_fails_half_way_changes_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(data)
    (data / "sounds").mkdir()
    (data / "sounds" / "x.wav").write_bytes(b"then")
    back_up(data, tmp_path / "backup")
    imported(data, changed("name: Alice", "name: Alicia"))
    (data / "sounds" / "x.wav").write_bytes(b"now")
    now = everything(data)
    rows = BackupFile.rows

    def torn(self: BackupFile, table: str) -> Any:
        if table == "park_history":
            raise EOFError("cut")
        return rows(self, table)

    with monkeypatch.context() as patch:
        patch.setattr(BackupFile, "rows", torn)
        with pytest.raises(BackupError, match="its rows cannot be read"):
            put_back(data, tmp_path / "backup")
    assert everything(data) == now

    def fails(source: Path, target_: Path) -> Path:
        if source.parent.name.startswith(".restore-"):
            raise OSError(28, "No space left on device")
        return rename(source, target_)

    rename = Path.rename
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fails)
        with pytest.raises(OSError, match="No space"):
            put_back(data, tmp_path / "backup")
    assert everything(data) == now
    assert (data / "sounds" / "x.wav").read_bytes() == b"now"


@pytest.mark.parametrize("at_s", [0.1, 0.4, 0.7])
def test_a_restore_that_is_killed_leaves_all_of_it_or_nothing(data: Path, tmp_path: Path, at_s: float) -> None:
    filled(data)
    back_up(data, tmp_path / "backup")
    then = everything(data)
    imported(data, changed("name: Alice", "name: Alicia"))
    now = everything(data)
    url = url_of(data)
    environ = os.environ | ({"PARKADE_DATABASE": url.text} if url else {})
    command = [sys.executable, "-m", "parkade", "restore", "--data", str(data), str(tmp_path / "backup")]
    began = time.monotonic()
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(data.glob("before-restore-*")):
        time.sleep(0.002)
    time.sleep(at_s * (time.monotonic() - began))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert everything(data) in (then, now)


def test_a_backup_of_an_earlier_schema_is_brought_up_to_date_and_made_without_touching_it(
    data: Path, target: Path, tmp_path: Path
) -> None:
    nothing_in(data)
    data.mkdir()
    done(data, lambda connection: migrate(connection, "old", "0001"))
    done(data, lambda connection: connection.exec_driver_sql("INSERT INTO account (id, slug, name) VALUES (7, 'acme', 'Acme')"))
    assert back_up(data, tmp_path / "backup").schema == "0001"
    assert (
        done(data, lambda connection: connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()) == "0001"
    )
    put_back(target, tmp_path / "backup")
    assert [row[2:4] for row in everything(target)["account"]] == [("acme", "Acme")]
    with (
        BackupFile.open(tmp_path / "backup") as old,
        pytest.raises(BackupError, match=r"is newer \(schema 0003\) than the backup"),
    ):
        asyncio.run(restore(target, url_of(target), old))


def done(data: Path, work: Callable[[Any], Any]) -> Any:
    async def run() -> Any:
        database = unchanged_database(data, url_of(data), foreign_keys=False)
        try:
            async with database.writing() as connection:
                return await connection.run_sync(work)
        finally:
            await database.close()

    return asyncio.run(run())


def test_tables_of_others_in_the_same_database_are_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with on_postgres(data):
        imported(data, ACME)
        done(data, lambda connection: connection.exec_driver_sql("CREATE TABLE theirs (x integer)"))
        back_up(data, tmp_path / "backup")
        with tarfile.open(tmp_path / "backup") as tar:
            assert "tables/theirs.jsonl.gz" not in tar.getnames()
        put_back(data, tmp_path / "backup")
        assert done(data, lambda connection: connection.exec_driver_sql("SELECT count(*) FROM theirs").scalar()) == 0


def test_a_database_that_somebody_uses_is_not_replaced(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with on_postgres(data):
        imported(data, ACME)
        back_up(data, tmp_path / "backup")

        async def meanwhile(store: Store) -> None:
            async with store.reading() as connection:
                await connection.execute(text("SELECT 1"))
            used = pytest.raises(BackupError, match="a server or another command of Parkade uses it")
            with BackupFile.open(tmp_path / "backup") as looked_at, used:
                await restore(data, url_of(data), looked_at)

        within(data, meanwhile)


def test_there_must_be_something_to_back_up(data: Path, tmp_path: Path) -> None:
    nothing_in(data)
    with pytest.raises(StoreError, match="there is nothing to back up"):
        back_up(data, tmp_path / "backup")
    assert not list(tmp_path.glob("*backup*"))


# files that are none ------------------------------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path: Path) -> Path:
    imported(tmp_path / "source", ACME)
    back_up(tmp_path / "source", tmp_path / "good")
    return tmp_path / "good"


def refused(tmp_path: Path, file: Path) -> str:
    with pytest.raises(BackupError) as caught:
        put_back(tmp_path / "new", file)
    assert not (tmp_path / "new").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{file}: ")


def rewritten(good: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> Path:
    """The backup with its members changed, or left out."""
    path = good.with_name("rewritten")
    with tarfile.open(good) as tar, tarfile.open(path, "w") as out:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            new = change(member.name, content.read())
            if new is not None:
                info = tarfile.TarInfo(new[0])
                info.size = len(new[1])
                out.addfile(info, io.BytesIO(new[1]))
    return path


def with_manifest(good: Path, **changes: Any) -> Path:
    def change(name: str, content: bytes) -> tuple[str, bytes]:
        if name != "manifest.json":
            return name, content
        return name, json.dumps(json.loads(content) | changes).encode()

    return rewritten(good, change)


def test_files_that_are_no_backup_are_refused_in_one_line(good: Path, tmp_path: Path) -> None:
    no_backup = "is no backup of Parkade, or not a whole one"
    assert refused(tmp_path, tmp_path / "none") == "no such file or directory"
    assert refused(tmp_path, tmp_path) == "is a directory"
    for content in (b"", b"hello" * 1000, good.read_bytes()[:-20_000], good.read_bytes()[:700], os.urandom(10_000)):
        (tmp_path / "bad").write_bytes(content)
        assert refused(tmp_path, tmp_path / "bad") == no_backup
    shutil.copy(tmp_path / "source" / "parkade.db", tmp_path / "bad")
    assert refused(tmp_path, tmp_path / "bad") == no_backup
    assert refused(tmp_path, with_manifest(good, format="other")) == no_backup
    assert refused(tmp_path, with_manifest(good, members=7)) == no_backup
    assert refused(tmp_path, rewritten(good, lambda name, content: None if "owner" in name else (name, content))) == no_backup


def test_a_backup_that_is_damaged_or_newer_is_refused(good: Path, tmp_path: Path) -> None:
    damaged = rewritten(good, lambda name, content: (name, content[:-1] + b"?" if "owner" in name else content))
    assert refused(tmp_path, damaged) == "is damaged: tables/owner.jsonl.gz is not what was written"
    newer = "made by a newer version of Parkade (0.1.0), which must restore it"
    assert refused(tmp_path, with_manifest(good, version=2)) == newer
    assert refused(tmp_path, with_manifest(good, schema="9999")) == newer


@pytest.mark.parametrize(
    "name", ["files/../../x", "files/sounds/../../../x", "files/run/x", "/etc/x", "files/sounds", "tables/a/b", "x"]
)
def test_a_member_that_leads_elsewhere_is_refused(good: Path, tmp_path: Path, name: str) -> None:
    with tarfile.open(good) as tar:
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of x
    changed_ = with_manifest(good, members=manifest["members"] | {name: {"bytes": 1, "sha256": digest}})
    with tarfile.open(changed_, "a") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    assert refused(tmp_path, changed_) == "is no backup of Parkade, or not a whole one"
