"""What a plan is made from: orders, vehicles and drivers over a window, where they stand and when they are taken."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from geoalchemy2.shape import to_shape

from fleetapp.drivers.models import Driver
from fleetapp.kit import clock
from fleetapp.kit.spans import Span
from fleetapp.orders.models import TravelOrder
from fleetapp.places.models import ParkingArea
from fleetapp.planning import rules
from fleetapp.planning.lending import Lending
from fleetapp.planning.rules import Figures
from fleetapp.vehicles.models import Vehicle

Point = tuple[float, float]
"""Latitude and longitude, WGS-84 degrees."""

DUTY_DAY_START = timedelta(hours=4)
"""A driver's day runs from four to four, so that an evening's journey past midnight is one shift."""
SLACK = timedelta(days=2)
"""Vehicles and drivers are looked at so long before and after a window, for journeys and ways that stick out of it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a plan is made from. ``yards`` are by organisation; ``busy_*`` spans already taken by row id.

    ``hired`` names drivers who drive for another organisation than their own, by row id.
    """

    window: Span
    orders: Sequence[TravelOrder]
    vehicles: Sequence[Vehicle]
    drivers: Sequence[Driver]
    figures: Figures
    yards: Mapping[int, Point]
    lending: Lending
    busy_vehicles: Mapping[int, Sequence[Span]]
    busy_drivers: Mapping[int, Sequence[Span]]
    hired: Mapping[int, int] = field(default_factory=dict)

    def home(self, row: Vehicle | Driver) -> int:
        """The organisation that a vehicle or a driver goes out from: drivers stay with the vehicles of theirs."""
        return self.lending.crew_home(row) if isinstance(row, Vehicle) else self.hired.get(row.id, row.org_id)

    @property
    def horizon(self) -> Span:
        """The window with slack around it."""
        return self.window.widened(SLACK, SLACK)


def centre(parking: ParkingArea) -> Point:
    """Return the middle of a parking area."""
    middle = to_shape(parking.area).centroid
    return middle.y, middle.x


def duty_days(horizon: Span) -> list[Span]:
    """Return the duty days that begin before the end of a horizon, in order, apart from each other."""
    found = []
    day = clock.local_date(horizon.start) - timedelta(days=1)
    while (start := clock.start_of(day) + DUTY_DAY_START) < horizon.end:
        found.append(Span(start, start + timedelta(days=1, seconds=-1)))
        day += timedelta(days=1)
    return found


def duty_spans(days: Iterable[Span], busy: Collection[Span]) -> list[Span]:
    """Return what is left of each duty day, in order, apart from each other."""
    return [span for day in days for span in rules.free(day, [taken for taken in busy if taken.overlaps(day)])]
