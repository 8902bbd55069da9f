"""Positions a second through gateway, JetStream stream and writers into the database, and what each part costs.

The load of ``benchmarks.ingest``; acknowledgements follow the stream's own. Then the writers empty the stream, which they
began with: ``stored_per_s`` counts until the last row is in the table. All share the machine's cores, so the processor
time of each part is what a plan may rest on. nats-server before 2.10 does not write through to the disk.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.stream [--terminals 50] [--positions 1000] [--window 100] [--writers 1]

Makes a database and a stream of its own and drops them. Prints one JSON object.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psycopg
from sqlalchemy import create_engine

from benchmarks.database import own_database
from benchmarks.ingest import cpu_s, fix, load, percentile, writer_pids
from telematics import store, tables
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import encode_frame, header_form
from tests.telematics.scaled import PATH, Serving, StreamServer, Writer

PATIENCE_S = 300.0


def prepared(dsn: str, phones: list[str]) -> None:
    """Make the tables and admit the terminals."""
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        tables.create_all(connection)
    engine.dispose()
    with psycopg.connect(dsn) as conn:
        for phone in phones:
            store.add_terminal(conn, phone=phone)
        conn.execute("UPDATE gps_terminal SET auth_code = 'code' || phone")


def in_stream(server: StreamServer) -> tuple[int, int]:
    """Blocks and bytes the stream holds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.monitor}/jsz", timeout=5) as answer:
        found = json.load(answer)
    return found["messages"], found["bytes"]


def measure(dsn: str, folder: Path, terminals: int, positions: int, window: int, *, writers: int) -> dict:
    """Load first, then the writers, so that the stream's content can be weighed."""
    phones = [f"139{number:08}" for number in range(terminals)]
    prepared(dsn, phones)
    contents = [body.encode_location(fix(second)) for second in range(positions)]
    frames = {
        phone: [
            encode_frame(body.LOCATION, content, like=header_form(phone), serial=1 + n)
            for n, content in enumerate(contents)
        ]
        for phone in phones
    }
    server = StreamServer(folder)
    server.start()
    gateway = Serving(folder, "gateway", dsn, "--sink", "nats", *server.options())
    several = [Writer(folder, f"writer{number}", dsn, *server.options()) for number in range(writers)]
    try:
        gateway.start()
        idle_s, server_idle_s = cpu_s(gateway.child.pid), cpu_s(server.child.pid)
        began_s = time.perf_counter()
        acknowledged, delays_ms = asyncio.run(load(gateway.port, phones, frames, window))
        spent_s = time.perf_counter() - began_s
        gateway_s, server_s = cpu_s(gateway.child.pid) - idle_s, cpu_s(server.child.pid) - server_idle_s
        blocks, stream_bytes = in_stream(server)
        began_s = time.perf_counter()
        for writer in several:
            writer.begin()
        with psycopg.connect(dsn, autocommit=True) as conn:
            while in_stream(server)[0] and time.perf_counter() - began_s < PATIENCE_S:
                time.sleep(0.05)
            drained_s = time.perf_counter() - began_s
            writers_s = sum(cpu_s(writer.child.pid) for writer in several)
            database_s = sum(map(cpu_s, writer_pids(conn)))
            stored = conn.execute("SELECT count(*) FROM gps_fix").fetchone()[0]
            durable = conn.execute("SELECT current_setting('fsync')").fetchone()[0]
    finally:
        for part in (*several, gateway, server):
            part.kill()
    return {
        "terminals": terminals,
        "window": window,
        "writers": writers,
        "acknowledged": acknowledged,
        "stored": stored,
        "acknowledged_per_s": round(acknowledged / spent_s),
        "acknowledgement_ms_p50": round(percentile(delays_ms, 0.5), 1),
        "acknowledgement_ms_p99": round(percentile(delays_ms, 0.99), 1),
        "stored_per_s_with_start": round(stored / drained_s),
        "positions_per_block": round(acknowledged / max(blocks, 1), 1),
        "stream_bytes_per_position": round(stream_bytes / acknowledged, 1),
        "cpu_us_per_position": {
            "gateway": round(gateway_s / acknowledged * 1e6, 1),
            "stream_server": round(server_s / acknowledged * 1e6, 1),
            "writers_with_start": round(writers_s / acknowledged * 1e6, 1),
            "database": round(database_s / acknowledged * 1e6, 1),
        },
        "stream_syncs": server.syncs,
        "fsync": durable,
    }


def main() -> None:
    """Make the database, measure, print, drop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=50)
    parser.add_argument("--positions", type=int, default=1000, help="per terminal")
    parser.add_argument("--window", type=int, default=100, help="messages of a terminal in flight")
    parser.add_argument("--writers", type=int, default=1)
    args = parser.parse_args()
    if shutil.which("nats-server", path=PATH) is None:
        print("nats-server is not installed: left out", file=sys.stderr)
        return
    with own_database() as dsn, tempfile.TemporaryDirectory() as folder:
        found = measure(dsn, Path(folder), args.terminals, args.positions, args.window, writers=args.writers)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
