"""The GPS store on a psycopg 3 connection: fixes in with COPY, windows and positions out.

Nothing here commits: the caller's transaction decides, so that an acknowledgement can follow the commit. Every
writing function may be repeated with the same values without harm.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from psycopg import AsyncConnection, Connection
from psycopg.sql import SQL, Composed, Identifier

from telematics.frames import Entry, pack_frames, unpack_frames
from telematics.model import Fix
from telematics.rows import COLUMNS, STORED, Quarantined, Row, Unstorable, from_row, micros, moment, to_row
from telematics.stored import of_arrays
from telematics.track import Track, chained

Conn = Connection[Any]

_staged = {name: kind for name, kind in COLUMNS.items() if name != "raw"}
_names = SQL(", ").join(map(Identifier, _staged))
_stored = SQL(", ").join(map(Identifier, STORED))
_types = SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(kind)) for name, kind in _staged.items())

STAGE: Composed = SQL("CREATE TEMP TABLE IF NOT EXISTS gps_incoming (place int4, {}) ON COMMIT DELETE ROWS").format(
    _types
)
COPY: Composed = SQL("COPY pg_temp.gps_incoming (place, {}) FROM STDIN (FORMAT BINARY)").format(_names)
COPY_TYPES = ["int4", *_staged.values()]
PARTITIONS = "SELECT gps_ensure_partition(day) FROM unnest(%s::date[]) AS day"
# Sorted everywhere, so that two writers take their row locks in the same order.
# Answers the places of the rows that were new: theirs are the frames to keep.
MERGE: Composed = SQL("""
WITH added AS (
    INSERT INTO gps_fix ({stored})
    SELECT {stored} FROM pg_temp.gps_incoming ORDER BY terminal_id, at, digest, place
    ON CONFLICT DO NOTHING
    RETURNING terminal_id, at, digest
), fresh AS (
    SELECT DISTINCT ON (i.terminal_id, i.at, i.digest) i.*
    FROM pg_temp.gps_incoming i JOIN added USING (terminal_id, at, digest)
    ORDER BY i.terminal_id, i.at, i.digest, i.place
), touched AS (
    INSERT INTO gps_touched AS t (terminal_id, day, first_at, last_at, touched_at)
    SELECT terminal_id, (at AT TIME ZONE 'UTC')::date AS day, min(at), max(at), max(received_at)
    FROM fresh GROUP BY terminal_id, day ORDER BY terminal_id, day
    ON CONFLICT (terminal_id, day) DO UPDATE SET
        first_at = least(t.first_at, excluded.first_at),
        last_at = greatest(t.last_at, excluded.last_at),
        touched_at = greatest(excluded.touched_at, t.touched_at + interval '1 microsecond')
), unsealed AS (
    INSERT INTO gps_unsealed AS u (day, touched)
    SELECT DISTINCT (at AT TIME ZONE 'UTC')::date AS day, 1 FROM fresh ORDER BY day
    ON CONFLICT (day) DO UPDATE SET touched = u.touched + 1
), newest AS (
    INSERT INTO gps_last AS l
        (terminal_id, at, received_at, odometer_m, lat_e6, lon_e6, speed_dkmh, direction_deg, acc, fixed, changed)
    SELECT DISTINCT ON (terminal_id)
        terminal_id, at, received_at, odometer_m, lat_e6, lon_e6, speed_dkmh, direction_deg, acc, fixed,
        pg_current_xact_id()::text::bigint
    FROM fresh
    WHERE fixed AND NOT mock AND at <= received_at + interval '2 minutes'
        AND abs(lat_e6::bigint) <= 90000000 AND abs(lon_e6::bigint) <= 180000000 AND (lat_e6, lon_e6) <> (0, 0)
    ORDER BY terminal_id, at DESC, digest
    ON CONFLICT (terminal_id) DO UPDATE SET
        at = excluded.at, received_at = excluded.received_at, odometer_m = excluded.odometer_m,
        lat_e6 = excluded.lat_e6, lon_e6 = excluded.lon_e6, speed_dkmh = excluded.speed_dkmh,
        direction_deg = excluded.direction_deg, acc = excluded.acc, fixed = excluded.fixed, changed = excluded.changed
    WHERE excluded.at > l.at
), summed AS (
    INSERT INTO gps_day AS d
        (terminal_id, day, received_at, least_delay_ms, alarms, fixes, unfixed, satellites, with_satellites, heard)
    SELECT terminal_id, (at AT TIME ZONE 'UTC')::date AS day, max(received_at),
        (extract(epoch FROM min(received_at - at)) * 1000)::bigint, bit_or(alarm), count(*),
        count(*) FILTER (WHERE NOT fixed), coalesce(sum(satellites), 0), count(satellites),
        bit_or(set_bit(repeat('0', 96)::bit(96), (floor(extract(epoch FROM at) / 900)::bigint % 96)::int, 1))
    FROM fresh GROUP BY terminal_id, day ORDER BY terminal_id, day
    ON CONFLICT (terminal_id, day) DO UPDATE SET
        received_at = greatest(d.received_at, excluded.received_at),
        least_delay_ms = least(d.least_delay_ms, excluded.least_delay_ms), alarms = d.alarms | excluded.alarms,
        fixes = d.fixes + excluded.fixes, unfixed = d.unfixed + excluded.unfixed,
        satellites = d.satellites + excluded.satellites, with_satellites = d.with_satellites + excluded.with_satellites,
        heard = d.heard | excluded.heard
), queued AS (
    INSERT INTO gps_upstream_queue (upstream_id, terminal_id, at, digest)
    SELECT u.id, a.terminal_id, a.at, a.digest FROM fresh AS a CROSS JOIN gps_upstream AS u
    WHERE NOT a.mock AND a.at <= a.received_at + interval '2 minutes'
        AND abs(a.lat_e6::bigint) <= 90000000 AND abs(a.lon_e6::bigint) <= 180000000
    ORDER BY u.id, a.terminal_id, a.at, a.digest
)
SELECT coalesce(array_agg(place), '{{}}') FROM fresh
""").format(stored=_stored)
KEEP = "INSERT INTO gps_raw (day, first_terminal, last_terminal, frames, content) VALUES (%s, %s, %s, %s, %s)"
_WITHIN = """
    FROM gps_fix
    WHERE at >= %(start)s AND at < %(end)s AND terminal_id = %(terminal)s::int
        AND gps_moment(at) BETWEEN gps_moment(%(start)s) AND gps_moment(%(last)s)
    ORDER BY gps_moment(at)"""
WINDOW = f"SELECT at, digest, lat_e6, lon_e6, rest {_WITHIN}, at, digest"
FIRST_OF = f"SELECT at {_WITHIN} LIMIT 1"
LAST_OF = f"SELECT at {_WITHIN} DESC LIMIT 1"
# One row of whole columns in the wire's own form: a client spends more on thousands of small values than the server.
WINDOW_COLUMNS = f"""
    SELECT array_send(array_agg(at)), array_send(array_agg(lat_e6)), array_send(array_agg(lon_e6)),
        array_send(array_agg(octet_length(rest))), string_agg(rest, '')
    FROM ({WINDOW}) AS fix"""  # noqa: S608 -- a constant
PARTITIONS_BETWEEN = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'gps_fix'::regclass AND c.relname BETWEEN %s AND %s ORDER BY 1"""
TICK = timedelta(microseconds=1)
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
                    copy.set_types(COPY_TYPES)
                    for place, row in enumerate(rows):
                        copy.write_row((place, *row[:-1]))
                found = cursor.execute(MERGE).fetchone()
                assert found is not None
                added = len(found[0])
                cursor.executemany(KEEP, _segments(rows[place] for place in found[0]))
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


