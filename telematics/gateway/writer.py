"""Group commit: positions of all sessions in one transaction, and the word back only when it is on disk."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from psycopg import DataError, IntegrityError

from telematics.blocks import Block, Ints
from telematics.gateway.link import StoreUnavailable, first_line
from telematics.rows import COLUMNS, Quarantined, Row
from telematics.terminal_store import Event, Properties

log = logging.getLogger("telematics.gateway")

RAW_AT = list(COLUMNS).index("raw")
RETRY_S = (0.1, 0.2, 0.5, 1.0)
PACE_S = 0.05
MANY_JOBS = 8
"""After a group of more jobs than this the next one begins ``PACE_S`` later at the earliest: a commit costs as much for a
hundred rows as for one, and a lone sender need not wait."""
BAD_VALUES = (DataError, IntegrityError, TypeError, ValueError, OverflowError)
"""What writing raises when the values are at fault: trying again would not help."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What one message brought; it is stored as a whole or not at all.

    A ``block`` is what several messages brought, the first ``sizes[0]`` rows the first of them.
    """

    rows: Sequence[Row]
    quarantined: Sequence[Quarantined] = ()
    events: Sequence[Event] = ()
    properties: Sequence[Properties] = ()
    block: Block | None = None
    sizes: Ints | None = None

    @property
    def size(self) -> int:
        """Rows of all kinds."""
        return self.positions + len(self.quarantined) + len(self.events) + len(self.properties)

    @property
    def positions(self) -> int:
        """Rows of positions."""
        return len(self.rows) + (0 if self.block is None else len(self.block))

    def apart(self) -> list["Incoming"]:
        """The same, message by message."""
        if self.block is None or self.sizes is None:
            return [self]
        rows = self.block.to_rows()
        ends = np.cumsum(self.sizes).tolist()
        return [Incoming(rows[end - size : end]) for end, size in zip(ends, self.sizes.tolist(), strict=True)]


class Sink(Protocol):
    """What makes messages durable."""

    async def store(self, messages: Sequence[Incoming]) -> int:
        """Store all of them and return how many rows were new, as far as the sink can tell.

        Raises
        ------
        StoreUnavailable
            Not all are durable for certain: the same messages are given again later, which must be harmless.
        telematics.gateway.writer.BAD_VALUES
            Values of one of them are at fault.
        """


@dataclass(slots=True)
class Tally:
    """What ``/healthz`` shows. ``failing`` is the reason of the last failed write, empty when writes succeed.

    ``added`` stays 0 where a stream takes the positions: only its writer learns which were new.
    """

    received: int = 0
    committed: int = 0
    added: int = 0
    quarantined: int = 0
    commits: int = 0
    last_commit_at: datetime | None = None
    failing: str = ""


@dataclass(slots=True, eq=False)
class _Job:
    """Messages that share one future; ``size`` is their rows of both kinds."""

    messages: Sequence[Incoming]
    size: int
    stored: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class GroupWriter:
    """Queue in front of one sink; while one commit runs, the next group gathers.

    At most ``queue_rows`` rows wait: beyond that ``submit`` blocks, its session stops reading and TCP slows the
    terminals down. Nothing is ever dropped: a group that could not be written is tried again until it is.
    """

    def __init__(
        self, sink: Sink, *, clock: Callable[[], datetime], group_rows: int = 10_000, queue_rows: int = 20_000
    ) -> None:
        self.tally = Tally()
        self._sink = sink
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

    async def submit(self, *messages: Incoming) -> asyncio.Future[None]:
        """Queue messages, waiting for room; the future is done when all of them are durable.

        The future fails only for values that can neither be stored nor quarantined.
        """
        while not self._room.is_set():
            await self._room.wait()
        job = _Job(messages, sum(message.size for message in messages))
        if not job.size:
            job.stored.set_result(None)
            return job.stored
        self._jobs.append(job)
        self._count(job.size)
        self.tally.received += sum(message.positions for message in messages)
        self._arrived.set()
        return job.stored

    async def run(self) -> None:
        """Write groups for ever."""
        loop = asyncio.get_running_loop()
        next_s = 0.0
        while True:
            await self._arrived.wait()
            wait_s = next_s - loop.time()
            if wait_s > 0 and self._waiting_rows < self._group_rows:
                await asyncio.sleep(wait_s)
            group = self._take()
            next_s = loop.time() + PACE_S if len(group) > MANY_JOBS else 0.0
            await self._write(group)

    async def flushed(self) -> None:
        """Wait until everything accepted is durable."""
        await self._idle.wait()

    def _take(self) -> list[_Job]:
        group: list[_Job] = []
        rows = 0
        while self._jobs and (not group or rows + self._jobs[0].size <= self._group_rows):
            group.append(self._jobs.popleft())
            rows += group[-1].size
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
                # One message is at fault: the others must not suffer.
                if len(group) > 1:
                    for job in group:
                        await self._write([job])
                elif len(group[0].messages) > 1 or group[0].messages[0].block is not None:
                    await self._write_apart(group[0])
                else:
                    await self._condemn(group[0], error)
                return
            else:
                return

    async def _commit(self, group: list[_Job]) -> None:
        messages = [message for job in group for message in job.messages]
        added = await self._sink.store(messages)
        tally = self.tally
        if tally.failing:
            log.warning("positions are stored again")
        tally.failing = ""
        tally.committed += sum(message.positions for message in messages)
        tally.added += added
        tally.quarantined += sum(len(message.quarantined) for message in messages)
        tally.commits += 1
        tally.last_commit_at = self._clock()
        for job in group:
            self._finish(job)

    async def _write_apart(self, job: _Job) -> None:
        """Write the messages of a job one by one; its future has the first failure of them."""
        apart = [one for message in job.messages for one in message.apart()]
        parts = [_Job((message,), message.size) for message in apart if message.size]
        for part in parts:
            await self._write([part])  # each gives back its share of the waiting rows
        job.size = 0
        self._finish(job, next((error for part in parts if (error := part.stored.exception())), None))

    async def _condemn(self, job: _Job, error: Exception) -> None:
        """Put the bytes of a message the tables refuse into quarantine, so that its sender can be released."""
        [message] = job.messages
        reason = f"refused by the database: {first_line(error)}"
        entries = [Quarantined(self._clock(), "", str(row[0]), reason, row[RAW_AT] or b"") for row in message.rows]
        entries += [Quarantined(self._clock(), "", str(one.terminal_id), reason, one.raw) for one in message.events]
        if not entries:
            log.error("a message can neither be stored nor quarantined: %s", first_line(error))
            self._finish(job, error)
            return
        kept = Incoming((), (*message.quarantined, *entries))
        substitute = _Job((kept,), kept.size, job.stored)
        self._count(substitute.size - job.size)
        await self._write([substitute])

    def _finish(self, job: _Job, error: BaseException | None = None) -> None:
        self._count(-job.size)
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
