"""What one process knows of its jobs: told to the database by the leader, and to monitoring by every scheduler."""

import threading
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of a job; ``ended_at`` is None while it has never ended."""

    name: str
    interval_s: int
    began_at: datetime
    ended_at: datetime | None = None
    elapsed_s: float = 0.0
    failed: str = ""


class Runs:
    """The last run of every job of this process, for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, Run] = {}
        self._fresh: set[str] = set()

    def begin(self, name: str, *, interval_s: int, now: datetime) -> None:
        """Note that a job begins; how the last run went stays until this one has ended."""
        with self._lock:
            old = self._last.get(name, Run(name, interval_s, now))
            self._last[name] = replace(old, began_at=now)
            self._fresh.add(name)

    def end(self, name: str, *, elapsed_s: float, failed: str, now: datetime) -> None:
        """Note how a job went."""
        with self._lock:
            self._last[name] = replace(self._last[name], ended_at=now, elapsed_s=elapsed_s, failed=failed)
            self._fresh.add(name)

    def take_fresh(self) -> list[Run]:
        """Return what has changed since the last call."""
        with self._lock:
            fresh, self._fresh = [self._last[name] for name in sorted(self._fresh)], set()
            return fresh
