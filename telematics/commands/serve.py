"""Run the GPS gateway: JT/T 808 terminals over TCP, phones over HTTP (with GET /healthz).

A position is acknowledged only when it is durable. SIGTERM and Ctrl-C stop accepting, store what was accepted, and
exit 0. The database may be away: terminals then get no acknowledgement and keep their positions.

Environment: FLEET_DATABASE_URL (address), FLEET_GATEWAY_ROLE (database role to work as, default fleet_gateway, used
if it exists).
"""

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from telematics.gateway.link import Link, StoreUnavailable
from telematics.gateway.process import PortTaken, running


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``serve``."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=6808, help="JT/T 808 port, 0 for any free one (default 6808)")
    parser.add_argument("--http-port", type=int, default=5055, help="port of phones and /healthz (default 5055)")
    parser.add_argument("--database-url", help="PostgreSQL address (default: environment FLEET_DATABASE_URL)")


def run(args: argparse.Namespace) -> int:
    """Run until told to stop; 0 after a graceful stop, 1 if a port is taken, 2 without a database address."""
    url = args.database_url or os.environ.get("FLEET_DATABASE_URL")
    if not url:
        print("No database: give --database-url or set FLEET_DATABASE_URL.", file=sys.stderr)
        return 2
    allow_many_connections()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        try:
            runner.run(_serve(args, url, os.environ.get("FLEET_GATEWAY_ROLE", "fleet_gateway")))
        except PortTaken as error:
            print(error, file=sys.stderr)
            return 1
    return 0


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


async def _serve(args: argparse.Namespace, url: str, role: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not await _unless(stop, _database_ready(url, role)):
        return
    async with running(
        url, role=role, clock=utc_now, host=args.host, port=args.port, http_port=args.http_port
    ) as gateway:
        print(f"gateway listening on {gateway.terminals} (JT/T 808), {gateway.phones} (phones)", flush=True)
        await _unless(stop, gateway.failed())


async def _database_ready(url: str, role: str) -> None:
    link = Link(url, role=role)
    told = ""
    try:
        while True:
            try:
                return await link.check()
            except StoreUnavailable as error:
                if str(error) != told:
                    told = str(error)
                    print(
                        f"The database cannot be used ({told}); trying again every second.", file=sys.stderr, flush=True
                    )
            await asyncio.sleep(1)
    finally:
        await link.close()


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Run ``work`` to its end unless ``stop`` is set first; True if it got there. Raises what ``work`` raises."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    finished = working.done()
    for task in (working, stopping):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    return finished