async def not_quarantined(conn: AsyncConnection[Any], entries: Sequence[Quarantined]) -> list[Quarantined]:
    """Those of the entries that are not in quarantine yet, each once."""
    cursor = await conn.execute(
        "SELECT received_at, peer, phone, reason, raw FROM gps_quarantine WHERE received_at = ANY (%s)",
        [sorted({entry.received_at for entry in entries})],
    )
    known = set(await cursor.fetchall())
    fresh = {entry.row(): entry for entry in entries}
    return [entry for row, entry in fresh.items() if row not in known]


async def write_rows(conn: AsyncConnection[Any], rows: Sequence[Row], quarantined: Sequence[Quarantined]) -> int:
    """Like ``save`` for rows made before, on an asynchronous connection, once per transaction."""
    added = 0
    async with conn.cursor() as cursor:
        if rows:
            await cursor.execute(STAGE)
            await cursor.execute(PARTITIONS, [_days(rows)])
            async with cursor.copy(COPY) as copy:
                copy.set_types(COPY_TYPES)
                for place, row in enumerate(rows):
                    await copy.write_row((place, *row[:-1]))
            await cursor.execute(MERGE)
            found = await cursor.fetchone()
            assert found is not None
            added = len(found[0])
            if segments := _segments(rows[place] for place in found[0]):
                await cursor.executemany(KEEP, segments)
        if quarantined:
            await cursor.executemany(QUARANTINE, [entry.row() for entry in quarantined])
    return added


