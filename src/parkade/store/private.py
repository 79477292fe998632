"""Files for their owner alone: they say who calls whom, and who can read a digest can register as a phone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

MODE: Final = 0o600


def make_private(path: Path) -> None:
    """Make the SQLite file ``path`` with mode 0600 if it is missing, and take the rights of others away if it is there.

    SQLite gives the files beside it the mode of the file itself. What cannot be done is left to SQLite, which says why.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE))
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with contextlib.suppress(OSError):
            if file.stat().st_mode & 0o077:
                file.chmod(MODE)
