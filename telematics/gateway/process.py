"""The whole gateway put together: links, writer, both servers, watch, commands."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from telematics.bulk import SEEN_STAGE
from telematics.gateway.commands import Commander
from telematics.gateway.directory import Directory
from telematics.gateway.holding import Holding, Listener
from telematics.gateway.limits import Allowance, Guesses, Limits
from telematics.gateway.link import Link
from telematics.gateway.phone import PhoneEndpoint
from telematics.gateway.proxy import Network
from telematics.gateway.server import Gateway
from telematics.gateway.session import Services
from telematics.gateway.sinks import Database
from telematics.gateway.stream import Stream, StreamPlace
from telematics.gateway.writer import GroupWriter

log = logging.getLogger("telematics.gateway")

FLUSH_S = 10.0


class PortTaken(Exception):
    """An address to listen on is not free; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway at work: where it listens and what is inside."""

    terminals: Address
    phones: Address
    gateway: Gateway
    services: Services
    tasks: tuple[asyncio.Task[None], ...]

    async def failed(self) -> None:
        """Wait for ever, unless writer or watch die of a fault, which is raised."""
        done, _ = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


@asynccontextmanager
async def running(
    url: str,
    *,
    role: str,
    clock: Callable[[], datetime],
    host: str = "127.0.0.1",
    port: int = 0,
    http_port: int = 0,
    udp: bool = False,
    limits: Limits | None = None,
    flush_s: float = FLUSH_S,
    stream: StreamPlace | None = None,
    proxies: Sequence[Network] = (),
) -> AsyncIterator[Running]:
    """Run a gateway on the database at ``url``; port 0 takes any free one. Raises PortTaken.

    With ``udp`` terminals may also send datagrams to the same port number. With a ``stream`` positions go there instead
    of into the database, and terminals may log in while the database is away. ``proxies`` are the networks of trusted
    load balancers.

    At the end nothing more is accepted, and what was accepted gets ``flush_s`` seconds to be stored and answered.
    What is not stored by then was not acknowledged either: the terminals send it again.
    """
    limits = limits or Limits()
    asking, commanding, listening, reading = (Link(url, role=role) for _ in range(4))
    writing = Link(url, role=role, stage=SEEN_STAGE)
    links = (asking, commanding, listening, reading, writing)
    flowing = Stream(stream) if stream else None
    writer = GroupWriter(flowing or Database(writing), clock=clock, queue_rows=limits.queue_rows)
    overall = Allowance(limits.quarantine_per_minute_overall)
    directory = Directory(asking, reading, keep_s=limits.directory_s if stream else 0.0)
    services = Services(directory, writer, clock, limits, overall, Guesses(limits))
    name = secrets.token_hex(8)  # of this run: what the run before held is not held by this one
    gateway = Gateway(services, Holding(asking, gateway=name), proxies=proxies)
    phones = PhoneEndpoint(services, gateway, proxies=proxies)
    commander = Commander(commanding, gateway.terminals, gateway=name, clock=clock, limits=limits)
    listener = Listener(listening, gateway.terminals)
    work = [writer.run(), gateway.watch(), commander.run(), listener.run()]
    if directory.keeps:
        work.append(directory.keep(every_s=limits.reread_s))
    tasks = tuple(map(asyncio.create_task, work))
    try:
        yield Running(
            await _listen(partial(gateway.start, udp=udp), host, port),
            await _listen(phones.start, host, http_port),
            gateway,
            services,
            tasks,
        )
    finally:
        try:
            async with asyncio.timeout(flush_s):
                await asyncio.gather(gateway.stop(), phones.stop())
                await writer.flushed()
        except TimeoutError:
            log.warning("%d rows could not be stored; they were not acknowledged and will be sent again", writer.depth)
        await _cancel(*tasks, *gateway.connections(), *phones.connections())
        await commander.stop()
        await gateway.ended()
        for link in links:
            await link.close()
        if flowing:
            await flowing.close()


async def _listen(start: Callable[[str, int], Coroutine[Any, Any, tuple[str, int]]], host: str, port: int) -> Address:
    try:
        return Address(*await start(host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise PortTaken(
            f"Cannot listen on {host}:{port} ({reason}): stop the other program or choose another port."
        ) from None


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
