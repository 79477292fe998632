"""The office of the stories, for what its phones' wires do to it."""

from __future__ import annotations

from tests.stories.conftest import furnish, office

__all__ = ["furnish", "office"]
