"""Which of several gateways has the newest link of a terminal: written into ``gps_link`` at login, told to the others.

A terminal whose link is dead logs in anew, perhaps on another gateway, while the first one still believes in the old link. The
newest login wins everywhere. A gateway that missed the word learns it when it looks itself, every half minute.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from telematics.gateway.directory import Together
from telematics.gateway.link import Link, StoreUnavailable

log = logging.getLogger("telematics.gateway")

CHANNEL = "gps_link"
AGAIN_S = 1.0
TOLD_AT_ONCE = 250  # of at most 31 bytes each: a notice holds 8,000

HOLD = """
    WITH asked AS (
        SELECT t.id, a.since FROM unnest(%(ids)s::bigint[], %(since)s::timestamptz[]) AS a (id, since)
        JOIN gps_terminal t USING (id) ORDER BY t.id
    ), before AS (
        SELECT l.terminal_id, l.gateway FROM gps_link l JOIN asked ON asked.id = l.terminal_id
    ), held AS (
        INSERT INTO gps_link AS l (terminal_id, gateway, number, since)
        SELECT id, %(gateway)s, 1, since FROM asked ORDER BY id
        ON CONFLICT (terminal_id) DO UPDATE SET
            gateway = excluded.gateway, number = l.number + 1, since = excluded.since
        WHERE NOT %(late)s OR excluded.since >= l.since
        RETURNING terminal_id, number
    )
    SELECT h.terminal_id, h.number, b.gateway IS DISTINCT FROM %(gateway)s
    FROM held h LEFT JOIN before b USING (terminal_id) ORDER BY h.terminal_id"""


BEAT = """
    INSERT INTO gps_gateway (place, gateway, since, seen_at) VALUES (%(place)s, %(gateway)s, %(now)s, %(now)s)
    ON CONFLICT (place) DO UPDATE SET
        gateway = excluded.gateway, seen_at = excluded.seen_at, ended_at = NULL,
        since = CASE WHEN gps_gateway.gateway = excluded.gateway THEN gps_gateway.since ELSE excluded.since END"""


class Held(Protocol):
    """A session as far as its place among the links of its terminal goes."""

    number: int | None
    """Of its login, None while the database has not been told of it."""

    since: datetime | None

    def replaced(self) -> None:
        """End because the terminal has connected anew."""


class Holding:
    """The part of one run of a gateway, named ``gateway``, in ``gps_link``."""

    def __init__(self, link: Link, *, gateway: str) -> None:
        self.gateway = gateway
        self._link = link
        self._logging_in = Together(self._log_in)

    async def log_in(self, terminal_id: int, *, now: datetime) -> int:
        """Number of a login; those of one moment are noted together. Raises StoreUnavailable."""
        number = await self._logging_in.answer((terminal_id, now))
        assert number is not None
        return number

    async def hold(self, logins: Mapping[int, datetime], *, late: bool = False) -> dict[int, int]:
        """Note logins, all at once; returns the number of each. Raises StoreUnavailable.

        Logins noted ``late`` give way to those that began after them: theirs are missing from the answer.
        """
        ids = sorted(logins)
        async with self._link.transaction() as connection:
            cursor = await connection.execute(
                HOLD, {"ids": ids, "since": [logins[one] for one in ids], "gateway": self.gateway, "late": late}
            )
            rows = await cursor.fetchall()
            taken_over = [f"{terminal_id}:{number}" for terminal_id, number, was_elsewhere in rows if was_elsewhere]
            for start in range(0, len(taken_over), TOLD_AT_ONCE):
                await connection.execute(
                    "SELECT pg_notify(%s, %s)", (CHANNEL, " ".join(taken_over[start : start + TOLD_AT_ONCE]))
                )
        return {terminal_id: number for terminal_id, number, _ in rows}

    async def beat(self, place: str, *, now: datetime) -> None:
        """Say that this gateway lives at ``place``. Raises StoreUnavailable."""
        async with self._link.transaction() as connection:
            await connection.execute(BEAT, {"place": place, "gateway": self.gateway, "now": now})

    async def end(self, place: str, *, now: datetime) -> None:
        """Say that this gateway was stopped in order. Raises StoreUnavailable."""
        async with self._link.transaction() as connection:
            await connection.execute(
                "UPDATE gps_gateway SET seen_at = %(now)s, ended_at = %(now)s WHERE place = %(place)s AND gateway = %(gateway)s",
                {"place": place, "gateway": self.gateway, "now": now},
            )

    async def _log_in(self, keys: Sequence[tuple[int, datetime]]) -> dict[tuple[int, datetime], int]:
        numbers = await self.hold(dict(keys))
        return {key: numbers[key[0]] for key in keys if key[0] in numbers}

    async def review(self, sessions: Mapping[int, Held]) -> None:
        """End sessions whose terminal has a newer link elsewhere; note the logins the database missed.

        Raises StoreUnavailable.
        """
        missed = {one: session.since for one, session in sessions.items() if session.number is None and session.since}
        if missed:
            noted = await self.hold(missed, late=True)
            for terminal_id in missed:
                session = sessions.get(terminal_id)
                if session is None or session.number is not None:
                    continue
                session.number = noted.get(terminal_id)
                if session.number is None:
                    session.replaced()
        known = {one: session.number for one, session in sessions.items() if session.number is not None}
        async with self._link.transaction() as connection:
            cursor = await connection.execute(
                "SELECT terminal_id, number FROM gps_link WHERE terminal_id = ANY (%s) AND gateway <> %s",
                (sorted(known), self.gateway),
            )
            elsewhere = await cursor.fetchall()
        for terminal_id, number in elsewhere:
            _give_way(sessions, terminal_id, number)


class Listener:
    """Hears of terminals that other gateways have taken over."""

    def __init__(self, link: Link, sessions: Mapping[int, Held]) -> None:
        self._link = link
        self._sessions = sessions

    async def run(self) -> None:
        """Listen for ever; what is missed while the database is away is found by ``Holding.review``."""
        while True:
            try:
                async for payload in self._link.notices(CHANNEL):
                    self.hear(payload)
            except StoreUnavailable as error:
                log.debug("other gateways are not heard: %s", error)
            await asyncio.sleep(AGAIN_S)

    def hear(self, payload: str) -> None:
        """End the sessions of terminals named with a number higher than theirs."""
        for word in payload.split():
            terminal_id, _, number = word.partition(":")
            _give_way(self._sessions, int(terminal_id), int(number))


def _give_way(sessions: Mapping[int, Held], terminal_id: int, number: int) -> None:
    session = sessions.get(terminal_id)
    if session is not None and session.number is not None and session.number < number:
        session.replaced()
