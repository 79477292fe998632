"""Which SIP status a refusal deserves, and the headers that carry its id and its words.

One table. ``480`` where the person may try again later, ``486`` where somebody else is in the way, ``404`` where there
is nothing: a free code and another account's code must look the same.
"""

from __future__ import annotations

from parkade.calls import refusals
from parkade.calls.inputs import Failure
from parkade.calls.refusals import Refusal
from parkade.sip.message.grammar import quote

DRAINING = Refusal(
    "draining",
    "The system is restarting.",
    "Hệ thống đang khởi động lại.",
    "Try again in a minute.",
    "Hãy thử lại sau một phút.",
)
BAD_DESCRIPTION = Refusal(
    "bad_description",
    "The phone's session description cannot be read.",
    "Không đọc được mô tả phiên của máy.",
    "Update the phone.",
    "Hãy cập nhật phần mềm của máy.",
)
BAD_REPLACES = Refusal(
    "bad_replaces",
    "The phone does not say clearly which call it wants to take over.",
    "Máy không nêu rõ muốn nhận cuộc gọi nào.",
    "Update the phone.",
    "Hãy cập nhật phần mềm của máy.",
)

_STATUS = {
    refusals.NO_SUCH_NUMBER.id: 404,
    refusals.NO_CALL_PARKED.id: 404,
    refusals.NO_SUCH_SLOT.id: 404,
    refusals.ALREADY_PICKED_UP.id: 486,
    refusals.LOT_FULL.id: 486,
    refusals.SLOT_TAKEN.id: 486,
    refusals.SLOT_RESERVED.id: 486,
    refusals.NOTHING_TO_PARK.id: 480,
    refusals.PARKING_DISABLED.id: 403,
    refusals.NOT_LICENSED.id: 403,
    refusals.BUSY.id: 486,
    refusals.DECLINED.id: 603,
    refusals.NO_ANSWER.id: 480,
    refusals.ALREADY_ANSWERED.id: 486,
    refusals.NOT_REGISTERED.id: 480,
    refusals.UNREACHABLE.id: 480,
    refusals.PHONE_ERROR.id: 480,
    refusals.FORBIDDEN.id: 403,
    refusals.UNKNOWN_TO_PHONE.id: 404,
    refusals.FORWARDED_OUTSIDE.id: 480,
    refusals.FORWARDED_IN_VAIN.id: 480,
    refusals.INCOMPATIBLE.id: 488,
    refusals.TRANSFER_IMPOSSIBLE.id: 480,
    refusals.NO_CAPACITY.id: 503,
    refusals.NO_SUCH_CALL.id: 481,
    refusals.NOTHING_TO_GIVE_BACK.id: 480,
    DRAINING.id: 503,
    BAD_DESCRIPTION.id: 400,
    BAD_REPLACES.id: 400,
}

_FAILURE = {
    403: Failure.FORBIDDEN,
    404: Failure.UNKNOWN_TO_PHONE,
    408: Failure.NO_ANSWER,
    410: Failure.UNKNOWN_TO_PHONE,
    415: Failure.INCOMPATIBLE,
    480: Failure.NO_ANSWER,
    484: Failure.UNKNOWN_TO_PHONE,
    485: Failure.UNKNOWN_TO_PHONE,
    486: Failure.BUSY,
    487: Failure.NO_ANSWER,
    488: Failure.INCOMPATIBLE,
    600: Failure.BUSY,
    603: Failure.DECLINED,
    604: Failure.UNKNOWN_TO_PHONE,
    606: Failure.INCOMPATIBLE,
    607: Failure.DECLINED,
}

_END_A_DIALOG = frozenset({404, 408, 410, 480, 481})


def status_of(refusal: Refusal) -> int:
    """The final status that tells a phone of ``refusal``; 480 for one without a row."""
    return _STATUS.get(refusal.id, 480)


def refer_status_of(refusal: Refusal) -> int:
    """The final status that refuses a REFER: 603 where ``status_of`` would tell the phone that its own call is over.

    A 404, 480 or 481 within a dialog is about that dialog (:rfc:`5057` section 5.1), not about whom it should call.
    """
    status = status_of(refusal)
    return 603 if status in _END_A_DIALOG else status


def refusal_headers(refusal: Refusal, language: str = "en") -> list[tuple[str, str]]:
    """``Reason`` (:rfc:`3326`) and ``Warning`` (:rfc:`3261` section 20.43, code 399) for a refusal."""
    text = refusal.vi if language == "vi" else refusal.en
    return [
        ("Reason", f"SIP;cause={status_of(refusal)};text={quote(text)}"),
        ("Warning", f"399 parkade {quote(f'{refusal.id} {text}')}"),
    ]


def failure_of(status: int, *, rang: bool, answered: bool = True) -> Failure:
    """What a phone's final status says about the person.

    ``rang`` tells 408 from a dead phone and 408 from an absent one. ``answered`` is False for a status that no phone sent:
    nothing came from its address, or there is no way there. ``REDIRECTED`` wants the target beside it.
    """
    if status == 408 and rang:
        return Failure.NO_ANSWER
    if status == 408 or not answered:
        return Failure.UNREACHABLE
    if 300 <= status < 400:
        return Failure.REDIRECTED
    return _FAILURE.get(status, Failure.PHONE_ERROR)
