"""An installation in one file, and back: every row of the database, and the folders of sounds and voicemail.

The file is a tar: ``tables/NAME.jsonl.gz`` (a line with the names of the columns, then one a row), ``files/…``, and at its end
``manifest.json`` with the version, the schema and the checksum of every other member: a file without one is not whole. Rows
and not a copy of SQLite's file, because the same backup is then good for SQLite and PostgreSQL, and moves an installation from
one to the other. All rows are of one moment, and no writer waits for their reader.

Not in it: the configuration, the journal and the log of events, which are about the calls of a moment.

A backup holds digests and hashes of passwords: it is for its owner alone, like the database.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, Self

from sqlalchemy import Connection, MetaData, Table, func, insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade import __version__
from parkade.base.errors import ParkadeError
from parkade.store.database import (
    DATABASE_FILE,
    Database,
    note_where_it_is,
    prepare_directory,
    revision_there,
    unchanged_database,
)
from parkade.store.database_url import DatabaseUrl
from parkade.store.engines import APPLICATION
from parkade.store.errors import StoreError
from parkade.store.migrate import migrate, newest, revision_of
from parkade.store.private import MODE, make_private
from parkade.store.tables import metadata

FORMAT: Final = "parkade backup"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
FOLDERS: Final = ("sounds", "voicemail")
"""Folders of a data directory that belong to a backup, if they are there."""
_MANIFEST_BYTES: Final = 16 << 20
_ROWS: Final = 500
_COPY_BYTES: Final = 1 << 18
_VERSION_TABLE: Final = "alembic_version"


class BackupError(ParkadeError):
    """A file that is no backup, or cannot be restored here; the line says which and why. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup has: its time, its schema, the rows of each table and the number of files."""

    made_at: str
    schema: str
    rows: dict[str, int]
    files: int

    def __str__(self) -> str:
        counted = (
            ("accounts", "account"),
            ("people", "owner"),
            ("devices", "device"),
            ("parked calls of the past", "park_history"),
        )
        said = ", ".join(f"{what} {self.rows.get(table, 0)}" for what, table in counted)
        return f"{said}, files {self.files}"


# Out


async def backup(data: Path, url: DatabaseUrl | None, file: Path) -> Summary:
    """Write a backup of the installation to ``file``, which is there when it is whole, in place of one that was there before.

    The database is not brought up to date for it.

    :raises StoreError: there is no database, or it cannot be read.
    :raises OSError: the file cannot be written.
    """
    if await revision_there(data, url) is None:
        where = f"database {url}" if url else f"data directory {data}"
        raise StoreError(f"{where}: there is nothing to back up")
    database = unchanged_database(data, url)
    try:
        with _Writer(file) as writer:
            await _write_rows(database, writer)
            for name in FOLDERS:
                writer.add_folder(data, name)
            return writer.finish()
    finally:
        await database.close()


async def _write_rows(database: Database, writer: _Writer) -> None:
    async with database.reading() as connection:
        schema = await connection.run_sync(revision_of)
        if schema is None or schema > newest():
            raise StoreError(f"database {database.name}: made by a newer version of Parkade, which must be used with it")
        writer.schema, writer.database = schema, connection.dialect.name
        for table in await connection.run_sync(_tables):
            with writer.table(table.name) as lines:
                names = [column.name for column in table.columns]
                lines.add(names)
                rows = await connection.stream(select(table).order_by(*table.primary_key.columns))
                async for row in rows.yield_per(_ROWS):
                    lines.add(list(row))


def _tables(connection: Connection) -> list[Table]:
    """As they are in the database, those that others refer to first."""
    return [table for table in _reflected(connection).sorted_tables if table.name != _VERSION_TABLE]


def _reflected(connection: Connection) -> MetaData:
    """Our tables: a database on a server may have those of others too."""
    ours = {*metadata.tables, _VERSION_TABLE}
    found = MetaData()
    found.reflect(connection, only=[name for name in inspect(connection).get_table_names() if name in ours])
    return found


class _Lines:
    """The rows of one table on their way into a file."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self.count = -1  # the first line has the names

    def add(self, values: Sequence[Any]) -> None:
        self._file.write(json.dumps(values, separators=(",", ":")).encode() + b"\n")
        self.count += 1


