"""Every refusal there is. The page ``docs/errors.md`` and ``GET /api/v1/errors`` are made of it."""

from __future__ import annotations

from types import ModuleType

from parkade.api import refusals as api
from parkade.calls import refusals as calls
from parkade.calls.refusals import Refusal
from parkade.switch import statuses as switch

MODULES: tuple[ModuleType, ...] = (calls, switch, api)
"""Where refusals are made. A test finds every place in the code that makes one and compares."""


def catalogue() -> dict[str, Refusal]:
    """Every refusal by its id, in the order of the ids. Blanks in texts (``{code}``) are not filled in."""
    found = {value.id: value for module in MODULES for value in vars(module).values() if isinstance(value, Refusal)}
    return dict(sorted(found.items()))
