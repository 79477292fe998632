"""Who is where: the places of a person, the extensions of a site. Ids are those of everybody else (``uid``)."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store.tables import account, owner, site, user_group


async def places_of(connection: AsyncConnection, person: str) -> tuple[str | None, str | None]:
    """The site and the user group of the owner with the id ``person``; None for none, both if there is no such owner."""
    query = (
        select(site.c.uid, user_group.c.uid)
        .select_from(owner)
        .outerjoin(site, site.c.id == owner.c.site_id)
        .outerjoin(user_group, user_group.c.id == owner.c.user_group_id)
        .where(owner.c.uid == person)
    )
    row = (await connection.execute(query)).first()
    return (row[0], row[1]) if row is not None else (None, None)


async def extensions_at(connection: AsyncConnection, slug: str, place: str) -> frozenset[str]:
    """The extensions of an account whose owners are at the site with the id ``place``; of the first, those of no site too."""
    sites = select(site.c.id, site.c.uid).join(account).where(account.c.slug == slug).order_by(site.c.position)
    rows = (await connection.execute(sites)).all()
    here = next((row.id for row in rows if row.uid == place), None)
    if here is None:
        return frozenset()
    where = owner.c.site_id == here
    if here == rows[0].id:
        where |= owner.c.site_id.is_(None)
    query = select(owner.c.extension).join(account).where(account.c.slug == slug, where)
    return frozenset((await connection.execute(query)).scalars())
