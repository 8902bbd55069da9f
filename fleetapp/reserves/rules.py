"""Levels of emergency, and what a floor may say: values in, values or ``RuleBroken`` out."""

from datetime import date
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken

DAY_MIN = 1440
"""Minutes of a day."""
ANY_BODY = "any"
"""A floor of this body counts all vehicles of the pool together."""


class Level(StrEnum):
    """Levels of emergency, I the gravest, as in the general emergency plan; ``usual`` holds every day."""

    USUAL = "usual"
    IV = "IV"
    III = "III"
    II = "II"
    I = "I"  # noqa: E741 -- the level's own name


RANK = {level: rank for rank, level in enumerate(Level)}
"""0 for every day up to 4 for level I: a graver level brings the floors of all lesser ones with it."""
DECLARED = tuple(level for level in reversed(Level) if level is not Level.USUAL)
"""Levels that an activation may have, the gravest first."""


class Standing(StrEnum):
    """How a reserve stands: more free than the floor, exactly the floor, fewer."""

    OK = "ok"
    AT_RISK = "at_risk"
    SHORT = "short"


def standing(floor: int, free: int) -> Standing:
    """Return how a reserve of ``free`` vehicles stands to its floor.

    >>> [standing(2, free).value for free in (3, 2, 1)]
    ['ok', 'at_risk', 'short']
    """
    if free < floor:
        return Standing.SHORT
    return Standing.AT_RISK if floor and free == floor else Standing.OK


def check_hours(from_min: int, until_min: int) -> None:
    """Refuse minutes of the local day that are no interval; a night over midnight is two floors.

    :raises RuleBroken: ``reserves.bad_hours``.
    """
    if not 0 <= from_min < until_min <= DAY_MIN:
        raise RuleBroken("reserves.bad_hours")


def check_period(start_on: date, end_on: date | None, *, today: date) -> None:
    """Refuse a period that begins in the past or ends before it begins; ``end_on`` is the first day without the floor.

    :raises RuleBroken: ``reserves.bad_period``.
    """
    if start_on < today or (end_on is not None and end_on <= start_on):
        raise RuleBroken("reserves.bad_period")


def check_pool(kind: str, *, has_parent: bool) -> None:
    """Refuse a floor of an organisation that is no pool: a pool is a district, or the city's own level.

    :raises RuleBroken: ``reserves.no_pool``.
    """
    if kind != "district" and has_parent:
        raise RuleBroken("reserves.no_pool")
