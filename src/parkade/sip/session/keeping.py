"""A session as a plain value that outlives the process, and back again.

Kept is what an answered session needs to go on: the dialog, what was agreed, the session timer, a 2xx without its ACK, our last
ACK, a BYE without its answer, changes that wait, a REFER of ours without its outcome. Not kept: credentials (the owner sets
them again), a request of theirs that waits for the owner (the far side sends it again), and how often a change was tried.

Times are ``Instant`` values: what was due while nobody ran is due at once. A connection does not outlive the process:
a kept flow over a stream has the connection 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from parkade.base.clock import Instant
from parkade.base.journal import Json, KeptError
from parkade.sip.session import accepted, finish
from parkade.sip.session.core import Core
from parkade.sip.session.kept import (
    data_of,
    dialog_of,
    dialog_value,
    flow_of,
    is_list,
    is_number,
    is_text,
    is_time,
    items,
    lines_of,
    lines_value,
    number,
)
from parkade.sip.session.lifecycle import Event, State
from parkade.sip.session.offers import Turn
from parkade.sip.session.refer import ANSWERABLE_S, Referral
from parkade.sip.session.session_timer import MIN_S, SessionTimer
from parkade.sip.session.state import Accepted, Ack, Bye, Change, Kind
from parkade.sip.session.usage import Deadline

# Out


def snapshot(core: Core) -> dict[str, Json]:
    """The session as it is now. It must have been answered: ``state`` is ACCEPTED or later, and there is a dialog."""
    dialog = core.dialog
    assert dialog is not None
    offers = dialog.offers
    if core.allowed is None and core.incoming:
        core.learn(core.request)
    is_open = offers.turn is not Turn.NOBODY and _keeps_turn(core)
    local, remote = (offers.local, offers.remote) if is_open or offers.turn is Turn.NOBODY else offers.agreed
    value = dialog_value(dialog)
    value["id"] = core.id
    value["incoming"] = core.incoming
    value["state"] = int(core.state)
    if core.asked is not None:
        # What waits for the owner was taken and will come again.
        value["remote_seq"] = core.asked.request.cseq.number - 1
    value["local_sdp"] = local.decode("latin-1")
    value["remote_sdp"] = remote.decode("latin-1")
    if core.allowed is not None:
        value["allowed"] = [*core.allowed]
    if core.timer is not None:
        at = core.agent.timers.when((core.id, Deadline.REFRESH))
        value["timer"] = [core.timer.interval_s, core.timer.we_refresh, core.expires_at, at]
    if is_open or core.accepted or core.ack or core.bye or core.changes or core.sent_change or core.referred or core.cancelled:
        _add_open(core, value, offers.turn if is_open else Turn.NOBODY, offers.agreed)
    if core.referrals or core.min_s != MIN_S:
        value["min_s"] = core.min_s
        value["referrals"] = [referral.number for referral in core.referrals]
    return value


def _keeps_turn(core: Core) -> bool:
    """Whether the open offer can still be answered after a restart: in the ACK, theirs or ours."""
    if core.accepted is not None:
        return core.accepted.offers
    return core.state is State.ACCEPTED and not core.incoming


def _add_open(core: Core, value: dict[str, Json], turn: Turn, agreed: tuple[bytes, bytes]) -> None:
    """What not every session has."""
    if turn is not Turn.NOBODY:
        value["turn"] = int(turn)
        value["agreed"] = [sdp.decode("latin-1") for sdp in agreed]
    if core.accepted is not None:
        waits, data = core.accepted, core.accepted.data.decode("latin-1")
        answer: dict[str, Json] = {
            "number": waits.number,
            "offers": waits.offers,
            "flow": [*waits.flow[:3]],
            "give_up_at": waits.give_up_at,
        }
        sdp = value["local_sdp"]
        if isinstance(sdp, str) and sdp and data.endswith(sdp):
            answer["data"], answer["with_local_sdp"] = data[: -len(sdp)], True
        else:
            answer["data"] = data
        value["accepted"] = answer
    if core.ack is not None:
        value["ack"] = [core.ack.number, lines_value(core.ack.headers), core.ack.sdp.decode("latin-1"), core.ack.branch]
    if core.bye is not Bye.NONE:
        value["bye"] = [int(core.bye), lines_value(core.bye_headers)]
    changes = dict(core.changes)
    if core.sent_change is not None:
        changes.setdefault(core.sent_change.change.kind, core.sent_change.change)
    if changes:
        value["changes"] = [
            [int(change.kind), change.sdp.decode("latin-1"), lines_value(change.headers), change.by_update]
            for change in changes.values()
        ]
    if core.referred:
        value["referred"] = True
    if core.cancelled:
        value["cancelled"] = True


# In


def restore(core: Core, value: Mapping[str, Json], now: Instant) -> None:
    """Make ``core``, a fresh one, what ``value`` says, and go on. Raises KeptError, and does nothing, if it cannot be read."""
    try:
        _read(core, value)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise KeptError(f"a kept SIP session that cannot be read: {error!r}") from error
    dialog = core.dialog
    assert dialog is not None
    core.restored_seq = dialog.local_seq
    if core.accepted is not None and core.accepted.give_up_at <= now and not core.accepted.offers:
        # The owner need not write a session down for its ACK alone: had none come, the session would have been ended.
        core.accepted = None
        core.step(Event.ACKED)
    if core.state is State.ENDED and not core.referrals:
        return
    core.agent.usages[core.id] = core
    core.bind(dialog)
    if core.referrals and core.state is State.ENDED:
        core.set_timer(Deadline.REPORTS, now + ANSWERABLE_S)
    if core.accepted is not None:
        core.set_timer(Deadline.ACK, min(now + core.accepted.wait_s, core.accepted.give_up_at))
        accepted.send_again(core)
    if core.state is State.CLOSING and core.accepted is None:
        if core.bye is Bye.NONE:
            finish.gone(core, now)
        else:
            finish.say_bye(core, core.bye_headers, now)


def _read(core: Core, value: Mapping[str, Json]) -> None:
    core.state = State(number(value, "state"))
    if core.state < State.ACCEPTED:
        raise ValueError("not answered")
    dialog = core.dialog = core.agent.joined(dialog_of(value))
    offers = dialog.offers
    offers.local, offers.remote = data_of(value.get("local_sdp", "")), data_of(value.get("remote_sdp", ""))
    offers.turn = Turn(is_number(value.get("turn", 0)))
    local, remote = items(value, "agreed") or (value.get("local_sdp", ""), value.get("remote_sdp", ""))
    offers.agreed = (data_of(local), data_of(remote))
    core.min_s = is_number(value.get("min_s", MIN_S))
    if value.get("allowed") is not None:
        core.allowed = frozenset([is_text(method) for method in items(value, "allowed")])
    _read_open(core, value)
    timer = items(value, "timer")
    if timer and core.state < State.CLOSING:
        core.timer = SessionTimer(is_number(timer[0]), timer[1] is True)
        core.expires_at = is_time(timer[2])
        core.set_timer(Deadline.REFRESH, core.expires_at if timer[3] is None else is_time(timer[3]))


def _read_open(core: Core, value: Mapping[str, Json]) -> None:
    waits = value.get("accepted")
    if isinstance(waits, Mapping):
        body = data_of(value["local_sdp"]) if waits.get("with_local_sdp") is True else b""
        core.accepted = Accepted(
            number(waits, "number"),
            waits.get("offers") is True,
            data_of(waits["data"]) + body,
            flow_of(waits.get("flow")),
            is_time(waits.get("give_up_at")),
        )
    ack = items(value, "ack")
    if ack:
        core.ack = Ack(is_number(ack[0]), lines_of(ack[1]), data_of(ack[2]), is_text(ack[3]))
    bye = items(value, "bye")
    if bye:
        core.bye, core.bye_headers = Bye(is_number(bye[0])), lines_of(bye[1])
    for item in items(value, "changes"):
        kind, sdp, headers, by_update = is_list(item)
        change = Change(Kind(is_number(kind)), data_of(sdp), lines_of(headers), by_update is True)
        core.changes[change.kind] = change
    core.referred = value.get("referred") is True
    core.cancelled = value.get("cancelled") is True
    core.referrals = [Referral(None, is_number(item)) for item in items(value, "referrals")]
