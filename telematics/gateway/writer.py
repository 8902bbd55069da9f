"""Group commit: positions of all sessions in one transaction, and the word back only when it is on disk."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from psycopg import DataError, IntegrityError

from telematics import store
from telematics.gateway.link import Link, StoreUnavailable, first_line
from telematics.rows import COLUMNS, Quarantined, Row

log = logging.getLogger("telematics.gateway")

RAW_AT = list(COLUMNS).index("raw")
RETRY_S = (0.1, 0.2, 0.5, 1.0)
BAD_VALUES = (DataError, IntegrityError, TypeError, ValueError, OverflowError)
"""What writing raises when the values are at fault: trying again would not help."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What one message brought; it is stored as a whole or not at all."""

    rows: Sequence[Row]
    quarantined: Sequence[Quarantined] = ()

    @property
    def size(self) -> int:
        """Rows of both kinds."""
        return len(self.rows) + len(self.quarantined)


@dataclass(slots=True)
class Tally:
    """What ``/healthz`` shows. ``failing`` is the reason of the last failed write, empty when writes succeed."""

    received: int = 0
    committed: int = 0
    added: int = 0
    quarantined: int = 0
    commits: int = 0
    last_commit_at: datetime | None = None
    failing: str = ""


@dataclass(slots=True, eq=False)
class _Job:
    incoming: Incoming
    stored: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class GroupWriter:
    """Queue in front of one connection; while one commit runs, the next group gathers.

    At most ``queue_rows`` rows wait: beyond that ``submit`` blocks, its session stops reading and TCP slows the
    terminals down. Nothing is ever dropped: a group that could not be written is tried again until it is.
    """

    def __init__(
        self, link: Link, *, clock: Callable[[], datetime], group_rows: int = 2_000, queue_rows: int = 20_000
    ) -> None:
        self.tally = Tally()
        self._link = link
        self._clock = clock
        self._group_rows = group_rows
        self._queue_rows = queue_rows
        self._jobs: deque[_Job] = deque()
        self._waiting_rows = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def depth(self) -> int:
        """Rows accepted and not yet committed."""
        return self._waiting_rows

    async def submit(self, incoming: Incoming) -> asyncio.Future[None]:
        """Queue a message, waiting for room; the future is done when it is durable.

        The future fails only for values that can neither be stored nor quarantined.
        """
        while not self._room.is_set():
            await self._room.wait()
        job = _Job(incoming)
        if not incoming.size:
            job.stored.set_result(None)
            return job.stored
        self._jobs.append(job)
        self._count(incoming.size)
        self.tally.received += len(incoming.rows)
        self._arrived.set()
        return job.stored

    async def run(self) -> None:
        """Write groups for ever."""
        while True:
            await self._arrived.wait()
            await self._write(self._take())

    async def flushed(self) -> None:
        """Wait until everything accepted is durable."""
        await self._idle.wait()

    def _take(self) -> list[_Job]:
        group: list[_Job] = []
        rows = 0
        while self._jobs and (not group or rows + self._jobs[0].incoming.size <= self._group_rows):
            group.append(self._jobs.popleft())
            rows += group[-1].incoming.size
        if not self._jobs:
            self._arrived.clear()
        return group

    async def _write(self, group: list[_Job]) -> None:
        attempt = 0
        while True:
            try:
                await self._commit(group)
            except StoreUnavailable as error:
                if not self.tally.failing:
                    log.warning("positions cannot be stored and are not acknowledged; retrying: %s", error)
                self.tally.failing = str(error)
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
            except BAD_VALUES as error:
                if len(group) > 1:  # one message is at fault: the others must not suffer
                    for job in group:
                        await self._write([job])
                else:
                    await self._condemn(group[0], error)
                return
            else:
                return

    async def _commit(self, group: list[_Job]) -> None:
        rows = [row for job in group for row in job.incoming.rows]
        quarantined = [entry for job in group for entry in job.incoming.quarantined]
        async with self._link.transaction() as connection:
            added = await store.write_rows(connection, rows, quarantined)
        tally = self.tally
        if tally.failing:
            log.warning("positions are stored again")
        tally.failing = ""
        tally.committed += len(rows)
        tally.added += added
        tally.quarantined += len(quarantined)
        tally.commits += 1
        tally.last_commit_at = self._clock()
        for job in group:
            self._finish(job)

    async def _condemn(self, job: _Job, error: Exception) -> None:
        """Put the bytes of a message the tables refuse into quarantine, so that its sender can be released."""
        reason = f"refused by the database: {first_line(error)}"
        entries = [Quarantined(self._clock(), "", str(row[0]), reason, row[RAW_AT] or b"") for row in job.incoming.rows]
        if not entries:
            log.error("a message can neither be stored nor quarantined: %s", first_line(error))
            self._finish(job, error)
            return
        substitute = _Job(Incoming((), (*job.incoming.quarantined, *entries)), job.stored)
        self._count(substitute.incoming.size - job.incoming.size)
        await self._write([substitute])

    def _finish(self, job: _Job, error: Exception | None = None) -> None:
        self._count(-job.incoming.size)
        if job.stored.done():  # its sender does not wait any more
            return
        if error is None:
            job.stored.set_result(None)
        else:
            job.stored.set_exception(error)

    def _count(self, rows: int) -> None:
        self._waiting_rows += rows
        (self._room.set if self._waiting_rows < self._queue_rows else self._room.clear)()
        (self._idle.clear if self._waiting_rows else self._idle.set)()
