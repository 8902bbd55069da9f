"""A NATS JetStream stream between gateways and database: positions are durable in it before the database has them.

The stream keeps its blocks in files until a writer has taken them into the database, and refuses new ones when it is
full: nothing is dropped, terminals simply get no acknowledgement. Its publish acknowledgement says that a block is stored;
that a block is also on disk by then depends on the server, see :func:`refusal`.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import nats
from nats import errors
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError
from nats.js.errors import Error as StreamError

from telematics.gateway.batches import name_of, pack_block, pack_message
from telematics.gateway.link import StoreUnavailable, first_line
from telematics.gateway.writer import Incoming

log = logging.getLogger("telematics.gateway")

TAKEN_S = 6.0
"""After this a block is given to the next writer unless its own acknowledges it or says that it is still at work."""

AHEAD_BLOCKS = 64
"""Blocks all writers together may have taken and not acknowledged."""

WRITERS = "writers"
"""Name of the consumer all writers share."""

SYNCED_FROM = (2, 10)
"""First version of nats-server that can be told to write through to the disk (``sync_interval: always``)."""

FAULTS = (errors.Error, StreamError, OSError, TimeoutError)


class WrongStream(Exception):
    """The server or its stream would not keep what it acknowledges; the text says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlace:
    """Where the stream is and how it is made if it is not there yet.

    ``servers`` are addresses as NATS writes them, with user and password. ``most_bytes`` is what it may hold, ``replicas`` on
    how many servers of the cluster. ``disk_syncs`` states that the file system itself writes through.
    """

    servers: tuple[str, ...]
    name: str = "FLEET_GPS"
    most_bytes: int = 8 << 30
    replicas: int = 1
    disk_syncs: bool = False

    @property
    def subject(self) -> str:
        """Subject its blocks are published under."""
        return f"{self.name}.blocks"


def refusal(version: tuple[int, int], found: api.StreamConfig, *, disk_syncs: bool) -> str:
    """Why a stream does not keep what it acknowledges, empty if it does."""
    if found.storage != api.StorageType.FILE:
        return "the stream is kept in memory: make it anew with file storage"
    if found.retention != api.RetentionPolicy.WORK_QUEUE or found.discard != api.DiscardPolicy.NEW or found.max_age:
        return "the stream drops what no writer has taken: it needs retention workqueue, discard new and no age limit"
    if version < SYNCED_FROM and not disk_syncs:
        return (
            f"nats-server {version[0]}.{version[1]} cannot be told to write through to the disk: use 2.10 or later with sync_interval: always,"
            " or keep its files on a file system mounted sync and say so (--stream-disk-syncs)"
        )
    return ""


