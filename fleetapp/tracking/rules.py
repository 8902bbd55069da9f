"""What a last position means for a person watching, and what can stand on a SIM card."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken

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


class Carrier(StrEnum):
    """Whose network a SIM card is for."""

    MOBILE = "mobile"
    UNICOM = "unicom"
    TELECOM = "telecom"
    BROADNET = "broadnet"
    OTHER = "other"


SIM_FROM = date(2010, 1, 1)
SIM_YEARS = 20
"""A card that ended before the one or ends more years ahead than the other is a slip of the pen."""


def iccid(given: str) -> str:
    """Return a card's number as it is kept: its 19 or 20 digits, without the blanks and hyphens it is printed with.

    :raises RuleBroken: not so many digits, or the last is not the check digit of the others (ITU-T E.118: Luhn).
    """
    number = re.sub(r"[\s-]", "", given)
    if not re.fullmatch(r"[0-9]{19,20}", number):
        raise RuleBroken("tracking.sim_digits")
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number)))
    if sum(digit // 10 + digit % 10 for digit in doubled) % 10:
        raise RuleBroken("tracking.sim_check")
    return number


def sim_until(valid_until: date, *, today: date) -> date:
    """Return a card's last day.

    :raises RuleBroken: no day that a card in use can end on.
    """
    last = date(today.year + SIM_YEARS, 12, 31)
    if not SIM_FROM <= valid_until <= last:
        raise RuleBroken("tracking.sim_date", first=SIM_FROM.isoformat(), last=last.isoformat())
    return valid_until
