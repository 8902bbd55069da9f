"""The JT/T 808 server: accepts connections, knows who is connected, keeps an eye on them."""

import asyncio
import logging
from datetime import datetime

from telematics.gateway.directory import Known
from telematics.gateway.link import StoreUnavailable
from telematics.gateway.session import Services, Session

log = logging.getLogger("telematics.gateway")

SWEEP_S = 30.0


class Gateway:
    """All connections; ``terminals`` maps terminal id to its one live session."""

    def __init__(self, services: Services) -> None:
        self.terminals: dict[int, Session] = {}
        self._services = services
        self._alive: set[int] = set()
        self._connections: dict[Session, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns the address in use. Raises OSError if it is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, backlog=1024)
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    async def stop(self) -> None:
        """Stop accepting and reading; return when everything accepted is durable and answered."""
        if self._server is not None:
            self._server.close()
        for session in list(self._connections):
            session.stop()
        while self._connections:
            await asyncio.wait(list(self._connections.values()))

    def connections(self) -> list[asyncio.Task[None]]:
        """Tasks of the connections still open."""
        return list(self._connections.values())

    async def adopt(self, session: Session, terminal: Known) -> None:
        """Make this session the one of its terminal; an older link of the same identity is closed."""
        await self._services.directory.seen({terminal.id}, now=self._services.clock())
        self._release(session)
        old = self.terminals.get(terminal.id)
        self.terminals[terminal.id] = session
        if old is not None:
            old.replaced()

    def note_alive(self, terminal_id: int) -> None:
        """Remember for the next sweep that a terminal without a session, a phone, was heard of."""
        self._alive.add(terminal_id)

    async def watch(self) -> None:
        """Note every half minute who is alive and end the sessions of terminals no longer allowed, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.sweep(self._services.clock())

    async def sweep(self, now: datetime) -> None:
        """One round of ``watch``."""
        connected, heard = dict(self.terminals), set(self._alive)
        try:
            allowed = await self._services.directory.seen(connected.keys() | heard, now=now)
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
        session = Session(reader, writer, services=self._services, sessions=self)
        task = asyncio.current_task()
        assert task is not None
        self._connections[session] = task
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
