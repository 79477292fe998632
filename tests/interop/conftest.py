"""One server for all interop tests; an account of its own for each test that wants one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.interop.office import Office
from tests.interop.server import Server, Tree, account

KINDS: dict[str, Callable[[str], Tree]] = {
    "plain": account,
    "tiny": lambda slug: account(slug, codes="801-802"),
    "impatient": lambda slug: account(slug, expiration_seconds=4, ring_back_seconds=4, reserve_seconds=1),
    "brief": lambda slug: account(slug, expiration_seconds=3),
    "vietnamese": lambda slug: account(slug, language="vi"),
    "final": lambda slug: account(slug, expiration_seconds=3, call_not_picked_up_action=9),
}
"""What kinds of accounts there are."""

HOW_MANY = {"plain": 120, "tiny": 5, "impatient": 10, "brief": 5, "vietnamese": 5, "final": 5}
"""How many of each kind, one for each test that wants one."""

OfficeMaker: TypeAlias = Callable[..., Office]
SERVER = pytest.StashKey[tuple[Server, int]]()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server under test."""
    accounts = [make(f"{kind}{number}") for kind, make in KINDS.items() for number in range(1, HOW_MANY[kind] + 1)]
    running = Server(tmp_path_factory.mktemp("server"), accounts)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def next_number() -> Counter[str]:
    """How many accounts of each kind are taken."""
    return Counter()


@pytest.fixture
def office_of(
    server: Server, tmp_path: Path, next_number: Counter[str], request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Office]]:
    """Offices in accounts that nobody else uses."""
    request.node.stash[SERVER] = server, server.log_size()
    offices: list[Office] = []

    def make(kind: str) -> Office:
        next_number[kind] += 1
        assert next_number[kind] <= HOW_MANY[kind], f"more than {HOW_MANY[kind]} tests want an account of kind {kind}"
        offices.append(Office(server, f"{kind}{next_number[kind]}", tmp_path / f"office{len(offices)}"))
        return offices[-1]

    yield make
    for office in offices:
        office.close()
    assert server.running, f"the server has died:\n{server.log()[-5000:]}"


@pytest.fixture
def office(office_of: Callable[[str], Office]) -> Office:
    """An ordinary account."""
    return office_of("plain")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure shows what the server wrote meanwhile."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.failed and SERVER in item.stash:
        running, since = item.stash[SERVER]
        report.sections.append(("log of the server", running.log(since)[-8000:]))
    return report  # type: ignore[return-value]
