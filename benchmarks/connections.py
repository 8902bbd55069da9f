"""Many quiet connections: how long an acknowledgement takes and what they cost when each reports now and then.

Terminals register and authenticate, 300 a second, and report one position every ``--every`` seconds to a gateway process on
loopback. ``ramp`` are the positions sent while terminals still log in and for one more round, ``steady`` those of the
``--seconds`` after it. Every acknowledged position is looked for in the table. Memory is the gateway's resident set, shares are
of one core. Terminals (one light process, their frames made before), gateway and database share the machine's cores; the times
are the terminals' own, so ``terminals_late_ms_p99``, how late they were themselves, counts too.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.connections [--terminals 10000] [--every 10] [--seconds 60]

Makes a database of its own and drops it. Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heapify, heapreplace
from pathlib import Path

import psycopg
from sqlalchemy import create_engine

from benchmarks.database import own_database
from benchmarks.ingest import FLAG, ROOT, cpu_s, fix, percentile, writer_pids
from telematics import tables
from telematics.commands.common import allow_many_connections, fastest_loop
from telematics.ingest import digest
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import encode_frame, header_form
from telematics.simulator.fleet import admit, numbers

LOGINS_PER_S = 300
TICK_S = 0.005


@dataclass(slots=True)
class Times:
    """What the terminals saw, seconds of the event loop: when each position was sent and how long its answer took."""

    logins_s: list[float] = field(default_factory=list)
    sent_s: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)


class Car(asyncio.Protocol):
    """One terminal: registers, authenticates, then reports whenever it is told to."""

    def __init__(self, phone: str, times: Times, positions: list[bytes]) -> None:
        self.phone = phone
        self.reported = 0
        self.acknowledged = 0
        self.ready = False
        self._times = times
        self._positions = positions
        self._waiting: deque[float] = deque()
        self._flags = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Register."""
        self._transport = transport
        registration = body.Registration("2013", 33, 100, "T", "T", self.phone[-7:], 1, "浙A00000")
        self._send(body.REGISTER, body.encode_registration(registration), 0)

    def data_received(self, data: bytes) -> None:
        """Count answers: each has two flags."""
        self._flags += data.count(FLAG)
        while self._flags >= 2:
            self._flags -= 2
            begun_s = self._waiting.popleft()
            if self.ready:
                self.acknowledged += 1
                self._times.sent_s.append(begun_s)
                self._times.waits_s.append(time.monotonic() - begun_s)
            elif self.reported == 0:
                self.reported = -1
                self._send(body.AUTHENTICATE, f"code{self.phone}".encode(), 1)
            else:
                self.reported, self.ready = 0, True
                self._times.logins_s.append(time.monotonic() - begun_s)

    def report(self, due_s: float) -> None:
        """Send the next position."""
        self._times.late_s.append(time.monotonic() - due_s)
        self._waiting.append(time.monotonic())
        self._transport.write(self._positions[self.reported])
        self.reported += 1

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def _send(self, msg_id: int, content: bytes, serial: int) -> None:
        self._waiting.append(time.monotonic())
        self._transport.write(encode_frame(msg_id, content, like=header_form(self.phone), serial=serial))


async def drive(port: int, cars: list[Car], every_s: float, seconds: float, pid: int) -> dict:
    """Log all terminals in, let them report, wait for the last answers; when it was steady, and the gateway's shares."""
    loop = asyncio.get_running_loop()
    begin_s = time.monotonic()
    steady_s = begin_s + len(cars) / LOGINS_PER_S + every_s
    end_s = steady_s + seconds
    opened = 0
    opening: set[asyncio.Task] = set()
    begun_cpu_s, steady_cpu_s = cpu_s(pid), None
    due = [(begin_s + n / LOGINS_PER_S + every_s * (n % 97) / 97 + 0.5, n) for n in range(len(cars))]
    heapify(due)
    while (now_s := time.monotonic()) < end_s:
        if steady_cpu_s is None and now_s >= steady_s:
            steady_cpu_s = cpu_s(pid)
        while opened < min(len(cars), (now_s - begin_s) * LOGINS_PER_S):
            task = loop.create_task(loop.create_connection(lambda car=cars[opened]: car, "127.0.0.1", port))
            opening.add(task)
            task.add_done_callback(opening.discard)
            opened += 1
        while due[0][0] <= now_s:
            due_s, n = due[0]
            if cars[n].ready:
                cars[n].report(due_s)
            heapreplace(due, (due_s + every_s, n))
        await asyncio.sleep(TICK_S)
    ended_cpu_s = cpu_s(pid)
    async with asyncio.timeout(60):
        while any(car.acknowledged < car.reported for car in cars):  # noqa: ASYNC110 - there are too many to wait for each
            await asyncio.sleep(0.1)
    for car in cars:
        car.close()
    shares = {"ramp": steady_cpu_s - begun_cpu_s, "steady": ended_cpu_s - steady_cpu_s}
    spans_s = {"ramp": steady_s - begin_s, "steady": seconds}
    return {"steady_s": steady_s, "shares": {name: round(shares[name] / spans_s[name], 3) for name in shares}}


