"""One JT/T 808 terminal on one line: states, answers, and what it reports on its way to the writer.

Source: JT/T 808-2013 and -2019, chapters 5 to 8. Every message is answered; one that brings something with success
only when that is durable. Sub-packages are answered one by one, but only when the whole message is durable.
"""

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Protocol

from telematics.gateway.content import STORED, incoming
from telematics.gateway.directory import Directory, Known
from telematics.gateway.limits import Allowance, Guesses, Limits
from telematics.gateway.line import Line
from telematics.gateway.link import StoreUnavailable
from telematics.gateway.pieces import Pieces
from telematics.gateway.questions import NO_ANSWER, Questions, Reply
from telematics.gateway.wire_rows import Run, answers, header_of, runs
from telematics.gateway.writer import GroupWriter, Incoming
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import BadPiece, FrameSplitter, Message, ProtocolError, encode_frame, encode_frames
from telematics.protocols.jt808_command import RESEND, encode_command, encode_resend
from telematics.protocols.jt808_report import RESEND_REQUEST, Resend
from telematics.rows import Quarantined

log = logging.getLogger("telematics.gateway")

FAIR_PIECES = 64  # then the other lines have their turn: a stream of garbage must not hold them up
BEFORE_LOGIN = frozenset({body.REGISTER, body.AUTHENTICATE, body.HEARTBEAT, body.TIME_QUERY})


@dataclass(frozen=True, slots=True)
class Services:
    """What all sessions share."""

    directory: Directory
    writer: GroupWriter
    clock: Callable[[], datetime]
    limits: Limits
    quarantine: Allowance
    guesses: Guesses


class Sessions(Protocol):
    """Who is connected; the newest link of an identity wins."""

    async def adopt(self, session: "Session", terminal: Known, version: str) -> None:
        """Make this session the one of its terminal and end an older one."""


@dataclass(frozen=True, slots=True)
class _Brought:
    """What some messages brought, and how they are answered once it is stored."""

    incoming: Incoming
    messages: int
    answer: Callable[[int], None]


