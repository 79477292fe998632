"""The one exception that the parsers of this room raise."""

from __future__ import annotations

from typing import Any

from parkade.base.errors import ParkadeError


class SipError(ParkadeError):
    """Text that is not what SIP says it should be.

    ``status`` is the answer it deserves (400 nearly always; 416 for a URI scheme, 505 for a version, 501 for a method),
    ``reason`` says in one line what is wrong, and ``request`` is the ``Request`` it was found in, as far as that could be read:
    None means there is nobody to answer.
    """

    def __init__(self, status: int, reason: str, request: Any = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.request = request
