"""The whole gateway put together: links, writer, both servers, watch."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from telematics.gateway.directory import Directory
from telematics.gateway.limits import Allowance, Limits
from telematics.gateway.link import Link
from telematics.gateway.phone import PhoneEndpoint
from telematics.gateway.server import Gateway
from telematics.gateway.session import Services
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
    limits: Limits | None = None,
    flush_s: float = FLUSH_S,
) -> AsyncIterator[Running]:
    """Run a gateway on the database at ``url``; port 0 takes any free one. Raises PortTaken.

    At the end nothing more is accepted, and what was accepted gets ``flush_s`` seconds to be stored and answered.
    What is not stored by then was not acknowledged either: the terminals send it again.
    """
    limits = limits or Limits()
    asking, writing = Link(url, role=role), Link(url, role=role)
    writer = GroupWriter(writing, clock=clock, queue_rows=limits.queue_rows)
    overall = Allowance(limits.quarantine_per_minute_overall)
    services = Services(Directory(asking), writer, clock, limits, overall)
    gateway = Gateway(services)
    phones = PhoneEndpoint(services, gateway)
    tasks = (asyncio.create_task(writer.run()), asyncio.create_task(gateway.watch()))
    try:
        yield Running(
            await _listen(gateway.start, host, port),
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
        await asking.close()
        await writing.close()


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
