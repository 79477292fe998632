"""Which HTTP status a refusal deserves. One table, as ``switch/statuses.py`` is for SIP.

``404`` where there is nothing that one may know of, ``409`` where the state of a call stands in the way, ``403`` where somebody
may not, ``503`` where the system cannot.
"""

from __future__ import annotations

from parkade.api import refusals as api
from parkade.calls import refusals as calls
from parkade.calls.refusals import Refusal
from parkade.switch import statuses as switch

STATUS: dict[str, int] = {
    refusal.id: status
    for status, of_status in {
        400: (api.BAD_REQUEST, api.ACCOUNT_NEEDED, api.BAD_CURSOR, switch.BAD_DESCRIPTION, switch.BAD_REPLACES),
        401: (api.NOT_SIGNED_IN, api.BAD_LOGIN),
        403: (
            api.NOT_ALLOWED,
            api.SCOPE_MISSING,
            api.CROSS_SITE,
            api.WRONG_PASSWORD,
            calls.PARKING_DISABLED,
            calls.NOT_LICENSED,
            calls.SETTINGS_LOCKED,
        ),
        404: (
            api.NOT_FOUND,
            calls.NO_CALL_PARKED,
            calls.NO_SUCH_CALL,
            calls.NO_SUCH_DEVICE,
            calls.NOTHING_TO_GIVE_BACK,
        ),
        405: (api.METHOD_NOT_ALLOWED,),
        409: (
            api.IDEMPOTENCY_UNDER_WAY,
            api.ALREADY_THERE,
            api.TOO_MANY_WEBHOOKS,
            api.WEBHOOK_OFF,
            calls.ALREADY_PICKED_UP,
            calls.LOT_FULL,
            calls.SLOT_TAKEN,
            calls.SLOT_RESERVED,
            calls.NOTHING_TO_PARK,
            calls.BUSY,
            calls.DECLINED,
            calls.NO_ANSWER,
            calls.ALREADY_ANSWERED,
            calls.NOT_REGISTERED,
            calls.UNREACHABLE,
            calls.PHONE_ERROR,
            calls.FORBIDDEN,
            calls.UNKNOWN_TO_PHONE,
            calls.FORWARDED_OUTSIDE,
            calls.FORWARDED_IN_VAIN,
            calls.NOBODY_PARKED_IT,
            calls.INCOMPATIBLE,
            calls.TRANSFER_IMPOSSIBLE,
            calls.PARK_KEYS_NEED_SEQUENTIAL,
        ),
        410: (api.EVENT_GONE,),
        412: (api.CHANGED_MEANWHILE,),
        413: (api.TOO_LARGE,),
        422: (
            api.INVALID_REQUEST,
            api.IDEMPOTENCY_KEY_REUSED,
            api.DIRECTORY_REFUSED,
            api.NEEDS_PARTY,
            api.NEEDS_DEVICE,
            api.TARGET_REFUSED,
            calls.NO_SUCH_NUMBER,
            calls.NO_SUCH_SLOT,
            calls.NO_SUCH_EXTENSION,
            calls.FORWARD_TO_MISSING,
            calls.RESET_AT_ACCOUNT,
            calls.UNKNOWN_SETTING,
            calls.INVALID_SETTING,
        ),
        426: (api.UPDATE_NEEDED,),
        429: (api.TOO_MANY_REQUESTS,),
        500: (api.INTERNAL_ERROR,),
        503: (api.SIGNALLING_AWAY, api.DATABASE_AWAY, calls.NO_CAPACITY, switch.DRAINING),
    }.items()
    for refusal in of_status
}
"""By the id of the refusal. A test compares it with the catalogue."""


def status_of(refusal: Refusal) -> int:
    """The HTTP status that goes with ``refusal``."""
    return STATUS[refusal.id]
