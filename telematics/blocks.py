"""Many rows of the store in arrays: what the gateway's quick way makes, and what is written at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from telematics.kernels.columns import (
    ACC_KNOWN,
    ACC_ON,
    ALARM,
    AT,
    DIGEST,
    DIRECTION,
    FIXED,
    FLAGS,
    LAT,
    LON,
    MOCK,
    NONE,
    ODOMETER,
    RAW_AT,
    RAW_LEN,
    RECEIVED,
    REST_AT,
    REST_LEN,
    SATELLITES,
    SPEED,
    TERMINAL,
    WIDTH,
)  # fmt: skip
from telematics.rows import Row, micros, moment

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows, columns as in ``telematics.kernels.columns``, with the buffers their last columns point into."""

    rows: Ints
    rests: bytes
    raws: bytes

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self:
        """Block of rows as ``telematics.rows`` makes them."""
        table: list[list[int]] = []
        rests: list[bytes] = []
        raws: list[bytes] = []
        rest_at = raw_at = 0
        for (
            terminal_id, at, digest, lat_e6, lon_e6, rest, received_at, odometer_m, speed, direction, acc, fixed, mock, alarm,
            satellites, raw,
        ) in rows:  # fmt: skip
            flags = (0 if acc is None else ACC_KNOWN | ACC_ON * acc) | FIXED * fixed | MOCK * mock
            table.append([
                terminal_id, micros(at), digest, lat_e6, lon_e6, _or_none(speed), _or_none(direction), _or_none(odometer_m),
                flags, alarm, _or_none(satellites), micros(received_at), rest_at, len(rest), raw_at, NONE if raw is None else len(raw),
            ])  # fmt: skip
            rests.append(rest)
            raws.append(raw or b"")
            rest_at += len(rest)
            raw_at += len(raws[-1])
        return cls(np.array(table, dtype=np.int64).reshape(-1, WIDTH), b"".join(rests), b"".join(raws))

    def to_rows(self) -> list[Row]:
        """The same as rows of ``telematics.rows``."""
        return [self._row(values) for values in self.rows.tolist()]

    def _row(self, values: list[int]) -> Row:
        flags = values[FLAGS]
        raw = None if values[RAW_LEN] == NONE else self.raws[values[RAW_AT] : values[RAW_AT] + values[RAW_LEN]]
        return (
            values[TERMINAL], moment(values[AT]), values[DIGEST], values[LAT], values[LON],
            self.rests[values[REST_AT] : values[REST_AT] + values[REST_LEN]], moment(values[RECEIVED]),
            _none_or(values[ODOMETER]), _none_or(values[SPEED]), _none_or(values[DIRECTION]),
            bool(flags & ACC_ON) if flags & ACC_KNOWN else None, bool(flags & FIXED), bool(flags & MOCK),
            values[ALARM], _none_or(values[SATELLITES]), raw,
        )  # fmt: skip


def joined(blocks: Sequence[Block]) -> Block:
    """One block of all rows, in order."""
    if len(blocks) == 1:
        return blocks[0]
    rows = np.concatenate([block.rows for block in blocks])
    lengths = np.array([len(block) for block in blocks])
    for column, sizes in (
        (REST_AT, [len(block.rests) for block in blocks]), (RAW_AT, [len(block.raws) for block in blocks])
    ):  # fmt: skip
        before = np.cumsum([0, *sizes[:-1]])
        rows[:, column] += np.repeat(before, lengths)
    return Block(rows, b"".join(block.rests for block in blocks), b"".join(block.raws for block in blocks))


def by_identity(block: Block) -> Ints:
    """Places of the rows by terminal, time and digest; of equal ones the earlier first."""
    rows = block.rows
    order: Ints = np.lexsort((rows[:, DIGEST], rows[:, AT], rows[:, TERMINAL]))
    return order


def as_bytes(data: bytes) -> Any:
    """Bytes as an array."""
    return np.frombuffer(data, dtype=np.uint8)


def _or_none(value: int | None) -> int:
    return NONE if value is None else value


def _none_or(value: int) -> int | None:
    return None if value == NONE else value