def memory_mb(pid: int) -> float:
    """Largest resident set of a process so far, megabytes (proc(5), VmHWM)."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) / 1024


def summary(waits_s: list[float]) -> dict:
    """Return the number of waits and their percentiles."""
    if not waits_s:
        return {"number": 0}
    shares = {f"ms_p{share:g}": round(percentile(waits_s, share / 100) * 1000, 1) for share in (50, 99, 99.9)}
    return {"number": len(waits_s), **shares}


def lost(conn: psycopg.Connection, cars: list[Car], known: list[tuple[datetime, int]]) -> int:
    """Acknowledged positions that are not in the table."""
    stored: dict[str, set] = {car.phone: set() for car in cars}
    query = "SELECT t.phone, f.at, f.digest FROM gps_fix AS f JOIN gps_terminal AS t ON t.id = f.terminal_id"
    for phone, at, content in conn.execute(query):
        stored[phone].add((at, content))
    return sum(len(set(known[: car.acknowledged]) - stored[car.phone]) for car in cars)


def measure(dsn: str, terminals: int, every_s: float, seconds: float) -> dict:
    """Run the terminals against a gateway on an empty database."""
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        tables.create_all(connection)
    engine.dispose()
    phones = numbers(13_900_000_000, terminals)
    with psycopg.connect(dsn) as conn:
        admit(conn, phones)
        conn.execute("UPDATE gps_terminal SET auth_code = 'code' || phone")
    allow_many_connections()
    rounds = int((terminals / LOGINS_PER_S + every_s + seconds) / every_s) + 2
    start_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    fixes = [body.parse_location(body.encode_location(fix(n, at=start_at))) for n in range(rounds)]
    known = [(one.at, digest(one)) for one in fixes]
    times = Times()
    cars = [
        Car(
            phone,
            times,
            [
                encode_frame(body.LOCATION, body.encode_location(one), like=header_form(phone), serial=2 + n)
                for n, one in enumerate(fixes)
            ],
        )
        for phone in phones
    ]
    command = [sys.executable, "-m", "telematics", "serve", "--port", "0", "--http-port", "0", "--database-url", dsn]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            port = int(gateway.stdout.readline().split(":")[1].split()[0])
            before_mb, own_s, began_s = memory_mb(gateway.pid), time.process_time(), time.perf_counter()
            with asyncio.Runner(loop_factory=fastest_loop()) as runner:
                ran = runner.run(drive(port, cars, every_s, seconds, gateway.pid))
            spent_s, own_s = time.perf_counter() - began_s, time.process_time() - own_s
            after_mb = memory_mb(gateway.pid)
            with psycopg.connect(dsn) as conn:
                database_s = sum(map(cpu_s, writer_pids(conn)))
        finally:
            gateway.send_signal(signal.SIGTERM)
    with psycopg.connect(dsn) as conn:
        missing = lost(conn, cars, known)
    waits = list(zip(times.sent_s, times.waits_s, strict=True))
    return {
        "terminals": terminals,
        "every_s": every_s,
        "logged_in": len(times.logins_s),
        "sent": sum(car.reported for car in cars),
        "acknowledged": sum(car.acknowledged for car in cars),
        "missing": missing,
        "authentication": summary(times.logins_s),
        "ramp": summary([wait_s for sent_s, wait_s in waits if sent_s < ran["steady_s"]]),
        "steady": summary([wait_s for sent_s, wait_s in waits if sent_s >= ran["steady_s"]]),
        "terminals_late_ms_p99": round(percentile(times.late_s, 0.99) * 1000, 1),
        "gateway_memory_mb": round(after_mb),
        "kb_per_connection": round((after_mb - before_mb) * 1024 / terminals, 1),
        "gateway_cpu_share": ran["shares"],
        "database_cpu_share": round(database_s / spent_s, 3),
        "terminals_cpu_share": round(own_s / spent_s, 3),
        "load_of_machine": [round(load, 1) for load in os.getloadavg()],
    }


def main() -> None:
    """Make the database, measure, print, drop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=10_000)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between positions of a terminal")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, after all have connected")
    args = parser.parse_args()
    with own_database() as dsn:
        print(json.dumps(measure(dsn, args.terminals, args.every, args.seconds)))


if __name__ == "__main__":
    main()
