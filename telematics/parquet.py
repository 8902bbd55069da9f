"""Stored rows as Parquet columns and back, exact: what ``telematics.archive`` writes and any Parquet reader can open.

Fixes: whole numbers, encoded as differences (DELTA_BINARY_PACKED) and compressed with zstd, sorted by terminal and time.
``digest`` is null where it follows from the other columns, which it does for everything the gateway stored. ``item_*``
are the items kept as numbers, ``items`` is JSON for rows with any other. Frames: segments of ``telematics.frames``.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from telematics.frames import Entry, pack_frames, unpack_frames
from telematics.ingest import content_digest
from telematics.packed import NAMES, pack, unpack
from telematics.seal import Stored, row_bytes

MANIFEST = b"fleet.manifest"
GROUP = 65_536
"""Rows of a row group: one vehicle's day needs one or two of them."""
SEGMENT = 4_096
"""Frames of an archived segment."""
INT64 = 2**63

NUMBERS = ("speed_dkmh", "direction_deg", "altitude_m", "odometer_m", "alarm", "status", "delay_ms", "flags")
FIX_SCHEMA = pa.schema([
    pa.field("terminal_id", pa.int32(), nullable=False),
    pa.field("at_us", pa.int64(), nullable=False),
    pa.field("lat_e6", pa.int32(), nullable=False),
    pa.field("lon_e6", pa.int32(), nullable=False),
    *(pa.field(name, pa.int64()) for name in NUMBERS),
    pa.field("digest", pa.int64()),
    pa.field("accuracy_bits", pa.int32()),
    *(pa.field(f"item_{name}", pa.int64()) for name in NAMES),
    pa.field("source", pa.string()),
    pa.field("items", pa.string()),
])  # fmt: skip
FRAME_SCHEMA = pa.schema([
    pa.field("first_terminal", pa.int32(), nullable=False),
    pa.field("last_terminal", pa.int32(), nullable=False),
    pa.field("frames", pa.int32(), nullable=False),
    pa.field("content", pa.binary(), nullable=False),
])  # fmt: skip
WORDS = ("source", "items")


class NotArchivable(ValueError):
    """A row whose packed part is not what packing gives: it was changed behind the store's back."""


def write_fixes(path: Path, rows: Iterable[Stored], manifest: dict[str, Any]) -> dict[str, Any]:
    """Write rows, which come by terminal, time, digest; returns the manifest completed with what they are."""
    whole, count, terminals = hashlib.sha256(), 0, 0
    first_us = last_us = last_terminal = None
    numbers = [name for name in FIX_SCHEMA.names if name not in WORDS]
    encoding = dict.fromkeys(numbers, "DELTA_BINARY_PACKED")
    with pq.ParquetWriter(
        path, FIX_SCHEMA, compression="zstd", compression_level=9, use_dictionary=list(WORDS), column_encoding=encoding
    ) as writer:
        for group in _groups(rows, GROUP):
            columns: list[list[Any]] = [[] for _ in FIX_SCHEMA.names]
            for row in group:
                whole.update(row_bytes(row))
                first_us = row[1] if first_us is None else min(first_us, row[1])
                last_us = row[1] if last_us is None else max(last_us, row[1])
                terminals += row[0] != last_terminal
                last_terminal = row[0]
                for column, value in zip(columns, _spread(row), strict=True):
                    column.append(value)
            count += len(group)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, FIX_SCHEMA, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=FIX_SCHEMA), row_group_size=GROUP)
        full = manifest | {
            "fixes": count, "terminals": terminals, "first_us": first_us, "last_us": last_us, "content_sha256": whole.hexdigest(),
        }  # fmt: skip
        writer.add_key_value_metadata({MANIFEST: json.dumps(full)})
    return full


def read_manifest(path: Path) -> dict[str, Any]:
    """Manifest of a file of fixes."""
    found: dict[str, Any] = json.loads(pq.read_metadata(path).metadata[MANIFEST])
    return found


