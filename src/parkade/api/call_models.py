"""Calls and parked calls as JSON."""

from __future__ import annotations

from pydantic import BaseModel

from parkade.api.models import Time, time, time_or_none
from parkade.calls.commands import CallDetail, CallStage, ParkedCall, ParkState, PartyState


class Identity(BaseModel):
    """As displays show somebody."""

    name: str
    number: str


class Parked(BaseModel):
    """A parked call. ``lot`` is a name, ``site`` and ``lot_id`` are ids, ``parked_by`` is an extension.

    ``state``: ``parked`` (the code can be dialled), ``ringing_back`` and ``waiting`` (nobody came, it goes on), ``reserved``
    (just picked up by ``retrieved_by``, who may give it back until ``kept_until``).
    """

    code: str
    lot: str
    slot: int
    call_id: str
    caller: Identity
    parked_by: str | None
    parked_by_name: str
    note: str
    parked_at: Time
    expires_at: Time
    state: ParkState
    site: str | None
    lot_id: str
    round: int
    retrieved_by: Identity | None
    kept_until: Time | None

    @classmethod
    def of(cls, call: ParkedCall) -> Parked:
        """As call control says it."""
        taker = call.retrieved_by
        return cls(
            code=call.code,
            lot=call.lot,
            slot=call.slot,
            call_id=call.call,
            caller=Identity(name=call.caller.name, number=call.caller.number),
            parked_by=call.parked_by,
            parked_by_name=call.parked_by_name,
            note=call.note,
            parked_at=time(call.parked_at),
            expires_at=time(call.expires_at),
            state=call.state,
            site=call.site,
            lot_id=call.lot_id,
            round=call.round,
            retrieved_by=Identity(name=taker.name, number=taker.number) if taker else None,
            kept_until=time_or_none(call.kept_until),
        )


class Party(BaseModel):
    """Somebody in a call. ``extension`` is null for the outside."""

    name: str
    number: str
    extension: str | None
    state: PartyState


class Call(BaseModel):
    """A call. First of ``parties`` is the one who called or is parked, then the other end, then who is rung."""

    id: str
    stage: CallStage
    started_at: Time
    since: Time
    parties: list[Party]
    parked: Parked | None

    @classmethod
    def of(cls, call: CallDetail) -> Call:
        """As call control says it."""
        parties = [Party(name=one.name, number=one.number, extension=one.extension, state=one.state) for one in call.parties]
        return cls(
            id=call.id,
            stage=call.stage,
            started_at=time(call.started_at),
            since=time(call.since),
            parties=parties,
            parked=Parked.of(call.parked) if call.parked else None,
        )
