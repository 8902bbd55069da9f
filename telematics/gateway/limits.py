"""Bounds on what one connection, and all of them together, may cost."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the gateway; seconds, bytes and counts.

    ``login_s`` is the silence allowed before authentication, ``idle_s`` afterwards: parked terminals report every
    five minutes, so it is three of these. ``unanswered`` is how many messages of one connection may wait for their
    commit, ``queue_rows`` how many rows of all connections may. ``unread_bytes`` is what a terminal that does not
    read its answers may pile up. The quarantine figures are entries a minute, so that a stream of garbage cannot fill
    the disk. ``store_wait_s`` is how long a phone waits for its answer before it is told to try again.
    """

    login_s: float = 60.0
    idle_s: float = 900.0
    connections: int = 20_000
    unanswered: int = 1_000
    unread_bytes: int = 1 << 18
    queue_rows: int = 20_000
    quarantine_per_minute: int = 20
    quarantine_per_minute_overall: int = 600
    store_wait_s: float = 15.0
    header_bytes: int = 16 << 10
    body_bytes: int = 1 << 20


class Allowance:
    """So many a minute; ``refused`` counts those beyond since it was last set to zero."""

    def __init__(self, per_minute: int) -> None:
        self.refused = 0
        self._per_minute = per_minute
        self._used = 0
        self._since: datetime | None = None

    def take(self, now: datetime) -> bool:
        """Whether one more is allowed at ``now``."""
        if self._since is None or now - self._since >= timedelta(minutes=1):
            self._since, self._used = now, 0
        if self._used >= self._per_minute:
            self.refused += 1
            return False
        self._used += 1
        return True
