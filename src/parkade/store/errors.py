"""The error of this room."""

from __future__ import annotations

from parkade.base.errors import ParkadeError


class StoreError(ParkadeError):
    """The data directory or its database cannot be used; the line says which and why."""
