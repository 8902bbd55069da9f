"""Roughly where a journey goes: inside the subsidy area of a unit, in the city, in the province, beyond.

The outlines are hand-drawn (``config/places/areas.json`` says how good they are) and serve hints and approval levels.
"""

import functools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from fleetapp.places.roads import METRES_PER_DEGREE, LonLat, distance_m, load_roads

AREAS_FILE = Path(__file__).parents[2] / "config" / "places" / "areas.json"


@dataclass(frozen=True, slots=True)
class Zone:
    """A subsidy area: a ring or a circle, for the units of some district codes."""

    name: str
    name_en: str
    source: str
    adcodes: frozenset[str]
    ring: tuple[LonLat, ...] = ()
    centre: LonLat = (0.0, 0.0)
    radius_m: float = 0.0

    def holds(self, at: LonLat) -> bool:
        """Tell whether a (lon, lat) point lies inside."""
        return inside(at, self.ring) if self.ring else distance_m(at, self.centre) <= self.radius_m


@dataclass(frozen=True, slots=True)
class Outlines:
    """What the file of outlines holds."""

    urban: tuple[Zone, ...]
    city: tuple[LonLat, ...]
    province: tuple[LonLat, ...]


def inside(at: LonLat, ring: tuple[LonLat, ...]) -> bool:
    """Tell whether a point lies in a ring, by counting the sides that a line to the east crosses."""
    lon, lat = at
    found = False
    for (lon_a, lat_a), (lon_b, lat_b) in zip(ring, (*ring[1:], ring[0]), strict=True):
        if (lat_a > lat) != (lat_b > lat) and lon < lon_a + (lat - lat_a) / (lat_b - lat_a) * (lon_b - lon_a):
            found = not found
    return found


@functools.cache
def load_outlines(path: Path = AREAS_FILE) -> Outlines:
    """Read the outlines."""
    data = json.loads(path.read_text(encoding="utf-8"))

    def ring_of(points: list[Any]) -> tuple[LonLat, ...]:
        return tuple((float(lon), float(lat)) for lon, lat in points)

    zones = tuple(
        Zone(
            name=row["name"], name_en=row["name_en"], source=row["source"], adcodes=frozenset(row["adcodes"]),
            ring=ring_of(row.get("ring", [])), centre=ring_of([row.get("centre", (0, 0))])[0],
            radius_m=float(row.get("radius_m", 0)),
        )
        for row in data["urban"]
    )  # fmt: skip
    return Outlines(zones, ring_of(data["city"]), ring_of(data["province"]))


def subsidy_zone(adcode: str | None, stops: list[LonLat]) -> Zone | None:
    """Return the subsidy area of a unit's district that holds a whole journey, if there is one."""
    zones = (zone for zone in load_outlines().urban if adcode in zone.adcodes)
    return next((zone for zone in zones if all(zone.holds(stop) for stop in stops)), None)


def area_of(adcode: str | None, stops: list[LonLat]) -> str:
    """Return how far a journey goes for a unit of a district: ``urban``, ``city``, ``province`` or ``beyond``.

    ``stops`` are (lon, lat), the origin among them; the farthest decides. ``urban`` is what transport subsidies cover.
    """
    outlines = load_outlines()
    if subsidy_zone(adcode, stops):
        return "urban"
    if all(inside(stop, outlines.city) for stop in stops):
        return "city"
    return "province" if all(inside(stop, outlines.province) for stop in stops) else "beyond"


@functools.cache
def _graph() -> Any:
    return load_roads()


def journey_m(stops: list[LonLat], *, round_trip: bool = True) -> int:
    """Return an estimate of the metres along main roads through ``stops`` and, on a round trip, back to the first.

    The graph holds main roads of the city alone: pieces beyond it count as the beeline, so far journeys come out short.
    """
    ends = [*stops[1:], *([stops[0]] if round_trip else [])]
    legs = zip(stops if round_trip else stops[:-1], ends, strict=True)
    return round(sum(0.0 if a == b else _graph().route(a, b).length_m for a, b in legs))


def outside_of(area: shapely.Polygon) -> Callable[[Any, Any], Any]:
    """Return a function of latitudes and longitudes, arrays of one shape: metres outside a WGS-84 polygon, 0 inside."""
    centre = area.centroid
    scale = np.array([math.cos(math.radians(centre.y)) * METRES_PER_DEGREE, METRES_PER_DEGREE])
    local = shapely.transform(area, lambda xy: (xy - (centre.x, centre.y)) * scale)

    def outside_m(lat: Any, lon: Any) -> Any:
        return shapely.distance(local, shapely.points((lon - centre.x) * scale[0], (lat - centre.y) * scale[1]))

    return outside_m
