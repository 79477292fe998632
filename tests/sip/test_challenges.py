"""Challenges to requests of ours: each challenger is answered once, once more if its nonce is stale, and then no more."""

from __future__ import annotations

import pytest

from parkade.sip.message.digest import parse_credentials
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Request, Response
from parkade.sip.session.ask import Outcome
from tests.sip.session_peer import SDP, Rig

SERVER = 'WWW-Authenticate: Digest realm="example.com", nonce="{nonce}", algorithm=MD5, qop="auth"{stale}'
PROXY = 'Proxy-Authenticate: Digest realm="proxy", nonce="{nonce}", algorithm=MD5, qop="auth"{stale}'
CREDENTIALS = ("bob", "secret")
METHODS = ["REGISTER", "OPTIONS", "INVITE", "BYE", "INFO", "re-INVITE", "UPDATE"]


def challenge(status: int, nonce: str, *, stale: bool = False) -> str:
    return (SERVER if status == 401 else PROXY).format(nonce=nonce, stale=", stale=true" if stale else "")


class Asking:
    """Sends one request of each kind and gives each attempt."""

    def __init__(self, method: str) -> None:
        self.rig = rig = Rig()
        self.outcomes: list[Outcome] = []
        self.method = method.removeprefix("re-")
        if method in ("REGISTER", "OPTIONS"):
            rig.us.ua.request(
                method,
                flow=rig.flow,
                target="sip:example.com",
                from_=NameAddr("", "sip:bob@example.com"),
                to=NameAddr("", "sip:bob@example.com"),
                done=lambda outcome, now: self.outcomes.append(outcome),
                now=rig.now,
                credentials=CREDENTIALS,
            )
        elif method == "INVITE":
            rig.call(credentials=CREDENTIALS)
        else:
            rig.answered_call("Allow: INVITE, UPDATE, ACK, BYE, INFO")
            rig.session.credentials = CREDENTIALS
            if method == "BYE":
                rig.session.end(rig.now)
            elif method == "INFO":
                rig.session.info("application/dtmf", b"5", rig.now)
            else:
                rig.session.offer(b"v=0 new", rig.now, prefer_update=method == "UPDATE")

    def attempt(self) -> Request | None:
        words = self.rig.take()
        return self.rig.request_sent(self.method) if self.method in words else None


@pytest.mark.parametrize("method", METHODS)
def test_server_and_proxy_taking_turns_for_ever_are_given_up(method: str) -> None:
    asking = Asking(method)
    numbers = []
    for turn in range(20):
        request = asking.attempt()
        if request is None:
            break
        numbers.append(request.cseq.number)
        status = 407 if turn % 2 else 401
        asking.rig.reply(request, status, extra=challenge(status, f"n{turn}"))
    assert len(numbers) == 3, "bare, with one proof, with both"
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    asking.rig.run(40)
    if method in ("REGISTER", "OPTIONS"):
        [outcome] = asking.outcomes
        assert isinstance(outcome, Response)


@pytest.mark.parametrize("method", METHODS)
def test_even_if_every_nonce_is_called_stale_it_ends(method: str) -> None:
    asking = Asking(method)
    for turn in range(20):
        request = asking.attempt()
        if request is None:
            break
        status = 407 if turn % 2 else 401
        asking.rig.reply(request, status, extra=challenge(status, f"n{turn}", stale=True))
    assert turn <= 5


@pytest.mark.parametrize("method", METHODS)
def test_a_proxy_and_a_server_that_both_ask_get_both_answers(method: str) -> None:
    asking = Asking(method)
    for status in (407, 401):
        request = asking.attempt()
        assert request is not None
        asking.rig.reply(request, status, extra=challenge(status, f"n{status}"))
    request = asking.attempt()
    assert request is not None
    proofs = [parse_credentials(request.headers.get(name) or "") for name in ("Proxy-Authorization", "Authorization")]
    assert [proof and (proof.realm, proof.nonce) for proof in proofs] == [("proxy", "n407"), ("example.com", "n401")]
    assert [proof and proof.nc for proof in proofs] == ["00000002", "00000001"], "a nonce used again counts on"


@pytest.mark.parametrize("method", METHODS)
def test_a_stale_nonce_is_answered_once_more_and_a_wrong_password_is_not(method: str) -> None:
    asking = Asking(method)
    for nonce, stale in (("n1", False), ("n2", True)):
        request = asking.attempt()
        assert request is not None
        asking.rig.reply(request, 401, extra=challenge(401, nonce, stale=stale))
    request = asking.attempt()
    assert request is not None
    proof = parse_credentials(request.headers.get("Authorization") or "")
    assert proof is not None
    assert proof.nonce == "n2"
    asking.rig.reply(request, 401, extra=challenge(401, "n3"))
    assert asking.attempt() is None


def test_the_invite_that_is_let_in_at_last_is_answered() -> None:
    asking = Asking("INVITE")
    for status in (407, 401):
        request = asking.attempt()
        assert request is not None
        asking.rig.reply(request, status, extra=challenge(status, "n"))
    request = asking.attempt()
    assert request is not None
    asking.rig.reply(request, 200, body=SDP)
    assert asking.rig.us.heard == ["answered", "established"]
    assert asking.rig.take() == ["ACK"]
    ack = asking.rig.request_sent("ACK")
    assert ack.headers.get("Authorization") == request.headers.get("Authorization")
    assert ack.headers.get("Proxy-Authorization") == request.headers.get("Proxy-Authorization")
