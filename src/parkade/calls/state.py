"""The state of call control: all legs, calls, lots and timers, and the few operations that change them.

Nothing is decided here. An operation changes the tables and appends the effects that follow from it: what a leg hears and
sees is always what the stage of its call says, and only changes become effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.sound import Sound, Spoken
from parkade.base.timers import Timers
from parkade.base.values import valueclass
from parkade.calls.call import Announcing, Call, Leaving, Leg, Stage, StageRules, Talking
from parkade.calls.directory import Account, Directory, Endpoint, Lot, Owner
from parkade.calls.effects import AnswerLeg, Effect, Elsewhere, EndLeg, Hear, RefuseLeg, ShowParty
from parkade.calls.events import CallEnded, EndReason, Moment
from parkade.calls.identity import Identity
from parkade.calls.park import LOST_RACE_S, ParkLot
from parkade.calls.phrases import FAREWELL
from parkade.calls.phrases import refusal as spoken_refusal
from parkade.calls.refusals import Refusal

PROMPT_S = 11.0
"""How long something that is said to a leg may take; then what follows happens without ``PromptEnded``."""

GRACE_S = 0.5
"""How long a phone that was told that its transfer is done may take to hang up by itself."""


def _is_up(leg: Leg) -> bool:
    return leg.up


class LotTimer(StrEnum):
    """What a lot is to be reminded of, for one slot. Part of the key of a timer, so strings: their hash is cheap."""

    RELEASE = "the code has been kept long enough"
    FORGET = "whoever dials the code now has not lost a race"


@valueclass(frozen=True, slots=True)
class RetrieveTimer:
    """The phone of ``leg``, which is to retrieve a call, has rung long enough."""

    leg: str


TimerKey: TypeAlias = str | RetrieveTimer | tuple[LotTimer, ParkLot, int]
"""The id of a call whose stage has a deadline, a phone that is to retrieve a call, or a reminder for a lot."""


def sites_by_lot(account: Account) -> dict[str, str]:
    """Whose each lot is: ids of sites by ids of lots, the first site of several."""
    return {site.lot: site.id for site in reversed(list(account.sites.values()))}


class CallState:
    """The state of call control. ``now`` and ``out`` belong to the input that is being worked on."""

    def __init__(self, directory: Directory, ids: Ids, stages: Mapping[type[Stage], StageRules]) -> None:
        self.directory = directory
        self.ids = ids
        self._stages = stages
        self.now: Instant = 0.0
        self.out: list[Effect] = []
        self.legs: dict[str, Leg] = {}
        self.by_endpoint: dict[str, dict[str, Leg]] = {}
        self.holding: dict[str, dict[str, Leg]] = {}
        """By endpoint: the legs that it holds. Some endpoints have thousands of legs and hold none."""
        self.calls: dict[str, Call] = {}
        self.lots: dict[str, dict[str, ParkLot]] = {}
        """By account, then by id of the lot; made when first needed."""
        self.timers: Timers[TimerKey] = Timers()
        self.slots_changed: dict[tuple[ParkLot, int], None] = {}
        """Slots whose state has changed during this input, in order."""
        self.pick_ups: dict[str, set[tuple[ParkLot, int]]] = {}
        """By call: the slots at which it may be remembered who picked it up."""
        self.touched: dict[str, None] = {}
        """Calls that may have changed during this input, in order."""
        self.moments: dict[str, Moment] = {}
        """By call: what the events of this input wait for."""
        self.kept: set[str] = set()
        """Calls that something is kept of."""

    # Who and where

    def account(self, leg: Leg) -> Account | None:
        """The account of a leg, unless it is gone."""
        return self.directory.accounts.get(leg.endpoint.account)

    def owner(self, leg: Leg) -> Owner | None:
        """The person at a leg as of now, or as of when the leg came to be; None for a gateway or trunk."""
        return self.owner_now(leg.endpoint.account, leg.owner)

    def owner_now(self, account: str, then: Owner | None) -> Owner | None:
        """A person as of now, or as of ``then`` if the directory does not know the person any more."""
        known = self.directory.accounts.get(account)
        return (known.owner_now(then) if known and then else None) or then

    def lot(self, account: Account, lot: Lot) -> ParkLot:
        """The state of one of the account's lots."""
        lots = self.lots.setdefault(account.slug, {})
        park_lot = lots.get(lot.id)
        if park_lot is None:
            park_lot = lots[lot.id] = ParkLot(lot, account.slug, self.slots_changed, sites_by_lot(account).get(lot.id))
        return park_lot

    def lot_kept(self, account: str, lot: Lot, site: str | None) -> ParkLot:
        """The state of the lot that has the id of ``lot``, also of one that is gone from the directory by now (then of
        ``site``).
        """
        known = self.directory.accounts.get(account)
        if known and lot.id in known.lots:
            park_lot = self.lot(known, known.lots[lot.id])
        else:
            park_lot = self.keep_lot(account, ParkLot(lot, account, self.slots_changed, site))
        park_lot.retired = known is None or lot.id not in known.lots_in_use()
        return park_lot

    def endpoint_now(self, then: Endpoint) -> Endpoint:
        """A device or trunk as of now, or as of ``then`` if the account does not have it any more."""
        now = self.directory.endpoint(then.id)
        return now if now and now.account == then.account else then

    def keep_lot(self, account: str, park_lot: ParkLot) -> ParkLot:
        """A retired lot that something is to be parked in again, or the lot that has its id by now."""
        return self.lots.setdefault(account, {}).setdefault(park_lot.lot.id, park_lot)

    def load(self, directory: Directory) -> None:
        """From now on this directory holds. A lot that it does not name is retired, and forgotten once nothing is there."""
        self.directory = directory
        for slug, lots in list(self.lots.items()):
            account = directory.accounts.get(slug)
            in_use = account.lots_in_use() if account else {}
            sites = sites_by_lot(account) if account else {}
            for lot_id, park_lot in list(lots.items()):
                park_lot.retired = lot_id not in in_use
                if account and lot_id in account.lots:
                    was = park_lot.lot.name, park_lot.site
                    park_lot.change(account.lots[lot_id])
                    park_lot.site = sites.get(lot_id, park_lot.site)
                    if was != (park_lot.lot.name, park_lot.site):
                        self._touch_all(slug)
                if park_lot.retired and park_lot.is_idle:
                    del lots[lot_id]
            if not lots:
                del self.lots[slug]

    def _touch_all(self, account: str) -> None:
        """What programs see of any call of the account may have changed."""
        self.touched.update({call.id: None for call in self.calls.values() if call.account == account})

    def occupied_in_retired_lots(self, account: str) -> set[int]:
        """Slots that no other call of the account is given: one can still dial them for a call in a lot that is gone."""
        lots = self.lots.get(account, {}).values()
        return {slot for lot in lots if lot.retired for slot in lot.occupied()}

    # Legs

    def attach(self, leg: Leg, call: Call) -> None:
        """``leg`` belongs to ``call`` from now on; it may have belonged to another before."""
        leg.join(call)
        self.touched[call.id] = None
        if leg.id not in self.legs:
            self.legs[leg.id] = leg
            self.by_endpoint.setdefault(leg.endpoint.id, {})[leg.id] = leg
            if leg.held:
                self.hold(leg, leg.held)

    def hold(self, leg: Leg, rank: int) -> None:
        """The far side holds ``leg`` as the ``rank``-th hold of all, or with 0 holds it no more."""
        leg.held = rank
        if rank:
            self.holding.setdefault(leg.endpoint.id, {})[leg.id] = leg
        else:
            self._holds_no_more(leg)

    def _holds_no_more(self, leg: Leg) -> None:
        held = self.holding.get(leg.endpoint.id)
        if held is not None and held.pop(leg.id, None) is not None and not held:
            del self.holding[leg.endpoint.id]

    def substitute(self, call: Call, old: Leg, new: Leg) -> None:
        """``new`` takes the place of ``old``, one of the two ends. What becomes of ``old`` is the caller's business."""
        if old is call.party:
            call.party = new
        else:
            call.other = new
        self.attach(new, call)

    def forget(self, leg: Leg) -> None:
        """The leg is gone."""
        self.touched[leg.call.id] = None
        del self.legs[leg.id]
        leg.part()
        others = self.by_endpoint[leg.endpoint.id]
        del others[leg.id]
        if not others:
            del self.by_endpoint[leg.endpoint.id]
        if leg.held:
            self._holds_no_more(leg)

    def end(self, leg: Leg, *, elsewhere: Elsewhere = Elsewhere.NOTHING, after_s: float = 0.0) -> None:
        """Hang up a leg that is attached."""
        self.forget(leg)
        self.out.append(EndLeg(leg.id, elsewhere, after_s))

    def refuse(self, leg: Leg, why: Refusal, number: str = "") -> None:
        """Refuse an incoming leg, attached or not; ``number`` is said after the words of the refusal."""
        call = None
        if leg.id in self.legs:
            call = leg.call.id
            self.forget(leg)
        self.out.append(RefuseLeg(leg.id, why, spoken_refusal(why, number), leg.language, call))

    def answer(self, leg: Leg, shown: Identity, park_code: str | None = None) -> None:
        """Answer an incoming leg."""
        leg.up = True
        leg.sees = shown
        self.out.append(AnswerLeg(leg.id, shown, park_code))

    def hear(self, leg: Leg, sound: Sound) -> None:
        """``leg`` hears ``sound`` unless it does already."""
        if leg.hears is not sound and leg.hears != sound:
            leg.hears = sound
            self.out.append(Hear(leg.id, sound))

    def spoken(self, phrases: tuple[str, ...], language: str) -> Spoken:
        """Something to be said once."""
        return Spoken(self.ids.token(), language, phrases)

    # Calls

    def rules(self, call: Call) -> StageRules:
        """What the call does in its present stage."""
        return self._stages[type(call.stage)]

    def new_call(self, party: Leg, stage: Stage) -> Call:
        """A call that begins with ``party``. Its stage is entered by whoever makes it."""
        call = Call(self.ids.token(), party.endpoint.account, party, stage, self.now, self.now)
        self.calls[call.id] = call
        self.attach(party, call)
        return call

    def enter(self, call: Call, stage: Stage, until: Instant | None) -> None:
        """The call is in ``stage`` now, and its ends hear what belongs to it."""
        self.touched[call.id] = None
        if call.stage.kind is not stage.kind:
            call.since = self.now
        call.stage = stage
        if until is None:
            self.timers.cancel(call.id)
        else:
            self.timers.set(call.id, until)
        self.update_sound(call)

    def update_sound(self, call: Call) -> None:
        """Both ends hear what the stage says."""
        self.hear(call.party, call.stage.sound(call, call.party))
        if call.other:
            self.hear(call.other, call.stage.sound(call, call.other))

    def connect(self, call: Call) -> None:
        """The two ends talk: first they hear each other, then whoever still waits is answered, then displays follow."""
        assert call.other is not None
        self.enter(call, Talking(), None)
        for leg in sorted((call.party, call.other), key=_is_up):
            shown = call.facing(leg).identity
            if not leg.up:
                self.answer(leg, shown)
            elif leg.sees != shown:
                leg.sees = shown
                self.out.append(ShowParty(leg.id, shown))

    def say_farewell(self, call: Call) -> None:
        """Nobody was found for the party: tell it so in the account's language, then hang up."""
        account = self.directory.accounts.get(call.account)
        spoken = self.spoken(FAREWELL, account.language if account else call.party.language)
        self.enter(call, Leaving(spoken), self.now + PROMPT_S)

    def drop(self, call: Call, why: EndReason, by: str = "") -> None:
        """The call is over, ended by the number ``by``; its legs are gone or belong elsewhere."""
        self.touched[call.id] = None
        del self.calls[call.id]
        self.timers.cancel(call.id)
        self.release(call)
        if not isinstance(call.stage, Announcing):
            self.out.append(CallEnded(*self.event_head(call), self.now - call.started_at, why, by))

    def release(self, call: Call) -> None:
        """No code is kept for this call any longer."""
        if call.reserved is None:
            return
        lot, slot = call.reserved
        call.reserved = None
        self.touched[call.id] = None
        lot.release(slot)
        self.timers.cancel((LotTimer.RELEASE, lot, slot))
        if last := lot.last_pick_up(slot):
            self.timers.set((LotTimer.FORGET, lot, slot), last.at + LOST_RACE_S)

    def moment(self, call: Call) -> Moment:
        """What all events of ``call`` during this input share."""
        moment = self.moments.get(call.id)
        if moment is None:
            moment = self.moments[call.id] = Moment()
        return moment

    def event_head(self, call: Call) -> tuple[str, Instant, str, str, str, str]:
        """The members that every event of ``call`` begins with (``CallEvent``)."""
        who = call.party.identity
        return self.ids.token(), self.now, call.account, call.id, who.name, who.number
