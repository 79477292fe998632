"""The four transaction machines of :rfc:`3261` section 17 (figures 5 to 8) as corrected by :rfc:`6026`, one table each.

``TABLE[state, input]`` is the step to take. An absent entry means that the input is ignored in that state: a final
response after the final response, an ACK that comes twice, a request of the user that comes too late.

Departures, all on purpose:

* A lost transport ends every transaction at once. The RFC lets a server transaction stay, hoping that the transport finds
  another address; here a flow names one connection, so there is no other.
* The wait for a final response after CANCEL (9.1) is a timer of the INVITE client machine.
* There is no timer C: a phone may ring for as long as the user of the transaction likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from parkade.sip.transaction.timers import T2, WAITS, Timer


class State(StrEnum):
    """States as the figures call them."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Happening(StrEnum):
    """What a machine is told, besides its timers. ``SEND_…`` comes from the transaction user, the rest from the network."""

    REQUEST = "request again"
    ACK = "ACK"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    SEND_PROVISIONAL = "1xx from TU"
    SEND_SUCCESS = "2xx from TU"
    SEND_FAILURE = "300-699 from TU"
    TRANSPORT_LOST = "transport lost"


Input: TypeAlias = Happening | Timer


class Action(StrEnum):
    """What a step does."""

    SEND = "send the request, or the response last given by the TU"
    SEND_TRYING = "send 100"
    SEND_ACK = "send ACK for a final response other than 2xx"
    SEND_CANCEL_IF_ASKED = "send the CANCEL that was asked for too early"
    TELL = "hand the message to the TU"
    TELL_TIMEOUT = "tell the TU that nobody answered"
    TELL_TRANSPORT_LOST = "tell the TU that the transport is gone"


@dataclass(frozen=True, slots=True)
class Step:
    """One arrow of a figure. ``arms`` starts timers (one that starts itself again doubles), ``stops`` ends them.

    ``wait_s`` replaces the ordinary wait of the timer armed.
    """

    to: State
    actions: tuple[Action, ...] = ()
    arms: tuple[Timer, ...] = ()
    stops: tuple[Timer, ...] = ()
    wait_s: float | None = None


Table: TypeAlias = Mapping[tuple[State, Input], Step]

_CALLING, _TRYING, _PROCEEDING = State.CALLING, State.TRYING, State.PROCEEDING
_COMPLETED, _CONFIRMED, _ACCEPTED, _TERMINATED = State.COMPLETED, State.CONFIRMED, State.ACCEPTED, State.TERMINATED
_SEND, _TELL, _SEND_ACK = (Action.SEND,), (Action.TELL,), (Action.SEND_ACK,)
_SEND_ACK_TELL = (Action.SEND_ACK, Action.TELL)
_TIMED_OUT = Step(_TERMINATED, (Action.TELL_TIMEOUT,))
_LOST = Step(_TERMINATED, (Action.TELL_TRANSPORT_LOST,))
_END = Step(_TERMINATED)

_INVITE_CLIENT: Table = {
    (_CALLING, Timer.A): Step(_CALLING, _SEND, arms=(Timer.A,)),
    (_CALLING, Timer.B): _TIMED_OUT,
    (_CALLING, Happening.TRANSPORT_LOST): _LOST,
    (_CALLING, Happening.PROVISIONAL): Step(_PROCEEDING, (Action.SEND_CANCEL_IF_ASKED, Action.TELL)),
    (_CALLING, Happening.SUCCESS): Step(_ACCEPTED, _TELL, arms=(Timer.M,)),
    (_CALLING, Happening.FAILURE): Step(_COMPLETED, _SEND_ACK_TELL, arms=(Timer.D,)),
    (_PROCEEDING, Happening.PROVISIONAL): Step(_PROCEEDING, _TELL),
    (_PROCEEDING, Happening.SUCCESS): Step(_ACCEPTED, _TELL, arms=(Timer.M,)),
    (_PROCEEDING, Happening.FAILURE): Step(_COMPLETED, _SEND_ACK_TELL, arms=(Timer.D,)),
    (_PROCEEDING, Timer.CANCELLED): _TIMED_OUT,
    (_PROCEEDING, Happening.TRANSPORT_LOST): _LOST,
    (_COMPLETED, Happening.FAILURE): Step(_COMPLETED, _SEND_ACK),
    (_COMPLETED, Timer.D): _END,
    (_COMPLETED, Happening.TRANSPORT_LOST): _END,
    (_ACCEPTED, Happening.SUCCESS): Step(_ACCEPTED, _TELL),
    (_ACCEPTED, Timer.M): _END,
    (_ACCEPTED, Happening.TRANSPORT_LOST): _END,
}

