"""Who calls whom is nobody else's business, whatever the folder allows."""

from __future__ import annotations

from pathlib import Path

from parkade.store.tail import Tail


def test_a_tail_is_for_its_owner_alone(tmp_path: Path) -> None:
    tail = Tail.begin(tmp_path / "journal.db", 1)
    tail.close()
    assert tail.path.stat().st_mode & 0o777 == 0o600
