"""A JT/T 808 terminal as a client: for replaying tracks, for simulated vehicles, for tests.

It keeps to the standard's rules of transmission (JT/T 808-2013, 5.2): a message without an answer is sent again with
the same serial, the n-th wait being n times the one before; after the last one the terminal gives up.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from telematics.model import Fix
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import FrameSplitter, Message, Version, encode_frame, header_form

Key = tuple[int, int]
"""Serial and message id of a message that waits for its answer."""


class Refused(Exception):
    """The gateway answered, and not with success; ``result`` is the code of 0x8001 or 0x8100."""

    def __init__(self, what: str, result: int) -> None:
        super().__init__(f"the gateway refused {what} with result {result}")
        self.result = result


class NoAnswer(ConnectionError):
    """The gateway did not answer, however often the message was sent, or the connection is gone."""


class Terminal:
    """One connection of one terminal; an asynchronous context manager that connects and closes.

    ``resent`` counts repetitions. ``wait_s`` is the first wait for an answer, ``retries`` the number of repetitions.
    """

    def __init__(
        self, host: str, port: int, phone: str, *, version: Version = "2013", wait_s: float = 10.0, retries: int = 3
    ) -> None:
        self.phone = phone
        self.version = version
        self.resent = 0
        self._form = header_form(phone, version)
        self._address = (host, port)
        self._wait_s = wait_s
        self._retries = retries
        self._serial = 0
        self._waiting: dict[Key, asyncio.Future[tuple[int, str]]] = {}
        self._stream: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open the connection; raises OSError if nobody listens."""
        reader, self._stream = await asyncio.open_connection(*self._address)
        self._listener = asyncio.create_task(self._listen(reader))

    async def close(self) -> None:
        """Close the connection without a word."""
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        if self._stream is not None:
            self._stream.close()
            with contextlib.suppress(ConnectionError):
                await self._stream.wait_closed()

    async def register(self, *, plate: str = "浙A00000") -> str:
        """0x0100; returns the authentication code. Raises Refused (4: the gateway does not know this terminal)."""
        layout = self.version if self.version == "2019" else "2013"
        content = body.Registration(layout, 33, 100, "SIM", "SIM", self.phone[-7:], 1, plate)
        result, code = await self._ask(body.REGISTER, body.encode_registration(content))
        if result != body.REGISTER_OK:
            raise Refused("the registration", result)
        return code

    async def authenticate(self, code: str) -> None:
        """0x0102; raises Refused for a wrong code."""
        await self._demand("the authentication", body.AUTHENTICATE, self._authentication(code))

    async def log_in(self, code: str | None = None) -> str:
        """Register unless a ``code`` is given, then authenticate; returns the code for the next time."""
        known = code or await self.register()
        await self.authenticate(known)
        return known

    async def send(self, fix: Fix) -> None:
        """0x0200; returns when the gateway has acknowledged it, that is, when it is stored."""
        await self._demand("a position", body.LOCATION, body.encode_location(fix))

    async def send_batch(self, fixes: Sequence[Fix], *, blind: bool = False) -> None:
        """0x0704, at most what fits one frame (about 25); ``blind`` marks a supplement after a dead zone."""
        await self._demand("a batch", body.BATCH, body.encode_batch(fixes, blind=blind))

    async def heartbeat(self) -> None:
        """0x0002."""
        await self._demand("a heartbeat", body.HEARTBEAT, b"")

    async def logout(self) -> None:
        """0x0003; the gateway closes the connection afterwards."""
        await self._demand("the logout", body.LOGOUT, b"")

    def _authentication(self, code: str) -> bytes:
        return body.encode_authentication(body.Authentication(code), self.version)

    async def _demand(self, what: str, msg_id: int, content: bytes) -> None:
        result, _ = await self._ask(msg_id, content)
        if result != body.RESULT_OK:
            raise Refused(what, result)

    async def _ask(self, msg_id: int, content: bytes) -> tuple[int, str]:
        """Send a message, again if need be, and wait for its answer: result and, of 0x8100, the code."""
        serial = self._serial
        self._serial = (self._serial + 1) & 0xFFFF
        frame = encode_frame(msg_id, content, like=self._form, serial=serial)
        answer = self._waiting[serial, msg_id] = asyncio.get_running_loop().create_future()
        wait_s = self._wait_s
        try:
            for attempt in range(self._retries + 1):
                await self._write(frame)
                self.resent += attempt > 0
                done, _ = await asyncio.wait([answer], timeout=wait_s)
                if done:
                    result: tuple[int, str] = answer.result()
                    return result
                wait_s *= attempt + 2
        finally:
            del self._waiting[serial, msg_id]
        raise NoAnswer(f"no answer to message {msg_id:04x} after {self._retries + 1} attempts")

    async def _write(self, frame: bytes) -> None:
        if self._stream is None or self._listener is None or self._listener.done():
            raise NoAnswer("the connection to the gateway is closed")
        self._stream.write(frame)
        await self._stream.drain()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        splitter = FrameSplitter()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                for piece in splitter.feed(data):
                    if isinstance(piece, Message):
                        self._take(piece)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(NoAnswer("the gateway closed the connection"))
                answer.exception()  # seen: whoever sends just now fails by himself and never looks at it

    def _take(self, message: Message) -> None:
        content = body.parse_body(message)
        if isinstance(content, body.RegistrationAnswer):
            key, result = (content.serial, body.REGISTER), (content.result, content.code)
        elif isinstance(content, body.Answer):
            key, result = (content.serial, content.msg_id), (content.result, "")
        else:
            return
        answer = self._waiting.get(key)
        if answer is not None and not answer.done():
            answer.set_result(result)
