"""Many new fixes into the store at the least cost: COPY straight into the day's partition.

Only for fixes that are not stored yet: a partition's index refuses a copy, which ends the transaction with
UniqueViolation, and the caller goes the careful way (``telematics.store.write_rows``), whose result is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from telematics import store
from telematics.blocks import Block, as_bytes, by_identity
from telematics.frames import pack_table
from telematics.kernels import copying
from telematics.kernels.columns import AT, DIGEST, RAW_AT, RAW_LEN, TERMINAL

Ints = npt.NDArray[np.int64]

COPY = SQL("COPY {} (at, digest, terminal_id, lat_e6, lon_e6, rest) FROM STDIN (FORMAT BINARY)")
SEEN_STAGE = """
CREATE TEMP TABLE gps_seen (
    terminal_id int8, first_at timestamptz, last_at timestamptz, touched_at timestamptz,
    least_delay_us int8, alarms int8, fixes int4, unfixed int4, satellites int4, with_satellites int4, heard bit(96),
    at timestamptz, received_at timestamptz, odometer_m int8, lat_e6 int4, lon_e6 int4, speed_dkmh int4, direction_deg int4, acc bool, fixed bool
) ON COMMIT DELETE ROWS"""
"""One row per terminal and UTC day of new fixes; from ``at`` on the newest plausible one, if there is any."""
# The rules of store.MERGE, on rows added up before.
SEEN_MERGE = """
WITH touched AS (
    INSERT INTO gps_touched AS t (terminal_id, day, first_at, last_at, touched_at)
    SELECT terminal_id, (first_at AT TIME ZONE 'UTC')::date AS day, first_at, last_at, touched_at
    FROM pg_temp.gps_seen ORDER BY terminal_id, day
    ON CONFLICT (terminal_id, day) DO UPDATE SET
        first_at = least(t.first_at, excluded.first_at),
        last_at = greatest(t.last_at, excluded.last_at),
        touched_at = greatest(excluded.touched_at, t.touched_at + interval '1 microsecond')
), unsealed AS (
    INSERT INTO gps_unsealed AS u (day, touched)
    SELECT DISTINCT (first_at AT TIME ZONE 'UTC')::date AS day, 1 FROM pg_temp.gps_seen ORDER BY day
    ON CONFLICT (day) DO UPDATE SET touched = u.touched + 1
), newest AS (
    INSERT INTO gps_last AS l
        (terminal_id, at, received_at, odometer_m, lat_e6, lon_e6, speed_dkmh, direction_deg, acc, fixed, changed)
    SELECT DISTINCT ON (terminal_id)
        terminal_id, at, received_at, odometer_m, lat_e6, lon_e6, speed_dkmh, direction_deg, acc, fixed,
        pg_current_xact_id()::text::bigint
    FROM pg_temp.gps_seen WHERE at IS NOT NULL ORDER BY terminal_id, at DESC
    ON CONFLICT (terminal_id) DO UPDATE SET
        at = excluded.at, received_at = excluded.received_at, odometer_m = excluded.odometer_m,
        lat_e6 = excluded.lat_e6, lon_e6 = excluded.lon_e6, speed_dkmh = excluded.speed_dkmh,
        direction_deg = excluded.direction_deg, acc = excluded.acc, fixed = excluded.fixed, changed = excluded.changed
    WHERE excluded.at > l.at
), summed AS (
    INSERT INTO gps_day AS d
        (terminal_id, day, received_at, least_delay_ms, alarms, fixes, unfixed, satellites, with_satellites, heard)
    SELECT terminal_id, (first_at AT TIME ZONE 'UTC')::date AS day, touched_at, round(least_delay_us / 1000.0)::bigint,
        alarms, fixes, unfixed, satellites, with_satellites, heard
    FROM pg_temp.gps_seen ORDER BY terminal_id, day
    ON CONFLICT (terminal_id, day) DO UPDATE SET
        received_at = greatest(d.received_at, excluded.received_at),
        least_delay_ms = least(d.least_delay_ms, excluded.least_delay_ms), alarms = d.alarms | excluded.alarms,
        fixes = d.fixes + excluded.fixes, unfixed = d.unfixed + excluded.unfixed,
        satellites = d.satellites + excluded.satellites, with_satellites = d.with_satellites + excluded.with_satellites,
        heard = d.heard | excluded.heard
)
SELECT EXISTS (SELECT FROM gps_upstream)"""
QUEUE = """
INSERT INTO gps_upstream_queue (upstream_id, terminal_id, at, digest)
SELECT u.id, n.terminal_id, timestamptz 'epoch' + n.at_us * interval '1 microsecond', n.digest
FROM unnest(%b::int8[], %b::int8[], %b::int8[]) WITH ORDINALITY AS n (terminal_id, at_us, digest, place) CROSS JOIN gps_upstream AS u
ORDER BY u.id, n.place"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A block as it is sent: the rows chosen, in order; by UTC day what goes to its partition and its frames; the sums."""

    order: Ints
    days: Sequence[tuple[date, bytes, tuple[Any, ...] | None]]
    seen: bytes
    going: Ints
    """Rows a superior platform may get."""