_CLIENT: Table = {
    (_TRYING, Timer.E): Step(_TRYING, _SEND, arms=(Timer.E,)),
    (_TRYING, Timer.F): _TIMED_OUT,
    (_TRYING, Happening.TRANSPORT_LOST): _LOST,
    (_TRYING, Happening.PROVISIONAL): Step(_PROCEEDING, _TELL),
    (_TRYING, Happening.SUCCESS): Step(_COMPLETED, _TELL, arms=(Timer.K,)),
    (_TRYING, Happening.FAILURE): Step(_COMPLETED, _TELL, arms=(Timer.K,)),
    (_PROCEEDING, Timer.E): Step(_PROCEEDING, _SEND, arms=(Timer.E,), wait_s=T2),
    (_PROCEEDING, Timer.F): _TIMED_OUT,
    (_PROCEEDING, Happening.TRANSPORT_LOST): _LOST,
    (_PROCEEDING, Happening.PROVISIONAL): Step(_PROCEEDING, _TELL),
    (_PROCEEDING, Happening.SUCCESS): Step(_COMPLETED, _TELL, arms=(Timer.K,)),
    (_PROCEEDING, Happening.FAILURE): Step(_COMPLETED, _TELL, arms=(Timer.K,)),
    (_COMPLETED, Timer.K): _END,
    (_COMPLETED, Happening.TRANSPORT_LOST): _END,
}

_INVITE_SERVER: Table = {
    (_PROCEEDING, Timer.TRYING): Step(_PROCEEDING, (Action.SEND_TRYING,)),
    (_PROCEEDING, Happening.REQUEST): Step(_PROCEEDING, _SEND),
    (_PROCEEDING, Happening.SEND_PROVISIONAL): Step(_PROCEEDING, _SEND, stops=(Timer.TRYING,)),
    (_PROCEEDING, Happening.SEND_SUCCESS): Step(_ACCEPTED, _SEND, arms=(Timer.L,)),
    (_PROCEEDING, Happening.SEND_FAILURE): Step(_COMPLETED, _SEND, arms=(Timer.G, Timer.H)),
    (_PROCEEDING, Happening.TRANSPORT_LOST): _LOST,
    (_COMPLETED, Happening.REQUEST): Step(_COMPLETED, _SEND),
    (_COMPLETED, Happening.ACK): Step(_CONFIRMED, arms=(Timer.I,)),
    (_COMPLETED, Timer.G): Step(_COMPLETED, _SEND, arms=(Timer.G,)),
    (_COMPLETED, Timer.H): _TIMED_OUT,
    (_COMPLETED, Happening.TRANSPORT_LOST): _LOST,
    (_CONFIRMED, Timer.I): _END,
    (_CONFIRMED, Happening.TRANSPORT_LOST): _END,
    (_ACCEPTED, Happening.SEND_SUCCESS): Step(_ACCEPTED, _SEND),
    (_ACCEPTED, Happening.ACK): Step(_ACCEPTED, _TELL),
    (_ACCEPTED, Timer.L): _END,
    (_ACCEPTED, Happening.TRANSPORT_LOST): _LOST,
}

_SERVER: Table = {
    (_TRYING, Happening.SEND_PROVISIONAL): Step(_PROCEEDING, _SEND),
    (_TRYING, Happening.SEND_SUCCESS): Step(_COMPLETED, _SEND, arms=(Timer.J,)),
    (_TRYING, Happening.SEND_FAILURE): Step(_COMPLETED, _SEND, arms=(Timer.J,)),
    (_TRYING, Happening.TRANSPORT_LOST): _LOST,
    (_PROCEEDING, Happening.REQUEST): Step(_PROCEEDING, _SEND),
    (_PROCEEDING, Happening.SEND_PROVISIONAL): Step(_PROCEEDING, _SEND),
    (_PROCEEDING, Happening.SEND_SUCCESS): Step(_COMPLETED, _SEND, arms=(Timer.J,)),
    (_PROCEEDING, Happening.SEND_FAILURE): Step(_COMPLETED, _SEND, arms=(Timer.J,)),
    (_PROCEEDING, Happening.TRANSPORT_LOST): _LOST,
    (_COMPLETED, Happening.REQUEST): Step(_COMPLETED, _SEND),
    (_COMPLETED, Timer.J): _END,
    (_COMPLETED, Happening.TRANSPORT_LOST): _END,
}


def _stopping(table: Table) -> Table:
    """The table in which every step also stops the timers that its new state does not listen to."""
    heard = {state: {moment for (at, moment) in table if at is state and isinstance(moment, Timer)} for state in State}
    return {
        (at, moment): replace(step, stops=(*step.stops, *sorted(heard[at] - heard[step.to] - {moment})))
        for (at, moment), step in table.items()
    }


def _reliable(table: Table) -> Table:
    """The table for a reliable transport: no retransmission timers, and a wait of no time is a step already taken."""
    waits = {timer: wait.reliable_s for timer, wait in WAITS.items()}

    def shorten(step: Step) -> Step:
        over = next((timer for timer in step.arms if waits[timer] == 0.0), None)
        if over is not None:
            after = table[step.to, over]
            return Step(after.to, (*step.actions, *after.actions))
        return replace(step, arms=tuple(timer for timer in step.arms if waits[timer] is not None))

    never = {timer for timer, seconds in waits.items() if not seconds}
    return {key: shorten(step) for key, step in table.items() if key[1] not in never}


def _both(table: Table) -> tuple[Table, Table]:
    return _stopping(table), _stopping(_reliable(table))


INVITE_CLIENT, INVITE_CLIENT_RELIABLE = _both(_INVITE_CLIENT)
CLIENT, CLIENT_RELIABLE = _both(_CLIENT)
INVITE_SERVER, INVITE_SERVER_RELIABLE = _both(_INVITE_SERVER)
SERVER, SERVER_RELIABLE = _both(_SERVER)
