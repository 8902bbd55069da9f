"""Closed days out of the database into Parquet files, read from there, and back again.

A file gets its name only after it was read back and found equal to the table, and is registered after that; a day is
dropped only while the table holds exactly what its files hold. So a process killed anywhere leaves the table whole,
and the next run begins again. Late fixes of a day that is gone make a small partition again and become its next part.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from itertools import groupby
from pathlib import Path
from typing import Any

from psycopg import Connection

from telematics import seal, store
from telematics.frames import Entry, unpack_frames
from telematics.model import Fix
from telematics.rows import EARLIEST_AT, micros, moment
from telematics.seal import Stored
from telematics.store import RawHash
from telematics.stored import of_rows
from telematics.track import Track

Conn = Connection[Any]
SEGMENT = 4_096
"""Frames of a segment that many groups are put into."""
KEEP_RESTORED = timedelta(days=30)
"""A day somebody brought back stays that long before ``drop_day`` takes it again."""


class ArchiveMissing(Exception):
    """The file of an archived day is not where it was written or is damaged; the text says what to do, in both languages."""

    def __init__(self, day: date, path: Path, *, damaged: bool = False) -> None:
        self.day, self.path = day, path
        zh, en = ("已损坏", "is damaged") if damaged else ("不存在", "is not there")
        super().__init__(
            f"{day} 的定位数据已归档，归档文件 {path} {zh}：请从备份放回该文件，或执行 python -m telematics restore --day {day} "
            f"--from 目录。 / The positions of {day} are archived and the file {path} {en}: put it back from the backup, or "
            f"run python -m telematics restore --day {day} --from DIR."
        )


@dataclass(frozen=True, slots=True)
class Part:
    """One archived part of a day, as registered."""

    day: date
    part: int
    fixes: int
    frames: int
    content_sha256: str
    directory: str
    fix_file: str
    fix_sha256: str
    frame_file: str
    frame_sha256: str

    def path(self, kind: str, directory: Path | None = None) -> Path:
        """Where a file ("fix" or "frame") is; raises ArchiveMissing."""
        path = (directory or Path(self.directory)) / (self.fix_file if kind == "fix" else self.frame_file)
        if not path.is_file():
            raise ArchiveMissing(self.day, path)
        return path


@dataclass(frozen=True, slots=True)
class Archived:
    """What archiving a day did: new rows written, bytes of their files, whether the partition is gone."""

    day: date
    fixes: int
    bytes: int
    dropped: bool


def parts_of(conn: Conn, first: date, last: date) -> list[Part]:
    """Registered parts of the UTC days from ``first`` to ``last`` (included), in order."""
    query = """
        SELECT day, part, fixes, frames, content_sha256, directory, fix_file, fix_sha256, frame_file, frame_sha256
        FROM gps_archive WHERE day BETWEEN %s AND %s ORDER BY day, part"""
    return [Part(*row) for row in conn.execute(query, (first, last))]


def table_frames(conn: Conn, day: date) -> list[Entry]:
    """Frames of a day's partition by terminal, time, digest."""
    query = "SELECT content FROM gps_raw WHERE day = %s"
    return sorted(entry for (content,) in conn.execute(query, [day]) for entry in unpack_frames(content))


# -- out of the database


