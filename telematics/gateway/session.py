"""One TCP connection of a JT/T 808 terminal: states, answers, and positions on their way to the writer.

Source: JT/T 808-2013 and -2019, chapters 5 to 8. Every message is answered; a position with success only when it is
durable. Sub-packages of a position message are answered one by one, but only when the whole message is durable.
"""

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from telematics import store
from telematics.gateway.directory import Directory, Known
from telematics.gateway.limits import Allowance, Limits
from telematics.gateway.link import StoreUnavailable
from telematics.gateway.writer import GroupWriter, Incoming
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import BadPiece, FrameSplitter, Message, ProtocolError, Reassembly, encode_frame
from telematics.rows import Quarantined

log = logging.getLogger("telematics.gateway")

READ_BYTES = 1 << 16
FAREWELL_S = 5.0
POSITIONS = frozenset({body.LOCATION, body.BATCH, body.LOCATION_ANSWER, body.VEHICLE_CONTROL_ANSWER})
BEFORE_LOGIN = frozenset({body.REGISTER, body.AUTHENTICATE, body.HEARTBEAT, body.TIME_QUERY})


@dataclass(frozen=True, slots=True)
class Services:
    """What all sessions share."""

    directory: Directory
    writer: GroupWriter
    clock: Callable[[], datetime]
    limits: Limits
    quarantine: Allowance


class Sessions(Protocol):
    """Who is connected; the newest link of an identity wins."""

    async def adopt(self, session: "Session", terminal: Known) -> None:
        """Make this session the one of its terminal and end an older one."""


