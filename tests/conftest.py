"""What every test shares: hypothesis without a stop-watch (machines differ), the same examples on every CI run, databases."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.databases import data, stop_postgres

__all__ = ["data"]

settings.register_profile("parkade", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
settings.load_profile("parkade")


@pytest.fixture(scope="session", autouse=True)
def _postgres_ends_with_the_tests() -> Iterator[None]:
    yield
    stop_postgres()
