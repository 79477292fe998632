"""The error of this room."""

from __future__ import annotations

from parkade.base.errors import ParkadeError


class StoreError(ParkadeError):
    """The data directory or its database cannot be used; the line says which and why.

    ``may_pass``: it is the state of the database (away, locked, full), and not what was asked of it.
    """

    def __init__(self, said: str, *, may_pass: bool = False) -> None:
        super().__init__(said)
        self.may_pass = may_pass
