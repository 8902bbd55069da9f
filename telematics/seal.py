"""Digest of each day's fixes, terminal by terminal, so that an edited, removed or slipped-in row shows and is named.

A seal covers what was received before ``as_of`` and was not covered by the seal before it: late fixes get a seal of
their own instead of breaking an older one. ``root`` of a seal is what the audit chain keeps.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

from psycopg import Connection

from telematics.packed import delay_of
from telematics.rows import EARLIEST_AT, micros

Conn = Connection[Any]
Stored = tuple[int, int, int, int, int, bytes]
"""Terminal, device time (microseconds since 1970 UTC), digest, latitude, longitude (1e-6 degrees), rest."""

_head = struct.Struct("<iqqiiH")
BATCH = 20_000
LATEST_AT = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Part:
    """Seal of one terminal: number of fixes and SHA-256 over their rows."""

    terminal_id: int
    fixes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """Seal of a day: what was received in ``[since, as_of)``. ``root`` is the hex SHA-256 over its parts."""

    day: date
    since: datetime
    as_of: datetime
    parts: tuple[Part, ...]

    @property
    def root(self) -> str:
        """SHA-256 over day, window and (terminal, number, hash) of every part, by terminal."""
        whole = hashlib.sha256(f"{self.day.isoformat()} {micros(self.since)} {micros(self.as_of)}\n".encode())
        for part in self.parts:
            whole.update(f"{part.terminal_id} {part.fixes} {part.sha256.hex()}\n".encode())
        return whole.hexdigest()

    @property
    def fixes(self) -> int:
        """Number of fixes covered."""
        return sum(part.fixes for part in self.parts)


@dataclass(frozen=True, slots=True)
class Difference:
    """A terminal whose fixes of a day are not those sealed, with both numbers."""

    day: date
    terminal_id: int
    sealed: int
    found: int


def row_bytes(row: Stored) -> bytes:
    """What is hashed of a row: every value, nothing left out."""
    return _head.pack(*row[:5], len(row[5])) + row[5]


def table_rows(conn: Conn, day: date) -> Iterator[Stored]:
    """Rows of a day's partition by terminal, time, digest; none if it has no partition. Needs a transaction."""
    name = f"gps_fix_{day:%Y%m%d}"
    if conn.execute("SELECT to_regclass(%s)", [name]).fetchone() == (None,):
        return
    with conn.cursor(f"rows_{day:%Y%m%d}", binary=True) as cursor:
        cursor.itersize = BATCH
        query = f"SELECT terminal_id, at, digest, lat_e6, lon_e6, rest FROM gps_fix WHERE at >= '{day}Z' AND at < '{day}Z'::timestamptz + interval '1 day' ORDER BY terminal_id, at, digest"  # noqa: S608
        cursor.execute(query)
        for terminal_id, at, digest, lat_e6, lon_e6, rest in cursor:
            yield terminal_id, micros(at), digest, lat_e6, lon_e6, rest


def received_us(row: Stored) -> int:
    """When a row was received, to the millisecond, in microseconds."""
    return (row[1] // 1000 + delay_of(row[5])) * 1000


def hashed(rows: Iterable[Stored], edges: Sequence[datetime]) -> list[list[Part]]:
    """Parts of each window between two successive edges; rows come by terminal, time, digest."""
    limits = [micros(edge) for edge in edges]
    windows: list[dict[int, tuple[Any, list[int]]]] = [{} for _ in limits[1:]]
    for row in rows:
        received = received_us(row)
        for place, (since, until) in enumerate(pairwise(limits)):
            if since <= received < until:
                whole, count = windows[place].setdefault(row[0], (hashlib.sha256(), [0]))
                whole.update(row_bytes(row))
                count[0] += 1
                break
    return [
        [Part(terminal, count[0], whole.digest()) for terminal, (whole, count) in sorted(window.items())]
        for window in windows
    ]


def seals(conn: Conn, day: date) -> list[Seal]:
    """Seals of a day in order of time."""
    found: dict[datetime, list[Part]] = {}
    query = "SELECT as_of, terminal_id, fixes, sha256 FROM gps_seal WHERE day = %s ORDER BY as_of, terminal_id"
    for as_of, *part in conn.execute(query, [day]):
        found.setdefault(as_of.astimezone(UTC), []).append(Part(part[0], part[1], bytes(part[2])))
    edges = [EARLIEST_AT, *found]
    return [Seal(day, since, as_of, tuple(found[as_of])) for since, as_of in zip(edges, found, strict=False)]


def unsealed_days(conn: Conn, before: date) -> list[date]:
    """UTC days before ``before`` with fixes that no seal covers."""
    return [day for (day,) in conn.execute("SELECT day FROM gps_unsealed WHERE day < %s ORDER BY day", [before])]


def seal_day(conn: Conn, day: date, as_of: datetime) -> Seal | None:
    """Seal what the table holds of a day, received before ``as_of`` and not sealed yet; ``None`` if that is nothing.

    ``as_of`` must lie so far back that nothing received before it still waits to be written. In the caller's
    transaction; the day stays marked as unsealed while anything of it was received later.
    """
    before = seals(conn, day)
    since = before[-1].as_of if before else EARLIEST_AT
    if as_of <= since:
        return None
    mark = conn.execute("SELECT touched FROM gps_unsealed WHERE day = %s", [day]).fetchone()
    parts, later = hashed(table_rows(conn, day), [since, as_of, LATEST_AT])
    if mark is not None and not later:
        conn.execute("DELETE FROM gps_unsealed WHERE day = %s AND touched = %s", [day, mark[0]])
    if not parts:
        return None
    made = Seal(day, since, as_of, tuple(parts))
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO gps_seal (day, as_of, terminal_id, fixes, sha256) VALUES (%s, %s, %s, %s, %s)",
            [(day, as_of, part.terminal_id, part.fixes, part.sha256) for part in parts],
        )
    return made


def differences(conn: Conn, day: date, rows: Iterable[Stored]) -> list[Difference]:
    """Terminals whose fixes are not those sealed, by terminal; what came after the last seal is left out."""
    known = seals(conn, day)
    if not known:
        return []
    found = hashed(rows, [EARLIEST_AT, *(seal.as_of for seal in known)])
    wrong: dict[int, Difference] = {}
    for seal, parts in zip(known, found, strict=True):
        sealed, there = ({part.terminal_id: part for part in side} for side in (seal.parts, parts))
        for terminal in sorted(sealed.keys() | there.keys()):
            old, new = sealed.get(terminal), there.get(terminal)
            if old != new:
                wrong.setdefault(terminal, Difference(day, terminal, old.fixes if old else 0, new.fixes if new else 0))
    return [wrong[terminal] for terminal in sorted(wrong)]
