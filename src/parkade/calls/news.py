"""Completes the events of an input: each says what its call is now that all has happened, and nothing that programs see of a
call changes without an event.
"""

from __future__ import annotations

from parkade.calls.call import Call
from parkade.calls.details import detail_of, is_shown
from parkade.calls.effects import Effect
from parkade.calls.events import CallChanged, CallsResumed, Moment, Restarted
from parkade.calls.state import CallState


def complete(state: CallState, out: list[Effect]) -> None:
    """The calls that were touched, or that events are about."""
    for call_id in state.touched:
        call = state.calls.get(call_id)
        if call is not None:
            _complete(state, call, out)
    moments = state.moments
    if moments:
        # Such as nothing was changed of: it could not be parked.
        for call_id in moments:
            if call_id not in state.touched and (call := state.calls.get(call_id)) is not None:
                _complete(state, call, out)
        moments.clear()


def resume(state: CallState, out: list[Effect]) -> None:
    """After a restart: every call there is, which those are, by account, and which accounts those are."""
    there: dict[str, list[str]] = {slug: [] for slug in state.directory.accounts}
    for call in state.calls.values():
        if is_shown(call):
            _complete(state, call, out)
            there.setdefault(call.account, []).append(call.id)
    for account, calls in there.items():
        out.append(CallsResumed(state.ids.token(), state.now, account, tuple(calls)))
    out.append(Restarted(state.ids.token(), state.now, "", tuple(there)))


def _complete(state: CallState, call: Call, out: list[Effect]) -> None:
    if not is_shown(call):
        return
    detail = detail_of(state, call)
    told = hash(detail)
    moment = state.moments.get(call.id)
    if moment is not None:
        moment.detail, call.told = detail, told
    elif told != call.told:
        call.told = told
        out.append(CallChanged(*state.event_head(call), moment=Moment(detail)))
