"""How circles of a map make room for each other, and how far a year is: values in, values out."""

import calendar
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

STEPS = 300
PULL = 0.02
"""How strongly a circle is drawn back to where it belongs, as a share of the way, each step."""


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle that belongs at ``home`` and is drawn at ``at`` with a radius, all in units of the drawing."""

    key: str
    home: tuple[float, float]
    at: tuple[float, float]
    radius: float


FAR_DEGREES, FLAT = 1.0, 0.55
"""Beyond this distance from the middle a map is drawn smaller, within it larger; the smaller the power, the wider the middle."""


def widened(at: tuple[float, float], centre: tuple[float, float]) -> tuple[float, float]:
    """Return a (lat, lon) point as a map draws it whose scale falls with the distance from the centre; directions stay."""
    d_lat, d_lon = at[0] - centre[0], at[1] - centre[1]
    distance = math.hypot(d_lat, d_lon * math.cos(math.radians(centre[0])))
    if distance == 0.0:
        return at
    scale = FAR_DEGREES * (distance / FAR_DEGREES) ** FLAT / distance
    return centre[0] + d_lat * scale, centre[1] + d_lon * scale


def radii(amounts: Mapping[str, float], *, least: float, most: float) -> dict[str, float]:
    """Return radii whose areas are as the amounts, the greatest of radius ``most``, none smaller than ``least``."""
    highest = max(amounts.values(), default=0.0)
    return {
        key: max(least, most * math.sqrt(amount / highest)) if highest > 0 else least for key, amount in amounts.items()
    }


def apart(
    homes: Mapping[str, tuple[float, float]], sizes: Mapping[str, float], *, gap: float, width: float, height: float
) -> list[Circle]:
    """Return circles pushed apart until none overlaps, as near to their homes as that allows, inside the drawing.

    A Dorling cartogram: D. Dorling, Area Cartograms: Their Use and Creation, CATMOG 59 (1996). The same input gives the same drawing.
    """
    keys = sorted(homes)
    at = {key: homes[key] for key in keys}
    for step in range(STEPS):
        pull = PULL if step < STEPS * 2 // 3 else 0.0
        for key in keys:
            x, y = at[key]
            home_x, home_y = homes[key]
            at[key] = (x + (home_x - x) * pull, y + (home_y - y) * pull)
        for number, one in enumerate(keys):
            for other in keys[number + 1 :]:
                at[one], at[other] = _pushed(at[one], at[other], sizes[one] + sizes[other] + gap, number)
        for key in keys:
            x, y = at[key]
            size = sizes[key]
            at[key] = (min(max(x, size), width - size), min(max(y, size), height - size))
    return [Circle(key, homes[key], (round(at[key][0], 1), round(at[key][1], 1)), round(sizes[key], 1)) for key in keys]


def _pushed(
    one: tuple[float, float], other: tuple[float, float], least: float, number: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return two points, each moved away from the other by half of what their distance lacks."""
    dx, dy = other[0] - one[0], other[1] - one[1]
    distance = math.hypot(dx, dy)
    if distance >= least:
        return one, other
    if distance < 1e-9:  # two at one place part in directions of their own
        dx, dy, distance = math.cos(number), math.sin(number), 1.0
        lack = least
    else:
        lack = least - distance
    share = lack / distance / 2
    return (one[0] - dx * share, one[1] - dy * share), (other[0] + dx * share, other[1] + dy * share)


def fitted(
    points: Sequence[tuple[float, float]], *, width: float, height: float, margin: float
) -> tuple[float, float, float, float]:
    """Return ``(x0, scale_x, y0, scale_y)`` that draw (lat, lon) points into a frame, north up, true in shape at their latitude."""
    lats, lons = [lat for lat, _ in points], [lon for _, lon in points]
    narrow = math.cos(math.radians((min(lats) + max(lats)) / 2))
    wide, high = max(1e-9, (max(lons) - min(lons)) * narrow), max(1e-9, max(lats) - min(lats))
    scale = min((width - 2 * margin) / wide, (height - 2 * margin) / high)
    x0 = (width - wide * scale) / 2 - min(lons) * narrow * scale
    y0 = (height - high * scale) / 2 + max(lats) * scale
    return x0, narrow * scale, y0, -scale


def share_of_year(on: date) -> Decimal:
    """Return how much of a day's year has passed by its end."""
    days = 366 if calendar.isleap(on.year) else 365
    return Decimal(on.timetuple().tm_yday) / days


def fulfilment(served: int, missed: int) -> float | None:
    """Return the share of orders with an official vehicle (indicator I08); None without any."""
    return served / (served + missed) if served + missed else None
