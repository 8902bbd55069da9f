"""What a last position means for a person watching."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MOVING_KMH = 5.0
"""Moving from this speed on (rule catalogue, primitive P2)."""
MOVING_FOR = timedelta(minutes=3)
OFFLINE_AFTER = timedelta(minutes=30)
"""Silent for longer while expected online is a fault worth a look (rule F-01's first threshold)."""


class LiveState(StrEnum):
    """State of a vehicle on the map."""

    MOVING = "moving"
    PARKED = "parked"
    OFFLINE = "offline"


def age(passed: timedelta) -> tuple[str, int]:
    """Return how long ago something was, in the unit people would say it in."""
    seconds = max(0, int(passed.total_seconds()))
    if seconds < 60:
        return "seconds", seconds
    if seconds < 3600:
        return "minutes", seconds // 60
    return ("hours", seconds // 3600) if seconds < 2 * 86400 else ("days", seconds // 86400)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a last position shows now, and how that ends by itself if nothing more is heard."""

    state: LiveState
    moving_until: datetime | None
    offline_from: datetime


def outlook(*, at: datetime, received_at: datetime, speed_kmh: float | None, now: datetime) -> Outlook:
    """Return the state at ``now`` with the moments it changes at, so that whoever watches need not ask again."""
    return Outlook(
        state=live_state(at=at, received_at=received_at, speed_kmh=speed_kmh, now=now),
        moving_until=at + MOVING_FOR if (speed_kmh or 0.0) >= MOVING_KMH else None,
        offline_from=received_at + OFFLINE_AFTER,
    )


def live_state(*, at: datetime, received_at: datetime, speed_kmh: float | None, now: datetime) -> LiveState:
    """Return the state that a last position shows at ``now``."""
    if now - received_at > OFFLINE_AFTER:
        return LiveState.OFFLINE
    if (speed_kmh or 0.0) >= MOVING_KMH and now - at <= MOVING_FOR:
        return LiveState.MOVING
    return LiveState.PARKED
