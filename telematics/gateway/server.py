"""The JT/T 808 server: accepts TCP connections and UDP sources, knows who is connected, keeps an eye on them."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from datetime import datetime

from telematics.gateway.datagrams import Datagrams, Source
from telematics.gateway.directory import Known
from telematics.gateway.holding import Holding
from telematics.gateway.line import Line, Stream
from telematics.gateway.link import StoreUnavailable
from telematics.gateway.proxy import Network, is_trusted, read_header
from telematics.gateway.session import Services, Session

log = logging.getLogger("telematics.gateway")

SWEEP_S = 30.0
TELL_S = 1.0


class Gateway:
    """All connections; ``terminals`` maps terminal id to its one live session."""

    def __init__(self, services: Services, holding: Holding, *, proxies: Sequence[Network] = ()) -> None:
        self.terminals: dict[int, Session] = {}
        self._services = services
        self._holding = holding
        self._proxies = proxies
        self._alive: set[int] = set()
        self._connections: dict[Session, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._place: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._datagrams = Datagrams(self._open_source, most=services.limits.udp_sources)

    async def start(self, host: str, port: int, *, udp: bool = False) -> tuple[str, int]:
        """Listen, with ``udp`` for datagrams on the same port too; returns the address in use. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port, backlog=1024)
        name = self._server.sockets[0].getsockname()
        if udp:
            loop = asyncio.get_running_loop()
            await loop.create_datagram_endpoint(lambda: self._datagrams, local_addr=(name[0], name[1]))
        self._place.set_result(f"{socket.gethostname()}:{name[1]}")
        return name[0], name[1]

    async def stop(self) -> None:
        """Stop accepting and reading; return when everything accepted is durable and answered."""
        if self._server is not None:
            self._server.close()
        self._datagrams.refuse_strangers()
        for session in list(self._connections):
            session.stop()
        try:
            while self._connections:
                await asyncio.wait(list(self._connections.values()))
        finally:
            self._datagrams.close()

    def connections(self) -> list[asyncio.Task[None]]:
        """Tasks of the connections still open."""
        return list(self._connections.values())

    async def adopt(self, session: Session, terminal: Known, version: str) -> None:
        """Make this session the one of its terminal; an older link of the same identity is closed, wherever it is."""
        session.since, session.number = self._services.clock(), None
        try:
            await self._services.directory.alive(terminal.id, version=version, now=session.since)
            session.number = await self._holding.log_in(terminal.id, now=session.since)
        except StoreUnavailable:
            if not self._services.directory.keeps:
                raise
            # The next sweep that finds the database again notes it.
        self._release(session)
        old = self.terminals.get(terminal.id)
        self.terminals[terminal.id] = session
        if old is not None:
            old.replaced()

    def note_alive(self, terminal_id: int) -> None:
        """Remember for the next sweep that a terminal without a session, a phone, was heard of."""
        self._alive.add(terminal_id)

    async def watch(self) -> None:
        """Note every half minute who is alive, this gateway too, and end the sessions of terminals no longer allowed, for ever."""
        place = await asyncio.shield(self._place)
        while True:
            with contextlib.suppress(StoreUnavailable):
                await self._holding.beat(place, now=self._services.clock())
            await asyncio.sleep(SWEEP_S)
            await self.sweep(self._services.clock())

    async def ended(self) -> None:
        """Note that this gateway was stopped in order, if it ever listened and the database can be told now."""
        if not self._place.done():
            return
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(TELL_S):
                await self._holding.end(self._place.result(), now=self._services.clock())

    async def sweep(self, now: datetime) -> None:
        """One round of ``watch``."""
        connected, heard = dict(self.terminals), set(self._alive)
        try:
            allowed = await self._services.directory.seen(connected.keys() | heard, now=now)
            await self._holding.review(connected)
        except StoreUnavailable:
            return
        self._alive -= heard
        for terminal_id, session in connected.items():
            if terminal_id not in allowed:
                session.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= self._services.limits.connections:
            log.warning("too many connections: one more is refused")
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        peer = ""
        name = writer.get_extra_info("peername")
        if name and is_trusted(name[0], self._proxies):
            try:
                peer = await read_header(reader) or ""
            except ConnectionError as error:
                log.warning("connection from the load balancer %s is refused: %s", name[0], error)
                writer.close()
                return
        session = self._session(Stream(reader, writer, peer))
        self._connections[session] = task
        await self._run(session)

    def _open_source(self, source: Source) -> None:
        session = self._session(source)
        self._connections[session] = asyncio.create_task(self._run(session))

    def _session(self, line: Line) -> Session:
        return Session(line, services=self._services, sessions=self)

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        except Exception:
            log.exception("connection %s ended by a fault of the gateway", session.peer)
        finally:
            del self._connections[session]
            self._release(session)

    def _release(self, session: Session) -> None:
        """Forget which terminal the session was, unless a newer link has taken it over."""
        if session.terminal is not None and self.terminals.get(session.terminal.id) is session:
            del self.terminals[session.terminal.id]
