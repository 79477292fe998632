"""Who asks: the role, and what it may reach. ``auth.py`` finds it out; every ``may_*`` is there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody is here. Tokens have one of them too."""

    INSTALLATION_ADMIN = "installation_admin"
    ACCOUNT_ADMIN = "account_admin"
    SITE_ADMIN = "site_admin"
    USER = "user"
    WALL_BOARD = "wall_board"


@dataclass(frozen=True, slots=True)
class Principal:
    """``account`` is a slug, None for an installation's administrator; ``site``, ``owner`` and ``token`` are ids.

    ``site`` is where a site's administrator or a wall board belongs, ``owner`` and ``extension`` whose person it is.
    ``scopes`` are what a token was limited to, empty for everything that the role may do. ``name`` is how people call it,
    ``login`` that of the person behind it, None for a token of nobody.
    """

    role: Role
    name: str
    token: str
    account: str | None = None
    site: str | None = None
    owner: str | None = None
    extension: str | None = None
    language: str = "en"
    scopes: frozenset[str] = frozenset()
    login: str | None = None

    @property
    def by(self) -> str:
        """Who it was, for the audit trail: a log-in is one person's, a name may be anybody's."""
        return self.login or self.name
