"""Tables of accounts, one-time links and browser sessions.

Tokens are not in the database, only their SHA-256: who reads it cannot sign in.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Integer, Table, Text

from broker.database import metadata

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("organisation", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("used", Boolean, nullable=False),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("created_at", Text, nullable=False),
    Column("seen_at", Text, nullable=False),
)
