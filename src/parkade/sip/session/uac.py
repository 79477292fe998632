"""An INVITE of ours, from its sending to its last response (:rfc:`3261` sections 13.2 and 9.1): forks, CANCEL, challenge, 422.

It outlives the session: the transaction tells of every further 2xx for 32 s, and each wants its ACK, and a BYE too if it is
of another fork or came after our CANCEL. Nothing in a 2xx but its To tag is needed for that.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.sip.message.bodies import keep_sdp
from parkade.sip.message.flow import Flow
from parkade.sip.message.grammar import number
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Headers, Request, Response
from parkade.sip.session import refresh
from parkade.sip.session.ask import Ask, HeaderLines, Purpose
from parkade.sip.session.capabilities import ALLOW_LINE, SDP_LINE, SUPPORTED_LINE
from parkade.sip.session.core import Core
from parkade.sip.session.credentials import Proofs, retry_lines
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.finish import ack_of, acknowledge, leave_other_forks, not_answered, say_bye, send_ack
from parkade.sip.session.lifecycle import Event, State
from parkade.sip.session.news import Answered, Established, Offered, Progress
from parkade.sip.session.offers import Move, Turn
from parkade.sip.session.state import Ack, Fork, Outgoing
from parkade.sip.transaction.tables import State as TransactionState
from parkade.sip.transaction.transaction import ClientTransaction, Why

MAX_TRIES = 6
"""How often one INVITE is sent, challenges (401, 407) and demands for a longer session interval (422) included."""


def begin(
    core: Core,
    *,
    flow: Flow,
    target: str,
    from_: NameAddr,
    to: NameAddr,
    sdp: bytes,
    headers: HeaderLines,
    call_id: str,
    now: Instant,
) -> None:
    """Send the INVITE."""
    tagged = from_ if from_.tag else from_.with_param("tag", core.agent.ids.token())
    who = (("From", str(tagged)), ("To", str(to)), ("Call-ID", call_id))
    core.request = _build(core, flow, target, 1, who, (), (*headers,), sdp)
    core.client = Outgoing(flow, core.request, who, tuple(headers), sdp)
    _Sender(core, core.client).send(now)


def is_silent(core: Core) -> bool:
    """Whether the INVITE still waits for its first response."""
    client = core.client
    return client is not None and client.tx is not None and client.tx.state is TransactionState.CALLING


def confirm(core: Core, sdp: bytes) -> None:
    """Send the ACK that carries our answer to the offer in the 2xx; nothing happens unless one waits for it."""
    if core.incoming or core.state is not State.ACCEPTED or core.ack is None or core.dialog is None:
        return
    if sdp:
        core.dialog.offers.move(Move.WE_ANSWER, sdp)
    acknowledge(core, sdp)
    if core.step(Event.ACKED):
        core.say(Established())


def answer_early(core: Core, sdp: bytes, now: Instant) -> bool:
    """Send the PRACK that carries our answer to an early offer; False if none waits for it."""
    for fork in core.client.forks.values() if core.client is not None else ():
        if fork.prack_due is not None:
            due, fork.prack_due = fork.prack_due, None
            fork.dialog.offers.move(Move.WE_ANSWER, sdp)
            _prack(core, fork, due, sdp, now)
            return True
    return False


def acknowledge_again(core: Core, dialog: Dialog, response: Response) -> None:
    """A 2xx has come again after its transaction was over, or after a restart."""
    if core.client is not None:
        for fork in core.client.forks.values():
            if fork.dialog is dialog and fork.ack is not None and fork.ack.number == response.cseq.number:
                send_ack(core, dialog, fork.ack)
                return
    if dialog is not core.dialog or (core.state is State.ACCEPTED and not core.incoming):
        return
    if core.ack is not None and core.ack.number == response.cseq.number:
        send_ack(core, dialog, core.ack)
    elif response.cseq.number <= core.restored_seq:
        # A re-INVITE that a restart has interrupted. What it offered is offered again.
        send_ack(core, dialog, Ack(response.cseq.number, (), b"", core.agent.ids.token()))


class _Sender:
    """Who hears of one INVITE of ours, however often it is sent."""

    __slots__ = ("_client", "_core")

    def __init__(self, core: Core, client: Outgoing) -> None:
        self._core = core
        self._client = client

    def send(self, now: Instant) -> None:
        """Send it as it is now."""
        self._client.tx = self._core.agent.layer.request(self._client.request, self._client.flow, self, now)

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        """Every response but retransmitted failures."""
        core, client = self._core, self._client
        if response.status < 200:
            _provisional(core, client, response, now)
        elif response.status < 300:
            client.tx = None
            _success(core, client, response, now)
        elif tx is client.tx:
            client.tx = None
            self._failure(response, now)
        core.settle(now)

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        """There will be no final response."""
        if tx is self._client.tx:
            _over(self._core, self._client, 408 if why == "timeout" else 503, None, now)
            self._core.settle(now)

    def _failure(self, response: Response, now: Instant) -> None:
        core, client = self._core, self._client
        if core.state < State.CLOSING and client.tries < MAX_TRIES:
            request = client.request
            client.proofs = client.proofs or Proofs()
            more = retry_lines(client.proofs, request, response, core.credentials, core.agent.ids)
            if more or (response.status == 422 and refresh.raise_interval(core, response)):
                client.tries += 1
                _drop_forks(core, client)
                seq = request.cseq.number + 1
                client.request = _build(core, client.flow, request.uri, seq, client.who, more, client.headers, client.sdp)
                core.request = client.request
                self.send(now)
                return
        _over(core, client, response.status, response, now)


def _provisional(core: Core, client: Outgoing, response: Response, now: Instant) -> None:
    if response.status == 100 or core.state not in (State.CALLING, State.EARLY):
        return
    keep_sdp(response)
    fork = _fork(core, client, response) if response.to.tag else None
    early_offer = False
    if fork is not None:
        if "100rel" in response.require:
            rseq = number(response.headers.get("RSeq") or "")
            if rseq is not None:
                if fork.rseq is not None and rseq != fork.rseq + 1:
                    return
                fork.rseq = rseq
                early_offer = _reliable(core, fork, response, now)
        core.dialog = fork.dialog
    core.learn(response)
    core.step(Event.RANG)
    core.say(Progress(response))
    if early_offer:
        core.say(Offered(response.body))


def _reliable(core: Core, fork: Fork, response: Response, now: Instant) -> bool:
    """Acknowledge a reliable provisional response; True if it brings an offer, whose answer goes into the PRACK."""
    offers = fork.dialog.offers
    if response.body and not offers.move(Move.THEY_ANSWER, response.body) and offers.move(Move.THEY_OFFER, response.body):
        fork.prack_due = response
        return True
    _prack(core, fork, response, b"", now)
    return False


def _prack(core: Core, fork: Fork, response: Response, sdp: bytes, now: Instant) -> None:
    rack = ("RAck", f"{fork.rseq} {response.cseq}")
    Ask(core, fork.dialog, "PRACK", Purpose.PRACK, (rack,), sdp).send(now)


def _success(core: Core, client: Outgoing, response: Response, now: Instant) -> None:
    fork = _fork(core, client, response)
    if fork.ack is not None:
        send_ack(core, fork.dialog, fork.ack)
    elif client.winner is None and core.state < State.CLOSING:
        _win(core, client, fork, response, now)
    elif fork is not client.winner:
        _send_away(core, client, fork, response, now)


def _win(core: Core, client: Outgoing, fork: Fork, response: Response, now: Instant) -> None:
    dialog = fork.dialog
    keep_sdp(response)
    dialog.confirm(response)
    core.learn(response)
    refresh.take(core, response, now)
    client.winner = fork
    core.dialog = dialog
    core.ack = ack_of(core, client.request)
    leave_other_forks(core)
    offers, body = dialog.offers, response.body
    core.step(Event.ANSWERED)
    core.say(Answered(response))
    if not client.sdp and body and offers.turn is Turn.NOBODY and not offers.local:
        offers.move(Move.THEY_OFFER, body)
        return
    if not (body and offers.move(Move.THEY_ANSWER, body)):
        offers.move(Move.DROPPED)
    acknowledge(core, b"")
    core.step(Event.ACKED)
    core.say(Established())


def _send_away(core: Core, client: Outgoing, fork: Fork, response: Response, now: Instant) -> None:
    """ACK and BYE: another fork, or it crossed our CANCEL (13.2.2.4)."""
    dialog = fork.dialog
    dialog.confirm(response)
    fork.ack = ack_of(core, client.request)
    send_ack(core, dialog, fork.ack)
    if client.winner is None:
        client.winner = fork
        core.dialog = dialog
        say_bye(core, (), now)
    else:
        Ask(core, dialog, "BYE", Purpose.DISMISSAL).send(now)


def _over(core: Core, client: Outgoing, status: int, response: Response | None, now: Instant) -> None:
    not_answered(core, status, response, now)
    _drop_forks(core, client)


def _drop_forks(core: Core, client: Outgoing) -> None:
    for fork in client.forks.values():
        core.unbind(fork.dialog)
    client.forks.clear()


def _fork(core: Core, client: Outgoing, response: Response) -> Fork:
    tag = response.to.tag or ""
    fork = client.forks.get(tag)
    if fork is None:
        dialog = Dialog.of_client(client.request, response, core.agent.contact_on(client.flow), client.flow)
        if client.sdp:
            dialog.offers.move(Move.WE_OFFER, client.sdp)
        fork = client.forks[tag] = Fork(dialog)
        if core.state < State.ACCEPTED:
            core.bind(dialog)
    return fork


def _build(
    core: Core, flow: Flow, target: str, seq: int, who: HeaderLines, more: HeaderLines, headers: HeaderLines, sdp: bytes
) -> Request:
    lines = [
        ("Max-Forwards", "70"),
        *who,
        ("CSeq", f"{seq} INVITE"),
        ("Contact", core.agent.contact_on(flow)),
        ("User-Agent", core.agent.name),
        ALLOW_LINE,
        SUPPORTED_LINE,
        *refresh.propose(core),
        *headers,
        *more,
    ]
    if sdp:
        lines.append(SDP_LINE)
    return Request("INVITE", target, Headers(lines), sdp)
