"""Rows and the GPS library: positions, fixes, terminals, uploads."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import CTE, ColumnElement, Select, Subquery, and_, case, func, select
from sqlalchemy.orm import Session

from telematics import archive, files, last, seal, store, terminal_store
from telematics.archive import ArchiveMissing
from telematics.files import TrackFile, TrackFileError
from telematics.ingest import order_and_dedupe
from telematics.last import LastPosition, Snapshot
from telematics.model import Fix
from telematics.protocols.jt808 import ProtocolError
from telematics.protocols.jt808_command import encode_command
from telematics.seal import Difference, Seal
from telematics.store import RawHash
from telematics.tables import gps_day, gps_quarantine, gps_terminal, terminal_command, terminal_event
from telematics.track import Track, chained, columns

__all__ = [
    "ArchiveMissing",
    "Difference",
    "Fix",
    "LastPosition",
    "RawHash",
    "Seal",
    "Snapshot",
    "Track",
    "TrackFile",
    "TrackFileError",
]

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def driver_connection(session: Session) -> Any:
    """Return the psycopg connection of this transaction."""
    return session.connection().connection.driver_connection


def last_positions(session: Session, *, terminal_ids: Sequence[int]) -> list[LastPosition]:
    """Return the newest position of each terminal that has one."""
    return last.last_positions(driver_connection(session), EPOCH, terminal_ids)


def changed_positions(
    session: Session, *, seen: Snapshot | None, terminal_ids: Sequence[int]
) -> tuple[list[LastPosition], Snapshot] | None:
    """Return the newest positions that a reader lacks and what he has seen then; None for a cursor of another database."""
    return last.changed_positions(driver_connection(session), seen, terminal_ids)


def read_fixes(session: Session, *, terminal_id: int, start: datetime, end: datetime) -> list[Fix]:
    """Return a terminal's fixes of ``[start, end)`` in canonical order, of archived days too.

    :raises ArchiveMissing: an archived day's file is not there; the message says what to do.
    """
    return archive.read_track(driver_connection(session), terminal_id, start, end)


def read_columns(session: Session, *, terminal_id: int, start: datetime, end: datetime) -> Track:
    """Return the same as columns, no fix made.

    :raises ArchiveMissing: an archived day's file is not there; the message says what to do.
    """
    return archive.read_columns(driver_connection(session), terminal_id, start, end)


def nearest_at(session: Session, *, terminal_id: int, start: datetime, end: datetime, last: bool) -> datetime | None:
    """Return when the first, or the last, fix of ``[start, end)`` that the database holds was made, if there is one."""
    return store.nearest_at(driver_connection(session), terminal_id, start, end, last=last)


def joined(tracks: Sequence[Track]) -> Track:
    """Return the columns of several terminals of one vehicle in canonical order."""
    try:
        return chained(tracks)
    except ValueError:  # carried at the same time
        return columns(order_and_dedupe(fix for track in tracks for fix in track.fixes))


def raw_hashes(session: Session, *, terminal_id: int, start: datetime, end: datetime) -> list[RawHash]:
    """Return the SHA-256 of what was received for each of those fixes, in the same order."""
    return archive.read_hashes(driver_connection(session), terminal_id, start, end)


def unsealed_days(session: Session, *, before: date) -> list[date]:
    """Return the UTC days before a day with fixes that no seal covers."""
    return seal.unsealed_days(driver_connection(session), before)


def sealed_days(session: Session) -> list[date]:
    """Return the UTC days that have a seal."""
    return [day for (day,) in driver_connection(session).execute("SELECT DISTINCT day FROM gps_seal ORDER BY day")]


def make_ahead(session: Session, *, days: Sequence[date]) -> None:
    """Make the partitions of days to come, so that no writer has to."""
    driver_connection(session).execute(store.PARTITIONS, [list(days)])


def settle(session: Session, *, day: date) -> None:
    """Put a closed day in the order of its index."""
    driver_connection(session).execute("SELECT gps_settle_day(%s)", [day])


def seal_day(session: Session, *, day: date, as_of: datetime) -> Seal | None:
    """Seal what was received of a day before ``as_of`` and is not sealed yet."""
    return seal.seal_day(driver_connection(session), day, as_of)


def seals(session: Session, *, day: date) -> list[Seal]:
    """Return a day's seals in order of time."""
    return seal.seals(driver_connection(session), day)


