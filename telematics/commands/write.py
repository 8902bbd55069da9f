"""Take positions from the stream of the gateways into the database; several may run side by side.

The stream forgets a block only after the commit that holds it. SIGTERM and Ctrl-C commit what was taken and exit 0. Database and
stream may be away: they are waited for.

Environment: FLEET_DATABASE_URL and FLEET_GATEWAY_ROLE as for serve, FLEET_NATS_URL (servers, with user and password),
FLEET_NATS_STREAM, FLEET_NATS_GIB, FLEET_NATS_REPLICAS, FLEET_NATS_DISK_SYNCS (1).
"""

import argparse
import asyncio
import os
import signal
import sys

from telematics.commands import logs
from telematics.commands.common import database_ready, fastest_loop, unless, utc_now
from telematics.commands.serve import stream_ready
from telematics.commands.stream_options import add_stream_arguments, stream_place
from telematics.gateway.drain import draining
from telematics.gateway.stream import StreamPlace, WrongStream


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``write``."""
    add_stream_arguments(parser)
    parser.add_argument("--database-url", help="PostgreSQL address (default: environment FLEET_DATABASE_URL)")


def run(args: argparse.Namespace) -> int:
    """Run until told to stop; 0 after a graceful stop, 1 if the stream loses positions, 2 if an address is missing."""
    url = args.database_url or os.environ.get("FLEET_DATABASE_URL")
    place = stream_place(args)
    if not url or place is None:
        print("Give --database-url (FLEET_DATABASE_URL) and --nats (FLEET_NATS_URL).", file=sys.stderr)
        return 2
    logs.configure()
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        try:
            runner.run(_write(url, place, os.environ.get("FLEET_GATEWAY_ROLE", "fleet_gateway")))
        except WrongStream as error:
            print(error, file=sys.stderr)
            return 1
    return 0


async def _write(url: str, place: StreamPlace, role: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not await unless(stop, database_ready(url, role)) or not await unless(stop, stream_ready(place)):
        return
    async with draining(url, place, role=role, clock=utc_now) as task:
        print(f"writer takes from the stream {place.name}", flush=True)
        await unless(stop, _end_of(task))


async def _end_of(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
    task.result()
