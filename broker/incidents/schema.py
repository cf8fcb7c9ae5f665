"""Tables of the incident log.

`events` is the truth and append-only; `incidents` is what lists need of it and
is checked against it by `verify`; `chain_head` holds the last event's hash, so
that a removed tail is found.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from broker.database import metadata

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("opened_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("reason", Text),
    Column("host", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("technicians", Text, nullable=False),  # JSON array of names, in order of joining
    Column("chats", Integer, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("incident", Text, ForeignKey("incidents.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("data", Text, nullable=False),  # canonical JSON object
    Column("previous", Text, nullable=False),
    Column("incident_previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

chain_head = Table(
    "chain_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", Text, nullable=False),
)
