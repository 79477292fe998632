"""How immutable values are made: dataclasses that mypy holds to be frozen, at the price of ones that are not.

A frozen dataclass sets each of its fields through ``object.__setattr__``: one of a dozen fields takes 3 us to make, and ten
times less if nothing guards it while it runs. A call makes thirty such values. The guard is mypy, which knows only the frozen
kind and lets nobody change one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as valueclass
else:
    from dataclasses import dataclass

    def valueclass(*, frozen: bool, slots: bool):
        """Used as ``@valueclass(frozen=True, slots=True)``, and mypy reads ``@dataclass(frozen=True, slots=True)``."""
        assert frozen
        return dataclass(slots=slots, unsafe_hash=True)


__all__ = ["valueclass"]
