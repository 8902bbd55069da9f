"""One TCP link of JT/T 809, either way: whole messages in and out."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime
from random import Random

from telematics.protocols.jt809 import VERSIONS, Frame, FrameSplitter, encode_frame
from telematics.protocols.jt809_body import LinkBody, encode_link_body
from telematics.upstream.settings import Settings, Timing

log = logging.getLogger("telematics.upstream")

SERIALS = 1 << 32
BAD_PIECES = 100


class LinkLost(ConnectionError):
    """The link is of no use any more; the text says why."""


class Channel:
    """Frames over one connection. ``clock`` gives the time of 2019 headers, ``rng`` the keys of enciphered messages."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        settings: Settings,
        timing: Timing,
        clock: Callable[[], datetime],
        rng: Random,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._settings = settings
        self._timing = timing
        self._clock = clock
        self._rng = rng
        self._splitter = FrameSplitter(settings.edition, settings.cipher)
        self._waiting: deque[Frame] = deque()
        self._serial = 0
        self._bad = 0

    async def send(self, msg_id: int, body: bytes) -> None:
        """Send one message; raises LinkLost if the other side is gone or does not read for ``dead_s``."""
        settings = self._settings
        frame = Frame(
            msg_id=msg_id,
            serial=self._serial,
            centre_id=settings.centre_id,
            body=body,
            version=VERSIONS[settings.edition],
            key=self._rng.getrandbits(32) if settings.cipher else None,
            at=self._clock(),
        )
        self._serial = (self._serial + 1) % SERIALS
        try:
            self._writer.write(encode_frame(frame, settings.edition, settings.cipher))
            async with asyncio.timeout(self._timing.dead_s):
                await self._writer.drain()
        except TimeoutError:
            raise LinkLost("the superior platform does not read what is sent") from None
        except OSError as error:
            raise LinkLost(str(error)) from error

    async def say(self, content: LinkBody) -> None:
        """Send a message of link management."""
        await self.send(*encode_link_body(content, self._settings.edition))

    async def receive(self, within_s: float) -> Frame:
        """Next message; raises LinkLost at the end of the connection or after ``within_s`` without a message."""
        try:
            async with asyncio.timeout(within_s):
                while not self._waiting:
                    await self._read()
        except TimeoutError:
            raise LinkLost(f"nothing was heard for {within_s:g} s") from None
        return self._waiting.popleft()

    async def _read(self) -> None:
        try:
            data = await self._reader.read(1 << 16)
        except OSError as error:
            raise LinkLost(str(error)) from error
        if not data:
            raise LinkLost("the superior platform closed the connection")
        for piece in self._splitter.feed(data):
            if isinstance(piece, Frame):
                self._waiting.append(piece)
                continue
            self._bad += 1
            log.warning("unreadable bytes from the superior platform: %s", piece.reason)
            if self._bad >= BAD_PIECES:
                raise LinkLost("too much that cannot be read: is it the same edition and cipher on both sides?")

    async def close(self) -> None:
        """Close the connection without a word."""
        self._writer.close()
        try:
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()