def _days(rows: Iterable[Row]) -> list[date]:
    return sorted({row[1].astimezone(UTC).date() for row in rows})


def _segments(rows: Iterable[Row]) -> list[Row]:
    """Frames of rows as rows of ``gps_raw``, one a day."""
    days: dict[date, list[Entry]] = {}
    for row in rows:
        if row[-1] is not None:
            days.setdefault(row[1].astimezone(UTC).date(), []).append((row[0], micros(row[1]), row[2], bytes(row[-1])))
    return [segment(day, entries) for day, entries in sorted(days.items())]


def segment(day: date, entries: Sequence[Entry]) -> Row:
    """Row of ``gps_raw`` with the frames of one UTC day."""
    terminals = [entry[0] for entry in entries]
    return (day, min(terminals), max(terminals), len(entries), pack_frames(entries))


# -- reading


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
    return [from_row((at, *row)) for at, _digest, *row in read_rows(conn, terminal_id, start_at, end_at)]


def read_rows(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> list[Row]:
    """(time, digest, latitude, longitude, rest) of the fixes of a window, day by day from its index."""
    found: list[Row] = []
    for day in stored_days(conn, start_at, end_at):
        start, end = max(start_at, day_start(day)), min(end_at, day_start(day + timedelta(days=1)))
        found += conn.execute(
            WINDOW, {"terminal": terminal_id, "start": start, "end": end, "last": end - TICK}, binary=True
        )
    return found


def read_columns(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> Track:
    """The fixes of ``read_fixes`` as columns; none is made."""
    tracks = []
    for day in stored_days(conn, start_at, end_at):
        start, end = max(start_at, day_start(day)), min(end_at, day_start(day + timedelta(days=1)))
        given = {"terminal": terminal_id, "start": start, "end": end, "last": end - TICK}
        found = conn.execute(WINDOW_COLUMNS, given, binary=True).fetchone()
        if found is not None and found[0] is not None:
            tracks.append(of_arrays(*found))
    return chained(tracks)


def nearest_at(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime, *, last: bool) -> datetime | None:
    """Time of the first, or the ``last``, stored fix of ``[start_at, end_at)``; ``None`` if there is none."""
    days = stored_days(conn, start_at, end_at)
    for day in reversed(days) if last else days:
        start, end = max(start_at, day_start(day)), min(end_at, day_start(day + timedelta(days=1)))
        given = {"terminal": terminal_id, "start": start, "end": end, "last": end - TICK}
        found = conn.execute(LAST_OF if last else FIRST_OF, given).fetchone()
        if found is not None:
            at: datetime = found[0].astimezone(UTC)
            return at
    return None


def day_start(day: date) -> datetime:
    """First moment of a UTC day."""
    return datetime.combine(day, time(), UTC)


def stored_days(conn: Conn, start_at: datetime, end_at: datetime) -> list[date]:
    """UTC days of ``[start_at, end_at)`` that have a partition."""
    if start_at >= end_at:
        return []
    first, last = (f"gps_fix_{at.astimezone(UTC):%Y%m%d}" for at in (start_at, end_at - TICK))
    found = conn.execute(PARTITIONS_BETWEEN, (first, last))
    return [date.fromisoformat(name.removeprefix("gps_fix_")) for (name,) in found]


def raw_frames(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> dict[tuple[datetime, int], bytes]:
    """Bytes received for the fixes of ``[start_at, end_at)``, by device time and digest."""
    query = """
        SELECT content FROM gps_raw
        WHERE day BETWEEN %s AND %s AND first_terminal <= %s AND last_terminal >= %s"""
    days = (start_at.astimezone(UTC).date(), end_at.astimezone(UTC).date())
    first_us, end_us = micros(start_at), micros(end_at)
    return {
        (moment(at_us), digest): frame
        for (content,) in conn.execute(query, (*days, terminal_id, terminal_id))
        for terminal, at_us, digest, frame in unpack_frames(content)
        if terminal == terminal_id and first_us <= at_us < end_us
    }


def raw_hashes(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> list[RawHash]:
    """Hash of the raw bytes of every fix of ``[start_at, end_at)``, in the order of ``read_fixes``."""
    frames = raw_frames(conn, terminal_id, start_at, end_at)
    found = []
    for moment_at, digest, *_ in read_rows(conn, terminal_id, start_at, end_at):
        at = moment_at.astimezone(UTC)
        frame = frames.get((at, digest))
        found.append(RawHash(at, digest, None if frame is None else hashlib.sha256(frame).hexdigest()))
    return found


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
