"""One request of ours, other than INVITE, until its outcome; a challenge is answered once on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.sip.message.digest import answer_challenge
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Request, Response
from parkade.sip.transaction.transaction import ClientTransaction, Why

if TYPE_CHECKING:
    from parkade.sip.session.ua import UserAgent

HeaderLines: TypeAlias = Sequence[tuple[str, str]]
Credentials: TypeAlias = tuple[str, str]
"""User name and password."""
Outcome: TypeAlias = Response | Why
"""The final response, or why there is none."""

_PROOFS: Mapping[int, tuple[str, str]] = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}


def authorization(request: Request, response: Response, credentials: Credentials | None, ids: Ids) -> tuple[str, str] | None:
    """The header that answers the challenge in ``response``; None if there is none, or ``request`` has tried that already."""
    names = _PROOFS.get(response.status)
    if names is None or credentials is None or names[1] in request.headers:
        return None
    offered = [value for name, value in response.headers if name == names[0]]
    user, password = credentials
    proof = answer_challenge(offered, user, password, request.method, request.uri, ids.token(), body=request.body)
    return (names[1], proof) if proof is not None else None


class Ask:
    """``make`` builds the request anew for each attempt, given the headers to add; ``where`` gives the flow it goes to."""

    __slots__ = ("_credentials", "_done", "_make", "_ua", "_where")

    def __init__(
        self,
        ua: UserAgent,
        make: Callable[[HeaderLines], Request],
        where: Callable[[], Flow],
        done: Callable[[Outcome, Instant], None],
        now: Instant,
        credentials: Credentials | None = None,
    ) -> None:
        self._ua = ua
        self._make = make
        self._where = where
        self._done = done
        self._credentials = credentials
        ua.layer.request(make(()), where(), self, now)

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        """From the transaction."""
        if response.status < 200:
            return
        proof = authorization(tx.request, response, self._credentials, self._ua.ids)
        if proof is None:
            self._done(response, now)
        else:
            self._ua.layer.request(self._make((proof,)), self._where(), self, now)

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        """From the transaction."""
        self._done(why, now)
