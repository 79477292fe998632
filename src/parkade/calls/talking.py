"""Two parties talk: what happens when one of them leaves, is replaced, or is the second leg of a transfer.

When one hangs up the call is over. A leg that is lost (its phone is dead, not hung up) leaves behind somebody who did not want
to hang up either:

* whoever it had on hold is parked in the lot of the person whose phone is lost, as if that person had parked it, so the
  usual recall follows; if no code can be had it hears music and the person's other phones are rung;
* a party that it had retrieved from a code, or that had come back to it, is put back: the code it had if that is free;
* whoever it was talking with hears the silence and is hung up on, as after any call.

A phone that gives up while its retrieve is being answered (it sends ACK and BYE, with or without a CANCEL) has not
retrieved anything, nor has one that never confirmed the answer: the party is put back with the deadline it had.
"""

from __future__ import annotations

from parkade.calls import emit, parking, recall, transfer
from parkade.calls.call import Call, Leg, Talking
from parkade.calls.events import EndReason
from parkade.calls.inputs import Cause, LegEnded, TransferAsked
from parkade.calls.refusals import TRANSFER_IMPOSSIBLE, Refusal
from parkade.calls.state import GRACE_S, CallState


def gone(state: CallState, call: Call, leg: Leg, given: LegEnded) -> None:
    """One of the two has gone."""
    assert isinstance(call.stage, Talking)
    parked, lost = call.stage.picked_up, given.cause is Cause.LOST
    if parked and leg is call.other and (not given.established or given.cancelled or lost):
        recall.put_back(state, call, parked)
    elif lost and leg.held:
        _keep(state, call, leg)
    else:
        state.drop(call, emit.REASONS[given.cause], leg.identity.number)
        state.end(call.facing(leg))


def _keep(state: CallState, call: Call, lost: Leg) -> None:
    """Whoever ``lost`` had on hold waits on, and the person at ``lost`` gets it back."""
    person = state.owner(lost)
    if not isinstance(parking.park_facing(state, call, lost, None), Refusal):
        return
    call.party, call.other = call.facing(lost), None
    if person is None:
        state.say_farewell(call)
    else:
        transfer.give_back(state, call, person)


def prompt_over(state: CallState, call: Call) -> None:
    """What was said aside has been heard: back to the conversation, which nobody has left."""
    assert isinstance(call.stage, Talking)
    state.enter(call, Talking(picked_up=call.stage.picked_up), None)


def replaced(state: CallState, call: Call, old: Leg, new: Leg) -> Refusal | None:
    """Another device takes the place of one end."""
    state.substitute(call, old, new)
    state.connect(call)
    state.end(old)
    return None


def consulted(state: CallState, second: Call, consult: Leg, call: Call, leg: Leg, given: TransferAsked) -> Refusal | None:
    """The two far ends talk; the older of the two calls lives on, with whatever code is kept for it."""
    if call is second:
        return TRANSFER_IMPOSSIBLE
    transfer.done(state, given)
    ends = call.facing(leg), second.facing(consult)
    older, younger = (call, second) if call.started_at <= second.started_at else (second, call)
    state.drop(younger, EndReason.JOINED, leg.identity.number)
    older.party, older.other = ends if older is call else ends[::-1]
    for end in ends:
        state.attach(end, older)
    state.connect(older)
    emit.transferred(state, older, state.owner(leg), ends[1].identity)
    state.end(leg, after_s=GRACE_S)
    state.end(consult, after_s=GRACE_S)
    return None
