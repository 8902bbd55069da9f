"""The demo's door to the GPS library: a month of fixes into the store, live terminals to the gateway."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from telematics import store
from telematics.gateway.terminal import Refused, Terminal
from telematics.model import Fix

log = structlog.get_logger()
RETRY_S = 5.0
EVERY_S = 600.0


def save_fixes(session: Session, fixes: Sequence[tuple[int, Fix]], *, received_at: datetime) -> int:
    """Store fixes as if received at a moment; returns how many were new."""
    connection = session.connection().connection.driver_connection
    return store.save(connection, [(terminal, fix, None) for terminal, fix in fixes], received_at)  # type: ignore[arg-type]


async def send_live(
    stream: Iterable[tuple[str, Fix]], *, host: str, port: int, meanwhile: Callable[[], object]
) -> None:
    """Send each fix over its own terminal's JT/T 808 connection when it is due; reconnect when the gateway restarts.

    ``meanwhile`` is called every ten minutes in a thread.
    """
    queues: dict[str, asyncio.Queue[Fix]] = {}
    running: list[asyncio.Task[None]] = [asyncio.create_task(_now_and_then(meanwhile))]
    for phone, fix in stream:
        wait_s = fix.at.timestamp() - time.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        if phone not in queues:
            queues[phone] = asyncio.Queue(maxsize=1000)
            running.append(asyncio.create_task(_terminal(phone, queues[phone], host, port)))
            await asyncio.sleep(0.01)
        with contextlib.suppress(asyncio.QueueFull):
            queues[phone].put_nowait(fix)


async def _now_and_then(task: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        await asyncio.to_thread(task)


async def _terminal(phone: str, queue: "asyncio.Queue[Fix]", host: str, port: int) -> None:
    """Be one terminal for ever: log in, send what is due, keep what was not acknowledged."""
    unsent: Fix | None = None
    while True:
        try:
            async with Terminal(host, port, phone) as terminal:
                await terminal.log_in()
                while True:
                    unsent = unsent or await queue.get()
                    await terminal.send(unsent)
                    unsent = None
        except (OSError, Refused) as error:
            log.warning("terminal_reconnects", phone=phone, error=str(error))
            await asyncio.sleep(RETRY_S)