def differences(session: Session, *, day: date) -> list[Difference]:
    """Return the terminals whose fixes of a day, in table and files, are not those sealed."""
    connection = driver_connection(session)
    return seal.differences(connection, day, archive.day_rows(connection, day))


def due_days(session: Session, *, before: date, now: datetime) -> list[date]:
    """Return the UTC days before a day that may leave the database; those brought back lately stay."""
    return archive.open_days(driver_connection(session), before, now)


def archive_day(session: Session, *, day: date, directory: Path, now: datetime) -> int:
    """Write a day to its files and drop it from the database at the transaction's end; returns the fixes written."""
    return archive.archive_day(driver_connection(session), day, directory, now, drop=True).fixes


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


QUARTERS = 96
"""Quarters of an hour of a day."""
WEEK = 7 * QUARTERS


def quarter_of(at: datetime) -> int:
    """Return the quarter of its UTC day that a moment lies in, from 0."""
    clock = at.astimezone(UTC)
    return clock.hour * 4 + clock.minute // 15


def summed(*, now: datetime) -> CTE:
    """Return what each terminal's fixes of the last seven days say of it: one row a terminal, from at most eight of ``gps_day``.

    ``day_heard`` and ``week_heard`` count the quarters of an hour with a fix of the last 96 and 672 before the present one;
    the clock's offset is the least delay of the days that brought something within a day of the newest.
    """
    today, quarter = now.astimezone(UTC).date(), quarter_of(now)
    first = today - timedelta(days=7)
    before: ColumnElement[int] = func.bit_count(func.substring(gps_day.c.heard, 1, quarter))
    rest: ColumnElement[int] = func.bit_count(func.substring(gps_day.c.heard, quarter + 1, QUARTERS - quarter))
    whole: ColumnElement[int] = func.bit_count(gps_day.c.heard)
    day_heard = case((gps_day.c.day == today, before), (gps_day.c.day == today - timedelta(days=1), rest), else_=0)
    week_heard = case(
        (gps_day.c.day == today, before), (gps_day.c.day == first, rest), (gps_day.c.day > today, 0), else_=whole
    )
    newest = func.max(gps_day.c.received_at).over(partition_by=gps_day.c.terminal_id)
    days = (
        select(gps_day, newest.label("newest"), day_heard.label("day_heard"), week_heard.label("week_heard"))
        .where(gps_day.c.received_at >= now - timedelta(days=7))
        .subquery()
    )
    of_week = days.c.day.between(first, today)
    return (
        select(
            days.c.terminal_id,
            func.coalesce(func.sum(days.c.fixes).filter(of_week), 0).label("fixes"),
            func.coalesce(func.sum(days.c.unfixed).filter(of_week), 0).label("unfixed"),
            func.sum(days.c.satellites).filter(of_week).label("satellites"),
            func.sum(days.c.with_satellites).filter(of_week).label("with_satellites"),
            func.coalesce(
                func.bit_or(days.c.alarms).filter(and_(of_week, days.c.day >= today - timedelta(days=1))), 0
            ).label("alarms"),
            func.min(days.c.least_delay_ms)
            .filter(days.c.received_at >= days.c.newest - timedelta(days=1))
            .label("delay_ms"),
            func.max(days.c.newest).label("received_at"),
            func.coalesce(func.sum(days.c.day_heard), 0).label("day_heard"),
            func.coalesce(func.sum(days.c.week_heard), 0).label("week_heard"),
        )
        .group_by(days.c.terminal_id)
        .cte()
        .prefix_with("MATERIALIZED")  # once for all terminals, whatever the planner believes of their number
    )


