"""Frames as received, many in one compressed segment, each under the identity of its fix; pure.

Frames of one length lie byte by byte: all first bytes, all second ones, each as its difference to the one before. A
terminal's frames differ in few places and there mostly by steps, so that nearly nothing is left to store. Inside:
count, then identities (terminal and time as differences, digest) and lengths as planes of bytes, then the frames by
length; all of it deflated.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

LEVEL = 6  # 9 takes seven times as long and saves one byte in a hundred

Entry = tuple[int, int, int, bytes]
"""Terminal, device time (microseconds since 1970 UTC), digest, bytes received."""


def pack_frames(entries: Sequence[Entry]) -> bytes:
    """One segment of the entries, which come out in the order of their identities."""
    ordered = sorted(entries)
    terminals, times, digests = (np.array([entry[place] for entry in ordered], dtype="<i8") for place in range(3))
    lengths = np.array([len(entry[3]) for entry in ordered], dtype="<i8")
    joined = np.frombuffer(b"".join(entry[3] for entry in ordered), dtype=np.uint8)
    places = np.cumsum(lengths) - lengths
    return pack_table(terminals=terminals, times=times, digests=digests, lengths=lengths, places=places, joined=joined)


def pack_table(*, terminals: Any, times: Any, digests: Any, lengths: Any, places: Any, joined: Any) -> bytes:
    """The same of arrays (int64) in the order of their identities; frame n is ``joined[places[n]:][:lengths[n]]``."""
    parts = [
        len(lengths).to_bytes(4, "little"), _planes(_steps(terminals)), _planes(_steps(times)), digests.tobytes(),
        _planes(_steps(lengths.astype("<i4"))),
    ]  # fmt: skip
    for length in np.unique(lengths[lengths > 0]).tolist():
        table = joined[places[lengths == length][:, None] + np.arange(length)]
        parts.append(_steps(table).T.tobytes())
    return zlib.compress(b"".join(parts), LEVEL)


def unpack_frames(segment: bytes) -> list[Entry]:
    """Entries of a segment in the order of their identities."""
    data = zlib.decompress(segment)
    count = int.from_bytes(data[:4], "little")
    at = 4
    terminals, at = _column(data, at, count, "<i8")
    times, at = _column(data, at, count, "<i8")
    digests = np.frombuffer(data, dtype="<i8", count=count, offset=at)
    at += 8 * count
    lengths, at = _column(data, at, count, "<i4")
    frames: list[bytes] = [b""] * count
    for length in np.unique(lengths[lengths > 0]).tolist():
        places = np.flatnonzero(lengths == length)
        size = length * len(places)
        steps = np.frombuffer(data, dtype=np.uint8, count=size, offset=at).reshape(length, len(places)).T
        joined = np.cumsum(steps, axis=0, dtype=np.uint8).tobytes()
        for row, place in enumerate(places.tolist()):
            frames[place] = joined[row * length : (row + 1) * length]
        at += size
    return list(zip(terminals.tolist(), times.tolist(), digests.tolist(), frames, strict=True))


def _steps(values: Any) -> Any:
    steps = np.array(values)
    steps[1:] -= values[:-1]
    return steps


def _planes(values: Any) -> bytes:
    planes: bytes = values.view(np.uint8).reshape(len(values), -1).T.tobytes()
    return planes


def _column(data: bytes, at: int, count: int, kind: str) -> tuple[Any, int]:
    width = np.dtype(kind).itemsize
    planes = np.frombuffer(data, dtype=np.uint8, count=count * width, offset=at).reshape(width, count)
    return np.cumsum(np.ascontiguousarray(planes.T).view(kind).reshape(-1), dtype=kind), at + count * width
