"""User groups, keys of phones, administrators of sites; tokens, events, history, audit trail, webhooks of the API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("uid", name=op.f("uq_audit_uid")),
    )
    with op.batch_alter_table("audit") as batch:
        batch.create_index(batch.f("ix_audit_account"), ["account"], unique=False)
        batch.create_index(batch.f("ix_audit_at"), ["at"], unique=False)

    op.create_table(
        "event",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("call", sa.String(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_event")),
        sa.UniqueConstraint("uid", name=op.f("uq_event_uid")),
    )
    with op.batch_alter_table("event") as batch:
        batch.create_index("ix_event_account_number", ["account", "number"], unique=False)
        batch.create_index(batch.f("ix_event_at"), ["at"], unique=False)

    op.create_table(
        "event_position",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_position")),
    )
    op.create_table(
        "idempotency",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency")),
        sa.UniqueConstraint("principal", "key", name=op.f("uq_idempotency_principal_key")),
    )
    with op.batch_alter_table("idempotency") as batch:
        batch.create_index(batch.f("ix_idempotency_created_at"), ["created_at"], unique=False)

    op.create_table(
        "park_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("call", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=True),
        sa.Column("lot", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("caller_name", sa.String(), nullable=False),
        sa.Column("caller_number", sa.String(), nullable=False),
        sa.Column("parked_by", sa.String(), nullable=True),
        sa.Column("parked_by_id", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("parked_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("waited_s", sa.Float(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("ended_by_id", sa.String(), nullable=True),
        sa.Column("reparks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_park_history")),
        sa.UniqueConstraint("uid", name=op.f("uq_park_history_uid")),
    )
    with op.batch_alter_table("park_history") as batch:
        batch.create_index("ix_park_history_account_parked_at", ["account", "parked_at", "id"], unique=False)
        batch.create_index(batch.f("ix_park_history_parked_at"), ["parked_at"], unique=False)
        batch.create_index(batch.f("ix_park_history_call"), ["call"], unique=False)

    op.create_table(
        "user_group",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_user_group_account_id_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_group")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_user_group_account_id_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_user_group_uid")),
    )
    with op.batch_alter_table("user_group") as batch:
        batch.create_index(batch.f("ix_user_group_account_id"), ["account_id"], unique=False)

    op.create_table(
        "webhook",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("former_secret", sa.String(), nullable=True),
        sa.Column("former_until", sa.Float(), nullable=True),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("failing_since", sa.Float(), nullable=True),
        sa.Column("switched_off_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_webhook_account_id_account"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
        sa.UniqueConstraint("uid", name=op.f("uq_webhook_uid")),
    )
    with op.batch_alter_table("webhook") as batch:
        batch.create_index(batch.f("ix_webhook_account_id"), ["account_id"], unique=False)

    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("webhook_id", sa.Integer(), nullable=False),
        sa.Column("event_number", sa.BigInteger(), nullable=False),
        sa.Column("call", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name=op.f("ck_webhook_delivery_state")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("fk_webhook_delivery_webhook_id_webhook"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
        sa.UniqueConstraint("uid", name=op.f("uq_webhook_delivery_uid")),
    )
    with op.batch_alter_table("webhook_delivery") as batch:
        batch.create_index("ix_webhook_delivery_state_ended_at", ["state", "ended_at"], unique=False)
        batch.create_index("ix_webhook_delivery_webhook_id_call", ["webhook_id", "call"], unique=False)
        batch.create_index("ix_webhook_delivery_webhook_id_state_next_at", ["webhook_id", "state", "next_at"], unique=False)
        batch.create_index(batch.f("ix_webhook_delivery_webhook_id"), ["webhook_id"], unique=False)

    op.create_table(
        "api_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("login_id", sa.Integer(), nullable=True),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.CheckConstraint("kind IN ('session', 'token')", name=op.f("ck_api_token_kind")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_api_token_account_id_account"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["login_id"], ["login.id"], name=op.f("fk_api_token_login_id_login"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_api_token_site_id_site"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
        sa.UniqueConstraint("uid", name=op.f("uq_api_token_uid")),
    )
    with op.batch_alter_table("api_token") as batch:
        batch.create_index(batch.f("ix_api_token_account_id"), ["account_id"], unique=False)
        batch.create_index(batch.f("ix_api_token_expires_at"), ["expires_at"], unique=False)
        batch.create_index(batch.f("ix_api_token_login_id"), ["login_id"], unique=False)
        batch.create_index(batch.f("ix_api_token_site_id"), ["site_id"], unique=False)

    op.create_table(
        "device_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_device_key_device_id_device"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_key")),
    )
    with op.batch_alter_table("device_key") as batch:
        batch.create_index(batch.f("ix_device_key_device_id"), ["device_id"], unique=False)

    with op.batch_alter_table("login") as batch:
        batch.add_column(sa.Column("site_id", sa.Integer(), nullable=True))
        batch.create_index(batch.f("ix_login_site_id"), ["site_id"], unique=False)
        batch.create_foreign_key(batch.f("fk_login_site_id_site"), "site", ["site_id"], ["id"], ondelete="CASCADE")

    with op.batch_alter_table("owner") as batch:
        batch.add_column(sa.Column("user_group_id", sa.Integer(), nullable=True))
        batch.create_index(batch.f("ix_owner_user_group_id"), ["user_group_id"], unique=False)
        batch.create_foreign_key(
            batch.f("fk_owner_user_group_id_user_group"), "user_group", ["user_group_id"], ["id"], ondelete="SET NULL"
        )

    with op.batch_alter_table("park_setting") as batch:
        batch.add_column(sa.Column("user_group_id", sa.Integer(), nullable=True))
        batch.create_index(batch.f("ix_park_setting_user_group_id"), ["user_group_id"], unique=False)
        batch.create_foreign_key(
            batch.f("fk_park_setting_user_group_id_user_group"), "user_group", ["user_group_id"], ["id"], ondelete="CASCADE"
        )

    op.execute("INSERT INTO event_position (id, number) VALUES (1, 0)")


def downgrade() -> None:
    with op.batch_alter_table("park_setting") as batch:
        batch.drop_constraint(batch.f("fk_park_setting_user_group_id_user_group"), type_="foreignkey")
        batch.drop_index(batch.f("ix_park_setting_user_group_id"))
        batch.drop_column("user_group_id")

    with op.batch_alter_table("owner") as batch:
        batch.drop_constraint(batch.f("fk_owner_user_group_id_user_group"), type_="foreignkey")
        batch.drop_index(batch.f("ix_owner_user_group_id"))
        batch.drop_column("user_group_id")

    with op.batch_alter_table("login") as batch:
        batch.drop_constraint(batch.f("fk_login_site_id_site"), type_="foreignkey")
        batch.drop_index(batch.f("ix_login_site_id"))
        batch.drop_column("site_id")

    with op.batch_alter_table("device_key") as batch:
        batch.drop_index(batch.f("ix_device_key_device_id"))

    op.drop_table("device_key")
    with op.batch_alter_table("api_token") as batch:
        batch.drop_index(batch.f("ix_api_token_site_id"))
        batch.drop_index(batch.f("ix_api_token_login_id"))
        batch.drop_index(batch.f("ix_api_token_expires_at"))
        batch.drop_index(batch.f("ix_api_token_account_id"))

    op.drop_table("api_token")
    with op.batch_alter_table("webhook_delivery") as batch:
        batch.drop_index(batch.f("ix_webhook_delivery_webhook_id"))
        batch.drop_index("ix_webhook_delivery_webhook_id_state_next_at")
        batch.drop_index("ix_webhook_delivery_webhook_id_call")
        batch.drop_index("ix_webhook_delivery_state_ended_at")

    op.drop_table("webhook_delivery")
    with op.batch_alter_table("webhook") as batch:
        batch.drop_index(batch.f("ix_webhook_account_id"))

    op.drop_table("webhook")
    with op.batch_alter_table("user_group") as batch:
        batch.drop_index(batch.f("ix_user_group_account_id"))

    op.drop_table("user_group")
    with op.batch_alter_table("park_history") as batch:
        batch.drop_index(batch.f("ix_park_history_call"))
        batch.drop_index(batch.f("ix_park_history_parked_at"))
        batch.drop_index("ix_park_history_account_parked_at")

    op.drop_table("park_history")
    with op.batch_alter_table("idempotency") as batch:
        batch.drop_index(batch.f("ix_idempotency_created_at"))

    op.drop_table("idempotency")
    op.drop_table("event_position")
    with op.batch_alter_table("event") as batch:
        batch.drop_index(batch.f("ix_event_at"))
        batch.drop_index("ix_event_account_number")

    op.drop_table("event")
    with op.batch_alter_table("audit") as batch:
        batch.drop_index(batch.f("ix_audit_at"))
        batch.drop_index(batch.f("ix_audit_account"))

    op.drop_table("audit")
