"""Where every terminal is: newest positions, all of them or what a reader has not seen yet, on a psycopg 3 connection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from telematics.rows import INT8, Row

Conn = Connection[Any]

LAST = "at, received_at, lat_e6, lon_e6, speed_dkmh, terminal_id, direction_deg, acc, fixed, odometer_m"


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
class Snapshot:
    """Which transactions a reader has seen: all before ``xmin``, and those before ``xmax`` but for ``open``."""

    xmin: int
    xmax: int
    open: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no database says: ``0 < xmin <= xmax``, ``open`` between the two."""
        if not 0 < self.xmin <= self.xmax < INT8 or not all(self.xmin <= one < self.xmax for one in self.open):
            raise ValueError("no snapshot: 0 < xmin <= xmax < 2**63, open transactions between them")

    @classmethod
    def parse(cls, text: str) -> "Snapshot":
        """Read PostgreSQL's form ``xmin:xmax:xid,xid``. Raises ValueError."""
        xmin, xmax, still_open = text.split(":")
        return cls(int(xmin), int(xmax), tuple(int(one) for one in still_open.split(",") if one))

    def __str__(self) -> str:
        """Return PostgreSQL's form."""
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, self.open))}"


def last_positions(conn: Conn, since: datetime, terminal_ids: Sequence[int] | None = None) -> list[LastPosition]:
    """Newest positions received at or after ``since``, of all terminals or of those named, by terminal."""
    query = f"""
        SELECT {LAST} FROM gps_last
        WHERE received_at >= %s AND (%s::bigint[] IS NULL OR terminal_id = ANY (%s::bigint[]))
        ORDER BY terminal_id"""  # noqa: S608 -- the columns above
    ids = None if terminal_ids is None else list(terminal_ids)
    return [_last(row) for row in conn.execute(query, (since, ids, ids))]


def changed_positions(
    conn: Conn, seen: Snapshot | None, terminal_ids: Sequence[int]
) -> tuple[list[LastPosition], Snapshot] | None:
    """Newest positions of these terminals that a reader who has ``seen`` a snapshot lacks, and what he has seen then.

    Neither loses nor repeats one, in whatever order transactions commit: times and sequence numbers are given before
    the commit, so that a reader who remembers the greatest of them misses whoever commits late. None for a snapshot
    of the future: it is another database's, or the database was brought back from a backup, and the reader must begin anew.
    """
    query = f"""
        SELECT s.seen, {LAST} FROM (SELECT pg_current_snapshot()::text AS seen) AS s LEFT JOIN gps_last ON
            terminal_id = ANY (%(ids)s::bigint[])
            AND NOT (changed < %(xmin)s OR changed < %(xmax)s AND changed <> ALL (%(open)s::bigint[]))
        ORDER BY terminal_id"""  # noqa: S608 -- the columns above
    past = seen or Snapshot(1, 1)
    given = {"ids": list(terminal_ids), "xmin": past.xmin, "xmax": past.xmax, "open": list(past.open)}
    rows = conn.execute(query, given).fetchall()
    present = Snapshot.parse(rows[0][0])
    if past.xmax > present.xmax:
        return None
    return [_last(row[1:]) for row in rows if row[1] is not None], present


def _last(row: Row) -> LastPosition:
    at, received_at, lat_e6, lon_e6, speed_dkmh, terminal_id, direction_deg, acc, fixed, odometer_m = row
    return LastPosition(
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