class _Writer:
    """A backup that is being written."""

    def __init__(self, path: Path) -> None:
        self.schema = self.database = ""
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        self._made_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._members: dict[str, dict[str, object]] = {}
        self._rows: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._file = os.fdopen(os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE), "w+b")
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)
        return self

    def __exit__(self, *_error: object) -> None:
        self._tar.close()
        self._file.close()
        self._partial.unlink(missing_ok=True)

    @contextmanager
    def table(self, name: str) -> Iterator[_Lines]:
        """Where the rows of the table ``name`` go."""
        with tempfile.TemporaryFile(dir=self._path.parent) as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=3, mtime=0) as packed:
                lines = _Lines(packed)
                yield lines
            self._rows[name] = lines.count
            self._add(f"tables/{name}.jsonl.gz", file, file.seek(0, io.SEEK_END))

    def add_folder(self, data: Path, name: str) -> None:
        """The files of a folder of the data directory, if it is there."""
        for path in sorted((data / name).rglob("*")):
            if path.is_file() and not path.is_symlink():
                with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # removed a moment ago
                    self._add(f"files/{path.relative_to(data).as_posix()}", file, os.fstat(file.fileno()).st_size)

    def finish(self) -> Summary:
        """Everything is in it: it gets its manifest, its name, and its place on the disk."""
        summary = Summary(self._made_at, self.schema, self._rows, sum(name.startswith("files/") for name in self._members))
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "parkade": __version__,
            "schema": self.schema,
            "database": self.database,
            "made_at": self._made_at,
            "rows": self._rows,
            "members": self._members,
        }
        content = json.dumps(manifest, indent=1).encode()
        self._tar.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._partial.replace(self._path)
        return summary

    def _add(self, name: str, file: IO[bytes], size: int) -> None:
        file.seek(0)
        hashing = _Hashing(file)
        self._tar.addfile(_member(name, size), hashing)
        self._members[name] = {"bytes": size, "sha256": hashing.hash.hexdigest()}


