"""The main link: login, positions, keep-alive, confirmation, reconnection.

0x1202 and 0x1203 have no answer. What proves that they arrived is the answer to a keep-alive (or to the logout) sent
behind them on the same TCP connection: until then a position stays in the queue, and after a broken link it is sent
again as catch-up. So nothing is lost, and what is sent twice is at most what went out since the last answer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Any

from telematics.gateway.link import StoreUnavailable
from telematics.protocols.jt808 import ProtocolError
from telematics.protocols.jt809 import Frame
from telematics.protocols.jt809_body import (
    Code,
    Empty,
    Id,
    Login,
    LoginAnswer,
    LoginResult,
    Logout,
    Received,
    parse_link_body,
)
from telematics.protocols.jt809_vehicle import Note, Plain, Sub, Vehicle, encode_vehicle, parse_vehicle
from telematics.upstream.channel import Channel, LinkLost
from telematics.upstream.messages import Composer, Outgoing
from telematics.upstream.outbox import Outbox, Queued
from telematics.upstream.settings import Settings, Timing
from telematics.upstream.sublink import SubLink

log = logging.getLogger("telematics.upstream")

CLOSING_OTHER = 1  # reason of 0x1007 and 0x1008
ANSWERS = {Sub.START: Sub.START_ANSWER, Sub.END: Sub.END_ANSWER}


class Refused(Exception):
    """The superior platform refused the login."""

    def __init__(self, result: int) -> None:
        known = result in set(LoginResult)
        what = LoginResult(result).name.lower().replace("_", " ") if known else f"result {result}"
        super().__init__(f"the superior platform refused the login: {what}")
        self.result = result


class Client:
    """One superior platform, served until :meth:`stop`. ``clock`` and ``rng`` are all it knows of time and chance."""

    def __init__(
        self, settings: Settings, timing: Timing, outbox: Outbox, *, clock: Callable[[], datetime], rng: Random
    ) -> None:
        self.logins = 0
        self.sent = 0
        self._settings = settings
        self._timing = timing
        self._outbox = outbox
        self._clock = clock
        self._rng = rng
        late = timedelta(seconds=timing.late_s)
        self._composer = Composer(settings.edition, str(settings.centre_id), settings.gcj02, late)
        self.sub_link = SubLink(settings=settings, timing=timing, make_channel=self._channel, handle=self._handle)
        self._main: Channel | None = None
        self._stopping = asyncio.Event()
        self._logged_out = asyncio.Event()
        self._number = 0  # of the last sending begun in this login
        self._gone = 0  # of the last sending that went out whole
        self._unsure: int | None = None  # a sending that may be marked though it never went out
        self._probes: deque[tuple[float, int]] = deque()
        self._registered: set[tuple[int, str]] = set()

    async def stop(self) -> None:
        """Make :meth:`run` log out and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Listen for the sub link, then log in and forward, again and again. Raises OSError if the port is taken."""
        await self.sub_link.start()
        try:
            wait_s = self._timing.retry_first_s
            while not self._stopping.is_set():
                logins = self.logins
                try:
                    await self._session()
                except (OSError, Refused, StoreUnavailable, ProtocolError) as error:
                    log.warning("main link: %s", error)
                if self.logins > logins:
                    wait_s = self._timing.retry_first_s
                await self._pause(wait_s * self._rng.uniform(0.8, 1.2))
                wait_s = min(2 * wait_s, self._timing.retry_most_s)
        finally:
            await self.sub_link.stop()

    async def _pause(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()

    def _channel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Channel:
        return Channel(
            reader, writer, settings=self._settings, timing=self._timing, clock=self._clock, rng=self._rng
        )  # fmt: skip

    # -- one connection

    async def _session(self) -> None:
        settings, timing = self._settings, self._timing
        await self._outbox.open(now=self._clock())
        try:
            async with asyncio.timeout(timing.answer_s):
                streams = await asyncio.open_connection(settings.host, settings.port)
        except TimeoutError:
            raise LinkLost(f"no connection to {settings.host}:{settings.port}") from None
        channel = self._channel(*streams)
        self.sub_link.expect(None)
        try:
            await self._log_in(channel)
            self._main = channel  # before anything else is awaited: questions may come over the sub link already
            await self._outbox.rewind()
            self._number = self._gone = 0
            self._unsure = None
            self._probes.clear()
            self._registered.clear()
            self._logged_out.clear()
            self.logins += 1
            await self._work(channel)
        finally:
            was_open, self._main = self._main is not None, None
            await channel.close()
            if was_open and not self._stopping.is_set():
                await self.sub_link.tell(Id.MAIN_BROKEN, 0)

    async def _log_in(self, channel: Channel) -> None:
        settings = self._settings
        port = settings.sub_port or self.sub_link.port
        login = Login(settings.user, settings.password, settings.sub_host, port, settings.centre_id)
        await channel.say(login)
        frame = await channel.receive(self._timing.answer_s)
        answer = parse_link_body(frame.msg_id, frame.body, settings.edition)
        if not isinstance(answer, LoginAnswer):
            raise LinkLost(f"message {frame.msg_id:04x} instead of an answer to the login")
        if answer.result != LoginResult.OK:
            raise Refused(answer.result)
        self.sub_link.expect(answer.verify_code)
        log.info("main link: logged in at %s:%d", settings.host, settings.port)

    async def _work(self, channel: Channel) -> None:
        """Listen, forward and keep alive until one of them fails or the client is stopped."""
        forwarding = asyncio.create_task(self._forward(channel, live_from=self._clock()))
        others = [asyncio.create_task(work) for work in (self._listen(channel), self._keep_alive(channel))]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([forwarding, *others, stopping], return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                # What was taken goes out whole: the loop ends by itself after its batch.
                async with asyncio.timeout(self._timing.answer_s):
                    await forwarding
                    await self._log_out(channel)
            for task in (forwarding, *others):
                if task.done():
                    task.result()
        except TimeoutError:
            raise LinkLost("the logout was not answered") from None
        finally:
            everything: list[asyncio.Task[Any]] = [forwarding, *others, stopping]
            for each in everything:
                each.cancel()
            await asyncio.gather(*everything, return_exceptions=True)

    async def _log_out(self, channel: Channel) -> None:
        await self.sub_link.tell(Id.MAIN_CLOSING, CLOSING_OTHER)
        await channel.say(Logout(self._settings.user, self._settings.password))
        await self._logged_out.wait()
        log.info("main link: logged out")

    async def _listen(self, channel: Channel) -> None:
        while True:
            frame = await channel.receive(self._timing.dead_s)
            if frame.msg_id == Id.KEEP_ALIVE_ANSWER:
                if self._probes:
                    await self._confirm(self._probes.popleft()[1])
            elif frame.msg_id == Id.KEEP_ALIVE:
                await channel.say(Empty(Id.KEEP_ALIVE_ANSWER))
            elif frame.msg_id == Id.LOGOUT_ANSWER:
                await self._confirm(self._gone)
                self._logged_out.set()
            elif frame.msg_id == Id.SUB_CLOSING:
                raise LinkLost("the superior platform closes both links")
            else:
                await self._handle(frame)

    async def _confirm(self, number: int) -> None:
        try:
            await self._outbox.confirm(number, now=self._clock())
        except StoreUnavailable as error:  # the next answer confirms this sending too
            log.warning("confirmed positions stay queued for now: %s", error)

    async def _keep_alive(self, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._timing.keep_alive_s)
            if self._probes and loop.time() - self._probes[0][0] > self._timing.dead_s:
                raise LinkLost(f"no answer to a keep-alive for {self._timing.dead_s:g} s")
            self._probes.append((loop.time(), self._gone))
            await channel.say(Empty(Id.KEEP_ALIVE))

    # -- positions

    async def _forward(self, channel: Channel, *, live_from: datetime) -> None:
        """Send what is queued, round by round, until the client is stopped."""
        while not self._stopping.is_set():
            try:
                rows = await self._take()
            except StoreUnavailable as error:
                log.warning("the queue cannot be read, trying again: %s", error)
                rows = []
            if rows:
                await self._send(channel, rows, live_from)
            if len(rows) < self._timing.batch_rows:
                await self._pause(self._timing.poll_s)

    async def _take(self) -> list[Queued]:
        if self._unsure is not None:
            await self._outbox.rewind(self._unsure)
        self._number += 1
        self._unsure = self._number
        rows, withheld = await self._outbox.take(self._number, rows=self._timing.batch_rows)
        self._unsure = None
        if withheld:
            log.info("%d positions of vehicles that are not forwarded were left out", withheld)
        return rows

    async def _send(self, channel: Channel, rows: list[Queued], live_from: datetime) -> None:
        number = self._number
        outgoing, unfit = self._composer.compose(rows, live_from=live_from)
        for reason in unfit:
            log.warning("a position cannot be forwarded: %s", reason)
        registers: list[Outgoing] = []
        for row in rows:
            if (row.terminal_id, row.plate) not in self._registered:
                self._registered.add((row.terminal_id, row.plate))
                with suppress(ProtocolError):  # its positions are named above
                    registers.append(self._composer.register(row))
        went_out = 0
        try:
            for message in (*registers, *outgoing):
                await channel.send(message.msg_id, message.body)
                went_out += message.positions
        finally:
            self.sent += went_out
            self._outbox.count(went_out, at=self._clock())
        self._gone = number

    # -- what the superior platform says, on either link

    async def _handle(self, frame: Frame) -> None:
        edition = self._settings.edition
        try:
            if frame.msg_id == Id.DOWN_VEHICLE:
                await self._answer(parse_vehicle(frame.body, edition), frame)
                return
            content = parse_link_body(frame.msg_id, frame.body, edition)
        except ProtocolError as error:
            # 0x9300 to 0x9600 are for people: whoever runs the platform answers them in the superior's own portal.
            log.warning("message %04x of the superior platform was not acted upon: %s", frame.msg_id, error)
            return
        if isinstance(content, Received):
            await self._reconcile(content)
        elif isinstance(content, Code) and content.msg_id == Id.SUB_BROKEN:
            log.warning("the superior platform lost or cannot open the sub link (reason %d)", content.code)
        else:
            log.warning("message %04x was not expected here", frame.msg_id)

    async def _answer(self, vehicle: Vehicle, frame: Frame) -> None:
        content = vehicle.content
        if isinstance(content, Note) and content.sub_type in ANSWERS:
            answer = Plain(ANSWERS[Sub(content.sub_type)], source=(content.sub_type, frame.serial))
            if self._main is not None:
                reply = Vehicle(vehicle.plate, vehicle.colour, answer)
                await self._main.send(*encode_vehicle(reply, self._settings.edition))
        elif isinstance(content, Note) and content.code:
            log.warning("the superior platform answers %04x with %d", content.sub_type, content.code)

    async def _reconcile(self, notice: Received) -> None:
        """Compare a count of the superior platform with ours; a difference is logged and kept."""
        tolerance = timedelta(seconds=self._timing.tolerance_s)
        try:
            least, most = await self._outbox.sent_between(notice.start_at, notice.end_at, tolerance=tolerance)
            if least <= notice.count <= most:
                return
            log.warning(
                "the superior platform received %d positions from %s to %s, %d to %d were sent",
                notice.count, notice.start_at.isoformat(), notice.end_at.isoformat(), least, most,
            )  # fmt: skip
            await self._outbox.keep_gap(
                notice.start_at, notice.end_at, received=notice.count, sent=(least, most), now=self._clock()
            )
        except StoreUnavailable as error:
            log.warning("a count of the superior platform could not be compared: %s", error)
