"""Both kinds of database for tests: ``data`` is a data directory whose database is a SQLite file, then one on PostgreSQL.

PostgreSQL is Debian's, a cluster of its own in a temporary directory, started when the first test asks for it. It listens on a
unix socket there and nowhere else, and is gone with the directory when this process ends, however it ends. A database is a copy
of one that was migrated once; every data directory that a test opens gets its own.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from parkade.store.database_url import DatabaseUrl

if TYPE_CHECKING:
    import asyncpg

T = TypeVar("T")
KINDS = ("sqlite", "postgres")
START_S = 60.0
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/bin", "/usr/bin")
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "log_min_messages": "fatal",
}
_INITDB = ("-A", "trust", "-E", "UTF8", "--locale=C", "-N")
# Its standard input ends when the process that runs the tests does.
_RUN = 'bin=$1 dir=$2; shift 2; "$bin/postgres" -D "$dir/data" "$@" & read -r _; kill -QUIT $!; wait; rm -rf "$dir"'

_postgres_below: set[Path] = set()
_urls: dict[Path, DatabaseUrl] = {}


def url_of(data: Path) -> DatabaseUrl | None:
    """Where the database of ``data`` is: None for a file in it. One on PostgreSQL is made when it is first asked for."""
    if not any(root in (data, *data.parents) for root in _postgres_below):
        return None
    if data not in _urls:
        _urls[data] = postgres().new_database()
    return _urls[data]


def copy(source: Path, to: Path) -> None:
    """``to`` has what ``source`` has, in a database of the same kind; nobody has that open."""
    shutil.copytree(source, to, dirs_exist_ok=True)
    url = url_of(source)
    if url is not None:
        if to in _urls:
            postgres().drop(_urls[to])
        _urls[to] = postgres().new_database(of=url)


def of_kind(kind: str, root: Path) -> AbstractContextManager[None]:
    """Data directories at or below ``root`` have their database so: one of ``KINDS``."""
    return on_postgres(root) if kind == "postgres" else nullcontext()


def nothing_in(data: Path) -> None:
    """There is to be nothing: no directory ``data``, and an empty database on PostgreSQL."""
    if data.exists():
        shutil.rmtree(data)
    if url_of(data) is not None:
        postgres().drop(_urls[data])
        _urls[data] = postgres().new_database(empty=True)


@contextmanager
def on_postgres(root: Path) -> Iterator[None]:
    """Every data directory at or below ``root`` has its database on PostgreSQL."""
    _postgres_below.add(root)
    try:
        yield
    finally:
        _postgres_below.remove(root)
        for data in [data for data in _urls if root in (data, *data.parents)]:
            postgres().drop(_urls.pop(data))


@pytest.fixture(params=KINDS)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A data directory that knows nobody; the test runs once for each kind of database."""
    path = tmp_path / "data"
    if request.param == "sqlite":
        path.mkdir(mode=0o700)
        shutil.copy(_sqlite_template(), path / "parkade.db")
        yield path
        return
    with on_postgres(path):
        yield path


