"""The sub link: the superior platform connects to us and shows the code it gave in its login answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from telematics.protocols.jt808 import ProtocolError
from telematics.protocols.jt809 import Frame
from telematics.protocols.jt809_body import (
    Code,
    Empty,
    Id,
    SubLoginResult,
    Verify,
    parse_link_body,
)
from telematics.upstream.channel import Channel, LinkLost
from telematics.upstream.settings import Settings, Timing

log = logging.getLogger("telematics.upstream")

CONNECTIONS = 16
MakeChannel = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Channel]


class SubLink:
    """Listens for the superior platform; ``handle`` gets what is not about the link itself.

    One connection is in use: one that shows the right code later takes its place.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        timing: Timing,
        make_channel: MakeChannel,
        handle: Callable[[Frame], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._timing = timing
        self._make_channel = make_channel
        self._handle = handle
        self._code = 0
        self._code_known = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._current: Channel | None = None
        self.port = 0

    @property
    def is_open(self) -> bool:
        """Whether the superior platform is logged in here."""
        return self._current is not None

    async def start(self) -> int:
        """Listen; returns the port. Raises OSError if it is taken."""
        self._server = await asyncio.start_server(self._serve, self._settings.sub_listen, self._settings.sub_port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        """Close the port and its connections."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expect(self, code: int | None) -> None:
        """Take logins with this code; with None they wait for the next login of the main link."""
        if code is None:
            self._code_known.clear()
        else:
            self._code = code
            self._code_known.set()

    async def tell(self, msg_id: int, reason: int) -> None:
        """Say that the main link broke or closes (0x1007, 0x1008), if the superior platform is there to hear it."""
        if self._current is not None:
            try:
                await self._current.say(Code(msg_id, reason))
            except LinkLost as error:
                log.warning("sub link: %s", error)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= CONNECTIONS:
            writer.close()
            return
        self._tasks.add(task)
        channel = self._make_channel(reader, writer)
        try:
            if await self._admit(channel):
                await self._listen(channel)
        except (LinkLost, ProtocolError) as error:
            log.warning("sub link: %s", error)
        except asyncio.CancelledError:
            pass  # stopping: asyncio's server would report it as an error otherwise
        finally:
            if self._current is channel:
                self._current = None
            await channel.close()
            self._tasks.discard(task)

    async def _admit(self, channel: Channel) -> bool:
        frame = await channel.receive(self._timing.answer_s)
        if frame.msg_id != Id.SUB_LOGIN:
            raise LinkLost(f"message {frame.msg_id:04x} before the login")
        shown = parse_link_body(frame.msg_id, frame.body, self._settings.edition)
        try:  # it may be quicker here than its answer on the main link
            async with asyncio.timeout(self._timing.answer_s):
                await self._code_known.wait()
        except TimeoutError:
            await channel.say(Code(Id.SUB_LOGIN_ANSWER, SubLoginResult.OTHER))
            return False
        if shown != Verify(Id.SUB_LOGIN, self._code):
            log.warning("sub link: a login with a wrong code was refused")
            await channel.say(Code(Id.SUB_LOGIN_ANSWER, SubLoginResult.WRONG_CODE))
            return False
        former, self._current = self._current, channel
        if former is not None:
            await former.close()
        await channel.say(Code(Id.SUB_LOGIN_ANSWER, SubLoginResult.OK))
        log.info("sub link: the superior platform is logged in")
        return True

    async def _listen(self, channel: Channel) -> None:
        while True:
            frame = await channel.receive(self._timing.dead_s)
            if frame.msg_id == Id.SUB_KEEP_ALIVE:
                await channel.say(Empty(Id.SUB_KEEP_ALIVE_ANSWER))
            elif frame.msg_id == Id.SUB_LOGOUT:
                await channel.say(Empty(Id.SUB_LOGOUT_ANSWER))
                return
            else:
                await self._handle(frame)
