"""Events of terminals and commands to them, on a psycopg 3 connection; nothing here commits.

An event that comes twice is stored once. A command is written by ``add_command`` and carried by the gateway: ``claim``
takes it, ``finish`` says what became of it; each state is written once and kept.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Literal

from psycopg import AsyncConnection, Connection
from psycopg.types.json import Jsonb

Kind = Literal["driver_card", "parameters", "pass_through", "compressed"]

SAME_EVENT_WITHIN = timedelta(hours=1)
COMMAND_VALID = timedelta(minutes=10)
ADD_EVENT = """
    INSERT INTO terminal_event (terminal_id, at, received_at, kind, digest, body, raw)
    SELECT %(terminal_id)s, %(at)s, %(received_at)s, %(kind)s, %(digest)s, %(body)s, %(raw)s
    WHERE NOT EXISTS (
        SELECT FROM terminal_event WHERE terminal_id = %(terminal_id)s AND kind = %(kind)s AND digest = %(digest)s
        AND at BETWEEN %(from)s AND %(to)s)"""
SET_PROPERTIES = """
    UPDATE gps_terminal SET properties = %(values)s, properties_at = %(at)s
    WHERE id = %(terminal_id)s AND (properties_at IS NULL OR properties_at <= %(at)s OR properties_at > %(now_ahead)s)"""


@dataclass(frozen=True, slots=True)
class Event:
    """Something a terminal reported ``at``; ``content`` is what makes it the same event when it comes again."""

    terminal_id: int
    at: datetime
    received_at: datetime
    kind: Kind
    body: Mapping[str, Any]
    content: bytes
    raw: bytes

    def row(self) -> dict[str, Any]:
        """Values of ``ADD_EVENT``."""
        digest = blake2b(self.content, digest_size=8).digest()
        return {
            "terminal_id": self.terminal_id,
            "at": self.at,
            "received_at": self.received_at,
            "kind": self.kind,
            "digest": int.from_bytes(digest, signed=True),
            "body": Jsonb(self.body),
            "raw": self.raw,
            "from": self.at - SAME_EVENT_WITHIN,
            "to": self.at + SAME_EVENT_WITHIN,
        }


@dataclass(frozen=True, slots=True)
class Properties:
    """What a terminal says it is; replaces what it said before."""

    terminal_id: int
    at: datetime
    values: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """Values of ``SET_PROPERTIES``; a time stored by a clock that ran ahead does not bar later ones."""
        return {
            "terminal_id": self.terminal_id,
            "at": self.at,
            "values": Jsonb(self.values),
            "now_ahead": self.at + timedelta(days=1),
        }


@dataclass(frozen=True, slots=True)
class Claimed:
    """A command the gateway has taken and must send now."""

    id: int
    terminal_id: int
    kind: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command, for whoever waits for it."""

    sent_at: datetime | None
    answered_at: datetime | None
    result: str | None
    answer: Any


async def write_events(
    conn: AsyncConnection[Any], events: Sequence[Event], properties: Sequence[Properties] = ()
) -> None:
    """Store what is new of the events, and the newest properties."""
    async with conn.cursor() as cursor:
        if events:
            await cursor.executemany(ADD_EVENT, [event.row() for event in events])
        if properties:
            await cursor.executemany(SET_PROPERTIES, [one.row() for one in properties])


def add_command(
    conn: Connection[Any],
    terminal_id: int,
    kind: str,
    parameters: Mapping[str, Any],
    *,
    now: datetime,
    valid: timedelta = COMMAND_VALID,
    asked_by: int | None = None,
    reason: str = "",
) -> int:
    """Ask a terminal for something; returns the command's id. It is not sent later than ``valid`` from ``now``."""
    found = conn.execute(
        "INSERT INTO terminal_command (terminal_id, kind, parameters, asked_by, reason, created_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (terminal_id, kind, Jsonb(json.loads(json.dumps(parameters))), asked_by, reason, now, now + valid),
    ).fetchone()
    assert found is not None
    command_id: int = found[0]
    return command_id


def outcome(conn: Connection[Any], command_id: int) -> Outcome | None:
    """State of a command, None if there is no such command."""
    found = conn.execute(
        "SELECT sent_at, answered_at, result, answer FROM terminal_command WHERE id = %s", (command_id,)
    ).fetchone()
    return Outcome(*found) if found else None


async def claim(
    conn: AsyncConnection[Any], terminal_ids: Collection[int], *, gateway: str, now: datetime
) -> list[Claimed]:
    """Take the commands still to be sent for those of the terminals whose newest link this gateway has; mark them sent.

    Oldest first. Of several gateways only one finds itself in ``gps_link``, and only one gets the lock.
    """
    cursor = await conn.execute(
        "UPDATE terminal_command SET sent_at = %s WHERE id IN"
        " (SELECT id FROM terminal_command WHERE result IS NULL AND sent_at IS NULL AND expires_at > %s"
        " AND terminal_id = ANY (%s) AND EXISTS"
        " (SELECT FROM gps_link WHERE gps_link.terminal_id = terminal_command.terminal_id AND gateway = %s)"
        " ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED)"
        " RETURNING id, terminal_id, kind, parameters",
        (now, now, sorted(terminal_ids), gateway),
    )
    return sorted((Claimed(*row) for row in await cursor.fetchall()), key=lambda command: command.id)


async def finish(
    conn: AsyncConnection[Any], command_id: int, result: str, *, answered_at: datetime | None, answer: Any = None
) -> None:
    """Say what became of a command, unless that was said already."""
    await conn.execute(
        "UPDATE terminal_command SET result = %s, answered_at = %s, answer = %s WHERE id = %s AND result IS NULL",
        (result, answered_at, None if answer is None else Jsonb(answer), command_id),
    )


async def close_overdue(conn: AsyncConnection[Any], *, now: datetime, sent_before: datetime) -> None:
    """End commands whose terminal never came, and those an earlier run of the gateway sent and nobody waits for."""
    await conn.execute(
        "UPDATE terminal_command SET result = 'not connected' WHERE result IS NULL AND sent_at IS NULL AND expires_at <= %s",
        (now,),
    )
    await conn.execute(
        "UPDATE terminal_command SET result = 'no answer' WHERE result IS NULL AND sent_at < %s", (sent_before,)
    )
