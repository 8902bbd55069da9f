"""What a last position means for a person watching."""

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


def live_state(*, at: datetime, received_at: datetime, speed_kmh: float | None, now: datetime) -> LiveState:
    """Return the state that a last position shows at ``now``."""
    if now - received_at > OFFLINE_AFTER:
        return LiveState.OFFLINE
    if (speed_kmh or 0.0) >= MOVING_KMH and now - at <= MOVING_FOR:
        return LiveState.MOVING
    return LiveState.PARKED