def prepared(block: Block) -> Prepared:
    """Everything that is to be sent of a block, each fix once."""
    rows, rests = block.rows, as_bytes(block.rests)
    order = by_identity(block)
    places = np.empty_like(order)
    order = places[: copying.distinct(rows, order, places)].copy()
    out = np.empty(
        max(copying.FIX_BYTES * len(order) + len(rests), copying.SEEN_BYTES * len(order)) + 64, dtype=np.uint8
    )
    day_of = rows[order, AT] // copying.DAY_US
    days = []
    for day in np.unique(day_of).tolist():
        own = order[day_of == day]
        content = out[: copying.fixes(rows, own, rests, out)].tobytes()
        framed = own[rows[own, RAW_LEN] >= 0]
        days.append((_date(day), content, _segment(_date(day), block, framed) if len(framed) else None))
    seen = out[: copying.seen(rows, order, out)].tobytes()
    going = rows[places[: copying.plausible_ones(rows, order, places)]]
    return Prepared(order, days, seen, going)


async def write_block(conn: AsyncConnection[Any], block: Block) -> int:
    """Store the rows of a block in the caller's transaction; returns how many distinct ones they are.

    The connection has run ``SEEN_STAGE``. Raises psycopg's UniqueViolation if one of them is stored already.
    """
    ready = prepared(block)
    async with conn.cursor() as cursor:
        await cursor.execute(store.PARTITIONS, [[day for day, _, _ in ready.days]])
        for day, content, _ in ready.days:
            async with cursor.copy(COPY.format(Identifier("public", f"gps_fix_{day:%Y%m%d}"))) as copy:
                await copy.write(content)
        async with cursor.copy("COPY pg_temp.gps_seen FROM STDIN (FORMAT BINARY)") as copy:
            await copy.write(ready.seen)
        await cursor.execute(SEEN_MERGE)
        found = await cursor.fetchone()
        assert found is not None
        if found[0]:
            await cursor.execute(QUEUE, [ready.going[:, column].tolist() for column in (TERMINAL, AT, DIGEST)])
        for _, _, segment in ready.days:
            if segment:
                await cursor.execute(store.KEEP, segment)
    return len(ready.order)


def _segment(day: date, block: Block, places: Ints) -> tuple[Any, ...]:
    """Row of ``gps_raw``; the places are in the order of their identities."""
    rows = block.rows[places]
    content = pack_table(
        terminals=rows[:, TERMINAL],
        times=rows[:, AT],
        digests=rows[:, DIGEST],
        lengths=rows[:, RAW_LEN],
        places=rows[:, RAW_AT],
        joined=as_bytes(block.raws),
    )
    return (day, int(rows[0, TERMINAL]), int(rows[-1, TERMINAL]), len(rows), content)


def _date(day: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date()