def archive_day(
    conn: Conn, day: date, directory: Path, now: datetime, *, drop: bool = False, reached: Callable[[str], None] = lambda _: None
) -> Archived:  # fmt: skip
    """Write what of a closed UTC day is in no file yet, and with ``drop`` remove its partition; repeatable.

    Commits on the connection, which must not be in a transaction. ``reached`` is told each step for tests.

    Raises
    ------
    ValueError
        If the day is not over for at least a day.
    ArchiveMissing
        If an earlier part of the day, which the table has to be compared with, cannot be read.
    """
    if day >= now.astimezone(UTC).date() - timedelta(days=1):
        raise ValueError(f"{day} is not closed: archive days that ended at least a day ago.")
    written = size = 0
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('gps_archive', 0))")
        if not store.stored_days(conn, store.day_start(day), store.day_start(day + timedelta(days=1))):
            return Archived(day, 0, 0, dropped=False)
        known = parts_of(conn, day, day)
        wanted = _unarchived(conn, day, known)
        if wanted is not None:
            made = _write(conn, day, len(known) + 1, directory, wanted=wanted, now=now, reached=reached)
            written = made.fixes
            size = sum((Path(made.directory) / name).stat().st_size for name in (made.fix_file, made.frame_file))
        reached("registered")
    if not drop:
        return Archived(day, written, size, dropped=False)
    with conn.transaction():
        fixes, frames = _count(conn, day)
        if _unarchived(conn, day, parts_of(conn, day, day)) is not None:
            raise ValueError(f"{day}: fixes arrived while it was archived: archive it again.")
        conn.execute("SELECT gps_drop_day(%s, %s, %s, %s)", (day, fixes, frames, now))
        reached("dropped")
    return Archived(day, written, size, dropped=True)


def _count(conn: Conn, day: date) -> tuple[int, int]:
    query = """
        SELECT (SELECT count(*) FROM gps_fix WHERE at >= %s AND at < %s), (SELECT coalesce(sum(frames), 0) FROM gps_raw WHERE day = %s)"""
    found = conn.execute(query, (store.day_start(day), store.day_start(day + timedelta(days=1)), day)).fetchone()
    assert found is not None
    return found[0], int(found[1])


def _unarchived(conn: Conn, day: date, known: list[Part]) -> Callable[[], tuple[Iterator[Stored], list[Entry]]] | None:
    """Maker of the rows and frames of a day that are in none of its files; ``None`` if there are none."""
    if _count(conn, day)[0] == 0:
        return None
    if not known:
        return lambda: (seal.table_rows(conn, day), table_frames(conn, day))
    if len(known) == 1:
        whole = hashlib.sha256()
        for row in seal.table_rows(conn, day):
            whole.update(seal.row_bytes(row))
        if whole.hexdigest() == known[0].content_sha256 and _count(conn, day)[1] == known[0].frames:
            return None
    filed = {row[:3]: row for part in known for row in _file_rows(part)}
    if all(filed.get(row[:3]) == row for row in seal.table_rows(conn, day)):
        return None
    fresh = {row[:3] for row in seal.table_rows(conn, day) if filed.get(row[:3]) != row}
    return lambda: (
        (row for row in seal.table_rows(conn, day) if row[:3] in fresh),
        [entry for entry in table_frames(conn, day) if entry[:3] in fresh],
    )


def _file_rows(part: Part, directory: Path | None = None) -> Iterator[Stored]:
    from telematics import parquet  # pyarrow takes a while to load and only archives need it

    return parquet.read_fixes(part.path("fix", directory))


def _write(
    conn: Conn, day: date, number: int, directory: Path, *, wanted: Callable[[], tuple[Iterator[Stored], list[Entry]]],
    now: datetime, reached: Callable[[str], None],
) -> Part:  # fmt: skip
    from telematics import parquet

    folder = directory.resolve() / f"{day:%Y}" / f"{day:%m}"
    folder.mkdir(parents=True, exist_ok=True)
    fix_path, frame_path = (folder / f"{kind}-{day}.{number}.parquet" for kind in ("fixes", "frames"))
    new_fixes, new_frames = (path.with_name(f".{path.name}.new") for path in (fix_path, frame_path))
    rows, entries = wanted()
    frames = parquet.write_frames(new_frames, entries)
    manifest: dict[str, Any] = {
        "format": 1, "day": day.isoformat(), "part": number, "frames": frames, "archived_at": now.isoformat(),
        "frame_sha256": file_sha256(new_frames), "roots": [made.root for made in seal.seals(conn, day)],
    }  # fmt: skip
    manifest = parquet.write_fixes(new_fixes, rows, manifest)
    reached("written")
    # Read back: the files' rows and frames against the table's, every byte.
    rows, entries = wanted()
    for filed, row in zip(parquet.read_fixes(new_fixes), rows, strict=True):
        if filed != row:
            raise OSError(f"{new_fixes} does not read back as the table: {filed} for {row}")
    if list(parquet.read_frames(new_frames)) != entries:
        raise OSError(f"{new_frames} does not read back as the table")
    reached("compared")
    for new, path in ((new_frames, frame_path), (new_fixes, fix_path)):
        _settle(new, path)
    made = Part(
        day, number, manifest["fixes"], frames, manifest["content_sha256"], str(directory.resolve()),
        str(fix_path.relative_to(directory.resolve())), file_sha256(fix_path),
        str(frame_path.relative_to(directory.resolve())), manifest["frame_sha256"],
    )  # fmt: skip
    reached("named")
    conn.execute(
        "INSERT INTO gps_archive (day, part, fixes, frames, content_sha256, directory, fix_file, fix_sha256, frame_file,"
        " frame_sha256, archived_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (made.day, made.part, made.fixes, made.frames, made.content_sha256, made.directory, made.fix_file, made.fix_sha256,
         made.frame_file, made.frame_sha256, now),
    )  # fmt: skip
    return made