@cache
def _sqlite_template() -> Path:
    """A file that was migrated once."""
    folder = Path(tempfile.mkdtemp(prefix="parkade-sqlite-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with ThreadPoolExecutor(1) as thread:  # a test of coroutines has a loop of its own
        thread.submit(asyncio.run, _migrated(folder, None)).result()
    return folder / "parkade.db"


class Postgres:
    """A running cluster."""

    def __init__(self) -> None:
        binaries = _binaries()
        user = _user()
        self._folder = Path(tempfile.mkdtemp(prefix="parkade-postgres-", dir="/tmp"))
        if user:
            os.chown(self._folder, pwd.getpwnam(user).pw_uid, -1)
        how: dict[str, Any] = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        how |= {"cwd": self._folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
        made = subprocess.run(
            [binaries / "initdb", *("-D", self._folder / "data", "-U", "parkade"), *_INITDB],
            capture_output=True,
            text=True,
            check=False,
            **how,
        )
        assert made.returncode == 0, made.stderr
        flags = [f"-c{name}={value}" for name, value in {**_SETTINGS, "unix_socket_directories": self._folder}.items()]
        self._server = subprocess.Popen(
            ["/bin/sh", "-c", _RUN, "sh", binaries, self._folder, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            **how,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres", daemon=True)
        self._thread.start()
        self._numbers = itertools.count(1)
        self._admin: asyncpg.Connection = self._do(self._connect())
        self._template = "parkade_template"
        self._execute(f"CREATE DATABASE {self._template}")
        with tempfile.TemporaryDirectory() as data:
            self._do(_migrated(Path(data), self.url(self._template)))

    def url(self, name: str) -> DatabaseUrl:
        """The database ``name``."""
        return DatabaseUrl(f"postgresql://parkade@/{name}?host={self._folder}")

    def new_database(self, *, empty: bool = False, of: DatabaseUrl | None = None) -> DatabaseUrl:
        """One of its own, with the newest schema, or (``empty``) nothing in it, or what is in ``of``, which nobody has open."""
        name = f"parkade_{next(self._numbers)}"
        template = _name(of) if of else "template0" if empty else self._template
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: DatabaseUrl) -> None:
        """It is not needed any more."""
        self._execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def disconnect(self, url: DatabaseUrl) -> None:
        """End every connection to it, as a server does that is started again."""
        self._execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(url)}'")

    @contextmanager
    def away(self, url: DatabaseUrl) -> Iterator[None]:
        """Nobody is connected to it, and nobody gets in."""
        self._execute(f"ALTER DATABASE {_name(url)} WITH ALLOW_CONNECTIONS false")
        self.disconnect(url)
        try:
            yield
        finally:
            self._execute(f"ALTER DATABASE {_name(url)} WITH ALLOW_CONNECTIONS true")

    def stop(self) -> None:
        """The end of the cluster."""
        self._do(self._admin.close())
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _connect(self) -> asyncpg.Connection:
        import asyncpg

        until = time.monotonic() + START_S
        while True:
            try:
                return await asyncpg.connect(self.url("postgres").text)
            except (OSError, asyncpg.CannotConnectNowError):
                assert time.monotonic() < until, "PostgreSQL does not start"
                assert self._server.poll() is None, "PostgreSQL has ended"
                await asyncio.sleep(0.02)

    def _execute(self, statement: str) -> None:
        self._do(self._admin.execute(statement))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _name(url: DatabaseUrl) -> str:
    return url.text.partition("@/")[2].partition("?")[0]


async def _migrated(data: Path, url: DatabaseUrl | None) -> None:
    from parkade.store.database import open_database

    await (await open_database(data, url)).close()


_cluster: Postgres | None = None


def postgres() -> Postgres:
    """The cluster of this run of the tests."""
    global _cluster  # noqa: PLW0603 - one for all tests that want it
    if _cluster is None:
        _cluster = Postgres()
    return _cluster


def stop_postgres() -> None:
    """After the last test."""
    global _cluster  # noqa: PLW0603
    if _cluster is not None:
        _cluster.stop()
        _cluster = None


def _binaries() -> Path:
    """Those of the newest PostgreSQL that is installed."""
    for place in _PLACES:
        folder, _, pattern = place.partition("*")
        found = [Path(folder)] if not pattern else sorted(Path(folder).glob(f"*{pattern}"), key=_version)
        for binaries in reversed(found):
            if (binaries / "initdb").exists() and (binaries / "postgres").exists():
                return binaries
    on_path = shutil.which("initdb")
    assert on_path, "PostgreSQL is needed: apt-get install postgresql (tools/setup.sh debian does it)"
    return Path(on_path).resolve().parent


def _version(binaries: Path) -> tuple[int, str]:
    name = binaries.parent.name
    return (int(name) if name.isdigit() else 0, name)


def _user() -> str | None:
    """Whom PostgreSQL is to run as: it refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise AssertionError("PostgreSQL does not run as root, and there is no user postgres or nobody")