def read_fixes(
    path: Path, *, terminal_id: int | None = None, first_us: int = 0, end_us: int = INT64
) -> Iterator[Stored]:
    """Rows of a file, of one terminal's ``[first_us, end_us)`` or all, opening only the row groups that may hold them."""
    with pq.ParquetFile(path) as file:
        for group in range(file.metadata.num_row_groups):
            if terminal_id is not None and not _may_hold(file.metadata.row_group(group), terminal_id):
                continue
            table = file.read_row_group(group, use_threads=False)
            if terminal_id is not None:
                table = table.filter(
                    (pa.compute.field("terminal_id") == terminal_id)
                    & (pa.compute.field("at_us") >= first_us)
                    & (pa.compute.field("at_us") < end_us)
                )
            yield from map(_gather, zip(*(column.to_pylist() for column in table.columns), strict=True))


def write_frames(path: Path, entries: Iterable[Entry]) -> int:
    """Write frames, which come by terminal, time, digest, in segments; returns how many they are."""
    count = 0
    with pq.ParquetWriter(path, FRAME_SCHEMA, compression="none", use_dictionary=False) as writer:
        for group in _groups(entries, SEGMENT):
            count += len(group)
            values = (group[0][0], group[-1][0], len(group), pack_frames(group))
            arrays = [pa.array([value], field.type) for value, field in zip(values, FRAME_SCHEMA, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=FRAME_SCHEMA))
    return count


def read_frames(path: Path, *, terminal_id: int | None = None) -> Iterator[Entry]:
    """Frames of a file, of one terminal or all."""
    with pq.ParquetFile(path) as file:
        for group in range(file.metadata.num_row_groups):
            if terminal_id is not None and not _may_hold(file.metadata.row_group(group), terminal_id):
                continue
            for content in file.read_row_group(group).column("content").to_pylist():
                for entry in unpack_frames(content):
                    if terminal_id is None or entry[0] == terminal_id:
                        yield entry


def _groups(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    group: list[Any] = []
    for row in rows:
        group.append(row)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _may_hold(group: Any, terminal_id: int) -> bool:
    """Tell by the statistics of a row group's first and, of frames, second column."""
    last = 1 if group.column(1).path_in_schema == "last_terminal" else 0
    lowest, highest = group.column(0).statistics.min, group.column(last).statistics.max
    return bool(lowest <= terminal_id <= highest)


def _spread(row: Stored) -> tuple[Any, ...]:
    """Values of a row in the order of ``FIX_SCHEMA``."""
    terminal_id, at_us, digest, lat_e6, lon_e6, rest = row
    speed, direction, altitude, acc, fixed, odometer, alarm, status, accuracy, mock, blind, source, items, delay_ms = (
        unpack(rest)
    )
    flags = (0 if acc is None else 2 if acc else 1) | fixed << 2 | mock << 3 | blind << 4
    plain = all(name in NAMES and type(value) is int and -INT64 <= value < INT64 for name, value in items.items())
    values = (
        terminal_id, at_us, lat_e6, lon_e6, speed, direction, altitude, odometer, alarm, status, delay_ms, flags,
        None if digest == content_digest(lat_e6, lon_e6, speed, direction, odometer) else digest,
        None if accuracy is None else struct.unpack("<i", struct.pack("<f", accuracy))[0],
        *(items.get(name) if plain else None for name in NAMES),
        source, None if plain else json.dumps(items, ensure_ascii=False, separators=(",", ":"), sort_keys=True),
    )  # fmt: skip
    if _gather(values) != row:
        raise NotArchivable(
            f"terminal {terminal_id}, digest {digest}: the stored row cannot be written again as it stands; verify the day"
        )
    return values


def _gather(values: tuple[Any, ...]) -> Stored:
    """The inverse of ``_spread``."""
    terminal_id, at_us, lat_e6, lon_e6, speed, direction, altitude, odometer, alarm, status, delay_ms, flags = values[
        :12
    ]
    digest, accuracy, *numbers, source, items = values[12:]
    named = {name: value for name, value in zip(NAMES, numbers, strict=True) if value is not None}
    rest = pack(
        delay_ms=delay_ms, speed_dkmh=speed, direction_deg=direction, altitude_m=altitude, odometer_m=odometer, alarm=alarm,
        status=status, accuracy_m=None if accuracy is None else struct.unpack("<f", struct.pack("<i", accuracy))[0],
        acc=(None, False, True)[flags & 3], fixed=bool(flags & 4), mock=bool(flags & 8), blind=bool(flags & 16), source=source,
        items=named if items is None else json.loads(items),
    )  # fmt: skip
    if digest is None:
        digest = content_digest(lat_e6, lon_e6, speed, direction, odometer)
    return terminal_id, at_us, digest, lat_e6, lon_e6, rest
