"""Options of the stream between gateways and database, common to ``serve`` and ``write``."""

import argparse
import os

from telematics.gateway.stream import StreamPlace


def add_stream_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the stream is."""
    text = os.environ.get
    parser.add_argument(
        "--nats",
        default=text("FLEET_NATS_URL"),
        metavar="URL[,URL]",
        help="servers (default: environment FLEET_NATS_URL)",
    )
    parser.add_argument("--stream", default=text("FLEET_NATS_STREAM", "FLEET_GPS"), help="its name (default FLEET_GPS)")
    parser.add_argument(
        "--stream-gib",
        type=float,
        default=text("FLEET_NATS_GIB", "8"),
        metavar="N",
        help="what it may hold (default 8)",
    )
    parser.add_argument(
        "--stream-replicas", type=int, default=text("FLEET_NATS_REPLICAS", "1"), metavar="N", help="servers (default 1)"
    )
    parser.add_argument(
        "--stream-disk-syncs",
        action="store_true",
        default=text("FLEET_NATS_DISK_SYNCS") == "1",
        help="state that the server's file system writes through (nats-server before 2.10)",
    )


def stream_place(args: argparse.Namespace) -> StreamPlace | None:
    """The stream of the arguments, None without a server."""
    servers = tuple(part for part in (args.nats or "").split(",") if part)
    if not servers:
        return None
    return StreamPlace(
        servers=servers,
        name=args.stream,
        most_bytes=int(args.stream_gib * (1 << 30)),
        replicas=args.stream_replicas,
        disk_syncs=args.stream_disk_syncs,
    )
