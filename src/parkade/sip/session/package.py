"""An event package as its notifier sees it (:rfc:`6665` section 5.4): a name, what can be said of a resource, and for how long.

``docs/how-to/add-an-event-package.md`` tells how to write one.
"""

from __future__ import annotations

from collections.abc import Sequence

from mypy_extensions import mypyc_attr

from parkade.sip.message.grammar import media_type

HOUR_S = 3600


@mypyc_attr(allow_interpreted_subclasses=True)
class Package:
    """``name`` as in Event. ``types`` are the content types of its documents, the preferred one first.

    A subscription lives for ``default_s`` unless the subscriber wants less or more, at least ``least_s``, at most ``most_s``
    (seconds). ``by_subscribe`` is False for a package that SUBSCRIBE cannot begin, but only refresh and end.
    """

    __slots__ = ("by_subscribe", "default_s", "least_s", "most_s", "name", "types")

    def __init__(
        self,
        name: str,
        types: tuple[str, ...],
        *,
        default_s: int = HOUR_S,
        least_s: int = 60,
        most_s: int = 24 * HOUR_S,
        by_subscribe: bool = True,
    ) -> None:
        """Raises ValueError if ``least_s`` is more than an hour: so long a wish may not be refused (section 4.2.1.1)."""
        if not 0 < least_s <= min(HOUR_S, default_s) or default_s > most_s:
            raise ValueError(f"{name}: {least_s} s, {default_s} s and {most_s} s do not rise, or the first is over an hour")
        self.name = name
        self.types = types
        self.default_s = default_s
        self.least_s = least_s
        self.most_s = most_s
        self.by_subscribe = by_subscribe

    def document(self, resource: str, state: str, version: int, content_type: str) -> bytes:
        """All that is to be said of ``resource`` now, in ``content_type``, one of ``types``; empty for a NOTIFY without a body.

        ``state`` is what the owner said with the last change. ``version`` counts what this subscriber was told before: it rises
        by one each time, and goes on rising after a restart.
        """
        raise NotImplementedError

    def type_for(self, accepted: Sequence[str]) -> str | None:
        """The content type for a subscriber whose Accept has these values; None if it reads none. No Accept is any."""
        if not accepted:
            return self.types[0]
        wanted = {media_type(value) for value in accepted}
        for content_type in self.types:
            kind = media_type(content_type)
            if kind in wanted or f"{kind.partition('/')[0]}/*" in wanted or "*/*" in wanted:
                return content_type
        return None

    def granted_s(self, wanted_s: int | None) -> int | None:
        """For how long a subscriber that wants ``wanted_s`` is told; None if that is too brief. 0 is once, and the end."""
        if wanted_s is None:
            return self.default_s
        if 0 < wanted_s < self.least_s:
            return None
        return min(wanted_s, self.most_s)
