"""Tokens for programs, wall boards and scripts: with a role, scopes and an end. The token itself is shown once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, and_, or_, true
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import refusals
from parkade.api.auth import SCOPES, Reach, allowed, made_token, may_give_role, may_manage_tokens, token_hash
from parkade.api.describe import answers
from parkade.api.models import Body, GivenTime, Line, Time, time, time_or_none
from parkade.api.paging import Page, Paged
from parkade.api.principal import Principal, Role
from parkade.api.problems import Fault, Problem
from parkade.api.services import Services, Use
from parkade.store import audit, logins, tokens
from parkade.store import directory_queries as queries
from parkade.store import tables as t
from parkade.store.audit import AuditEntry
from parkade.store.tokens import KnownToken

router = APIRouter(tags=["who"])

Manager = Annotated[Principal, Depends(allowed(may_manage_tokens))]


class Token(BaseModel):
    """``site``: where a wall board hangs. ``made_by``: the log-in it belongs to, null for one of nobody."""

    id: str
    name: str
    role: Role
    account: str | None
    site: str | None
    scopes: list[str]
    created_at: Time
    expires_at: Time | None
    made_by: str | None

    @classmethod
    def of(cls, token: KnownToken) -> Token:
        """Without what is secret."""
        return cls(
            id=token.id,
            name=token.name,
            role=Role(token.role),
            account=token.person.account,
            site=token.person.site,
            scopes=list(token.scopes),
            created_at=time(token.created_at),
            expires_at=time_or_none(token.expires_at),
            made_by=token.person.login,
        )


class MadeToken(Token):
    """``token`` is what goes into the `Authorization` header; it is not shown again."""

    token: str


class NewToken(Body):
    """``role``: one's own or less; a ``wall_board`` belongs to no person. ``scopes``: all that the role may do if empty.

    ``account``: whose it is, if the installation's administrator makes it. Without ``expires_at`` it never ends.
    """

    name: Annotated[Line, Field(min_length=1, max_length=100)]
    role: Annotated[Role | None, Field(strict=False)] = None
    account: Annotated[str, Field(max_length=64)] | None = None
    site: Annotated[str, Field(max_length=64)] | None = None
    scopes: Annotated[list[str], Field(max_length=len(SCOPES), default_factory=list)]
    expires_at: Annotated[GivenTime | None, Field(strict=False)] = None


def _mine(who: Principal, login_id: int | None) -> ColumnElement[bool]:
    """The tokens that somebody may see and revoke: all of the account, those at the site, or the own ones."""
    own = tokens.of_login(login_id)
    match may_manage_tokens(who):
        case Reach.INSTALLATION:
            return true()
        case Reach.ACCOUNT:
            return tokens.of_account(who.account)
        case Reach.SITE:
            return or_(own, and_(tokens.of_account(who.account), tokens.at_site(who.site)))
        case _:
            return own


async def _login_id(connection: AsyncConnection, who: Principal) -> int | None:
    login = await logins.login_of_token(connection, who.token)
    return login.id if login else None


@router.get("/tokens", responses=answers(refusals.BAD_CURSOR))
async def list_tokens(who: Manager, use: Use, paged: Paged) -> Page[Token]:
    """The tokens that I may revoke, oldest first."""
    after = paged.after(int)
    async with use.store.reading() as connection:
        mine = _mine(who, await _login_id(connection, who))
        found = await tokens.tokens(connection, mine, use.now(), after=int(after[0]) if after else 0, limit=paged.limit + 1)
    page, following = paged.page(found, lambda numbered: [numbered[0]])
    return Page(items=[Token.of(token) for _, token in page], next=following)


@router.post("/tokens", status_code=201, responses=answers(refusals.NOT_ALLOWED, refusals.NOT_FOUND))
async def make_token(who: Manager, use: Use, request: Request, given: NewToken) -> MadeToken:
    """Make a token."""
    role = given.role or who.role
    scopes = sorted(set(given.scopes))
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        reason = f"there is no scope {unknown[0]} (there are: {', '.join(SCOPES)})"
        raise Problem(refusals.INVALID_REQUEST, errors=[Fault("body.scopes", reason)])
    if not may_give_role(who, role) or not _covered(who, scopes):
        raise Problem(refusals.NOT_ALLOWED)
    account, site = _where(who, role, given)
    now = use.now()
    expires_at = given.expires_at.timestamp() if given.expires_at else None
    if expires_at is not None and expires_at <= now:
        raise Problem(refusals.INVALID_REQUEST, errors=[Fault("body.expires_at", "it is past")])
    token = made_token()
    async with use.store.writing() as connection:
        await _check_place(connection, account, site)
        uid = await tokens.new_token(
            connection,
            kind="token",
            role=role,
            name=given.name,
            scopes=scopes,
            token_hash=token_hash(token),
            now=now,
            expires_at=expires_at,
            account=account,
            login_id=None if role is Role.WALL_BOARD else await _login_id(connection, who),
            site=site,
        )
        known = await tokens.find_token(connection, token_hash(token), now)
        assert known is not None
        shown = Token.of(known)
        await _audit(connection, use, who, request, "create", uid, account, None, shown)
    return MadeToken(**shown.model_dump(), token=token)


def _covered(who: Principal, scopes: list[str]) -> bool:
    """Whether somebody with a limited token makes one that is limited no less."""
    if not who.scopes:
        return True
    writes = {scope.partition(":")[0] for scope in who.scopes if scope.endswith(":write")}
    return bool(scopes) and all(scope in who.scopes or scope.partition(":")[0] in writes for scope in scopes)


def _where(who: Principal, role: Role, given: NewToken) -> tuple[str | None, str | None]:
    """Account and site of a new token."""
    account, site = who.account, given.site
    if who.account is None:
        account = given.account
        if account is None and role is not Role.INSTALLATION_ADMIN:
            raise Problem(refusals.ACCOUNT_NEEDED)
        if account is not None and role is Role.INSTALLATION_ADMIN:
            raise Problem(refusals.INVALID_REQUEST, errors=[Fault("body.account", "this role has no account")])
    elif given.account not in (None, who.account):
        raise Problem(refusals.NOT_FOUND)
    if role is not Role.WALL_BOARD and site is not None:
        raise Problem(refusals.INVALID_REQUEST, errors=[Fault("body.site", "only a wall board has one of its own")])
    if may_manage_tokens(who) is Reach.SITE and role is Role.WALL_BOARD:
        if site not in (None, who.site):
            raise Problem(refusals.NOT_ALLOWED)
        site = who.site
    return account, site


async def _check_place(connection: AsyncConnection, account: str | None, site: str | None) -> None:
    if account is None:
        return
    if await queries.one(connection, queries.accounts(), t.account.c.slug == account) is None:
        raise Problem(refusals.NOT_FOUND)
    if site is not None and await queries.one(connection, queries.sites(account), t.site.c.uid == site) is None:
        raise Problem(refusals.NOT_FOUND)


@router.delete("/tokens/{id}", status_code=204)
async def revoke_token(who: Manager, use: Use, request: Request, id_: Annotated[str, Path(alias="id", max_length=64)]) -> None:
    """Revoke a token: it is worth nothing from now on."""
    async with use.store.writing() as connection:
        if not await tokens.revoke(connection, id_, _mine(who, await _login_id(connection, who))):
            raise Problem(refusals.NOT_FOUND)
        await _audit(connection, use, who, request, "delete", id_, who.account, None, None)


async def _audit(
    connection: AsyncConnection,
    use: Services,
    who: Principal,
    request: Request,
    action: str,
    token: str,
    account: str | None,
    before: Token | None,
    after: Token | None,
) -> None:
    address = request.client.host if request.client else None
    was, now = (None if one is None else one.model_dump(mode="json") for one in (before, after))
    await audit.add(connection, AuditEntry(account, use.now(), who.by, who.role, action, f"tokens/{token}", was, now, address))
