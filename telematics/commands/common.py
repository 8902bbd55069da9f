"""What several commands share; light, so that a simulation need not load a gateway."""

import asyncio
import contextlib
import resource
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from telematics.gateway.link import Link, StoreUnavailable


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Maker of uvloop's event loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    make: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return make


def allow_many_connections() -> None:
    """Raise the limit of open files to what the system allows: every terminal holds one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def utc_now() -> datetime:
    """Clock of the process, handed to everything that needs the time."""
    return datetime.now(UTC)


async def database_ready(url: str, role: str) -> None:
    """Wait until the database can be used."""
    link = Link(url, role=role)
    try:
        await ready("The database", link.check)
    finally:
        await link.close()


async def ready(what: str, check: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Wait until a check passes; says why it does not, once a reason."""
    told = ""
    while True:
        try:
            return await check()
        except StoreUnavailable as error:
            if str(error) != told:
                told = str(error)
                print(f"{what} cannot be used ({told}); trying again every second.", file=sys.stderr, flush=True)
        await asyncio.sleep(1)


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Run ``work`` to its end unless ``stop`` is set first; True if it got there. Raises what ``work`` raises."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    finished = working.done()
    for task in (working, stopping):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    return finished
