"""What a superior platform has not got for certain: the queue written with every fix, and the counts of what was sent."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from telematics.gateway.link import Link
from telematics.model import Fix
from telematics.rows import FIX_COLUMNS, from_row, received_at

VEHICLES = "SELECT terminal_id, during, plate, colour FROM gps_upstream_vehicles()"
"""Vehicles that may be forwarded: terminal, period it was carried, plate, colour (JT/T 415). All others never leave."""

KEEP_SENT = timedelta(days=7)
_COUNT = "SELECT coalesce(sum(positions), 0) FROM gps_upstream_sent WHERE upstream_id = %s AND at >= %s AND at < %s"


@dataclass(frozen=True, slots=True)
class Queued:
    """A fix to forward. ``again`` says that it was sent before and nothing shows that it arrived."""

    id: int
    terminal_id: int
    phone: str
    plate: str
    colour: int
    fix: Fix
    received_at: datetime
    again: bool


class Outbox:
    """Queue of one superior platform. Every method raises StoreUnavailable when the database cannot be asked.

    A fix leaves the queue when an answer of the superior platform proves that it was received, or when its vehicle must
    not be forwarded. ``vehicles`` is the query of those that may.
    """

    def __init__(self, link: Link, *, name: str, vehicles: str = VEHICLES) -> None:
        self._link = link
        self._name = name
        self._vehicles = vehicles
        self._upstream_id = 0
        self._unlogged: list[tuple[datetime, int]] = []

    async def open(self, *, now: datetime) -> None:
        """Make the queue unless it is there: from now on every new fix is kept until it is forwarded."""
        async with self._link.transaction() as connection:
            await connection.execute(
                "INSERT INTO gps_upstream (name, since) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING",
                (self._name, now),
            )
            found = await (
                await connection.execute("SELECT id FROM gps_upstream WHERE name = %s", (self._name,))
            ).fetchone()
        assert found is not None
        self._upstream_id = found[0]

    async def retire(self) -> bool:
        """Forget the superior platform and what waits for it; its gaps are kept. False if there is none."""
        async with self._link.transaction() as connection:
            done = await connection.execute("DELETE FROM gps_upstream WHERE name = %s", (self._name,))
        return done.rowcount > 0

    async def rewind(self, number: int | None = None) -> None:
        """Put back what was sent and not confirmed; with a ``number``, only that sending, which never went out."""
        async with self._link.transaction() as connection:
            await connection.execute(
                "UPDATE gps_upstream_queue SET sent = NULL, again = again OR %s"
                " WHERE upstream_id = %s AND sent IS NOT NULL AND (%s::bigint IS NULL OR sent = %s)",
                (number is None, self._upstream_id, number, number),
            )

    async def take(self, number: int, *, rows: int) -> tuple[list[Queued], int]:
        """The oldest fixes not yet sent, marked as sending ``number``, and how many were removed as not to be forwarded."""
        query = f"""
            SELECT q.id, q.terminal_id, q.again, t.phone, v.plate, v.colour, f.*
            FROM (SELECT * FROM gps_upstream_queue WHERE upstream_id = %s AND sent IS NULL ORDER BY id LIMIT %s) AS q
            CROSS JOIN LATERAL (
                SELECT {FIX_COLUMNS} FROM gps_fix AS g
                WHERE g.terminal_id = q.terminal_id::int AND gps_moment(g.at) = gps_moment(q.at) AND g.digest = q.digest
                    AND g.at = q.at
            ) AS f
            JOIN gps_terminal AS t ON t.id = q.terminal_id
            LEFT JOIN ({self._vehicles}) AS v ON v.terminal_id = q.terminal_id AND v.during @> q.at
            ORDER BY q.id"""  # noqa: S608 -- both parts are our own text
        async with self._counted() as connection:
            found = await (await connection.execute(query, (self._upstream_id, rows))).fetchall()
            queued = [
                Queued(id_, terminal, phone, plate, colour, from_row(tuple(fix)), received_at(fix[0], fix[3]), again)
                for id_, terminal, again, phone, plate, colour, *fix in found
                if plate is not None
            ]
            withheld = [row[0] for row in found if row[4] is None]
            await connection.execute(
                "DELETE FROM gps_upstream_queue WHERE upstream_id = %s AND id = ANY (%s)", (self._upstream_id, withheld)
            )
            await connection.execute(
                "UPDATE gps_upstream_queue SET sent = %s WHERE upstream_id = %s AND id = ANY (%s)",
                (number, self._upstream_id, [row.id for row in queued]),
            )
        return queued, len(withheld)

    def count(self, positions: int, *, at: datetime) -> None:
        """Note that so many positions went out; written with the next transaction."""
        if positions:
            self._unlogged.append((at, positions))

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A transaction that also writes the counts noted since the last one."""
        unlogged, self._unlogged = self._unlogged, []
        try:
            async with self._link.transaction() as connection:
                for at, positions in unlogged:
                    await connection.execute(
                        "INSERT INTO gps_upstream_sent (upstream_id, at, positions) VALUES (%s, %s, %s)",
                        (self._upstream_id, at, positions),
                    )
                yield connection
        except BaseException:
            self._unlogged = unlogged + self._unlogged
            raise

    async def confirm(self, number: int, *, now: datetime) -> int:
        """Remove what was sent up to sending ``number``: it has arrived. Returns how many fixes these were."""
        async with self._counted() as connection:
            done = await connection.execute(
                "DELETE FROM gps_upstream_queue WHERE upstream_id = %s AND sent <= %s", (self._upstream_id, number)
            )
            await connection.execute(
                "DELETE FROM gps_upstream_sent WHERE upstream_id = %s AND at < %s", (self._upstream_id, now - KEEP_SENT)
            )
        return done.rowcount

    async def sent_between(self, start_at: datetime, end_at: datetime, *, tolerance: timedelta) -> tuple[int, int]:
        """The least and the most positions that may count as sent in a period whose edges are sharp to ``tolerance``."""
        counts: list[int] = []
        async with self._counted() as connection:
            for shift in (tolerance, -tolerance):
                period = (self._upstream_id, start_at + shift, end_at - shift)
                found = await (await connection.execute(_COUNT, period)).fetchone()
                assert found is not None
                counts.append(found[0])
        return counts[0], counts[1]

    async def keep_gap(
        self, start_at: datetime, end_at: datetime, *, received: int, sent: Sequence[int], now: datetime
    ) -> None:
        """Keep a count of the superior platform that does not agree with ours (``sent``: least, most)."""
        async with self._link.transaction() as connection:
            await connection.execute(
                "INSERT INTO gps_upstream_gap (upstream, noticed_at, start_at, end_at, received, sent_least, sent_most)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (self._name, now, start_at, end_at, received, *sent),
            )
