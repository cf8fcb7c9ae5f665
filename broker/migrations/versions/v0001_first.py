"""Incidents, their events and the head of the chain; accounts and sign-in.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "incidents",
        Column("id", Text, primary_key=True),
        Column("opened_at", Text, nullable=False),
        Column("ended_at", Text),
        Column("reason", Text),
        Column("host", Text, nullable=False),
        Column("user", Text, nullable=False),
        Column("system", Text, nullable=False),
        Column("technicians", Text, nullable=False),
        Column("chats", Integer, nullable=False),
    )
    op.create_index("incidents_by_time", "incidents", ["opened_at", "id"])
    op.create_table(
        "events",
        Column("seq", Integer, primary_key=True),
        Column("incident", Text, ForeignKey("incidents.id"), nullable=False),
        Column("number", Integer, nullable=False),
        Column("at", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("data", Text, nullable=False),
        Column("previous", Text, nullable=False),
        Column("incident_previous", Text, nullable=False),
        Column("hash", Text, nullable=False),
        Index("events_of_incident", "incident", "number", unique=True),
    )
    op.create_table(
        "chain_head",
        Column("id", Integer, primary_key=True),
        Column("seq", Integer, nullable=False),
        Column("hash", Text, nullable=False),
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_no_{verb.lower()} BEFORE {verb} ON events "
            f"BEGIN SELECT RAISE(ABORT, 'the incident log is append-only'); END"
        )
    op.create_table(
        "accounts",
        Column("id", Text, primary_key=True),
        Column("name", Text, nullable=False, unique=True),
        Column("organisation", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("level", Integer, nullable=False),
        Column("created_at", Text, nullable=False),
    )
    op.create_table(
        "sign_in_links",
        Column("hash", Text, primary_key=True),
        Column("account", Text, ForeignKey("accounts.id"), nullable=False),
        Column("expires_at", Text, nullable=False),
        Column("used", Boolean, nullable=False),
    )
    op.create_table(
        "web_sessions",
        Column("hash", Text, primary_key=True),
        Column("account", Text, ForeignKey("accounts.id"), nullable=False),
        Column("created_at", Text, nullable=False),
        Column("seen_at", Text, nullable=False),
    )
