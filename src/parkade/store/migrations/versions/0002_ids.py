"""Ids that survive renaming, the order of sites, a lot for every site, and the revision of each account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_WITH_UID = ("account", "device", "extension_group", "lot", "owner", "site")
_NEW_UID = {
    "sqlite": "lower(hex(randomblob(8)))",
    "postgresql": "substr(replace(CAST(gen_random_uuid() AS text), '-', ''), 1, 16)",
}


def upgrade() -> None:
    _positions()
    _lots()
    new_uid = _NEW_UID[op.get_context().dialect.name]
    for table in _WITH_UID:
        op.add_column(table, sa.Column("uid", sa.String(), nullable=True))
        op.execute(f"UPDATE {table} SET uid = {new_uid}")  # noqa: S608
        with op.batch_alter_table(table) as batch:
            batch.alter_column("uid", existing_type=sa.String(), nullable=False)
            batch.create_unique_constraint(op.f(f"uq_{table}_uid"), ["uid"])
    _account_revisions()


def _positions() -> None:
    """The sites of an account are in the order they were made in."""
    op.add_column("site", sa.Column("position", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE site SET position = (SELECT count(*) FROM site AS s WHERE s.account_id = site.account_id AND s.id < site.id)"
    )
    with op.batch_alter_table("site") as batch:
        batch.alter_column("position", existing_type=sa.Integer(), nullable=False)


def _lots() -> None:
    """A lot for every site, also where the file says no codes, and one for an account without sites."""
    with op.batch_alter_table("lot") as batch:
        batch.add_column(sa.Column("account_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("expiration_seconds", sa.Float(), nullable=True))
        batch.alter_column("site_id", existing_type=sa.Integer(), nullable=True)
        batch.alter_column("codes", existing_type=sa.String(), nullable=True)
    op.execute("UPDATE lot SET account_id = (SELECT account_id FROM site WHERE site.id = lot.site_id)")
    op.execute(
        "INSERT INTO lot (account_id, site_id) SELECT account_id, id FROM site WHERE id NOT IN (SELECT site_id FROM lot)"
    )
    op.execute("INSERT INTO lot (account_id) SELECT id FROM account WHERE id NOT IN (SELECT account_id FROM site)")
    with op.batch_alter_table("lot") as batch:
        batch.alter_column("account_id", existing_type=sa.Integer(), nullable=False)
        batch.create_foreign_key(op.f("fk_lot_account_id_account"), "account", ["account_id"], ["id"], ondelete="CASCADE")
    op.create_index(op.f("ix_lot_account_id"), "lot", ["account_id"], unique=False)


def _account_revisions() -> None:
    op.create_table(
        "account_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_revision")),
        sa.UniqueConstraint("slug", name=op.f("uq_account_revision_slug")),
    )
    op.create_index(op.f("ix_account_revision_revision"), "account_revision", ["revision"], unique=False)
    op.execute("INSERT INTO account_revision (slug, revision) SELECT slug, (SELECT max(revision) FROM directory) FROM account")


def downgrade() -> None:
    op.drop_table("account_revision")
    for table in _WITH_UID:
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"uq_{table}_uid"), type_="unique")
            batch.drop_column("uid")
    # Ids and seconds of lots are lost; a lot that said no codes did not exist before.
    op.execute("DELETE FROM lot WHERE codes IS NULL OR site_id IS NULL")
    op.drop_index(op.f("ix_lot_account_id"), "lot")
    with op.batch_alter_table("lot") as batch:
        batch.drop_constraint(op.f("fk_lot_account_id_account"), type_="foreignkey")
        batch.drop_column("account_id")
        batch.drop_column("expiration_seconds")
        batch.alter_column("site_id", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("codes", existing_type=sa.String(), nullable=False)
    with op.batch_alter_table("site") as batch:
        batch.drop_column("position")
