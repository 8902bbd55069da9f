"""What a session reads from and writes to, whatever carries it; over TCP a connection, over UDP one source address."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Protocol

from telematics.gateway.proxy import BadProxy, is_header

log = logging.getLogger("telematics.gateway")

READ_BYTES = 1 << 16
FAREWELL_S = 5.0


class Line(Protocol):
    """A peer's bytes in and frames out."""

    @property
    def peer(self) -> str:
        """Address of the peer as text."""

    @property
    def closing(self) -> bool:
        """Whether nothing can be written any more."""

    @property
    def unread_bytes(self) -> int:
        """Bytes written that the peer has not taken."""

    async def read(self) -> bytes:
        """Next bytes; empty at the end. Raises ConnectionError if the line broke."""

    def write(self, frames: Sequence[bytes]) -> None:
        """Send whole frames."""

    async def close(self) -> None:
        """Send what was written, then end."""

    def abort(self) -> None:
        """End at once."""


class Stream:
    """A TCP connection; ``peer`` is whom a trusted load balancer named, else its other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str = "") -> None:
        name = writer.get_extra_info("peername")
        self.peer = peer or (f"{name[0]}:{name[1]}" if name else "")
        self._begun = False
        self._reader = reader
        self._writer = writer

    @property
    def closing(self) -> bool:
        """See :class:`Line`."""
        return self._writer.is_closing()

    @property
    def unread_bytes(self) -> int:
        """See :class:`Line`."""
        return self._writer.transport.get_write_buffer_size()

    async def read(self) -> bytes:
        """See :class:`Line`."""
        data = await self._reader.read(READ_BYTES)
        if not self._begun and is_header(data):  # from a trusted peer it has been taken off before
            log.warning("%s claims to be a load balancer and is refused; see --trust-proxy", self.peer)
            raise BadProxy("PROXY protocol header from a peer that is not trusted with it")
        self._begun = True
        return data

    def write(self, frames: Sequence[bytes]) -> None:
        """See :class:`Line`; a commit answers many messages at once, one write takes them all."""
        self._writer.write(b"".join(frames))

    async def close(self) -> None:
        """See :class:`Line`."""
        self._writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._writer.wait_closed()

    def abort(self) -> None:
        """See :class:`Line`."""
        self._writer.transport.abort()
