"""The GPS store on a psycopg 3 connection: fixes in with COPY, windows and positions out.

Nothing here commits: the caller's transaction decides, so that an acknowledgement can follow the commit. Every
writing function may be repeated with the same values without harm.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from psycopg import AsyncConnection, Connection
from psycopg.sql import SQL, Composed, Identifier

from telematics.model import Fix
from telematics.rows import COLUMNS, FIX_COLUMNS, Quarantined, Row, Unstorable, from_row, to_row

Conn = Connection[Any]

_names = SQL(", ").join(map(Identifier, COLUMNS))
_types = SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(kind)) for name, kind in COLUMNS.items())
_values = SQL(", ").join(SQL("items::jsonb") if name == "items" else Identifier(name) for name in COLUMNS)

STAGE: Composed = SQL("CREATE TEMP TABLE IF NOT EXISTS gps_incoming ({}) ON COMMIT DELETE ROWS").format(_types)
COPY: Composed = SQL("COPY pg_temp.gps_incoming ({}) FROM STDIN (FORMAT BINARY)").format(_names)
PARTITIONS = "SELECT gps_ensure_partition(day) FROM unnest(%s::date[]) AS day"
# Sorted everywhere, so that two writers take their row locks in the same order.
MERGE: Composed = SQL("""
WITH added AS (
    INSERT INTO gps_fix ({names})
    SELECT {values} FROM pg_temp.gps_incoming ORDER BY terminal_id, at, digest
    ON CONFLICT DO NOTHING
    RETURNING *
), touched AS (
    INSERT INTO gps_touched AS t (terminal_id, day, first_at, last_at, touched_at)
    SELECT terminal_id, (at AT TIME ZONE 'UTC')::date AS day, min(at), max(at), max(received_at)
    FROM added GROUP BY terminal_id, day ORDER BY terminal_id, day
    ON CONFLICT (terminal_id, day) DO UPDATE SET
        first_at = least(t.first_at, excluded.first_at),
        last_at = greatest(t.last_at, excluded.last_at),
        touched_at = greatest(excluded.touched_at, t.touched_at + interval '1 microsecond')
), newest AS (
    INSERT INTO gps_last AS l
        (terminal_id, at, received_at, odometer_m, lat_e6, lon_e6, speed_dkmh, direction_deg, acc, fixed)
    SELECT DISTINCT ON (terminal_id)
        terminal_id, at, received_at, odometer_m, lat_e6, lon_e6, speed_dkmh, direction_deg, acc, fixed
    FROM added
    WHERE fixed AND NOT mock AND at <= received_at + interval '2 minutes'
        AND abs(lat_e6::bigint) <= 90000000 AND abs(lon_e6::bigint) <= 180000000 AND (lat_e6, lon_e6) <> (0, 0)
    ORDER BY terminal_id, at DESC, digest
    ON CONFLICT (terminal_id) DO UPDATE SET
        at = excluded.at, received_at = excluded.received_at, odometer_m = excluded.odometer_m,
        lat_e6 = excluded.lat_e6, lon_e6 = excluded.lon_e6, speed_dkmh = excluded.speed_dkmh,
        direction_deg = excluded.direction_deg, acc = excluded.acc, fixed = excluded.fixed
    WHERE excluded.at > l.at
)
SELECT count(*) FROM added
""").format(names=_names, values=_values)
QUARANTINE = "INSERT INTO gps_quarantine (received_at, peer, phone, reason, raw) VALUES (%s, %s, %s, %s, %s)"


# -- writing


def save(conn: Conn, fixes: Sequence[tuple[int, Fix, bytes | None]], received_at: datetime, *, peer: str = "") -> int:
    """Store (terminal id, fix, raw bytes) triples in the caller's transaction; returns how many are new.

    Fixes already stored are left alone. Fixes the store cannot hold (absurd time, number too large) go to
    ``gps_quarantine`` with the reason; ``peer`` says there where they came from.
    """
    rows, quarantined = split(fixes, received_at, peer=peer)
    with conn.transaction():
        added = 0
        if rows:
            conn.execute(STAGE)
            conn.execute("TRUNCATE pg_temp.gps_incoming")  # an earlier save of the same transaction left its rows
            conn.execute(PARTITIONS, [_days(rows)])
            with conn.cursor() as cursor:
                with cursor.copy(COPY) as copy:
                    copy.set_types(list(COLUMNS.values()))
                    for row in rows:
                        copy.write_row(row)
            found = conn.execute(MERGE).fetchone()
            assert found is not None
            added = found[0]
        quarantine(conn, quarantined)
    return added


def split(
    fixes: Iterable[tuple[int, Fix, bytes | None]], received_at: datetime, *, peer: str, phone: str | None = None
) -> tuple[list[Row], list[Quarantined]]:
    """Rows to store and what has to go to quarantine instead."""
    rows: list[Row] = []
    quarantined: list[Quarantined] = []
    for terminal_id, fix, raw in fixes:
        try:
            rows.append(to_row(terminal_id, fix, raw, received_at))
        except (Unstorable, TypeError, ValueError) as error:  # the latter two: items that are not JSON
            kept = raw if raw is not None else repr(fix).encode()
            quarantined.append(Quarantined(received_at, peer, phone or str(terminal_id), str(error), kept))
    return rows, quarantined


def quarantine(conn: Conn, entries: Sequence[Quarantined]) -> None:
    """Keep what could not be taken as a fix."""
    if entries:
        with conn.cursor() as cursor:
            cursor.executemany(QUARANTINE, [entry.row() for entry in entries])


async def write_rows(conn: AsyncConnection[Any], rows: Sequence[Row], quarantined: Sequence[Quarantined]) -> int:
    """Like ``save`` for rows made before, on an asynchronous connection, once per transaction."""
    added = 0
    async with conn.cursor() as cursor:
        if rows:
            await cursor.execute(STAGE)
            await cursor.execute(PARTITIONS, [_days(rows)])
            async with cursor.copy(COPY) as copy:
                copy.set_types(list(COLUMNS.values()))
                for row in rows:
                    await copy.write_row(row)
            await cursor.execute(MERGE)
            found = await cursor.fetchone()
            assert found is not None
            added = found[0]
        if quarantined:
            await cursor.executemany(QUARANTINE, [entry.row() for entry in quarantined])
    return added


def _days(rows: Iterable[Row]) -> list[date]:
    return sorted({row[1].astimezone(UTC).date() for row in rows})


# -- reading


@dataclass(frozen=True, slots=True)
class LastPosition:
    """Newest plausible position of a terminal."""

    terminal_id: int
    at: datetime
    lat: float
    lon: float
    speed_kmh: float | None
    direction_deg: int | None
    acc: bool | None
    fixed: bool
    odometer_m: int | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Touched:
    """New fixes of one terminal on one UTC ``day``, between ``first_at`` and ``last_at`` (both included)."""

    terminal_id: int
    day: date
    first_at: datetime
    last_at: datetime
    touched_at: datetime


@dataclass(frozen=True, slots=True)
class RawHash:
    """Evidence of one fix: SHA-256 (hex) of the bytes received, ``None`` where none were kept."""

    at: datetime
    digest: int
    sha256: str | None


def read_fixes(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> list[Fix]:
    """Fixes of ``[start_at, end_at)`` in canonical order: by time, then by digest."""
    query = f"SELECT {FIX_COLUMNS} FROM gps_fix WHERE terminal_id = %s AND at >= %s AND at < %s ORDER BY at, digest"  # noqa: S608
    return [from_row(row) for row in conn.execute(query, (terminal_id, start_at, end_at))]


def raw_hashes(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> list[RawHash]:
    """Hash of the raw bytes of every fix of ``[start_at, end_at)``, in the order of ``read_fixes``."""
    query = """
        SELECT at, digest, encode(sha256(raw), 'hex') FROM gps_fix
        WHERE terminal_id = %s AND at >= %s AND at < %s ORDER BY at, digest"""
    found = conn.execute(query, (terminal_id, start_at, end_at))
    return [RawHash(at.astimezone(UTC), digest, sha256) for at, digest, sha256 in found]


def read_touched(conn: Conn, limit: int) -> list[Touched]:
    """Windows waiting for their trips, longest waiting first."""
    query = """
        SELECT terminal_id, day, first_at, last_at, touched_at FROM gps_touched
        ORDER BY touched_at, terminal_id, day LIMIT %s"""
    return [
        Touched(terminal_id, day, *(moment.astimezone(UTC) for moment in moments))
        for terminal_id, day, *moments in conn.execute(query, (limit,))
    ]


def clear_touched(conn: Conn, done: Iterable[Touched]) -> int:
    """Remove processed windows; one that was touched again since it was read stays. Returns how many are gone."""
    removed = 0
    for window in sorted(done, key=lambda window: (window.terminal_id, window.day)):
        removed += conn.execute(
            "DELETE FROM gps_touched WHERE terminal_id = %s AND day = %s AND touched_at <= %s",
            (window.terminal_id, window.day, window.touched_at),
        ).rowcount
    return removed


def last_positions(conn: Conn, since: datetime, terminal_ids: Sequence[int] | None = None) -> list[LastPosition]:
    """Newest positions received at or after ``since``, of all terminals or of those named, by terminal."""
    query = """
        SELECT at, received_at, lat_e6, lon_e6, speed_dkmh, terminal_id, direction_deg, acc, fixed, odometer_m
        FROM gps_last
        WHERE received_at >= %s AND (%s::bigint[] IS NULL OR terminal_id = ANY (%s::bigint[]))
        ORDER BY terminal_id"""
    ids = None if terminal_ids is None else list(terminal_ids)
    return [
        LastPosition(
            terminal_id=terminal_id,
            at=at.astimezone(UTC),
            received_at=received_at.astimezone(UTC),
            lat=lat_e6 / 1e6,
            lon=lon_e6 / 1e6,
            speed_kmh=None if speed_dkmh is None else speed_dkmh / 10,
            direction_deg=direction_deg,
            acc=acc,
            fixed=fixed,
            odometer_m=odometer_m,
        )
        for at, received_at, lat_e6, lon_e6, speed_dkmh, terminal_id, direction_deg, acc, fixed, odometer_m in (
            conn.execute(query, (since, ids, ids))
        )
    ]


# -- terminals


def wire_identity(phone: str) -> str:
    """Identity as compared everywhere: blanks and leading zeros stripped; raises ValueError if nothing is left."""
    identity = phone.strip().lstrip("0")
    if not identity:
        raise ValueError("The terminal number is empty: enter the SIM number or device id the terminal sends.")
    return identity


def token_hash(token: str) -> str:
    """What is stored of a phone's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def add_terminal(
    conn: Conn,
    *,
    phone: str,
    kind: Literal["jt808", "phone"] = "jt808",
    token: str | None = None,
    speed_unit: Literal["knots", "ms", "kmh"] = "knots",
    note: str = "",
) -> int:
    """Allow a terminal to send; returns its id. Raises psycopg's UniqueViolation if the number is taken."""
    found = conn.execute(
        "INSERT INTO gps_terminal (phone, kind, token_sha256, speed_unit, note) VALUES (%s, %s, %s, %s, %s) RETURNING id",
        (wire_identity(phone), kind, token_hash(token) if token is not None else None, speed_unit, note),
    ).fetchone()
    assert found is not None
    terminal_id: int = found[0]
    return terminal_id
