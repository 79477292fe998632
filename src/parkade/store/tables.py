"""The tables, as SQLAlchemy Core sees them. The migrations make them; a test holds the two together.

A NULL means "not said": the file a directory came from is given back as it was, and defaults are filled in when the
directory is loaded for use. Lists keep the order of their ``position``, or of their ``id`` where there is none.

``id`` links rows and never leaves this room. ``uid`` is the id that everybody else sees: 16 hex digits unless a
directory file said another; it survives renaming, moving and re-ordering, and is unique among all rows of its table.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
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

user_group = Table(
    "user_group",
    metadata,
    _id(),
    _uid(),
    _of("account"),
    Column("name", String, nullable=False),
    Column("position", Integer, nullable=False),
    UniqueConstraint("account_id", "name"),
)
"""People with settings in common. Somebody is in one group or in none."""

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
    Column("user_group_id", Integer, ForeignKey("user_group.id", ondelete="SET NULL"), index=True),
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
    Column("site_id", Integer, ForeignKey("site.id", ondelete="CASCADE"), index=True),
    Column("name", String, nullable=False, unique=True),
    Column("password_hash", String),
)
"""Who may log in: a user (``owner_id``), an administrator of a site (``site_id``), of an account (neither), or of the
installation (no account either)."""

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

device_key = Table(
    "device_key",
    metadata,
    _id(),
    _of("device"),
    Column("position", Integer, nullable=False),
    Column("type", String, nullable=False),
    Column("value", String, nullable=False),
    Column("label", String),
)
"""A programmable key of a phone. ``type`` is ``park`` (``value`` is a code like ``*801``), ``extension`` or ``speed_dial``."""

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
    _of("user_group", nullable=True),
    _of("owner", nullable=True),
    Column("key", String, nullable=False),
    Column("value", JSON, nullable=False),
)
"""One Call Park setting at one level: the account's, a site's, a user group's or an owner's. Without a row it is inherited."""

api_token = Table(
    "api_token",
    metadata,
    _id(),
    _uid(),
    _of("account", nullable=True),
    _of("login", nullable=True),
    _of("site", nullable=True),
    Column("kind", String, nullable=False),
    Column("role", String, nullable=False),
    Column("name", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("token_hash", String, nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, index=True),
    CheckConstraint("kind IN ('session', 'token')", name="kind"),
)
"""What a program or a browser shows to be let in, as its SHA-256. A session is made by a log-in, a token by an administrator.

``role`` is that of ``api/principal.py``. A token without a login belongs to no person (a wall board); ``site_id`` is where it
hangs. Times are seconds since the epoch, here and in every table below.
"""

event = Table(
    "event",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", String, nullable=False, unique=True),
    Column("account", String, nullable=False),
    Column("at", Float, nullable=False, index=True),
    Column("type", String, nullable=False),
    Column("call", String),
    Column("data", JSON, nullable=False),
    Index("ix_event_account_number", "account", "number"),
)
"""What happened, as the contract writes it. ``number`` is that of the event log: gaps do not occur, order is that of events.

``account`` is a slug: history outlives an account. Rows are removed when they are older than the retention.
"""

event_position = Table(
    "event_position",
    metadata,
    _id(),
    Column("number", BigInteger, nullable=False),
)
"""One row: the number of the last event that was taken from the event log into ``event``, history and deliveries."""

park_history = Table(
    "park_history",
    metadata,
    _id(),
    _uid(),
    Column("account", String, nullable=False),
    Column("call", String, nullable=False, index=True),
    Column("site", String),
    Column("lot", String, nullable=False),
    Column("code", String, nullable=False),
    Column("caller_name", String, nullable=False),
    Column("caller_number", String, nullable=False),
    Column("parked_by", String),
    Column("parked_by_id", String),
    Column("note", String, nullable=False),
    Column("parked_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("waited_s", Float),
    Column("outcome", String),
    Column("ended_by", String),
    Column("ended_by_id", String),
    Column("reparks", Integer, nullable=False),
    Index("ix_park_history_account_parked_at", "account", "parked_at", "id"),
    Index("ix_park_history_parked_at", "parked_at"),
)
"""One park from start to end. ``outcome`` is NULL while the call is parked, then one of ``history.OUTCOMES``.

``parked_by`` is the extension that parked the call, ``ended_by`` the number that has it at the end; the ids beside them are
those of the people who had these extensions then. ``site`` is the id of a site, ``lot`` a name.
"""

audit = Table(
    "audit",
    metadata,
    _id(),
    _uid(),
    Column("account", String, index=True),
    Column("at", Float, nullable=False, index=True),
    Column("by", String, nullable=False),
    Column("role", String, nullable=False),
    Column("address", String),
    Column("action", String, nullable=False),
    Column("object", String, nullable=False),
    Column("before", JSON),
    Column("after", JSON),
)
"""Who changed what: ``object`` is a path like ``sites/8f…/settings/call-park``, ``before`` and ``after`` what differs."""

webhook = Table(
    "webhook",
    metadata,
    _id(),
    _uid(),
    _of("account"),
    Column("url", String, nullable=False),
    Column("secret", String, nullable=False),
    Column("former_secret", String),
    Column("former_until", Float),
    Column("events", JSON, nullable=False),
    Column("form", String, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("failing_since", Float),
    Column("switched_off_at", Float),
)
"""Where events are sent. ``events`` are types, or ``*`` for all; ``form`` is ``parkade`` or ``callee_parked`` (that of scripts
written for another service). Until ``former_until`` the secret before the present one signs too. ``failing_since`` is when the
first attempt failed after the last that did not; ``switched_off_at`` when it had failed for too long."""

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    _id(),
    _uid(),
    _of("webhook"),
    Column("event_number", BigInteger, nullable=False),
    Column("call", String),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float),
    Column("last_status", Integer),
    Column("last_error", String),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state"),
    Index("ix_webhook_delivery_webhook_id_state_next_at", "webhook_id", "state", "next_at"),
    Index("ix_webhook_delivery_webhook_id_call", "webhook_id", "call"),
    Index("ix_webhook_delivery_state_ended_at", "state", "ended_at"),
)
"""One event on its way to one webhook. The body is made of ``event``, so it is the same at every attempt.

A delivery that waits has a ``next_at``, or NULL while an earlier one of the same call to the same webhook waits."""

idempotency = Table(
    "idempotency",
    metadata,
    _id(),
    Column("key", String, nullable=False),
    Column("principal", String, nullable=False),
    Column("request_hash", String, nullable=False),
    Column("status", Integer),
    Column("body", JSON),
    Column("created_at", Float, nullable=False, index=True),
    UniqueConstraint("principal", "key"),
)
"""What a request with an ``Idempotency-Key`` was answered; no status while it is under way."""
