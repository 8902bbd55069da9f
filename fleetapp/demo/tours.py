"""A vehicle's chain of drives: who is free when, and how long the way takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

from fleetapp.demo.drive import LOCAL, profile
from fleetapp.demo.places import Point
from fleetapp.demo.records import Leg
from fleetapp.places.roads import RoadGraph

BUFFER = timedelta(minutes=20)
PACES = ((7.0, 0.95), (9.25, 0.66), (16.5, 0.82), (18.75, 0.66), (22.0, 0.85), (24.0, 0.95))
"""Until this local hour -> share of the speed limit that traffic allows."""


@dataclass(slots=True)
class Ledger:
    """Bookings of vehicles and drivers; a booking may not touch another one of the same name."""

    spans: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)

    def free(self, name: str, start_at: datetime, end_at: datetime) -> bool:
        """Tell whether ``[start_at, end_at)`` keeps the buffer to every booking of the name."""
        return all(end_at + BUFFER <= start or end + BUFFER <= start_at for start, end in self.spans.get(name, ()))

    def book(self, name: str, start_at: datetime, end_at: datetime) -> None:
        """Record a booking; raises ``ValueError`` when it is too near another."""
        if not self.free(name, start_at, end_at):
            raise ValueError(f"{name} is already booked near {start_at}: ask free() first")
        self.spans.setdefault(name, []).append((start_at, end_at))


def pace_at(at: datetime) -> float:
    """Share of the limit that traffic allows at a moment."""
    local = at.astimezone(LOCAL)
    hour = local.hour + local.minute / 60
    return next(pace for until, pace in PACES if hour < until)


def tour(
    roads: RoadGraph,
    rng: Random,
    *,
    plate: str,
    order: str | None,
    start_at: datetime,
    origin: Point,
    calls: Sequence[tuple[Point, float, str]],
) -> list[Leg]:
    """Drive from ``origin`` to each call (point, seconds to stay, label of the leg there) one after the other."""
    legs = []
    at = start_at
    here = origin
    for point, dwell_s, label in calls:
        seed = rng.getrandbits(48)
        pace = pace_at(at)
        route = roads.route(here.lonlat, point.lonlat)
        run = profile(route, Random(seed), pace=pace)
        end_at = at + timedelta(seconds=run.seconds)
        legs.append(Leg(plate, order, label, here, point, at, end_at, route.length_m, seed, pace))
        here = point
        at = end_at + timedelta(seconds=round(dwell_s))
    return legs


def local_moment(on: date, hour: float) -> datetime:
    """Return the UTC moment of a local date and a decimal hour, to the second; hours past 24 run on."""
    midnight = datetime(on.year, on.month, on.day, tzinfo=LOCAL).astimezone(UTC)
    return midnight + timedelta(seconds=round(hour * 3600))


def floor_to(at: datetime, minutes: int) -> datetime:
    """Round a moment down to whole steps of the local hour."""
    return at.replace(minute=at.minute - at.minute % minutes, second=0, microsecond=0)


def ceil_to(at: datetime, minutes: int) -> datetime:
    """Round a moment up to whole steps of the local hour."""
    low = floor_to(at, minutes)
    return low if low == at else low + timedelta(minutes=minutes)