class _Hashing:
    """A file whose content is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        return data


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, MODE, int(time.time())
    return member


# Back


class BackupFile:
    """A backup that was looked at: it is whole, and of a version that is known here."""

    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self.path = path
        self._tar = tar
        self._manifest = self._read_manifest()
        self.schema: str = self._manifest["schema"]
        self.members: dict[str, dict[str, Any]] = self._manifest["members"]
        if not self.schema.isdigit() or self.schema > newest():
            raise BackupError(
                f"{path}: made by a newer version of Parkade ({self._manifest.get('parkade')}), which must restore it"
            )
        self._check()

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[BackupFile]:
        """:raises BackupError: it cannot be read, or is no whole backup."""
        with contextlib.ExitStack() as stack:
            try:
                tar = stack.enter_context(tarfile.open(path, "r:"))
                backup_file = cls(path, tar)
            except OSError as error:
                raise BackupError(f"{path}: {(error.strerror or str(error)).lower()}") from None
            except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
                raise BackupError(f"{path}: is no backup of Parkade, or not a whole one") from error
            yield backup_file

    @property
    def summary(self) -> Summary:
        """What it has."""
        files = sum(name.startswith("files/") for name in self.members)
        return Summary(self._manifest["made_at"], self.schema, self._manifest["rows"], files)

    def tables(self) -> set[str]:
        """The names of the tables whose rows it has."""
        return {name.removeprefix("tables/").partition(".")[0] for name in self.members if name.startswith("tables/")}

    def rows(self, table: str) -> Iterator[list[dict[str, Any]]]:
        """The rows of one table, some at a time."""
        with gzip.open(self._open(f"tables/{table}.jsonl.gz")) as lines:
            names = json.loads(lines.readline())
            some: list[dict[str, Any]] = []
            for line in lines:
                some.append(dict(zip(names, json.loads(line), strict=True)))
                if len(some) == _ROWS:
                    yield some
                    some = []
            if some:
                yield some

    def files(self) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
        """The files and their paths in the data directory."""
        for name in self.members:
            if name.startswith("files/"):
                yield PurePosixPath(name.removeprefix("files/")), self._open(name)

    def _read_manifest(self) -> dict[str, Any]:
        member = self._tar.getmember(MANIFEST)
        if not member.isreg() or member.size > _MANIFEST_BYTES:
            raise ValueError(MANIFEST)
        manifest: dict[str, Any] = json.loads(self._open(MANIFEST).read())
        if manifest["format"] != FORMAT:
            raise ValueError(manifest["format"])
        if manifest["version"] > VERSION:
            raise BackupError(f"{self.path}: made by a newer version of Parkade ({manifest['parkade']}), which must restore it")
        return manifest

    def _open(self, name: str) -> IO[bytes]:
        file = self._tar.extractfile(name)
        if file is None:
            raise ValueError(name)
        return file

    def _check(self) -> None:
        """Every member is there as it was written, and its path leads nowhere else."""
        for name, said in self.members.items():
            path = PurePosixPath(name)
            if name != path.as_posix() or ".." in path.parts or not (
                (path.parts[0] == "files" and len(path.parts) > 2 and path.parts[1] in FOLDERS)
                or (path.parts[0] == "tables" and len(path.parts) == 2)
            ):  # fmt: skip
                raise ValueError(name)
            hashing = _Hashing(self._open(name))
            while hashing.read(_COPY_BYTES):
                pass
            if hashing.hash.hexdigest() != said["sha256"]:
                raise BackupError(f"{self.path}: is damaged: {name} is not what was written")


async def restore(data: Path, url: DatabaseUrl | None, file: BackupFile) -> Path | None:
    """Put what ``file`` has in place of the installation of ``data``, all of it or nothing. Nobody may serve it meanwhile.

    What is there now is backed up first, into the data directory: the path of that backup, None if there is nothing.

    :raises BackupError: the installation is newer than the backup, or in use, or the backup is not good for this database.
    :raises StoreError: the database cannot be written.
    """
    prepare_directory(data)
    there = await revision_there(data, url)
    if there is not None and there > file.schema:
        raise BackupError(
            f"data directory {data}: the installation there is newer (schema {there}) than the backup (schema {file.schema}); "
            "restore into another directory"
        )
    kept: Path | None = None
    if there is not None:
        kept = data / f"before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.parkade"
        await backup(data, url, kept)
    if url is None:
        make_private(data / DATABASE_FILE)
    database = unchanged_database(data, url, foreign_keys=False)
    try:
        with _folders(data, file) as exchange:
            async with database.writing() as connection:
                await _refuse_if_used(connection, database)
                await connection.run_sync(_empty, database, file)
                await _fill(connection, file)
                await connection.run_sync(migrate, database.name)
                exchange()
    except (ValueError, KeyError, TypeError, EOFError, gzip.BadGzipFile) as error:
        raise BackupError(f"{file.path}: its rows cannot be read ({error}); nothing was changed") from error
    finally:
        await database.close()
    if url is not None:
        note_where_it_is(data, url)
    return kept


async def _refuse_if_used(connection: AsyncConnection, database: Database) -> None:
    """A server elsewhere may use a database that is on a server too."""
    if connection.dialect.name != "postgresql":
        return
    others = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = :name AND pid <> pg_backend_pid()"
    )
    if (await connection.execute(others, {"name": APPLICATION})).scalar_one():
        raise BackupError(f"database {database.name}: a server or another command of Parkade uses it; stop it first")


def _empty(connection: Connection, database: Database, file: BackupFile) -> None:
    """The tables of the backup's schema, with nothing in them."""
    _reflected(connection).drop_all(connection)
    migrate(connection, database.name, file.schema)
    if unknown := file.tables() - {table.name for table in _tables(connection)}:
        raise BackupError(f"{file.path}: has rows of a table that is not known: {min(unknown)}")
    for table in reversed(_tables(connection)):
        connection.execute(table.delete())


async def _fill(connection: AsyncConnection, file: BackupFile) -> None:
    for table in await connection.run_sync(_tables):
        if table.name not in file.tables():
            continue
        for rows in file.rows(table.name):
            await connection.execute(insert(table), rows)
        if connection.dialect.name == "postgresql" and "id" in table.c:
            # A new row gets the number after the last that the database has given itself: none of these.
            last = select(func.max(table.c.id)).scalar_subquery()
            sequence = func.pg_get_serial_sequence(table.name, "id")
            await connection.execute(select(func.setval(sequence, func.coalesce(last, 1), last.is_not(None))))


@contextmanager
def _folders(data: Path, file: BackupFile) -> Iterator[Any]:
    """The folders of the backup, unpacked beside those that are there. What it gives exchanges them; an error undoes it."""
    new = Path(tempfile.mkdtemp(prefix=".restore-", dir=data))
    old = Path(tempfile.mkdtemp(prefix=".replaced-", dir=data))
    moved: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        if source.exists():
            source.rename(target)
            moved.append((source, target))

    def exchange() -> None:
        for name in FOLDERS:
            move(data / name, old / name)
            move(new / name, data / name)

    try:
        for path, content in file.files():
            target = new / path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with target.open("xb") as out:
                target.chmod(MODE)
                shutil.copyfileobj(content, out)
        yield exchange
    except BaseException:
        for source, target in reversed(moved):
            target.rename(source)
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
