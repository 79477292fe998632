"""Every story starts in an office and ends with everybody at home and nothing left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.office import Furnish, Office


@pytest.fixture
def furnish() -> Iterator[Furnish]:
    """Makes an office with another lot, policy or language."""
    furnish = Furnish()
    yield furnish
    for office in furnish.offices:
        office.close()


@pytest.fixture
def office(furnish: Furnish) -> Office:
    """An office as they come."""
    return furnish()
