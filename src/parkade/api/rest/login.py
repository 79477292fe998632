"""Logging in and out. A log-in that does not exist and a wrong password are answered alike, after the same time."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from parkade.api import refusals
from parkade.api.auth import COOKIE, SignedIn, made_token, password_is, token_hash
from parkade.api.describe import answers
from parkade.api.models import Body, Time, time
from parkade.api.principal import Role
from parkade.api.problems import Problem
from parkade.api.services import Services, Use
from parkade.store import tokens
from parkade.store.tokens import KnownLogin

router = APIRouter(tags=["who"])


class Login(Body):
    """``cookie``: keep the token as a cookie too, for a browser."""

    login: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=1000)]
    cookie: bool = False


class Session(BaseModel):
    token: str
    role: Role
    account: str | None
    expires_at: Time


@router.post("/login", responses=answers(refusals.BAD_LOGIN, refusals.TOO_MANY_REQUESTS))
async def log_in(given: Login, request: Request, response: Response, use: Use) -> Session:
    """Begin a session: its token goes into the `Authorization` header of what follows."""
    address = request.client.host if request.client else ""
    known = await checked(use, given.login, given.password, address)
    now = use.now()
    token, expires_at = made_token(), now + use.settings.session_s
    role, account = Role(str(known.person.standing)), known.person.account
    async with use.store.writing() as connection:
        await tokens.new_token(
            connection,
            kind="session",
            role=role,
            name=given.login,
            scopes=(),
            token_hash=token_hash(token),
            now=now,
            expires_at=expires_at,
            account=account,
            login_id=known.id,
        )
    if given.cookie:
        response.set_cookie(
            COOKIE,
            token,
            max_age=int(use.settings.session_s),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
    return Session(token=token, role=role, account=account, expires_at=time(expires_at))


async def checked(use: Services, login: str, password: str, address: str) -> KnownLogin:
    """The log-in, if the password is its own."""
    wait_s = await use.guard.wait_s(login, address, use.now())
    if wait_s > 0:
        raise Problem(refusals.TOO_MANY_REQUESTS, headers={"Retry-After": str(math.ceil(wait_s))})
    async with use.store.reading() as connection:
        known = None if "\0" in login else await tokens.find_login(connection, login)
    if not await password_is(use, known.password_hash if known else None, password) or known is None:
        await use.guard.failed(login, address, use.now())
        raise Problem(refusals.BAD_LOGIN)
    await use.guard.succeeded(login, address, use.now())
    return known


@router.post("/logout", status_code=204)
async def log_out(who: SignedIn, response: Response, use: Use) -> None:
    """End the session: its token is worth nothing from now on. A token that a program has is not touched."""
    async with use.store.writing() as connection:
        await tokens.end_session(connection, who.token)
    response.delete_cookie(COOKIE)
