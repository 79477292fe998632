"""What one leg hears. Shared by call control (which decides it) and the media plane (which plays it)."""

from __future__ import annotations

from typing import TypeAlias

from parkade.base.values import valueclass


@valueclass(frozen=True, slots=True)
class Silence:
    """Nothing is sent to the leg."""


@valueclass(frozen=True, slots=True)
class Music:
    """Hold music, endless. ``name`` is a file stem of the media process's music folder."""

    name: str = "default"


@valueclass(frozen=True, slots=True)
class Tone:
    """An endless call-progress tone: ``ringback`` or ``busy``."""

    name: str


@valueclass(frozen=True, slots=True)
class Peer:
    """What ``leg`` says. Until the first packet of that leg arrives the listener keeps what it heard before."""

    leg: str


@valueclass(frozen=True, slots=True)
class Spoken:
    """Phrases one after the other, once; then silence and a ``PromptEnded`` that carries ``prompt``.

    ``prompt`` is unique, ``language`` is ``en`` or ``vi``, ``phrases`` are file stems of the prompt folder
    (``parked-at``, ``star``, ``8``, ``0``, ``1``).
    """

    prompt: str
    language: str
    phrases: tuple[str, ...]


@valueclass(frozen=True, slots=True)
class Playlist:
    """Sounds one after the other without a gap, as words over music: each ``Spoken`` once, with its ``PromptEnded``.

    Music in it begins where this leg last heard the same piece. What comes after endless music or an endless tone is never
    heard; after a ``Spoken`` at the end there is silence. At least one part.
    """

    parts: tuple[Music | Tone | Spoken, ...]


Sound: TypeAlias = Silence | Music | Tone | Peer | Spoken | Playlist
