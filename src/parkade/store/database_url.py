"""Where a database on a server is. It may hold a password, so it shows itself without one and imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

_SCHEMES = ("postgresql", "postgres")
_SHOWN = {"host", "port"}
"""The parameters of a URL that are shown: others may be secret."""


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """A URL as libpq writes them: ``postgresql://user:password@host:5432/name?sslmode=require``.

    ``str`` and ``repr`` leave out the password; ``text`` is for the driver alone.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """:raises ValueError: it is none; the message has nothing of ``text`` in it."""
        try:
            parts = urlsplit(text)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in _SCHEMES or not (parts.netloc or parts.path.strip("/")) or "\0" in text:
            raise ValueError("is not a URL like postgresql://user@host/name")
        if parts.fragment or "@" in parts.path + parts.query:
            raise ValueError("is not a URL that can be read: write / ? # @ of a password as %2F %3F %23 %40")
        return cls(text)

    def __str__(self) -> str:
        parts = urlsplit(self.text)
        user, at, hosts = parts.netloc.rpartition("@")
        shown = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name in _SHOWN], safe="/")
        return f"{parts.scheme}://{user.partition(':')[0]}{at}{hosts}{parts.path}{'?' if shown else ''}{shown}"

    __repr__ = __str__
