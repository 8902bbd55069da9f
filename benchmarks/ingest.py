"""Acknowledged positions a second through the gateway, against COPY of the same rows in the same run.

Terminals on loopback send prepared 0x0200 frames to a gateway process, each with a window of messages in flight, and
count the acknowledgements, every one of which follows a commit. The bound is COPY of the very rows that arose into a
bare table without keys: what the database could take if decoding, identity, de-duplication, acknowledgement and the
Python process were free. Terminals, gateway and database share the machine's cores.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.ingest [--terminals 50] [--positions 1000] [--window 100]

Makes a database of its own and drops it. Prints one JSON object; ``ratio`` is gateway / COPY.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import create_engine

from benchmarks.database import own_database
from telematics import store, tables
from telematics.model import Fix
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import encode_frame, header_form

ROOT = Path(__file__).parents[1]
START = datetime(2024, 5, 20, 1, 0, tzinfo=UTC)
FLAG = b"\x7e"


def fix(second: int, *, at: datetime = START) -> Fix:
    """Return a position as a car on the road would report it."""
    return Fix(
        at=at + timedelta(seconds=second),
        lat=30.25 + second * 1e-5,
        lon=120.15 + second * 2e-5,
        speed_kmh=45.0 + second % 10,
        direction_deg=second % 360,
        altitude_m=12,
        acc=True,
        odometer_m=second * 100,
        status=3,
        items={"satellites": 12, "signal": 25},
    )


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def drive(port: int, phone: str, frames: list[bytes], window: int, delays_ms: list[float]) -> int:
    """Send the frames with ``window`` of them in flight; returns the number of acknowledgements."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    form = header_form(phone)
    code = f"code{phone}".encode()
    writer.write(encode_frame(body.AUTHENTICATE, code, like=form, serial=0))
    await reader.readuntil(FLAG)
    await reader.readuntil(FLAG)
    sent = acknowledged = 0
    sent_s: list[float] = []
    while acknowledged < len(frames):
        if sent < len(frames) and sent - acknowledged <= window // 2:
            group = frames[sent : acknowledged + window]
            writer.write(b"".join(group))
            sent_s += [time.perf_counter()] * len(group)
            sent += len(group)
        data = await reader.read(1 << 16)
        if not data:
            break
        answers = data.count(FLAG) // 2  # answers are short and come whole
        now_s = time.perf_counter()
        delays_ms += [(now_s - begun_s) * 1000 for begun_s in sent_s[acknowledged : acknowledged + answers]]
        acknowledged += answers
    writer.close()
    return acknowledged


async def load(port: int, phones: list[str], frames: dict[str, list[bytes]], window: int) -> tuple[int, list[float]]:
    """Drive all terminals at once."""
    delays_ms: list[float] = []
    counts = await asyncio.gather(*(drive(port, phone, frames[phone], window, delays_ms) for phone in phones))
    return sum(counts), delays_ms


def cpu_s(pid: int) -> float:
    """Processor time a process of this machine has used, user and system (proc(5), stat fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def writer_pids(conn: psycopg.Connection) -> list[int]:
    """Return the server processes that work for gateways on this database."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'fleet-gateway' AND datname = current_database()"
    found = conn.execute(query)
    return [pid for (pid,) in found]


def copy_rate(conn: psycopg.Connection) -> float:
    """Rows a second of COPY into a bare table with the rows of gps_fix."""
    with conn.cursor().copy("COPY gps_fix_source TO STDOUT (FORMAT BINARY)") as out:
        blocks = [bytes(block) for block in out]
    began_s = time.perf_counter()
    with conn.cursor().copy("COPY bare FROM STDIN (FORMAT BINARY)") as into:
        for block in blocks:
            into.write(block)
    conn.commit()
    spent_s = time.perf_counter() - began_s
    return conn.execute("SELECT count(*) FROM bare").fetchone()[0] / spent_s


def measure(dsn: str, terminals: int, positions: int, window: int) -> dict:
    """Run the load and the bound on an empty database."""
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        tables.create_all(connection)
    engine.dispose()
    phones = [f"139{number:08}" for number in range(terminals)]
    with psycopg.connect(dsn) as conn:
        for phone in phones:
            store.add_terminal(conn, phone=phone)
        conn.execute("UPDATE gps_terminal SET auth_code = 'code' || phone")
    contents = [body.encode_location(fix(second)) for second in range(positions)]
    frames = {
        phone: [
            encode_frame(body.LOCATION, content, like=header_form(phone), serial=1 + n)
            for n, content in enumerate(contents)
        ]
        for phone in phones
    }
    command = [sys.executable, "-m", "telematics", "serve", "--port", "0", "--http-port", "0", "--database-url", dsn]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            port = int(gateway.stdout.readline().split(":")[1].split()[0])
            idle_s = cpu_s(gateway.pid)
            terminals_s = time.process_time()
            began_s = time.perf_counter()
            acknowledged, delays_ms = asyncio.run(load(port, phones, frames, window))
            spent_s = time.perf_counter() - began_s
            terminals_s = time.process_time() - terminals_s
            gateway_s = cpu_s(gateway.pid) - idle_s
            with psycopg.connect(dsn) as conn:
                database_s = sum(map(cpu_s, writer_pids(conn)))
        finally:
            gateway.send_signal(signal.SIGTERM)
    with psycopg.connect(dsn) as conn:
        stored = conn.execute("SELECT count(*) FROM gps_fix").fetchone()[0]
        conn.execute("CREATE TEMP TABLE gps_fix_source AS TABLE gps_fix")
        conn.execute("CREATE TABLE bare (LIKE gps_fix)")
        bound = copy_rate(conn)
        durable = conn.execute("SELECT current_setting('fsync')").fetchone()[0]
    return {
        "terminals": terminals,
        "window": window,
        "acknowledged": acknowledged,
        "stored": stored,
        "acknowledged_per_s": round(acknowledged / spent_s),
        "acknowledgement_ms_p50": round(percentile(delays_ms, 0.5), 1),
        "acknowledgement_ms_p99": round(percentile(delays_ms, 0.99), 1),
        "cpu_us_per_position": {
            "terminals": round(terminals_s / acknowledged * 1e6, 1),
            "gateway": round(gateway_s / acknowledged * 1e6, 1),
            "database": round(database_s / acknowledged * 1e6, 1),
        },
        "copy_rows_per_s": round(bound),
        "ratio": round(acknowledged / spent_s / bound, 3),
        "fsync": durable,
    }


def main() -> None:
    """Make the database, measure, print, drop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=50)
    parser.add_argument("--positions", type=int, default=1000, help="per terminal")
    parser.add_argument(
        "--window", type=int, default=100, help="messages of a terminal in flight; 1 waits for each answer"
    )
    args = parser.parse_args()
    with own_database() as dsn:
        print(json.dumps(measure(dsn, args.terminals, args.positions, args.window)))


if __name__ == "__main__":
    main()
