"""One real media process for all tests of a file; each test opens legs of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.media.real_media import RealMedia


@pytest.fixture
def media(tmp_path: Path) -> Iterator[RealMedia]:
    """A media process of this test alone."""
    real = RealMedia(tmp_path)
    yield real
    real.close()
    assert real.process.returncode == 0, real.log.read_text()
    assert "Traceback" not in real.log.read_text()