def _settle(new: Path, path: Path) -> None:
    """Give a written file its name, durably."""
    _sync(new)
    new.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_days(conn: Conn, before: date, now: datetime) -> list[date]:
    """UTC days before ``before`` that have a partition, without those restored less than ``KEEP_RESTORED`` ago."""
    query = "SELECT DISTINCT day FROM gps_archive_event WHERE action = 'restored' AND at > %s"
    kept = {day for (day,) in conn.execute(query, [now - KEEP_RESTORED])}
    return [day for day in store.stored_days(conn, EARLIEST_AT, store.day_start(before)) if day not in kept]


def merge_frames(conn: Conn, day: date) -> int:
    """Put the frames of a closed day into few large segments; returns how many segments that are. As the tables' owner.

    Groups of one or two frames, as a quiet gateway commits them, take thrice the room of their share of a large one.
    """
    entries = table_frames(conn, day)
    pieces = [entries[at : at + SEGMENT] for at in range(0, len(entries), SEGMENT)]
    segments = [store.segment(day, piece) for piece in pieces]
    if [entry for segment in segments for entry in unpack_frames(segment[-1])] != entries:
        raise OSError(f"segments of {day} do not read back as the table")
    with conn.transaction():
        conn.execute("CREATE TEMP TABLE gps_merged (LIKE gps_raw) ON COMMIT DROP")
        with conn.cursor() as cursor:
            cursor.executemany(store.KEEP.replace("gps_raw", "pg_temp.gps_merged"), segments)
        conn.execute("SELECT gps_swap_raw(%s)", [day])
        conn.execute("DROP TABLE IF EXISTS gps_merged")
    return len(segments)


# -- back again


