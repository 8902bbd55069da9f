"""Rows and the GPS library: positions, fixes, terminals, uploads."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from telematics import files, store
from telematics.files import TrackFile, TrackFileError
from telematics.model import Fix
from telematics.store import LastPosition, RawHash
from telematics.tables import gps_quarantine, gps_terminal

__all__ = ["Fix", "LastPosition", "RawHash", "TrackFile", "TrackFileError"]

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def driver_connection(session: Session) -> Any:
    """Return the psycopg connection of this transaction."""
    return session.connection().connection.driver_connection


def last_positions(session: Session, *, since: datetime | None, terminal_ids: Sequence[int]) -> list[LastPosition]:
    """Return the newest position of each terminal that has one, received at or after ``since``."""
    return store.last_positions(driver_connection(session), since or EPOCH, terminal_ids)


def read_fixes(session: Session, *, terminal_id: int, start: datetime, end: datetime) -> list[Fix]:
    """Return a terminal's fixes of ``[start, end)`` in canonical order."""
    return store.read_fixes(driver_connection(session), terminal_id, start, end)


def raw_hashes(session: Session, *, terminal_id: int, start: datetime, end: datetime) -> list[RawHash]:
    """Return the SHA-256 of what was received for each of those fixes, in the same order."""
    return store.raw_hashes(driver_connection(session), terminal_id, start, end)


def read_track(path: Path) -> TrackFile:
    """Read an uploaded GPX, CSV, JSON-lines or frame file; bad rows are listed beside the fixes.

    :raises TrackFileError: nothing usable in it; the message says what to do.
    """
    return files.load_track(path)


def save_fixes(session: Session, *, fixes: Iterable[tuple[int, Fix]], now: datetime, peer: str) -> int:
    """Store fixes; returns how many were new."""
    return store.save(driver_connection(session), [(terminal, fix, None) for terminal, fix in fixes], now, peer=peer)


def add_terminal(
    session: Session,
    *,
    phone: str,
    kind: Literal["jt808", "phone"],
    token: str | None,
    speed_unit: Literal["knots", "ms", "kmh"],
    note: str,
) -> int:
    """Allow a device to send; returns its id."""
    return store.add_terminal(
        driver_connection(session), phone=phone, kind=kind, token=token, speed_unit=speed_unit, note=note
    )


def terminals() -> Select[Any]:
    """Return every terminal, the most recently seen first."""
    columns = (
        gps_terminal.c.id, gps_terminal.c.phone, gps_terminal.c.kind, gps_terminal.c.enabled, gps_terminal.c.registered_at,
        gps_terminal.c.last_seen_at, gps_terminal.c.note,
    )  # fmt: skip
    return select(*columns).order_by(gps_terminal.c.last_seen_at.desc().nulls_last(), gps_terminal.c.phone)


def quarantine() -> Select[Any]:
    """Return what was refused, newest first."""
    columns = (
        gps_quarantine.c.id,
        gps_quarantine.c.received_at,
        gps_quarantine.c.peer,
        gps_quarantine.c.phone,
        gps_quarantine.c.reason,
    )
    return select(*columns).order_by(gps_quarantine.c.id.desc())