class Session:
    """State of one connection: unknown peer, then authenticated ``terminal``, then closed."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, services: Services, sessions: Sessions
    ) -> None:
        self.terminal: Known | None = None
        name = writer.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if name else ""
        self._reader = reader
        self._stream = writer
        self._services = services
        self._sessions = sessions
        self._serial = 0
        self._out: list[bytes] = []
        self._closing = False
        self._patience: asyncio.Timeout | None = None
        self._allowance = Allowance(services.limits.quarantine_per_minute)
        self._slots = asyncio.Semaphore(services.limits.unanswered)
        self._unanswered: set[asyncio.Future[None]] = set()
        self._reassembly = Reassembly()
        self._pieces: dict[tuple[int, int], dict[int, Message]] = {}
        self._handlers: dict[int, Callable[[Message], Awaitable[None]]] = {
            body.REGISTER: self._register,
            body.AUTHENTICATE: self._authenticate,
            body.HEARTBEAT: self._done,
            body.LOGOUT: self._logout,
            body.TIME_QUERY: self._tell_time,
            body.TERMINAL_ANSWER: self._take_note,
            **dict.fromkeys(POSITIONS, self._positions),
        }

    async def run(self) -> None:
        """Serve the connection until it ends; every position accepted is still answered."""
        try:
            with contextlib.suppress(ConnectionError, TimeoutError):  # gone or silent: it will come back
                await self._converse()
            await self._answered()
            if self._allowance.refused:
                await self._keep(b"", f"{self._allowance.refused} more bad pieces of this connection were not kept")
            self._flush()
            self._stream.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._stream.wait_closed()
        finally:
            self._stream.transport.abort()

    def stop(self) -> None:
        """Read nothing more; what was accepted is still answered."""
        self._closing = True
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())

    def replaced(self) -> None:
        """End because the terminal has connected anew; the old link is most likely dead."""
        log.info(
            "terminal %s connected again, its old link %s is closed", self.terminal and self.terminal.phone, self.peer
        )
        self._closing = True
        self._stream.transport.abort()

    async def _converse(self) -> None:
        splitter = FrameSplitter()
        while not self._closing and (data := await self._read()):
            for piece in splitter.feed(data):
                await self._handle(piece)
            await self._give_up_pieces()

    async def _read(self) -> bytes:
        limits = self._services.limits
        try:
            async with asyncio.timeout(limits.idle_s if self.terminal else limits.login_s) as self._patience:
                return await self._reader.read(READ_BYTES)
        finally:
            self._patience = None

    async def _answered(self) -> None:
        while self._unanswered and not self._stream.is_closing():
            await asyncio.wait(self._unanswered)

    # -- messages

    async def _handle(self, piece: Message | BadPiece) -> None:
        if isinstance(piece, BadPiece):
            await self._quarantine(piece.raw, piece.reason)
        elif self._closing:
            return  # not answered, so the terminal sends it again on its next link
        elif not self._may_send(piece):
            await self._quarantine(piece.raw, "sent before authentication", phone=piece.phone)
            self._answer(piece, body.RESULT_FAILED)
        elif piece.encrypted:
            await self._quarantine(piece.raw, "encrypted: switch encryption off in the terminal", phone=piece.phone)
            self._answer(piece, body.RESULT_UNSUPPORTED)
        elif (handler := self._handlers.get(piece.msg_id)) is None:
            self._answer(piece, body.RESULT_UNSUPPORTED)
        else:
            try:
                await handler(piece)
            except ProtocolError as error:
                await self._quarantine(piece.raw, str(error), phone=piece.phone)
                self._answer(piece, body.RESULT_BAD_MESSAGE)
            except StoreUnavailable as error:
                # No answer is the honest one: the terminal will ask again.
                log.warning("%04x of %s is not answered: %s", piece.msg_id, piece.phone, error)

    def _may_send(self, message: Message) -> bool:
        return message.msg_id in BEFORE_LOGIN or (self.terminal is not None and message.phone == self.terminal.phone)

    async def _register(self, message: Message) -> None:
        services = self._services
        body.parse_body(message)
        terminal = await services.directory.find(message.phone, "jt808")
        if terminal is None:
            await self._quarantine(message.raw, "registration of an unknown terminal", phone=message.phone)
            answer = body.encode_registration_answer(serial=message.serial, result=body.REGISTER_NO_TERMINAL)
        else:
            code = await services.directory.register(terminal, now=services.clock())
            answer = body.encode_registration_answer(serial=message.serial, result=body.REGISTER_OK, code=code)
        self._send(message, body.REGISTER_ANSWER, answer)

    async def _authenticate(self, message: Message) -> None:
        given = body.parse_body(message)
        assert isinstance(given, body.Authentication)
        terminal = await self._services.directory.find(message.phone, "jt808")
        code = terminal.auth_code if terminal else None
        if terminal is None or code is None or not hmac.compare_digest(given.code.encode(), code.encode()):
            reason = "wrong authentication code" if terminal else "authentication of an unknown terminal"
            await self._quarantine(message.raw, reason, phone=message.phone)
            self._answer(message, body.RESULT_FAILED)
            return
        await self._sessions.adopt(self, terminal)
        self.terminal = terminal
        self._answer(message, body.RESULT_OK)

    async def _done(self, message: Message) -> None:
        self._answer(message, body.RESULT_OK)

    async def _take_note(self, message: Message) -> None:
        """An answer is not answered."""

    async def _logout(self, message: Message) -> None:
        await self._answered()
        self._answer(message, body.RESULT_OK)
        self._closing = True

    async def _tell_time(self, message: Message) -> None:
        self._send(message, body.TIME_ANSWER, body.encode_server_time(self._services.clock()))

    # -- positions

    async def _positions(self, message: Message) -> None:
        assert self.terminal is not None
        to_answer = [message]
        if message.sub_package:
            key = (message.msg_id, message.sub_package[0])
            self._pieces.setdefault(key, {})[message.serial] = message
            whole = self._reassembly.add(message, now=self._services.clock())
            if whole is None:
                return
            message, to_answer = whole, list(self._pieces.pop(key).values())
        incoming = self._incoming(self.terminal, message)
        await self._slots.acquire()
        stored = await self._services.writer.submit(incoming)
        self._unanswered.add(stored)
        stored.add_done_callback(lambda done: self._stored(done, to_answer))

    def _incoming(self, terminal: Known, message: Message) -> Incoming:
        now = self._services.clock()
        content = body.parse_body(message)
        bad: list[str] = []
        if isinstance(content, body.Batch):
            fixes = zip(content.fixes, content.bodies, strict=True)
            bad += content.skipped
            if content.declared > (held := len(content.fixes) + len(content.skipped)):
                bad.append(f"{content.declared} positions declared, {held} sent")
        else:
            assert isinstance(content, body.Location)
            fixes = zip((content.fix,), (message.raw,), strict=True)
        rows, quarantined = store.split(
            ((terminal.id, fix, raw) for fix, raw in fixes), now, peer=self.peer, phone=terminal.phone
        )
        if bad:
            quarantined.append(Quarantined(now, self.peer, terminal.phone, "; ".join(bad), message.raw))
        return Incoming(rows, quarantined)

    def _stored(self, stored: asyncio.Future[None], messages: Iterable[Message]) -> None:
        self._slots.release()
        self._unanswered.discard(stored)
        result = body.RESULT_FAILED if stored.cancelled() or stored.exception() else body.RESULT_OK
        for message in messages:
            self._answer(message, result)

    async def _give_up_pieces(self) -> None:
        for lost in self._reassembly.give_up(now=self._services.clock()):
            self._pieces.pop((lost.msg_id, lost.total), None)
            missing = ", ".join(map(str, lost.missing[:20]))
            await self._quarantine(lost.raw, f"sub-packages missing of {lost.total}: {missing}", phone=lost.phone)

    # -- out

    def _answer(self, message: Message, result: int) -> None:
        answer = body.encode_answer(serial=message.serial, msg_id=message.msg_id, result=result)
        self._send(message, body.PLATFORM_ANSWER, answer)

    def _send(self, message: Message, msg_id: int, content: bytes) -> None:
        if self._stream.is_closing():
            return
        if not self._out:  # a commit answers many messages at once: one write takes them all
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(encode_frame(msg_id, content, like=message, serial=self._serial))
        self._serial = (self._serial + 1) & 0xFFFF

    def _flush(self) -> None:
        frames, self._out = self._out, []
        if not frames or self._stream.is_closing():
            return
        self._stream.write(b"".join(frames))
        if self._stream.transport.get_write_buffer_size() > self._services.limits.unread_bytes:
            log.warning("%s does not read its answers and is disconnected", self.peer)
            self._closing = True
            self._stream.transport.abort()

    async def _quarantine(self, raw: bytes, reason: str, *, phone: str | None = None) -> None:
        """Keep bytes that were not accepted, within the allowance of the connection and of the gateway."""
        if self._allowance.take(self._services.clock()):
            await self._keep(raw, reason, phone=phone)

    async def _keep(self, raw: bytes, reason: str, *, phone: str | None = None) -> None:
        now = self._services.clock()
        if self._services.quarantine.take(now):
            who = phone or (self.terminal.phone if self.terminal else None)
            await self._services.writer.submit(Incoming((), [Quarantined(now, self.peer, who, reason, raw)]))
