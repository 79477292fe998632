"""One real media process for all tests of a file; each test opens legs of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.media.real_media import RealMedia, end_what_runs


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """A test that fails leaves no process, and no socket to be found by the collector in the middle of another test."""
    yield
    end_what_runs()


@pytest.fixture
def media(tmp_path: Path) -> Iterator[RealMedia]:
    """A media process of this test alone."""
    real = RealMedia(tmp_path)
    yield real
    real.close()
    assert real.process.returncode == 0, real.log.read_text()
    assert "Traceback" not in real.log.read_text()