class Stream:
    """One connection to the servers of the stream; a :class:`telematics.gateway.writer.Sink`."""

    def __init__(self, place: StreamPlace, *, wait_s: float = 5.0) -> None:
        self._place = place
        self._wait_s = wait_s
        self._client: Client | None = None
        self._checked = False

    async def check(self) -> None:
        """Make the stream if it is not there. Raises StoreUnavailable, and WrongStream for one that loses positions."""
        await self._context()

    async def store(self, messages: Sequence[Incoming]) -> int:
        """Publish the messages in as few blocks as the server takes; see :class:`telematics.gateway.writer.Sink`."""
        packed = [pack_message(one) for message in messages for one in message.apart()]
        context = await self._context()
        assert self._client is not None
        blocks = [pack_block(part) for part in _parts(packed, self._client.max_payload)]
        for block in blocks:
            if len(block) > self._client.max_payload:
                raise ValueError(f"a message of {len(block)} bytes is more than the stream takes at once")
        try:
            await asyncio.gather(*(self._publish(context, block) for block in blocks))
        except APIError as error:
            self._checked = False
            raise StoreUnavailable(f"the stream refuses it: {error.description or error}") from error
        except FAULTS as error:
            self._checked = False
            raise StoreUnavailable(f"the stream does not answer: {first_line(error)}") from error
        return 0

    @contextlib.asynccontextmanager
    async def taking(self) -> AsyncIterator[JetStreamContext.PullSubscription]:
        """Take part in the writers' common consumer. Raises StoreUnavailable, WrongStream."""
        context = await self._context()
        config = api.ConsumerConfig(
            ack_policy=api.AckPolicy.EXPLICIT, ack_wait=TAKEN_S, max_deliver=-1, max_ack_pending=AHEAD_BLOCKS
        )
        try:
            found = await context.pull_subscribe(
                self._place.subject, durable=WRITERS, stream=self._place.name, config=config
            )
        except FAULTS as error:
            raise StoreUnavailable(f"the stream does not answer: {first_line(error)}") from error
        try:
            yield found
        finally:
            with contextlib.suppress(*FAULTS):
                await found.unsubscribe()

    async def acknowledged_up_to(self) -> int:
        """Number up to which writers have acknowledged every block. Raises StoreUnavailable, WrongStream."""
        context = await self._context()
        try:
            floor = (await context.consumer_info(self._place.name, WRITERS)).ack_floor
        except NotFoundError:
            return 0
        except FAULTS as error:
            raise StoreUnavailable(f"the stream does not answer: {first_line(error)}") from error
        return floor.stream_seq if floor else 0

    async def first_left(self) -> tuple[int, bytes] | None:
        """Number and content of the oldest block it still has, if any. Raises StoreUnavailable, WrongStream."""
        context = await self._context()
        try:
            state = (await context.stream_info(self._place.name)).state
            if not state.messages:
                return None
            found = await context.get_msg(self._place.name, state.first_seq)
        except NotFoundError:
            return None
        except FAULTS as error:
            raise StoreUnavailable(f"the stream does not answer: {first_line(error)}") from error
        return state.first_seq, found.data or b""

    async def forget(self, number: int) -> None:
        """Remove a block. Raises StoreUnavailable, WrongStream."""
        context = await self._context()
        try:
            with contextlib.suppress(NotFoundError):
                await context.delete_msg(self._place.name, number)
        except FAULTS as error:
            raise StoreUnavailable(f"the stream does not answer: {first_line(error)}") from error

    async def close(self) -> None:
        """End the connection."""
        client, self._client, self._checked = self._client, None, False
        if client is not None:
            with contextlib.suppress(*FAULTS):
                await client.close()

    async def _publish(self, context: JetStreamContext, block: bytes) -> None:
        place = self._place
        headers = {api.Header.MSG_ID.value: name_of(block)}
        await context.publish(place.subject, block, timeout=self._wait_s, stream=place.name, headers=headers)

    async def _context(self) -> JetStreamContext:
        try:
            if self._client is None or self._client.is_closed:
                self._checked = False
                async with asyncio.timeout(self._wait_s):
                    self._client = await _connect(self._place.servers)
            context = self._client.jetstream(timeout=self._wait_s)
            if not self._checked:
                found = await self._made(context)
                version = self._client.connected_server_version
                wrong = refusal((version.major, version.minor), found, disk_syncs=self._place.disk_syncs)
                if wrong:
                    raise WrongStream(wrong)
                self._checked = True
        except FAULTS as error:
            raise StoreUnavailable(f"the stream cannot be reached: {first_line(error)}") from error
        return context

    async def _made(self, context: JetStreamContext) -> api.StreamConfig:
        place = self._place
        with contextlib.suppress(NotFoundError):
            return (await context.stream_info(place.name)).config
        wanted = api.StreamConfig(
            name=place.name,
            subjects=[place.subject],
            retention=api.RetentionPolicy.WORK_QUEUE,
            discard=api.DiscardPolicy.NEW,
            storage=api.StorageType.FILE,
            max_bytes=place.most_bytes,
            num_replicas=place.replicas,
            duplicate_window=120,
        )
        return (await context.add_stream(wanted)).config


async def _connect(servers: Sequence[str]) -> Client:
    async def complain(error: Exception) -> None:
        log.debug("NATS: %s", error)

    return await nats.connect(
        list(servers),
        name="fleet-gateway",
        error_cb=complain,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        connect_timeout=2,
        ping_interval=10,
        max_outstanding_pings=2,
        pending_size=0,  # while the server is away nothing is kept here: the group writer has it and tries again
    )


def _parts(packed: Sequence[bytes], most_bytes: int) -> list[list[bytes]]:
    """Messages together as long as they fit even if nothing can be deflated."""
    parts: list[list[bytes]] = []
    size = most_bytes
    for message in packed:
        if size + len(message) > most_bytes - 1024:
            parts.append([])
            size = 0
        parts[-1].append(message)
        size += len(message)
    return parts