def heard(session: Session, *, terminal_ids: Sequence[int], now: datetime) -> dict[int, str]:
    """Return the 672 quarters of an hour before the present one, oldest first, "1" with a fix and "0" without, by terminal."""
    today, quarter = now.astimezone(UTC).date(), quarter_of(now)
    first = today - timedelta(days=7)
    rows = session.execute(
        select(gps_day.c.terminal_id, gps_day.c.day, gps_day.c.heard).where(
            gps_day.c.terminal_id.in_(terminal_ids), gps_day.c.day.between(first, today)
        )
    )
    days: dict[int, dict[date, str]] = {}
    for terminal_id, day, bits in rows:
        days.setdefault(terminal_id, {})[day] = bits
    silent = "0" * QUARTERS
    return {
        terminal_id: "".join(days.get(terminal_id, {}).get(first + timedelta(days=day), silent) for day in range(8))[
            quarter:
        ][:WEEK]
        for terminal_id in terminal_ids
    }


def events(session: Session, *, terminal_id: int, limit: int) -> Sequence[Any]:
    """Return what a terminal reported beside positions, the newest first."""
    columns = (
        terminal_event.c.id,
        terminal_event.c.at,
        terminal_event.c.received_at,
        terminal_event.c.kind,
        terminal_event.c.body,
    )
    query = select(*columns).where(terminal_event.c.terminal_id == terminal_id)
    return session.execute(query.order_by(terminal_event.c.at.desc(), terminal_event.c.id.desc()).limit(limit)).all()


def device() -> Subquery:
    """Return what is known of every terminal beside its fixes."""
    known = gps_terminal.c
    said = {
        name: known.properties[name].astext.label(name)
        for name in ("manufacturer", "model", "firmware", "hardware", "iccid")
    }
    return select(
        known.id.label("terminal_id"), known.phone, known.kind, known.enabled, known.registered_at, known.last_seen_at,
        known.logged_in_at, known.protocol, known.properties_at, known.note, *said.values(),
    ).subquery()  # fmt: skip


class Unsendable(ValueError):
    """Parameters that make no message; the text says what is wrong."""


def add_command(
    session: Session,
    *,
    terminal_id: int,
    kind: str,
    parameters: Mapping[str, Any],
    asked_by: int | None,
    reason: str,
    now: datetime,
) -> int:
    """Ask a terminal for something that the gateway sends; returns the command's id.

    :raises Unsendable: what no version of the protocol can say.
    """
    try:
        for version in ("2013", "2019"):
            encode_command(kind, parameters, version)
    except ProtocolError as error:
        raise Unsendable(str(error)) from error
    return terminal_store.add_command(
        driver_connection(session), terminal_id, kind, parameters, now=now, asked_by=asked_by, reason=reason
    )


def commands() -> Subquery:
    """Return every command to a terminal, with the number of the terminal."""
    phone = gps_terminal.c.phone
    return (
        select(terminal_command, phone)
        .join(gps_terminal, gps_terminal.c.id == terminal_command.c.terminal_id)
        .subquery()
    )


def refused_by_identity(*, since: datetime) -> Subquery:
    """Return what was refused since a moment, by the number its sender gave: how often, first and last, from where, why."""
    rows = gps_quarantine.c
    phone = func.ltrim(rows.phone, "0")
    return (
        select(
            phone.label("phone"), func.count().label("count"), func.min(rows.received_at).label("first_at"), func.max(rows.received_at).label("last_at"),
            func.array_agg(func.distinct(func.split_part(rows.peer, ":", 1))).label("peers"),
            func.array_agg(func.distinct(rows.reason)).label("reasons"),
        )
        .where(rows.received_at >= since, phone != "", rows.peer != "", rows.peer.not_like("upload:%"))
        .group_by(phone)
        .subquery()
    )  # fmt: skip


def refused_frames(session: Session, *, phone: str, limit: int) -> Sequence[Any]:
    """Return the newest frames that were refused from one number."""
    rows = gps_quarantine.c
    query = select(rows.received_at, rows.peer, rows.reason, rows.raw).where(func.ltrim(rows.phone, "0") == phone)
    return session.execute(query.order_by(rows.received_at.desc()).limit(limit)).all()


def kind_of(session: Session, *, terminal_id: int) -> str | None:
    """Return what kind of device a terminal is."""
    return session.scalar(select(gps_terminal.c.kind).where(gps_terminal.c.id == terminal_id))
