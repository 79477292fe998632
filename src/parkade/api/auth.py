"""Who asks, and what they may do. Every ``may_*`` of the API is here; endpoints say which one they need and nothing else.

::

    @router.get("/history/parks")
    async def parks(who: Annotated[Principal, Depends(allowed(may_see_history))], account: AccountSlug, use: Use) -> …:
        if may_see_history(who) is Reach.OWN:
            …

A token is ``pk_`` and 256 random bits; the database has its SHA-256. A browser may keep it as a cookie that no script can read.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Query, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from starlette.requests import HTTPConnection

from parkade.api import refusals
from parkade.api.principal import Principal, Role
from parkade.api.problems import Problem
from parkade.api.services import Services, Use
from parkade.store import tables as t
from parkade.store import tokens
from parkade.store.passwords import hash_password, password_fits
from parkade.store.tokens import KnownToken

COOKIE: Final = "parkade_session"
CLIENT_HEADER: Final = "X-Parkade-Client"
NOBODYS_PASSWORD: Final = hash_password(secrets.token_hex(16))
"""What a password is checked against where there is no such log-in, so that it takes as long as where there is one."""

# Rights


class Reach(IntEnum):
    """How far a right goes. False for none."""

    NONE = 0
    OWN = 1
    SITE = 2
    ACCOUNT = 3
    INSTALLATION = 4


SCOPES: Final[Mapping[str, str]] = {
    "calls:read": "see calls, parked calls and lots, and hear of events",
    "calls:write": "park, retrieve, give back, transfer, hang up, write notes",
    "settings:read": "see settings",
    "settings:write": "change settings",
    "directory:read": "see people, places, phones and accounts",
    "directory:write": "change people, places, phones and accounts",
    "history:read": "see history and reports",
    "audit:read": "see who changed what, and who was kept out",
    "webhooks:write": "see and change webhooks",
    "trace:read": "see the messages of a call",
    "tokens:write": "see, make and revoke tokens",
}
"""What a token can be limited to. Whoever may write may read."""


@dataclass(frozen=True, slots=True)
class Right:
    """One ``may_*``: called with a ``Principal`` it says how far the right goes."""

    what: str
    scope: str
    reach: Mapping[Role, Reach]

    def __call__(self, principal: Principal) -> Reach:
        return self.of_role(principal.role) if self.in_scope(principal) else Reach.NONE

    def of_role(self, role: Role) -> Reach:
        """Whatever a token may be limited to."""
        return self.reach.get(role, Reach.NONE)

    def in_scope(self, principal: Principal) -> bool:
        """Whether the token was not limited to other things."""
        noun = self.scope.partition(":")[0]
        return not principal.scopes or not principal.scopes.isdisjoint((self.scope, f"{noun}:write"))


def _right(
    what: str,
    scope: str,
    *,
    account_admin: Reach = Reach.ACCOUNT,
    site_admin: Reach = Reach.NONE,
    user: Reach = Reach.NONE,
    wall_board: Reach = Reach.NONE,
) -> Right:
    reach = {
        Role.INSTALLATION_ADMIN: Reach.INSTALLATION,
        Role.ACCOUNT_ADMIN: account_admin,
        Role.SITE_ADMIN: site_admin,
        Role.USER: user,
        Role.WALL_BOARD: wall_board,
    }
    return Right(what, scope, reach)


_SITE, _OWN, _ACCOUNT, _NONE = Reach.SITE, Reach.OWN, Reach.ACCOUNT, Reach.NONE

may_see_calls = _right("see calls", "calls:read", site_admin=_SITE, user=_OWN)
may_act_on_calls = _right("park, transfer and end calls", "calls:write", site_admin=_SITE, user=_OWN)
may_see_parked = _right("see parked calls and lots", "calls:read", site_admin=_SITE, user=_ACCOUNT, wall_board=_ACCOUNT)
may_retrieve = _right("retrieve, give back and note parked calls", "calls:write", site_admin=_SITE, user=_ACCOUNT)
may_force_back = _right("send parked calls back to who parked them", "calls:write", site_admin=_SITE)
may_hear_events = _right("hear of events", "calls:read", site_admin=_SITE, user=_ACCOUNT, wall_board=_ACCOUNT)
may_see_settings = _right("see settings of people", "settings:read", site_admin=_ACCOUNT, user=_OWN)
may_see_settings_of_all = _right("see settings of an account and its places", "settings:read", site_admin=_ACCOUNT)
may_change_settings = _right("change settings of people", "settings:write", site_admin=_SITE, user=_OWN)
may_change_settings_of_places = _right("change settings of sites and common areas", "settings:write", site_admin=_SITE)
may_change_settings_of_account = _right("change settings of the account and user groups", "settings:write")
may_see_directory = _right("see people, places and phones", "directory:read", site_admin=_ACCOUNT, user=_ACCOUNT)
may_change_directory = _right("change people, places and phones", "directory:write", site_admin=_SITE)
may_change_account = _right("change the account, its sites and groups", "directory:write")
may_see_accounts = _right("see accounts", "directory:read", site_admin=_ACCOUNT, user=_ACCOUNT)
may_run_installation = _right("make and remove accounts", "directory:write", account_admin=_NONE)
may_see_history = _right("see history and reports", "history:read", site_admin=_SITE, user=_OWN)
may_see_audit = _right("see who changed what", "audit:read")
may_see_bans = _right("see who is kept out", "audit:read", account_admin=_NONE)
may_manage_webhooks = _right("see and change webhooks", "webhooks:write")
may_see_trace = _right("see the messages of a call", "trace:read")
may_manage_tokens = _right("see, make and revoke tokens", "tokens:write", site_admin=_SITE, user=_OWN)

RIGHTS: Final[Mapping[str, Right]] = {
    name.removeprefix("may_"): right for name, right in globals().items() if isinstance(right, Right)
}
"""Every right by its name."""

_ORDER = (Role.WALL_BOARD, Role.USER, Role.SITE_ADMIN, Role.ACCOUNT_ADMIN, Role.INSTALLATION_ADMIN)


def may_give_role(principal: Principal, role: Role) -> bool:
    """Whether ``principal`` may make a token of that role: none above its own, and a wall board only as an administrator."""
    if role is Role.WALL_BOARD:
        return principal.role not in (Role.WALL_BOARD, Role.USER)
    if role in (Role.USER, Role.SITE_ADMIN):
        return role is principal.role
    return _ORDER.index(role) <= _ORDER.index(principal.role)


# Who asks


def token_hash(token: str) -> str:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def made_token() -> str:
    """A new one."""
    return "pk_" + secrets.token_urlsafe(32)


def _principal(token: KnownToken) -> Principal | None:
    """A session is what its log-in is now; a token may be less than that, and is nothing if it would be more."""
    person = token.person
    role = Role(token.role)
    if person.standing is not None:
        standing = Role(person.standing)
        if token.kind == "session":
            role = standing
        elif _ORDER.index(role) > _ORDER.index(standing):
            return None
    a_user = role is Role.USER
    if (a_user and person.extension is None) or (role is Role.SITE_ADMIN and person.site is None):
        return None  # its log-in is something else by now: without its limits it would reach everything
    return Principal(
        role=role,
        name=person.name or person.login or token.name,
        token=token.id,
        account=person.account,
        site=person.site,
        owner=person.owner if a_user else None,
        extension=person.extension if a_user else None,
        language=person.language or "en",
        scopes=frozenset(token.scopes),
        login=person.login,
    )


async def authenticate_token(use: Services, token: str) -> Principal | None:
    """Whom ``token`` stands for, None if it is not valid, or no longer. For a WebSocket's first message too."""
    async with use.store.reading() as connection:
        known = await tokens.find_token(connection, token_hash(token), use.now())
    return None if known is None else _principal(known)


