"""Bounds on what one connection, one address, and all of them together may cost."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the gateway; seconds, bytes and counts.

    ``login_s`` is the time to authenticate in, ``idle_s`` that without a whole frame afterwards: parked terminals
    report every five minutes, so it is three of these. ``unanswered`` is how many messages of one connection may wait for their
    commit, ``queue_rows`` how many rows of all connections may. ``unread_bytes`` is what a terminal that does not
    read its answers may pile up. The quarantine figures are entries a minute, so that a stream of garbage cannot fill
    the disk. Wrong codes and tokens a minute are counted by address and, with ``guesses_per_minute``, by address and
    identity, so that a terminal is not kept out by others behind one address. ``store_wait_s`` is how long a phone waits for its answer before it is told to try again.
    ``udp_sources`` is how many source addresses may be open over UDP. Sub-packages that do not come are asked for after
    ``piece_wait_s``. Commands are looked for every ``command_poll_s``; the first wait for their answer is
    ``command_wait_s``, the second twice and the third three times that. Where positions go into a stream, terminals
    may log in without the database for ``directory_s`` after their list was last read, which is every ``reread_s``.
    """

    login_s: float = 60.0
    idle_s: float = 900.0
    connections: int = 20_000
    udp_sources: int = 20_000
    unanswered: int = 1_000
    unread_bytes: int = 1 << 18
    queue_rows: int = 20_000
    quarantine_per_minute: int = 20
    quarantine_per_minute_overall: int = 600
    guesses_per_minute: int = 10
    guesses_per_minute_by_address: int = 120
    store_wait_s: float = 15.0
    piece_wait_s: float = 5.0
    command_poll_s: float = 1.0
    command_wait_s: float = 10.0
    directory_s: float = 900.0
    reread_s: float = 60.0
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
        # Whatever direction the clock went: one that was set back must not end the allowance until it has caught up.
        if self._since is None or abs(now - self._since) >= timedelta(minutes=1):
            self._since, self._used = now, 0
        if self._used >= self._per_minute:
            self.refused += 1
            return False
        self._used += 1
        return True

    def spent(self, now: datetime) -> bool:
        """Whether nothing more would be allowed at ``now``."""
        return (
            self._since is not None and abs(now - self._since) < timedelta(minutes=1) and self._used >= self._per_minute
        )


class Guesses:
    """Wrong codes and tokens by address and by address and identity; the least recent of ``most`` are forgotten."""

    def __init__(self, limits: Limits, *, most: int = 20_000) -> None:
        self._limits = limits
        self._most = most
        self._wrong: OrderedDict[tuple[str, str], Allowance] = OrderedDict()

    def too_many(self, peer: str, identity: str, now: datetime) -> bool:
        """Whether this minute's attempts are used up: the next one is refused without a look."""
        address = _address(peer)
        known = (self._wrong.get((address, "")), self._wrong.get((address, identity)))
        return any(allowance is not None and allowance.spent(now) for allowance in known)

    def note(self, peer: str, identity: str, now: datetime) -> None:
        """Count a wrong one."""
        address = _address(peer)
        for key, most in (
            ((address, ""), self._limits.guesses_per_minute_by_address),
            ((address, identity), self._limits.guesses_per_minute),
        ):
            self._wrong.setdefault(key, Allowance(most)).take(now)
            self._wrong.move_to_end(key)
        while len(self._wrong) > self._most:
            self._wrong.popitem(last=False)


def _address(peer: str) -> str:
    """Address of ``address:port``."""
    return peer.rpartition(":")[0] or peer
