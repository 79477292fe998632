"""What a session has to tell its owner, as values: parts of the session say it, the session tells it, one after the other."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from parkade.sip.message.message import Response
from parkade.sip.session.lifecycle import End
from parkade.sip.session.refer import Refer, Report
from parkade.sip.transaction.transaction import ServerTransaction


class Progress(NamedTuple):
    """A provisional response to our INVITE."""

    response: Response


class Answered(NamedTuple):
    """The 2xx to our INVITE."""

    response: Response


class Refused(NamedTuple):
    """The end of our INVITE without a 2xx."""

    status: int
    response: Response | None


class Ended(NamedTuple):
    """The end in every other case."""

    why: End


class Established(NamedTuple):
    """The ACK has come, or is sent."""


class Offered(NamedTuple):
    """An offer of theirs."""

    sdp: bytes


class OfferWanted(NamedTuple):
    """They want an offer."""


class AnswerTaken(NamedTuple):
    """Their answer."""

    sdp: bytes


class OfferRefused(NamedTuple):
    """Our offer is refused or lost."""

    status: int


class Referred(NamedTuple):
    """They ask for a transfer."""

    refer: Refer


class ReferReport(NamedTuple):
    """News of a transfer that we asked for."""

    report: Report


class InfoReceived(NamedTuple):
    """An INFO, not answered yet."""

    tx: ServerTransaction


News: TypeAlias = (
    Progress
    | Answered
    | Refused
    | Ended
    | Established
    | Offered
    | OfferWanted
    | AnswerTaken
    | OfferRefused
    | Referred
    | ReferReport
    | InfoReceived
)
