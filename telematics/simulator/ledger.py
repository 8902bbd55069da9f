"""Books of a simulation: every position sent and acknowledged, one JSON line each, and their comparison with the table.

A line is ``["sent" | "acknowledged", phone, at (ISO 8601), digest]``: with its terminal, time and content digest are
the identity of a position in ``gps_fix``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TextIO

from psycopg import Connection

Event = Literal["sent", "acknowledged"]
Identity = tuple[str, datetime, int]
"""Phone number without leading zeros, device time, digest."""


class LedgerError(ValueError):
    """The ledger cannot be read; one sentence."""


class Ledger:
    """Writes the books; without a path it keeps none. A context manager: closing writes the last lines out."""

    def __init__(self, path: Path | None) -> None:
        self._file: TextIO | None = path.open("w", encoding="utf-8") if path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def note(self, event: Event, identity: Identity) -> None:
        """Write one line."""
        if self._file is not None:
            phone, at, digest = identity
            self._file.write(json.dumps([event, phone, at.isoformat(), digest]) + "\n")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Distinct positions of a ledger against the table; ``missing`` are acknowledged and not stored: a loss."""

    sent: int
    acknowledged: int
    stored: int
    missing: int
    examples: tuple[str, ...] = ()


def read_ledger(path: Path) -> Iterator[tuple[str, str, str, int]]:
    """Lines of a ledger; the last one may be torn if its writer was killed. Raises LedgerError."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise LedgerError(f"Cannot open {path}: {error.strerror or error}.") from None
    for number, line in enumerate(lines[:-1], 1):
        try:
            event, phone, at, digest = json.loads(line)
        except ValueError:
            raise LedgerError(f"{path}, line {number} is no line of a ledger.") from None
        yield event, phone, at, digest


def compare(path: Path, conn: Connection[Any]) -> Comparison:
    """Compare a ledger with ``gps_fix``; the connection's transaction is left open. Raises LedgerError."""
    conn.execute(
        "CREATE TEMP TABLE ledger (event text, phone text, at timestamptz, digest int8, PRIMARY KEY (event, phone, at, digest))"
        " ON COMMIT DROP"
    )
    with conn.cursor().copy("COPY ledger FROM STDIN") as copy:
        for row in sorted(set(read_ledger(path))):
            copy.write_row(row)
    counts = conn.execute("""
        SELECT count(*) FILTER (WHERE event = 'sent'), count(*) FILTER (WHERE event = 'acknowledged'),
               count(*) FILTER (WHERE event = 'sent' AND f.at IS NOT NULL),
               count(*) FILTER (WHERE event = 'acknowledged' AND f.at IS NULL)
        FROM ledger AS l LEFT JOIN gps_terminal AS t USING (phone)
        LEFT JOIN gps_fix AS f ON (f.terminal_id, f.at, f.digest) = (t.id, l.at, l.digest)""").fetchone()
    assert counts is not None
    lost = conn.execute("""
        SELECT l.phone, l.at FROM ledger AS l LEFT JOIN gps_terminal AS t USING (phone)
        WHERE event = 'acknowledged'
            AND NOT EXISTS (SELECT FROM gps_fix AS f WHERE (f.terminal_id, f.at, f.digest) = (t.id, l.at, l.digest))
        ORDER BY l.phone, l.at LIMIT 5""").fetchall()
    sent, acknowledged, stored, missing = counts
    return Comparison(sent, acknowledged, stored, missing, tuple(f"{phone} {at.isoformat()}" for phone, at in lost))