class Session:
    """State of one line: unknown peer, then authenticated ``terminal``, then closed."""

    def __init__(self, line: Line, *, services: Services, sessions: Sessions) -> None:
        self.terminal: Known | None = None
        self.peer = line.peer
        self.number: int | None = None
        self.since: datetime | None = None
        self._line = line
        self._services = services
        self._sessions = sessions
        self._serial = 0
        self._form: Message | None = None
        self._out: list[bytes] = []
        self._closing = False
        self._heard_s = asyncio.get_running_loop().time()
        self._patience: asyncio.Timeout | None = None
        self._allowance = Allowance(services.limits.quarantine_per_minute)
        self._in_flight = 0
        self._unanswered: set[asyncio.Future[None]] = set()
        self._pieces = Pieces()
        self._piece_timer: asyncio.TimerHandle | None = None
        self._questions = Questions(self._post)
        self._gathered: list[_Brought] = []

    async def run(self) -> None:
        """Serve the line until it ends; everything accepted is still answered."""
        try:
            with contextlib.suppress(ConnectionError, TimeoutError):  # gone or silent: it will come back
                await self._converse()
            self._questions.end()
            await self._answered()
            if self._allowance.refused:
                await self._keep(b"", f"{self._allowance.refused} more bad pieces of this connection were not kept")
            self._flush()
            await self._line.close()
        finally:
            self._questions.end()
            if self._piece_timer is not None:
                self._piece_timer.cancel()
            self._line.abort()

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
        self.stop()
        self._line.abort()

    async def ask(self, kind: str, parameters: Mapping[str, Any]) -> Reply:
        """Send a command and wait for its answer. Raises ProtocolError for parameters that make no message."""
        form = self._form
        if form is None or self._closing:
            return Reply(NO_ANSWER)
        command = encode_command(kind, parameters, form.version)
        serial = self._serial
        frames = encode_frames(command.msg_id, command.body, like=form, serial=serial)
        self._serial = (serial + len(frames)) & 0xFFFF
        return await self._questions.ask(command, frames, serial=serial, wait_s=self._services.limits.command_wait_s)

    async def _converse(self) -> None:
        splitter = FrameSplitter()
        while not self._closing and (data := await self._read()):
            await self._take(splitter, data)
            await self._submit()
            await self._give_up_pieces()

    async def _take(self, splitter: FrameSplitter, data: bytes) -> None:
        cut = splitter.cut(data) if self._form is not None else None
        if cut is None:
            await self._take_pieces(splitter.feed(data))
            return
        whole, rest = cut
        while whole:
            whole = await self._take_whole(whole)
        await self._take_pieces(splitter.feed(rest))

    async def _take_whole(self, whole: bytes) -> bytes:
        """Take whole frames, the usual ones together; returns those after which another terminal has logged in."""
        terminal, form = self.terminal, self._form
        assert terminal is not None
        assert form is not None
        header = header_of(form)
        most = self._services.limits.unanswered
        for part in runs(whole, header, terminal.id, self._services.clock(), most=most):
            if isinstance(part, Run):
                if self._closing:
                    break  # not answered, so the terminal sends it again on its next link
                self._heard_s = asyncio.get_running_loop().time()
                await self._gather(
                    _Brought(part.incoming(), len(part.serials), partial(self._answer_run, part, header))
                )
            else:
                await self._take_pieces(FrameSplitter().feed(part.frames))
                if self._form is not form:
                    return whole[part.end - 1 :] if part.end < len(whole) else b""
        return b""

    async def _take_pieces(self, pieces: Sequence[Message | BadPiece]) -> None:
        for number, piece in enumerate(pieces, start=1):
            await self._handle(piece)
            if number % FAIR_PIECES == 0:
                await asyncio.sleep(0)

    async def _read(self) -> bytes:
        """Next bytes, within the time left: whole frames count, so that dripping bytes keep no line open."""
        limits = self._services.limits
        until_s = self._heard_s + (limits.idle_s if self.terminal else limits.login_s)
        try:
            async with asyncio.timeout_at(until_s) as self._patience:
                return await self._line.read()
        finally:
            self._patience = None

    async def _answered(self) -> None:
        while self._unanswered and not self._line.closing:
            await asyncio.wait(self._unanswered)

    # -- messages

    async def _handle(self, piece: Message | BadPiece) -> None:
        if self._closing:
            return  # not answered, so the terminal sends it again on its next link
        if isinstance(piece, Message) and self.terminal is not None:
            self._heard_s = asyncio.get_running_loop().time()
        if isinstance(piece, BadPiece):
            await self._quarantine(piece.raw, piece.reason)
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
                await handler(self, piece)
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
        guesses, now = self._services.guesses, self._services.clock()
        if guesses.too_many(self.peer, message.phone, now):
            self._answer(message, body.RESULT_FAILED)
            return
        terminal = await self._services.directory.find(message.phone, "jt808")
        code = terminal.auth_code if terminal else None
        if terminal is None or code is None or not hmac.compare_digest(given.code.encode(), code.encode()):
            guesses.note(self.peer, message.phone, now)
            reason = "wrong authentication code" if terminal else "authentication of an unknown terminal"
            await self._quarantine(message.raw, reason, phone=message.phone)
            self._answer(message, body.RESULT_FAILED)
            return
        await self._sessions.adopt(self, terminal, message.version)
        self.terminal, self._form = terminal, message
        self._heard_s = asyncio.get_running_loop().time()
        self._answer(message, body.RESULT_OK)

    async def _done(self, message: Message) -> None:
        self._answer(message, body.RESULT_OK)

    async def _take_note(self, message: Message) -> None:
        self._questions.note(message, body.parse_body(message))  # an answer is not answered

    async def _send_again(self, message: Message) -> None:
        asked = body.parse_body(message)
        assert isinstance(asked, Resend)
        frames = self._questions.frames(asked.serial, asked.indexes)
        if frames:
            self._post(frames)
        self._answer(message, body.RESULT_OK if frames else body.RESULT_FAILED)

    async def _logout(self, message: Message) -> None:
        await self._submit()
        await self._answered()
        self._answer(message, body.RESULT_OK)
        self._closing = True

    async def _tell_time(self, message: Message) -> None:
        self._send(message, body.TIME_ANSWER, body.encode_server_time(self._services.clock()))

    # -- what is stored

    async def _store(self, message: Message) -> None:
        assert self.terminal is not None
        joined = self._pieces.add(message, now=self._services.clock())
        if joined is None:
            self._watch_pieces()
            return
        whole, to_answer = joined
        try:
            brought = self._brought(self.terminal, whole)
        except ProtocolError:
            for piece in to_answer:  # the frame that completed it is answered by whoever catches this
                if piece is not message:
                    self._answer(piece, body.RESULT_BAD_MESSAGE)
            raise
        await self._gather(_Brought(brought, 1, partial(self._answer_all, tuple(to_answer))))

    def _brought(self, terminal: Known, message: Message) -> Incoming:
        content = body.parse_body(message)
        brought = incoming(terminal, message, content, now=self._services.clock(), peer=self.peer)
        self._questions.note(message, content)
        return brought

    async def _gather(self, brought: "_Brought") -> None:
        most = self._services.limits.unanswered
        if self._in_flight + brought.messages > most:
            await self._submit()  # else nothing would ever be answered
            while self._unanswered and self._in_flight + brought.messages > most:
                await asyncio.wait(self._unanswered, return_when=asyncio.FIRST_COMPLETED)
        self._in_flight += brought.messages
        self._gathered.append(brought)

    async def _submit(self) -> None:
        """Hand what one read brought to the writer together: one future for all of it is cheaper than each."""
        gathered, self._gathered = self._gathered, []
        if gathered:
            stored = await self._services.writer.submit(*(brought.incoming for brought in gathered))
            self._unanswered.add(stored)
            stored.add_done_callback(lambda done: self._stored(done, gathered))

    def _stored(self, stored: asyncio.Future[None], gathered: Sequence["_Brought"]) -> None:
        self._unanswered.discard(stored)
        result = body.RESULT_FAILED if stored.cancelled() or stored.exception() else body.RESULT_OK
        for brought in gathered:
            self._in_flight -= brought.messages
            brought.answer(result)

    def _watch_pieces(self) -> None:
        if self._piece_timer is None:
            wait_s = self._services.limits.piece_wait_s
            self._piece_timer = asyncio.get_running_loop().call_later(wait_s, self._ask_for_pieces)

    def _ask_for_pieces(self) -> None:
        self._piece_timer = None
        if self._line.closing:
            return
        for missing in self._pieces.missing():
            like = missing.like
            self._send(like, RESEND, encode_resend(missing.serial, missing.indexes, like.version))
        if self._pieces.under_way:
            self._watch_pieces()

    async def _give_up_pieces(self) -> None:
        for lost in self._pieces.given_up(now=self._services.clock()):
            missing = ", ".join(map(str, lost.missing[:20]))
            await self._quarantine(lost.raw, f"sub-packages missing of {lost.total}: {missing}", phone=lost.phone)

    # -- out

    def _answer_all(self, messages: Sequence[Message], result: int) -> None:
        for message in messages:
            self._answer(message, result)

    def _answer_run(self, run: Run, header: bytes, result: int) -> None:
        self._post([answers(run, result, header, self._serial)])
        self._serial = (self._serial + len(run.serials)) & 0xFFFF

    def _answer(self, message: Message, result: int) -> None:
        answer = body.encode_answer(serial=message.serial, msg_id=message.msg_id, result=result)
        self._send(message, body.PLATFORM_ANSWER, answer)

    def _send(self, message: Message, msg_id: int, content: bytes) -> None:
        self._post([encode_frame(msg_id, content, like=message, serial=self._serial)])
        self._serial = (self._serial + 1) & 0xFFFF

    def _post(self, frames: Sequence[bytes]) -> None:
        if self._line.closing:
            return
        if not self._out:  # a commit answers many messages at once: one write takes them all
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.extend(frames)

    def _flush(self) -> None:
        frames, self._out = self._out, []
        if not frames or self._line.closing:
            return
        self._line.write(frames)
        if self._line.unread_bytes > self._services.limits.unread_bytes:
            log.warning("%s does not read its answers and is disconnected", self.peer)
            self._closing = True
            self._line.abort()

    async def _quarantine(self, raw: bytes, reason: str, *, phone: str | None = None) -> None:
        """Keep bytes that were not accepted, within the allowance of the connection and of the gateway."""
        if self._allowance.take(self._services.clock()):
            await self._keep(raw, reason, phone=phone)

    async def _keep(self, raw: bytes, reason: str, *, phone: str | None = None) -> None:
        now = self._services.clock()
        if self._services.quarantine.take(now):
            who = phone or (self.terminal.phone if self.terminal else None)
            await self._services.writer.submit(Incoming((), [Quarantined(now, self.peer, who, reason, raw)]))

    # Once for all: ten thousand sessions would have as many tables, which Python's collector goes through.
    _handlers: ClassVar[Mapping[int, Callable[["Session", Message], Awaitable[None]]]] = {
        body.REGISTER: _register,
        body.AUTHENTICATE: _authenticate,
        body.HEARTBEAT: _done,
        body.LOGOUT: _logout,
        body.TIME_QUERY: _tell_time,
        body.TERMINAL_ANSWER: _take_note,
        RESEND_REQUEST: _send_again,
        **dict.fromkeys(STORED, _store),
    }
