"""Places, units and vehicles of the labelled city; all drawn from one seed."""

import functools
import math
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

import chinese_calendar
import shapely

from fleetapp.findings.semantics import Site, Sites
from fleetapp.places.roads import METRES_PER_DEGREE, LonLat, RoadGraph, load_roads
from fleetapp.workdays import rules as workdays
from fleetapp.workdays.rules import Day

FIRST_ON = date(2026, 8, 22)
"""Ninety days from here hold the National Day, the Mid-Autumn days and two make-up workdays of 2026."""
COUNTS = {
    "residential": 40, "school": 14, "scenic": 10, "mall": 10, "hotel": 22, "entertainment": 8, "hospital": 8, "government": 45,
    "energy": 14, "repair": 6, "toll": 4, "funeral": 3, "other": 40,
}  # fmt: skip
CENTRE = (120.17, 30.25)
FAR_KM = 30.0
"""Some sights and towns lie at least this far from the middle of the city."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit with its yard, the designated place."""

    id: int
    path: str
    yard: LonLat
    area: shapely.Polygon


@dataclass(frozen=True, slots=True)
class World:
    """Everything that stands still."""

    graph: RoadGraph
    sites: tuple[Site, ...]
    index: Sites
    units: tuple[Unit, ...]
    days: dict[date, Day]

    def of(self, kind: str, *, far: bool | None = None) -> list[Site]:
        """Return the sites of a class, near or far ones where it matters."""
        found = [site for site in self.sites if site.kind == kind]
        if far is None:
            return found
        return [site for site in found if (km_from_centre(site) >= FAR_KM) is far] or found


def km_from_centre(site: Site) -> float:
    """Return the distance from the middle of the city."""
    return apart_m((site.lon, site.lat), CENTRE) / 1000


def apart_m(a: LonLat, b: LonLat) -> float:
    """Return the distance of two positions."""
    return math.hypot((a[0] - b[0]) * math.cos(math.radians(a[1])), a[1] - b[1]) * METRES_PER_DEGREE


def shifted(at: LonLat, east_m: float, north_m: float) -> LonLat:
    """Return a position some metres away, rounded to a tenth of a metre."""
    lat = at[1] + north_m / METRES_PER_DEGREE
    return round(at[0] + east_m / (METRES_PER_DEGREE * math.cos(math.radians(at[1]))), 6), round(lat, 6)


def make_world(rng: Random, *, units: int, days: int) -> World:
    """Draw the places of a city around its real main roads."""
    graph = load_roads()
    spots = [spot for edge in graph.edges if edge.road_class != "expressway" for spot in edge.shape]
    near = [spot for spot in spots if apart_m(spot, CENTRE) < 16_000]
    far = [spot for spot in spots if FAR_KM * 1000 < apart_m(spot, CENTRE) < 70_000]
    taken: list[LonLat] = []
    sites: list[Site] = []
    for kind, count in COUNTS.items():
        for number in range(count):
            pool = far if (kind in {"scenic", "government"} and number % 4 == 0) else near
            at = _free(rng, pool, taken)
            taken.append(at)
            sites.append(Site(f"{kind}-{number}", kind, at[1], at[0]))
    # Some places stand wall to wall with others of another class: what a stay there means stays open.
    for number in range(12):
        beside = rng.choice([site for site in sites if site.kind in {"residential", "government", "hotel"}])
        kind = rng.choice(["other", "mall", "hotel"])
        at = shifted((beside.lon, beside.lat), rng.uniform(-60, 60), rng.uniform(-60, 60))
        sites.append(Site(f"{kind}-beside-{number}", kind, at[1], at[0]))
    yards = []
    for number in range(units):
        at = _free(rng, near, taken, least_m=350.0)
        taken.append(at)
        yards.append(Unit(number + 1, f"/1/{number + 2}/", at, _square(at, 45.0)))
    calendar = {}
    for number in range(-45, days + 45):
        on = FIRST_ON + timedelta(days=number)
        calendar[on] = _day(on)
    return World(graph, tuple(sites), Sites(sites), tuple(yards), calendar)


@functools.cache
def _day(on: date) -> Day:
    try:
        is_off, english = chinese_calendar.get_holiday_detail(on)
    except NotImplementedError:
        return workdays.by_weekday(on)
    name = chinese_calendar.Holiday(english).chinese if english else ""
    return Day(on, workdays.kind_of(on, is_workday=not is_off, holiday=name), name)


def _free(rng: Random, pool: list[LonLat], taken: list[LonLat], *, least_m: float = 250.0) -> LonLat:
    """Return a place beside a road, not nearer than this to those before."""
    for _ in range(200):
        at = shifted(rng.choice(pool), rng.uniform(-120, 120), rng.uniform(-120, 120))
        if all(apart_m(at, other) >= least_m for other in taken):
            return at
    return at


def _square(at: LonLat, half_m: float) -> shapely.Polygon:
    return shapely.Polygon(
        [shifted(at, east * half_m, north * half_m) for east, north in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    )
