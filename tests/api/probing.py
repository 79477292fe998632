"""Requests made up from ``/openapi.json``, fitting and not: none may be answered by a 5xx, nor by what is not described there.

``make probe ARGS="--examples 300"`` asks more than the tests do; ``--only parked`` asks endpoints with that in their path.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from parkade.api.principal import Role
from tests.api.conftest import Office, directory, furnish
from tests.api.served import Served, served
from tests.databases import on_postgres, stop_postgres

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
THERE = ("alice", "bob", "wall", "main", "danang", "day", "acme-101", "acme", "801", "*801", "admin@acme.test")
"""Ids of things that are there, as far as nothing has removed them."""


class Found(NamedTuple):
    """``asked`` is how many requests were made; ``wrong`` what must not be, a text each."""

    asked: int
    wrong: list[str]


def probe(server: Served, examples: int, number: int = 0, only: str = "") -> Found:
    """Ask every endpoint ``examples`` times in each way (fitting, not fitting), always the same for the same ``number``."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    asked, wrong = 0, list[str]()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result.err()
        operation = result.ok()
        if only not in operation.path:
            continue
        for mode in GenerationMode:
            server.within(_restore)
            asking = _Asking(server, operation.label)
            asking.run(operation, mode, examples, number)
            asked += asking.asked
            wrong += asking.wrong
    return Found(asked, wrong)


async def _restore(office: Office) -> None:
    """Everybody is there, one call is parked and one goes on, whatever the last endpoint has done to them."""
    await office.store.import_directory(directory())
    await office.signalling.directory_changed()
    for phone in office.phones.values():
        phone.hang_up()
        phone.register()
    office.world.run(1)
    office.parked("acme-102", "acme-101")
    office.talking("acme-110", "acme-103")


class _Asking:
    """One endpoint, asked in one way."""

    def __init__(self, server: Served, label: str) -> None:
        self.asked = 0
        self.wrong: list[str] = []
        self._label = label
        self._session = requests.Session()
        self._ids = itertools.cycle(THERE)
        operator = any(noun in label for noun in ("/accounts", "/directory", "/bans"))
        login, role = ("admin", Role.INSTALLATION_ADMIN) if operator else ("admin@acme.test", Role.ACCOUNT_ADMIN)
        self._token = server.within(lambda office: office.token_of(login, role))

    def run(self, operation: Any, mode: GenerationMode, examples: int, number: int) -> None:
        """Ask until something is wrong."""

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(case=operation.as_strategy(mode))
        def ask(case: Case[Any]) -> None:
            self._ask(case)

        try:
            ask()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, self._label  # where nothing is asked for, nothing can be amiss
        except FailureGroup as group:
            self.wrong += [f"{self._label} ({mode.value}): {error}" for error in group.exceptions]

    def _ask(self, case: Case[Any]) -> None:
        self.asked += 1
        if case.path_parameters and self.asked % 2:
            case.path_parameters = dict.fromkeys(case.path_parameters, quote(next(self._ids), safe=""))
        headers = {"Authorization": f"Bearer {self._token}"}
        response = case.call(session=self._session, headers=headers, timeout=60)
        case.validate_response(response, checks=CHECKS)


def main(arguments: list[str] | None = None) -> Iterator[str]:
    """What is wrong, a line each, and at the end how much was asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--postgres", action="store_true", help="a database on PostgreSQL instead of a file")
    given_ = parser.parse_args(arguments)
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
        if given_.postgres:
            stack.callback(stop_postgres)
            stack.enter_context(on_postgres(data))
        asyncio.run(furnish(data))
        with served(data) as server:
            found = probe(server, given_.examples, given_.seed, given_.only)
    yield from found.wrong
    yield f"{found.asked} requests, {len(found.wrong)} endpoints with something wrong"
    if found.wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    for line in main():
        sys.stdout.write(f"{line}\n")
