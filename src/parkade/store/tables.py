"""The tables, as SQLAlchemy Core sees them. The migrations make them; a test holds the two together.

A NULL means "not said": the file a directory came from is given back as it was, and defaults are filled in when the
directory is loaded for use. Lists keep the order of their ``position``, or of their ``id`` where there is none.

``id`` links rows and never leaves this room. ``uid`` is the id that everybody else sees: 16 hex digits unless a
directory file said another; it survives renaming, moving and re-ordering, and is unique among all rows of its table.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _uid() -> Column[str]:
    return Column("uid", String, nullable=False, unique=True)


def _of(table: str, *, nullable: bool = False) -> Column[int]:
    target = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(f"{table}_id", Integer, target, nullable=nullable, index=True)


directory = Table(
    "directory",
    metadata,
    _id(),
    Column("revision", Integer, nullable=False),
)
"""One row. ``revision`` grows with every change, so that a running server notices one cheaply."""

account_revision = Table(
    "account_revision",
    metadata,
    _id(),
    Column("slug", String, nullable=False, unique=True),
    Column("revision", Integer, nullable=False, index=True),
)
"""The revision of the directory at which each account last changed. The row of an account that is gone stays."""

account = Table(
    "account",
    metadata,
    _id(),
    _uid(),
    Column("slug", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("language", String),
    Column("multi_site", Boolean),
)

site = Table(
    "site",
    metadata,
    _id(),
    _uid(),
    _of("account"),
    Column("name", String, nullable=False),
    Column("position", Integer, nullable=False),
    UniqueConstraint("account_id", "name"),
)
"""``position`` counts from 0 within the account; the first site is the main one."""

lot = Table(
    "lot",
    metadata,
    _id(),
    _uid(),
    _of("account"),
    _of("site", nullable=True),
    Column("codes", String),
    Column("expiration_seconds", Float),
    UniqueConstraint("site_id"),
)
"""Where calls are parked: one lot for each site, with its range of codes (``801-899``). An account without sites has one
lot without a site. With multi-site off the lot of the first site is the account's."""

owner = Table(
    "owner",
    metadata,
    _id(),
    _uid(),
    _of("account"),
    Column("kind", String, nullable=False),
    Column("extension", String, nullable=False),
    Column("name", String, nullable=False),
    Column("language", String),
    Column("licensed", Boolean),
    Column("voicemail", Boolean),
    Column("site_id", Integer, ForeignKey("site.id", ondelete="SET NULL"), index=True),
    UniqueConstraint("account_id", "extension"),
    CheckConstraint("kind IN ('user', 'common_area')", name="kind"),
)
"""Who an extension belongs to: a user or a common area."""

login = Table(
    "login",
    metadata,
    _id(),
    _of("account", nullable=True),
    _of("owner", nullable=True),
    Column("name", String, nullable=False, unique=True),
    Column("password_hash", String),
)
"""Who may log in: a user (``owner_id``), an account's administrator (no owner), the installation's (no account either)."""

device = Table(
    "device",
    metadata,
    _id(),
    _uid(),
    _of("account"),
    _of("owner", nullable=True),
    Column("username", String, nullable=False, unique=True),
    Column("ha1_md5", String),
    Column("ha1_sha256", String),
    Column("address", String),
    Column("destination", String),
    Column("model", String),
    Column("mac", String),
)
"""A phone or gateway (no owner). The password is not here: only what digest authentication needs."""

extension_group = Table(
    "extension_group",
    metadata,
    _id(),
    _uid(),
    _of("account"),
    Column("kind", String, nullable=False),
    Column("extension", String, nullable=False),
    Column("name", String, nullable=False),
    Column("strategy", String),
    UniqueConstraint("account_id", "extension"),
    CheckConstraint("kind IN ('ring', 'paging')", name="kind"),
)

group_member = Table(
    "group_member",
    metadata,
    _id(),
    _of("extension_group"),
    _of("owner"),
    Column("position", Integer, nullable=False),
    UniqueConstraint("extension_group_id", "owner_id"),
)

trunk = Table(
    "trunk",
    metadata,
    _id(),
    _of("account"),
    Column("name", String, nullable=False),
    Column("address", String, nullable=False),
    UniqueConstraint("account_id", "name"),
)

inbound_number = Table(
    "inbound_number",
    metadata,
    _id(),
    _of("trunk"),
    Column("number", String, nullable=False),
    Column("destination", String, nullable=False),
    UniqueConstraint("trunk_id", "number"),
)

feature_codes = Table(
    "feature_codes",
    metadata,
    _id(),
    _of("account"),
    Column("park", String),
    Column("park_dtmf", String),
    Column("pickup_prefix", String),
    UniqueConstraint("account_id"),
)

park_setting = Table(
    "park_setting",
    metadata,
    _id(),
    _of("account"),
    _of("site", nullable=True),
    _of("owner", nullable=True),
    Column("key", String, nullable=False),
    Column("value", JSON, nullable=False),
)
"""One Call Park setting at one level: the account's, a site's or an owner's. A key without a row is inherited."""
