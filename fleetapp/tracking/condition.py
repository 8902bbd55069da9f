"""What a terminal's reports say of its condition, and how a week of them looks. Values in, values out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

QUARTER = timedelta(minutes=15)

ALARMS = {
    4: "gnss_fault", 5: "antenna_cut", 6: "antenna_short", 7: "power_low", 8: "power_cut", 9: "display_fault", 10: "voice_fault",
    11: "camera_fault",
}  # fmt: skip
"""Bits of the alarm word that speak of the device (JT/T 808-2019 table 24, 2013 table 24)."""
DEVICE_ALARMS = sum(1 << bit for bit in ALARMS)


class Fault(StrEnum):
    """What is wrong with a terminal; several may be."""

    NEVER = "never"
    OFFLINE_ORDER = "offline_order"
    OFFLINE = "offline"
    CLOCK = "clock"
    ALARM = "alarm"
    NO_FIX = "no_fix"
    SIM_ENDED = "sim_ended"
    SIM_ENDING = "sim_ending"


SIM_FAULTS = frozenset({Fault.SIM_ENDED, Fault.SIM_ENDING})


@dataclass(frozen=True, slots=True)
class Gap:
    """A silence of the last seven days, ``[start, end)``, to the quarter of an hour."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it was."""
        return self.end - self.start


def alarms(bits: int) -> list[str]:
    """Return the device alarms in an alarm word."""
    return [name for bit, name in ALARMS.items() if bits >> bit & 1]


def week_start(now: datetime, quarters: int) -> datetime:
    """Return when the first of so many quarters of an hour before the present one began."""
    return now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % QUARTER - quarters * QUARTER


def gaps(heard: str, *, start: datetime, fitted_at: datetime | None) -> list[Gap]:
    """Return the silences in ``heard`` ("1" a quarter of an hour with a fix, the first from ``start``), none from before ``fitted_at``."""
    found: list[Gap] = []
    begun: int | None = None
    first = 0 if fitted_at is None else max(0, -((start - fitted_at) // QUARTER))
    for place, mark in enumerate(heard + "1"):
        if place < first:
            continue
        if mark == "0" and begun is None:
            begun = place
        elif mark == "1" and begun is not None:
            found.append(Gap(start + begun * QUARTER, start + place * QUARTER))
            begun = None
    return found


def longest(found: Sequence[Gap], *, since: datetime) -> timedelta:
    """Return the longest silence after a moment; what lies before it does not count."""
    return max((gap.end - max(gap.start, since) for gap in found if gap.end > since), default=timedelta(0))


def runs(heard: str) -> list[tuple[int, int]]:
    """Return where reports were heard as (first, number of) quarters, for drawing."""
    found: list[tuple[int, int]] = []
    for place, mark in enumerate(heard):
        if mark == "1":
            if found and sum(found[-1]) == place:
                found[-1] = (found[-1][0], found[-1][1] + 1)
            else:
                found.append((place, 1))
    return found


def sim_fault(left_days: int | None, *, warn_days: int) -> Fault | None:
    """Return what is wrong with a SIM card that holds for so many days after today: 0 on its last one, below when it has ended."""
    if left_days is None or left_days > warn_days:
        return None
    return Fault.SIM_ENDED if left_days < 0 else Fault.SIM_ENDING


def clock_offset(delay_ms: int | None) -> timedelta | None:
    """Return how far the terminal's clock is behind: the least time from its clock to receipt, none of which the network can make negative."""
    return None if delay_ms is None else timedelta(milliseconds=delay_ms)
