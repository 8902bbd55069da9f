"""Run the GPS gateway: JT/T 808 terminals over TCP (and UDP), phones over HTTP (with GET /healthz).

A position is acknowledged only when it is durable: committed in the database, or with --sink nats stored in a stream that
``python -m telematics write`` takes into the database. SIGTERM and Ctrl-C stop accepting, store what was accepted, and
exit 0. The database may be away: terminals then get no acknowledgement and keep their positions.

Environment: FLEET_DATABASE_URL (address), FLEET_GATEWAY_ROLE (database role to work as, default fleet_gateway, used
if it exists), FLEET_GATEWAY_SINK, FLEET_GATEWAY_TRUSTED_PROXIES (networks, comma-separated), FLEET_GATEWAY_METRICS_PORT, FLEET_METRICS_HOST, FLEET_NATS_URL (servers, with user and
password), FLEET_NATS_STREAM, FLEET_NATS_GIB, FLEET_NATS_REPLICAS, FLEET_NATS_DISK_SYNCS (1).
"""

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence

from prometheus_client import start_http_server

from telematics.commands import logs
from telematics.commands.common import (
    allow_many_connections,
    database_ready,
    fastest_loop,
    ready,
    unless,
    utc_now,
)
from telematics.commands.stream_options import add_stream_arguments, stream_place
from telematics.gateway.metrics import registry
from telematics.gateway.process import PortTaken, Running, running
from telematics.gateway.proxy import Network, networks
from telematics.gateway.stream import Stream, StreamPlace, WrongStream
from telematics.gateway.wire_rows import warm


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``serve``."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=6808, help="JT/T 808 port, 0 for any free one (default 6808)")
    parser.add_argument("--udp", action="store_true", help="take JT/T 808 datagrams on the same port number too")
    parser.add_argument("--http-port", type=int, default=5055, help="port of phones and /healthz (default 5055)")
    parser.add_argument(
        "--metrics-port", type=int, default=int(os.environ.get("FLEET_GATEWAY_METRICS_PORT") or -1),
        help="port of Prometheus figures on --metrics-host, 0 for any free one (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--metrics-host", default=os.environ.get("FLEET_METRICS_HOST", "127.0.0.1"), help="an address the public cannot reach"
    )  # fmt: skip
    parser.add_argument("--database-url", help="PostgreSQL address (default: environment FLEET_DATABASE_URL)")
    parser.add_argument(
        "--sink", choices=("postgres", "nats"), default=os.environ.get("FLEET_GATEWAY_SINK", "postgres"),
        help="where positions become durable before their acknowledgement (default postgres)",
    )  # fmt: skip
    parser.add_argument(
        "--trust-proxy", metavar="NET[,NET]", default=os.environ.get("FLEET_GATEWAY_TRUSTED_PROXIES", ""),
        help="networks of the load balancers; connections from there must begin with a PROXY protocol header",
    )  # fmt: skip
    add_stream_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop; 0 after a graceful stop, 1 if port or stream cannot be used, 2 for wrong settings."""
    url = args.database_url or os.environ.get("FLEET_DATABASE_URL")
    if not url:
        print("No database: give --database-url or set FLEET_DATABASE_URL.", file=sys.stderr)
        return 2
    place = stream_place(args) if args.sink == "nats" else None
    if args.sink not in {"postgres", "nats"} or (args.sink == "nats" and place is None):
        print(
            "--sink nats needs servers: give --nats or set FLEET_NATS_URL; the other sink is postgres.", file=sys.stderr
        )
        return 2
    try:
        proxies = networks(args.trust_proxy)
    except ValueError as error:
        print(f"--trust-proxy: {error}. Write networks like 10.0.0.0/24, separated by commas.", file=sys.stderr)
        return 2
    allow_many_connections()
    warm()
    spare_the_collector()
    logs.configure()
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        try:
            runner.run(_serve(args, url, os.environ.get("FLEET_GATEWAY_ROLE", "fleet_gateway"), place, proxies))
        except (PortTaken, WrongStream) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def spare_the_collector() -> None:
    """Keep Python's cyclic collector from stopping every terminal for half a second.

    What is loaded stays for good and need not be looked at again. Messages leave no cycles, only ended connections do,
    so it may come by more rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _serve(
    args: argparse.Namespace, url: str, role: str, place: StreamPlace | None, proxies: Sequence[Network]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not await unless(stop, database_ready(url, role)):
        return
    if place is not None and not await unless(stop, stream_ready(place)):
        return
    async with running(
        url,
        role=role,
        clock=utc_now,
        host=args.host,
        port=args.port,
        http_port=args.http_port,
        udp=args.udp,
        stream=place,
        proxies=proxies,
    ) as gateway:
        with figures(args, gateway):
            print(f"gateway listening on {gateway.terminals} (JT/T 808), {gateway.phones} (phones)", flush=True)
            await unless(stop, gateway.failed())


@contextlib.contextmanager
def figures(args: argparse.Namespace, gateway: Running) -> Iterator[None]:
    """Serve figures meanwhile, if a port was given. Raises PortTaken."""
    if args.metrics_port < 0:
        yield
        return
    found = registry(gateway.services.writer, lambda: len(gateway.gateway.terminals))
    try:
        server, _ = start_http_server(args.metrics_port, addr=args.metrics_host, registry=found)
    except OSError as error:
        raise PortTaken(
            f"Cannot listen on {args.metrics_host}:{args.metrics_port} ({error.strerror}): choose another --metrics-port."
        ) from None
    print(f"figures on {args.metrics_host}:{server.server_port}", flush=True)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


async def stream_ready(place: StreamPlace) -> None:
    """Wait for the stream. Raises WrongStream."""
    stream = Stream(place)
    try:
        await ready("The stream", stream.check)
    finally:
        await stream.close()
