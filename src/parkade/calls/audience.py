"""Who may see a parked call and retrieve it: fixed when it is parked, by the policy of whoever parks it.

Whoever may not is answered as if nothing were there. Whoever parked a call always may. Where the policy says "my site" or "my
user group" and whoever parked the call is at no site, in no group, or nobody, everybody in the account may: a caller must not
wait where nobody could find it.
"""

from __future__ import annotations

from parkade.base.values import valueclass
from parkade.calls.directory import Owner, Visibility, VisibilityKind


@valueclass(frozen=True, slots=True)
class Audience:
    """``place`` is the id of the site or of the user group; ``people`` are ids: whoever parked the call, and who is named."""

    kind: VisibilityKind = VisibilityKind.ACCOUNT
    place: str | None = None
    people: tuple[str, ...] = ()

    def has(self, person: str | None, site: str | None, group: str | None) -> bool:
        """Whether somebody with these ids belongs to it; None for who is no person, nowhere, in no group."""
        if self.kind is VisibilityKind.ACCOUNT or (person is not None and person in self.people):
            return True
        mine = site if self.kind is VisibilityKind.SITE else group if self.kind is VisibilityKind.GROUP else None
        return mine is not None and mine == self.place


EVERYBODY = Audience()


@valueclass(frozen=True, slots=True)
class Viewer:
    """Who looks or picks up: a person or place, None for a gateway; ``everything`` for an administrator or a program."""

    person: Owner | None
    everything: bool = False

    def sees(self, audience: Audience) -> bool:
        """Whether a parked call with this audience exists for whoever looks."""
        if self.everything or audience.kind is VisibilityKind.ACCOUNT:
            return True
        who = self.person
        return audience.has(who.id, who.site, who.group) if who is not None else False


ADMINISTRATOR = Viewer(None, everything=True)


def audience_of(visibility: Visibility, parker: Owner | None, site: str | None) -> Audience:
    """Who may see and retrieve a call that ``parker`` parks, or that nobody parks, at a lot of ``site``."""
    kind = visibility.kind
    if kind is VisibilityKind.ACCOUNT:
        return EVERYBODY
    place: str | None = None
    if kind is VisibilityKind.SITE:
        place = parker.site if parker else site
    elif kind is VisibilityKind.GROUP:
        place = parker.group if parker else None
    if place is None and kind is not VisibilityKind.PEOPLE:
        return EVERYBODY
    return Audience(kind, place, (parker.id, *visibility.people) if parker else visibility.people)
