"""What one read brought, the quick way: whole runs of positions as rows of the store, and their answers.

The compiled loop takes 0x0200 and 0x0704 of the terminal that has logged in, with plain numbers as items; the rows equal
``to_row(terminal_id, fix, raw, received_at)`` of every fix. Everything else comes back as bytes for the long way.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from telematics.blocks import Block, as_bytes
from telematics.bulk import prepared
from telematics.gateway.writer import Incoming
from telematics.kernels import wire
from telematics.kernels.columns import (
    END,
    FRAME_WIDTH,
    MSG_ID,
    RAW_AT,
    RAW_LEN,
    REST_AT,
    REST_LEN,
    ROWS,
    SERIAL,
    START,
    WIDTH,
)  # fmt: skip
from telematics.model import Fix
from telematics.protocols.jt808 import HeaderForm, Message, encode_frame
from telematics.protocols.jt808_body import BATCH, encode_batch
from telematics.rows import EARLIEST_AT, micros

Ints = npt.NDArray[np.int64]

MOST_BYTES = 1 << 17
"""Of one call; longer data goes the long way."""
MOST_ROWS = 1 << 12
ANSWER_BYTES = 64


class Scratch(NamedTuple):
    """Arrays the loop fills; what is kept of them is copied before the next call."""

    frames: Ints
    rows: Ints
    rests: npt.NDArray[np.uint8]
    raws: npt.NDArray[np.uint8]


@cache
def scratch() -> Scratch:
    """The one of the process: an event loop does one thing at a time."""
    return Scratch(
        np.empty((MOST_BYTES // 2, FRAME_WIDTH), dtype=np.int64), np.empty((MOST_ROWS, WIDTH), dtype=np.int64),
        np.empty(MOST_ROWS * wire.REST_MOST, dtype=np.uint8), np.empty(2 * MOST_BYTES, dtype=np.uint8),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Messages one after the other; ``end`` is the place after them in what was read."""

    end: int
    block: Block
    serials: Ints
    msg_ids: Ints
    sizes: Ints
    """Positions of each message."""

    def incoming(self) -> Incoming:
        """What they brought."""
        return Incoming((), block=self.block, sizes=self.sizes)


@dataclass(frozen=True, slots=True)
class Unusual:
    """Frames for the long way, with the flags around them."""

    end: int
    frames: bytes


def header_of(form: Message | HeaderForm) -> bytes:
    """What the headers of a terminal have in common."""
    return (bytes((form.protocol_version,)) if form.version == "2019" else b"") + form.phone_raw


def runs(data: bytes, header: bytes, terminal_id: int, now: datetime, *, most: int) -> Iterator[Run | Unusual]:
    """Cut ``data``, which begins and ends with a flag, into runs of either kind, in order; empty frames are left out.

    A run has at most ``most`` messages.
    """
    if len(data) > MOST_BYTES:
        yield Unusual(len(data), data)
        return
    made = scratch()
    found, _, _, _ = wire.scan(as_bytes(data), as_bytes(header), terminal_id, micros(now), *made)
    frames = made.frames[:found]
    quick = frames[:, ROWS] > 0
    if quick.all():
        bounds = [0, found] if found else []
    else:
        bounds = [0, *(np.flatnonzero(quick[1:] != quick[:-1]) + 1).tolist(), found]
        frames = frames.copy()  # the long way may wait, and others read meanwhile
    ready: list[Run | Unusual] = []
    row_at = 0
    for first, end in itertools.pairwise(bounds):
        part = frames[first:end]
        if quick[first]:
            for begin in range(0, len(part), most):
                some = part[begin : begin + most]
                rows_end = row_at + int(some[:, ROWS].sum())
                ready.append(_run(some, made, row_at, rows_end))
                row_at = rows_end
        else:
            ready.append(Unusual(int(part[-1, END]), data[int(part[0, START]) : int(part[-1, END])]))
    yield from ready


def _run(frames: Ints, made: Scratch, first: int, end: int) -> Run:
    rows = made.rows[first:end].copy()
    rest_at, raw_at = int(rows[0, REST_AT]), int(rows[0, RAW_AT])
    rests = made.rests[rest_at : int(rows[-1, REST_AT] + rows[-1, REST_LEN])].tobytes()
    raws = made.raws[raw_at : int(rows[-1, RAW_AT] + rows[-1, RAW_LEN])].tobytes()
    rows[:, REST_AT] -= rest_at
    rows[:, RAW_AT] -= raw_at
    columns = (frames[:, column].copy() for column in (SERIAL, MSG_ID, ROWS))
    return Run(int(frames[-1, END]), Block(rows, rests, raws), *columns)


def answers(run: Run, result: int, header: bytes, serial: int) -> bytes:
    """Frames 0x8001 to every message of a run, the first with ``serial``."""
    out = np.empty(ANSWER_BYTES * len(run.serials), dtype=np.uint8)
    size = wire.answer(run.serials, run.msg_ids, result, as_bytes(header), serial, out)
    return out[:size].tobytes()


def warm() -> None:
    """Load the compiled loops, or compile them: the first terminals need not wait for it."""
    form = HeaderForm("2013", 0, bytes(6))
    moment = EARLIEST_AT + timedelta(days=1)
    fix = Fix(moment, 1.0, 1.0, odometer_m=0)
    frame = encode_frame(BATCH, encode_batch([fix]), like=form, serial=0)
    (run,) = runs(frame, form.phone_raw, 1, moment, most=1)
    assert isinstance(run, Run)
    answers(run, 0, form.phone_raw, 0)
    prepared(run.block)