def restore_day(conn: Conn, day: date, now: datetime, *, directory: Path | None = None) -> int:
    """Bring the rows and frames of a day back from its files; returns how many fixes were missing. Repeatable.

    ``directory`` is where the files are now, by default where they were written. Raises ArchiveMissing.
    """
    added = 0
    with conn.transaction():
        parts = parts_of(conn, day, day)
        for part in parts:
            for kind, expected in (("fix", part.fix_sha256), ("frame", part.frame_sha256)):
                if file_sha256(path := part.path(kind, directory)) != expected:
                    raise ArchiveMissing(day, path, damaged=True)
        if not parts:
            return 0
        conn.execute(store.PARTITIONS, [[day]])
        conn.execute("CREATE TEMP TABLE gps_back (LIKE gps_fix) ON COMMIT DROP")
        with conn.cursor().copy(
            "COPY gps_back (terminal_id, at, digest, lat_e6, lon_e6, rest) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.set_types(["int4", "timestamptz", "int8", "int4", "int4", "bytea"])
            for row in (row for part in parts for row in _file_rows(part, directory)):
                copy.write_row((row[0], moment(row[1]), *row[2:]))
        added = conn.execute(
            "INSERT INTO gps_fix (terminal_id, at, digest, lat_e6, lon_e6, rest)"
            " SELECT terminal_id, at, digest, lat_e6, lon_e6, rest FROM gps_back ON CONFLICT DO NOTHING"
        ).rowcount
        _restore_frames(conn, day, parts, directory)
        if added:
            conn.execute(
                "INSERT INTO gps_archive_event (day, at, action, fixes) VALUES (%s, %s, 'restored', %s)",
                (day, now, added),
            )
        conn.execute("DROP TABLE gps_back")
    return added


def _restore_frames(conn: Conn, day: date, parts: list[Part], directory: Path | None) -> None:
    from telematics import parquet

    there = {entry[:3] for entry in table_frames(conn, day)}
    for part in parts:
        missing = [entry for entry in parquet.read_frames(part.path("frame", directory)) if entry[:3] not in there]
        with conn.cursor() as cursor:
            pieces = (missing[at : at + SEGMENT] for at in range(0, len(missing), SEGMENT))
            cursor.executemany(store.KEEP, [store.segment(day, piece) for piece in pieces])


# -- reading, wherever the day is


def read_track(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> list[Fix]:
    """Like ``store.read_fixes``, of archived days too. Raises ArchiveMissing if a file is needed and not there."""
    return list(read_columns(conn, terminal_id, start_at, end_at).fixes)


def read_columns(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> Track:
    """Like ``store.read_columns``, of archived days too. Raises ArchiveMissing if a file is needed and not there."""
    filed = _filed(conn, terminal_id, start_at, end_at)
    if not filed:
        return store.read_columns(conn, terminal_id, start_at, end_at)
    there = store.read_rows(conn, terminal_id, start_at, end_at)
    return of_rows([next(group) for _, group in groupby(merge(there, filed), key=lambda row: row[:2])])


def read_hashes(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> list[RawHash]:
    """Like ``store.raw_hashes``, of archived days too. Raises ArchiveMissing."""
    found = {(entry.at, entry.digest): entry for entry in store.raw_hashes(conn, terminal_id, start_at, end_at)}
    for part in _parts_needed(conn, start_at, end_at):
        from telematics import parquet

        frames = {entry[1:3]: entry[3] for entry in parquet.read_frames(part.path("frame"), terminal_id=terminal_id)}
        for row in _rows_of(part, terminal_id, start_at, end_at):
            frame, at = frames.get(row[1:3]), moment(row[1])
            sha256 = None if frame is None else hashlib.sha256(frame).hexdigest()
            found.setdefault((at, row[2]), RawHash(at, row[2], sha256))
    return [found[key] for key in sorted(found)]


def day_rows(conn: Conn, day: date) -> Iterator[Stored]:
    """Rows of a day from table and files, each once, by terminal, time, digest: what seals are checked against."""
    sources = [seal.table_rows(conn, day), *(_file_rows(part) for part in parts_of(conn, day, day))]
    last: Stored | None = None
    for row in merge(*sources):
        if row != last:
            yield row
        last = row


def _parts_needed(conn: Conn, start_at: datetime, end_at: datetime) -> list[Part]:
    """Parts of the days of ``[start_at, end_at)`` that were dropped and not brought back since."""
    parts = parts_of(conn, start_at.astimezone(UTC).date(), end_at.astimezone(UTC).date())
    if not parts:
        return []
    query = "SELECT DISTINCT ON (day) day, action FROM gps_archive_event WHERE day = ANY(%s) ORDER BY day, id DESC"
    gone = {day for day, action in conn.execute(query, [[part.day for part in parts]]) if action == "dropped"}
    return [part for part in parts if part.day in gone and store.day_start(part.day) < end_at]


def _rows_of(part: Part, terminal_id: int, start_at: datetime, end_at: datetime) -> Iterator[Stored]:
    from telematics import parquet

    return parquet.read_fixes(
        part.path("fix"), terminal_id=terminal_id, first_us=micros(start_at), end_us=micros(end_at)
    )


def _filed(conn: Conn, terminal_id: int, start_at: datetime, end_at: datetime) -> list[tuple[Any, ...]]:
    rows = [
        (moment(row[1]), *row[2:])
        for part in _parts_needed(conn, start_at, end_at)
        for row in _rows_of(part, terminal_id, start_at, end_at)
    ]
    return sorted(rows)