async def password_is(use: Services, password_hash: str | None, password: str) -> bool:
    """Whether ``password`` fits, found out in a thread; takes as long where there is no hash."""
    async with use.checking_passwords:
        fits = await asyncio.to_thread(password_fits, password_hash or NOBODYS_PASSWORD, password)
    return fits and password_hash is not None


_bearer = HTTPBearer(
    scheme_name="token", description="A token from `POST /api/v1/login` or `POST /api/v1/tokens`.", auto_error=False
)
_cookie = APIKeyCookie(name=COOKIE, scheme_name="session", description="The same as a cookie, for browsers.", auto_error=False)


async def signed_in(
    connection: HTTPConnection,
    use: Use,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Principal:
    """Who asks; answers 401 if nobody does, 429 if too often."""
    if (
        bearer is None
        and cookie is not None
        and connection.scope.get("method") not in ("GET", "HEAD")
        and not same_origin(connection)
    ):
        raise Problem(refusals.CROSS_SITE)
    token = bearer.credentials if bearer else cookie
    principal = await authenticate_token(use, token) if token else None
    if principal is None:
        raise Problem(refusals.NOT_SIGNED_IN, headers={"WWW-Authenticate": "Bearer"})
    connection.state.principal = principal
    wait_s = use.limiter.wait_s(principal.token, use.now())
    if wait_s:
        raise Problem(refusals.TOO_MANY_REQUESTS, headers={"Retry-After": str(math.ceil(wait_s))})
    return principal


def same_origin(connection: HTTPConnection) -> bool:
    """Whether a browser sends this for a page of ours; programs that are no browsers say nothing, and may."""
    origin = connection.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == connection.headers.get("host")
    return connection.headers.get("sec-fetch-site", "none") in ("none", "same-origin")


SignedIn = Annotated[Principal, Depends(signed_in)]

RIGHT_OF: dict[Callable[..., object], Right] = {}
"""The right that each dependency made by ``allowed`` asks for; the table of endpoints and roles is made from it."""


def allowed(may: Right) -> Callable[..., Awaitable[Principal]]:
    """A dependency that gives who asks; 403 for who has not that right at all. How far it goes is for the endpoint."""

    async def check(principal: SignedIn) -> Principal:
        if not may.of_role(principal.role):
            raise Problem(refusals.NOT_ALLOWED)
        if not may.in_scope(principal):
            raise Problem(refusals.SCOPE_MISSING.with_(scope=may.scope))
        return principal

    RIGHT_OF[check] = may
    return check


async def account_slug(
    principal: SignedIn,
    use: Use,
    account: Annotated[
        str | None,
        Query(description="The account that is meant, by its slug. Only the installation's administrator has to say it."),
    ] = None,
) -> str:
    """The account that a request is about. Another one than one's own is not there."""
    if principal.account is not None:
        if account not in (None, principal.account):
            raise Problem(refusals.NOT_FOUND)
        return principal.account
    if account is None:
        raise Problem(refusals.ACCOUNT_NEEDED)
    async with use.store.reading() as connection:
        if (await connection.execute(select(t.account.c.id).where(t.account.c.slug == account))).first() is None:
            raise Problem(refusals.NOT_FOUND)
    return account


AccountSlug = Annotated[str, Depends(account_slug)]


# Which app asks

_APP = re.compile(r"app/(\d{1,9}(?:\.\d{1,9}){0,3})")


async def new_enough(connection: HTTPConnection, use: Use) -> None:
    """Answers 426 to an app that says a version below the smallest that is allowed."""
    said = _APP.match(connection.headers.get(CLIENT_HEADER, ""))
    least = use.settings.minimum_app_version
    if said is not None and _version(said[1]) < _version(least):
        raise Problem(refusals.UPDATE_NEEDED.with_(version=least))


def _version(text: str) -> tuple[int, ...]:
    numbers = [int(part) for part in text.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))
