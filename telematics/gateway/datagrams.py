"""JT/T 808 over UDP: every source address is a line of its own, with its own authentication.

Source: JT/T 808-2013 and -2019, 4.1 (TCP or UDP) and 5.2 (repetition until answered). A datagram that is lost or that
does not fit the inbox is sent again by the terminal. Answers go to the source address, one frame a datagram, because
address translations forget quickly and large datagrams are cut.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from telematics.protocols.jt808 import FLAG

log = logging.getLogger("telematics.gateway")

Address = tuple[str, int]
INBOX_DATAGRAMS = 256
WAITING_BYTES = 64 << 20  # of all sources together, while the store is away
RECEIVE_BYTES = 8 << 20


class Source:
    """One source address; a :class:`telematics.gateway.line.Line`."""

    unread_bytes = 0

    def __init__(self, address: Address, transport: asyncio.DatagramTransport, endpoint: "Datagrams") -> None:
        self.peer = f"udp {address[0]}:{address[1]}"
        self.closing = False
        self._address = address
        self._transport = transport
        self._endpoint = endpoint
        self._inbox: deque[bytes] = deque()
        self._arrived = asyncio.Event()

    def put(self, data: bytes) -> None:
        """A datagram came; beyond what may wait it is dropped, as the network might have done."""
        if len(self._inbox) < INBOX_DATAGRAMS and self._endpoint.waiting_bytes + len(data) <= WAITING_BYTES:
            self._endpoint.waiting_bytes += len(data)
            self._inbox.append(data)
            self._arrived.set()

    async def read(self) -> bytes:
        """Next datagram."""
        while not self._inbox:
            self._arrived.clear()
            await self._arrived.wait()
        data = self._inbox.popleft()
        self._endpoint.waiting_bytes -= len(data)
        return data

    def write(self, frames: Sequence[bytes]) -> None:
        """Send each frame as a datagram."""
        for frame in frames:
            self._transport.sendto(frame, self._address)

    async def close(self) -> None:
        """Forget the address: its next datagram begins anew."""
        self.abort()

    def abort(self) -> None:
        """Forget the address at once."""
        if not self.closing:
            self.closing = True
            self._endpoint.waiting_bytes -= sum(map(len, self._inbox))
            self._inbox.clear()
            self._endpoint.forget(self._address)


class Datagrams(asyncio.DatagramProtocol):
    """The UDP socket; ``serve`` is called with every new source, of which there may be ``most``.

    ``waiting_bytes`` is what came and no session has read yet.
    """

    def __init__(self, serve: Callable[[Source], None], *, most: int) -> None:
        self._serve = serve
        self._most = most
        self._sources: dict[Address, Source] = {}
        self.waiting_bytes = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._accepting = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # the loops do not derive theirs from it
        # As much as the system grants: a thousand terminals may report in the same moment.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Hand a datagram to its source; a stranger's first one must at least begin like a frame."""
        source = self._sources.get(addr)
        if source is None:
            if not (self._accepting and self._transport and data[:1] == FLAG and len(self._sources) < self._most):
                return
            source = self._sources[addr] = Source(addr, self._transport, self)
            self._serve(source)
        source.put(data)

    def forget(self, address: Address) -> None:
        """End of a source: the next datagram from its address begins anew."""
        self._sources.pop(address, None)

    def error_received(self, exc: Exception) -> None:
        """Note that an answer could not be delivered: the terminal will ask again."""
        log.debug("UDP: %s", exc)

    def refuse_strangers(self) -> None:
        """Open no more lines."""
        self._accepting = False

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()
