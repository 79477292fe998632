"""Directory files to test with: the full example of the documentation, and small ones made from parts."""

from __future__ import annotations

from pathlib import Path

from parkade.store.directory_file import DirectoryFileError, read_directory_file
from parkade.store.directory_model import DirectoryFile

ACME = (Path(__file__).parents[2] / "examples" / "acme.yaml").read_text("utf-8")


def changed(old: str, new: str, text: str = ACME) -> str:
    """``text`` with its first ``old`` replaced, which must be there."""
    assert old in text, old
    return text.replace(old, new, 1)


def line_of(part: str, text: str) -> int:
    """The number of the first line that holds ``part``."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def read(text: str) -> DirectoryFile:
    return read_directory_file(text.encode(), "acme.yaml")


def complaints(text: str | bytes) -> list[tuple[int, str]]:
    """What is wrong with ``text``: line and reason of each complaint."""
    try:
        read_directory_file(text.encode() if isinstance(text, str) else text, "acme.yaml")
    except DirectoryFileError as error:
        return [(line, reason) for line, reason in error.complaints]
    return []
