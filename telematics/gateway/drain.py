"""From the stream into the database: blocks are acknowledged to the stream after the commit that holds them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from nats.aio.msg import Msg
from nats.js import JetStreamContext

from telematics.bulk import SEEN_STAGE
from telematics.gateway.batches import NoBlock, unpack_block
from telematics.gateway.link import Link, StoreUnavailable
from telematics.gateway.sinks import Database
from telematics.gateway.stream import FAULTS, TAKEN_S, Stream, StreamPlace
from telematics.gateway.writer import GroupWriter

log = logging.getLogger("telematics.gateway")

FLUSH_S = 10.0
FETCH_BLOCKS = 8
FETCH_S = 2.0
AGAIN_S = 1.0
LATER_S = 300
TIDY_S = 5.0


class Drain:
    """One writer of several. Order does not matter: a fix has the same identity whenever and however often it comes."""

    def __init__(self, stream: Stream, writer: GroupWriter) -> None:
        self._stream = stream
        self._writer = writer
        self._taken: dict[int, tuple[Msg, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Take blocks for ever; a stream that is away is waited for. Raises WrongStream."""
        told = ""
        while True:
            try:
                async with self._stream.taking() as source:
                    told = ""
                    while True:
                        await self._take(source)
            except StoreUnavailable as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("no positions come from the stream; trying again every second: %s", error)
                await asyncio.sleep(AGAIN_S)

    async def keep(self) -> None:
        """Tell the stream for ever that what was taken is still worked on, so that no other writer gets it too."""
        while True:
            await asyncio.sleep(TAKEN_S / 3)
            for block, _ in list(self._taken.values()):
                with suppress(*FAULTS):
                    await block.in_progress()

    async def tidy(self, *, every_s: float = TIDY_S) -> None:
        """Take for ever what the stream has given out, heard acknowledged and kept nevertheless.

        A server killed at the wrong moment remembers the acknowledgement and not that the block could go: nobody would get it any
        more, and it would fill the stream. It is stored once again, which changes nothing, before it is removed.
        """
        settled = 0
        while True:
            await asyncio.sleep(every_s)
            try:
                # What was settled a round ago and is still there will not go by itself.
                while (left := await self._stream.first_left()) and left[0] <= settled:
                    number, content = left
                    await asyncio.wait([await self._writer.submit(*unpack_block(content))])
                    await self._stream.forget(number)
                    log.warning("block %d had been left in the stream", number)
                settled = await self._stream.acknowledged_up_to()
            except StoreUnavailable as error:
                log.debug("the stream cannot be looked through: %s", error)

    async def finished(self) -> None:
        """Wait until all that was taken is committed and acknowledged."""
        while self._taken:
            await asyncio.wait([task for _, task in self._taken.values()])

    async def _take(self, source: JetStreamContext.PullSubscription) -> None:
        try:
            blocks = await source.fetch(FETCH_BLOCKS, timeout=FETCH_S)
        except TimeoutError:
            return  # nothing there
        except FAULTS as error:
            raise StoreUnavailable(str(error) or type(error).__name__) from error
        for block in blocks:
            number = block.metadata.sequence.stream
            try:
                messages = unpack_block(block.data)
            except NoBlock as error:
                # It stays in the stream for whoever can read it.
                log.error("block %d of the stream cannot be read: %s", number, error)  # noqa: TRY400
                with suppress(*FAULTS):
                    await block.nak(delay=LATER_S)
                continue
            stored = await self._writer.submit(*messages)
            self._taken[number] = (block, asyncio.create_task(self._acknowledge(number, block, stored)))

    async def _acknowledge(self, number: int, block: Msg, stored: asyncio.Future[None]) -> None:
        await asyncio.wait([stored])
        with suppress(*FAULTS):  # should the word get lost, the block comes again, which is harmless
            if stored.exception() is None:
                await block.ack()
            else:  # it can neither be stored nor quarantined: it stays in the stream, and the writer has said so
                await block.nak(delay=LATER_S)
        del self._taken[number]


@asynccontextmanager
async def draining(
    url: str,
    place: StreamPlace,
    *,
    role: str,
    clock: Callable[[], datetime],
    flush_s: float = FLUSH_S,
    tidy_s: float = TIDY_S,
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a writer; yields the task that ends only by a fault. Raises StoreUnavailable, WrongStream.

    At the end nothing more is taken and what was taken gets ``flush_s`` seconds; the rest comes again from the stream.
    """
    stream, link = Stream(place), Link(url, role=role, stage=SEEN_STAGE)
    writer = GroupWriter(Database(link, repeated=True), clock=clock)
    drain = Drain(stream, writer)
    tasks: list[asyncio.Task[None]] = []
    try:
        await stream.check()
        taking = asyncio.create_task(drain.run())
        tasks += [*map(asyncio.create_task, (writer.run(), drain.keep(), drain.tidy(every_s=tidy_s))), taking]
        yield taking
        taking.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(flush_s):
                await drain.finished()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await stream.close()
        await link.close()
