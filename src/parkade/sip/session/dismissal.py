"""What a 2xx gets that answers an INVITE of ours which nobody remembers: after a restart, a phone that rang was picked up.

ACK, so that it is not sent again and again, and BYE, so that nobody waits at a dead line. Both are made from the response.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Headers, Request, Response
from parkade.sip.session.agent import Agent
from parkade.sip.session.dialog import Dialog, DialogId
from parkade.sip.transaction.transaction import ClientTransaction, Why


class Dismissal:
    """One such dialog. ``under_way`` holds its id until the BYE is answered, so that a further 2xx does not start another."""

    __slots__ = ("_agent", "_id", "_response", "_under_way")

    def __init__(self, agent: Agent, response: Response, under_way: set[DialogId], dialog_id: DialogId) -> None:
        self._agent = agent
        self._response = response
        self._under_way = under_way
        self._id = dialog_id

    def send(self, flow: Flow, now: Instant) -> None:
        """Send ACK and BYE to where the 2xx came from."""
        response = self._response
        number = response.cseq.number
        lines = [
            ("From", response.headers.get("From") or ""),
            ("To", response.headers.get("To") or ""),
            ("Call-ID", response.call_id),
            ("CSeq", f"{number} INVITE"),
        ]
        invite = Request("INVITE", response.to.uri, Headers(lines))
        dialog = Dialog.of_client(invite, response, self._agent.contact_on(flow), flow)
        self._agent.layer.send(dialog.ack(number), dialog.next_hop())
        self._agent.layer.request(dialog.request("BYE"), dialog.next_hop(), self, now)

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        """From the transaction."""
        if response.status >= 200:
            self._under_way.discard(self._id)

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        """From the transaction."""
        self._under_way.discard(self._id)
