"""A session as a plain value that outlives the process, and back again.

Kept is what an answered session needs to go on: the dialog, what was agreed, the session timer, a 2xx without its ACK, our last
ACK, a BYE without its answer, changes that wait, transfers not reported to the end. Not kept: credentials (the owner sets them
again), a request of theirs that waits for the owner (the far side sends it again), and how often a change was tried.

Times are ``Instant`` values: what was due while nobody ran is due at once. A connection does not outlive the process:
a kept flow over a stream has the connection 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from parkade.base.clock import Instant
from parkade.base.journal import Json, KeptError
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Headers, Request
from parkade.sip.session import accepted, finish
from parkade.sip.session.core import Core
from parkade.sip.session.credentials import HeaderLines
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.lifecycle import Event, State
from parkade.sip.session.offers import Turn
from parkade.sip.session.refer import ANSWERABLE_S, Refer, Referral, Stage
from parkade.sip.session.session_timer import MIN_S, SessionTimer
from parkade.sip.session.state import Accepted, Ack, Bye, Change, Kind
from parkade.sip.session.usage import Deadline

# Out


def snapshot(core: Core) -> dict[str, Json]:
    """The session as it is now. It must have been answered: ``state`` is ACCEPTED or later, and there is a dialog."""
    dialog = core.dialog
    assert dialog is not None
    offers, flow = dialog.offers, dialog.flow
    if core.allowed is None and core.incoming:
        core.learn(core.request)
    is_open = offers.turn is not Turn.NOBODY and _keeps_turn(core)
    local, remote = (offers.local, offers.remote) if is_open or offers.turn is Turn.NOBODY else offers.agreed
    value: dict[str, Json] = {
        "id": core.id,
        "incoming": core.incoming,
        "state": int(core.state),
        "call_id": dialog.call_id,
        "local": dialog.local,
        "local_tag": dialog.local_tag,
        "remote": dialog.remote,
        "remote_tag": dialog.remote_tag,
        "target": dialog.target,
        "contact": dialog.contact,
        "local_seq": dialog.local_seq,
        # What waits for the owner was taken and will come again.
        "remote_seq": dialog.remote_seq if core.asked is None else core.asked.request.cseq.number - 1,
        "flow": [flow.transport, flow.host, flow.port],
        "local_sdp": local.decode("latin-1"),
        "remote_sdp": remote.decode("latin-1"),
    }
    if dialog.routes:
        value["routes"] = [*dialog.routes]
    if core.allowed is not None:
        value["allowed"] = [*core.allowed]
    if core.timer is not None:
        at = core.agent.timers.when((core.id, Deadline.REFRESH))
        value["timer"] = [core.timer.interval_s, core.timer.we_refresh, core.expires_at, at]
    if (
        is_open
        or core.accepted
        or core.ack
        or core.bye
        or core.changes
        or core.sent_change
        or core.refers
        or core.referred
        or core.cancelled
    ):
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
        waits = core.accepted
        value["accepted"] = {
            "number": waits.number,
            "offers": waits.offers,
            "data": waits.data.decode("latin-1"),
            "flow": [*waits.flow[:3]],
            "give_up_at": waits.give_up_at,
        }
    if core.ack is not None:
        value["ack"] = [core.ack.number, _lines(core.ack.headers), core.ack.sdp.decode("latin-1"), core.ack.branch]
    if core.bye is not Bye.NONE:
        value["bye"] = [int(core.bye), _lines(core.bye_headers)]
    changes = dict(core.changes)
    if core.sent_change is not None:
        changes.setdefault(core.sent_change.change.kind, core.sent_change.change)
    if changes:
        value["changes"] = [
            [int(change.kind), change.sdp.decode("latin-1"), _lines(change.headers), change.by_update]
            for change in changes.values()
        ]
    if core.referred:
        value["referred"] = True
    if core.cancelled:
        value["cancelled"] = True
    refers: list[Json] = [[refer.id, refer.event] for refer in core.refers if refer.stage is Stage.REPORTING]
    if refers:
        value["refers"] = refers


def _lines(headers: HeaderLines) -> list[Json]:
    return [[name, text] for name, text in headers]


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
    core.state = State(_int(value, "state"))
    if core.state < State.ACCEPTED:
        raise ValueError("not answered")
    remote_seq = value.get("remote_seq")
    dialog = core.dialog = Dialog(
        call_id=_text(value, "call_id"),
        local=_text(value, "local"),
        local_tag=_text(value, "local_tag"),
        remote=_text(value, "remote"),
        remote_tag=_text(value, "remote_tag"),
        target=_text(value, "target"),
        routes=tuple([_is_text(route) for route in _list(value, "routes")]),
        contact=_text(value, "contact"),
        flow=flow_of(value.get("flow")),
        local_seq=_int(value, "local_seq"),
        remote_seq=None if remote_seq is None else _is_int(remote_seq),
    )
    offers = dialog.offers
    offers.local, offers.remote = _bytes(value.get("local_sdp", "")), _bytes(value.get("remote_sdp", ""))
    offers.turn = Turn(_is_int(value.get("turn", 0)))
    local, remote = _list(value, "agreed") or (value.get("local_sdp", ""), value.get("remote_sdp", ""))
    offers.agreed = (_bytes(local), _bytes(remote))
    core.request = _invite_of(core, dialog)
    core.min_s = _is_int(value.get("min_s", MIN_S))
    if value.get("allowed") is not None:
        core.allowed = frozenset([_is_text(method) for method in _list(value, "allowed")])
    _read_open(core, dialog, value)
    timer = _list(value, "timer")
    if timer and core.state < State.CLOSING:
        core.timer = SessionTimer(_is_int(timer[0]), timer[1] is True)
        core.expires_at = _is_time(timer[2])
        core.set_timer(Deadline.REFRESH, core.expires_at if timer[3] is None else _is_time(timer[3]))


def _read_open(core: Core, dialog: Dialog, value: Mapping[str, Json]) -> None:
    waits = value.get("accepted")
    if isinstance(waits, Mapping):
        number, offers, give_up_at = _int(waits, "number"), waits.get("offers") is True, _is_time(waits.get("give_up_at"))
        core.accepted = Accepted(number, offers, _bytes(waits["data"]), flow_of(waits.get("flow")), give_up_at)
    ack = _list(value, "ack")
    if ack:
        core.ack = Ack(_is_int(ack[0]), _headers(ack[1]), _bytes(ack[2]), _is_text(ack[3]))
    bye = _list(value, "bye")
    if bye:
        core.bye, core.bye_headers = Bye(_is_int(bye[0])), _headers(bye[1])
    for item in _list(value, "changes"):
        kind, sdp, headers, by_update = _is_list(item)
        change = Change(Kind(_is_int(kind)), _bytes(sdp), _headers(headers), by_update is True)
        core.changes[change.kind] = change
    core.referred = value.get("referred") is True
    core.cancelled = value.get("cancelled") is True
    for item in _list(value, "refers"):
        refer_id, event = _is_list(item)
        core.refers.append(Refer(core, dialog, _is_text(refer_id), _is_text(event), Stage.REPORTING))
    core.referrals = [Referral(None, _is_int(number)) for number in _list(value, "referrals")]


def _invite_of(core: Core, dialog: Dialog) -> Request:
    """The INVITE as far as it is still known: who called whom."""
    from_, to = (dialog.remote, dialog.local) if core.incoming else (dialog.local, dialog.remote)
    lines = [("From", from_), ("To", to), ("Call-ID", dialog.call_id), ("CSeq", "1 INVITE")]
    return Request("INVITE", dialog.target, Headers(lines))


def flow_of(value: Json | None) -> Flow:
    """A kept flow. A stream has yet to be opened anew."""
    transport, host, port = _is_list(value)
    return Flow(_is_text(transport), _is_text(host), _is_int(port))


def _is_text(item: Json | None) -> str:
    if not isinstance(item, str):
        raise TypeError("not a text")
    return item


def _is_int(item: Json | None) -> int:
    if not isinstance(item, int) or isinstance(item, bool):
        raise TypeError("not a number")
    return item


def _is_time(item: Json | None) -> Instant:
    if not isinstance(item, int | float) or isinstance(item, bool):
        raise TypeError("not a time")
    return float(item)


def _is_list(item: Json | None) -> Sequence[Json]:
    if isinstance(item, str) or not isinstance(item, Sequence):
        raise TypeError("not a list")
    return item


def _text(value: Mapping[str, Json], name: str) -> str:
    return _is_text(value[name])


def _int(value: Mapping[str, Json], name: str) -> int:
    return _is_int(value[name])


def _list(value: Mapping[str, Json], name: str) -> Sequence[Json]:
    return _is_list(value.get(name, ()))


def _bytes(item: Json | None) -> bytes:
    return _is_text(item).encode("latin-1")


def _headers(item: Json | None) -> HeaderLines:
    return [(_is_text(name), _is_text(text)) for name, text in map(_is_list, _is_list(item))]
