"""Answers to the challenges that a request of ours meets (:rfc:`3261` section 22)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from parkade.base.ids import Ids
from parkade.sip.message.digest import answer_challenge, parse_challenge
from parkade.sip.message.errors import SipError
from parkade.sip.message.message import Request, Response
from parkade.sip.transaction.transaction import Why

HeaderLines: TypeAlias = Sequence[tuple[str, str]]
Credentials: TypeAlias = tuple[str, str]
"""User name and password."""
Outcome: TypeAlias = Response | Why
"""The final response, or why there is none."""

_NAMES: Mapping[int, tuple[str, str]] = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}


class Proofs:
    """What has challenged one request of ours: a server (401), a proxy (407), or both, each answered once, and once more if it
    calls the nonce stale. So no request is sent more than five times, whatever the far side says.
    """

    __slots__ = ("_answers", "_challenges", "_renewed")

    def __init__(self) -> None:
        self._challenges: dict[str, list[str]] = {}
        self._answers: dict[str, int] = {}
        self._renewed: set[str] = set()

    def learn(self, response: Response, credentials: Credentials | None) -> bool:
        """Note the challenge in ``response``; whether trying again makes sense."""
        names = _NAMES.get(response.status)
        if names is None or credentials is None:
            return False
        challenge, answer = names
        offered = [value for name, value in response.headers if name == challenge]
        if answer in self._challenges:
            if answer in self._renewed or not _is_stale(offered):
                return False
            self._renewed.add(answer)
        self._challenges[answer] = offered
        self._answers[answer] = 0
        return True

    def answer(self, request: Request, credentials: Credentials | None, ids: Ids) -> list[tuple[str, str]]:
        """The header lines for one more attempt of ``request``; empty if a challenge is none that we can answer."""
        lines: list[tuple[str, str]] = []
        if credentials is None:
            return lines
        user, password = credentials
        for name, offered in self._challenges.items():
            self._answers[name] += 1
            proof = answer_challenge(
                offered, user, password, request.method, request.uri, ids.token(), self._answers[name], body=request.body
            )
            if proof is None:
                return []
            lines.append((name, proof))
        return lines


def retry_lines(
    proofs: Proofs, request: Request, response: Response, credentials: Credentials | None, ids: Ids
) -> list[tuple[str, str]]:
    """The header lines with which ``request`` is worth another attempt after ``response``; empty if it is not."""
    return proofs.answer(request, credentials, ids) if proofs.learn(response, credentials) else []


def _is_stale(offered: Sequence[str]) -> bool:
    for text in offered:
        try:
            challenge = parse_challenge(text)
        except SipError:
            continue
        if challenge is not None and challenge.stale:
            return True
    return False
