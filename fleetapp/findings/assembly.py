"""From trips and what the fixes say to stays with places: pure, the same for rows of the database and for a simulated city."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import quantiles

import numpy as np
import shapely

from fleetapp.findings.bridge import gcj02_to_wgs84
from fleetapp.findings.known import Away, Stay, Trip
from fleetapp.findings.semantics import Sites
from fleetapp.kit import clock
from fleetapp.places import areas
from fleetapp.places.roads import METRES_PER_DEGREE

OutsideM = Callable[[Sequence[float], Sequence[float]], list[float]]
"""Of latitudes and longitudes: metres outside the designated place."""
LEAST_STAY = timedelta(minutes=5)
"""A stay (rule catalogue, primitive P4)."""


def outside_of(parking: shapely.Polygon) -> OutsideM:
    """Return ``areas.outside_of`` for plain sequences of positions."""
    outside = areas.outside_of(parking)

    def outside_m(lats: Sequence[float], lons: Sequence[float]) -> list[float]:
        return [float(metres) for metres in np.atleast_1d(outside(np.asarray(lats), np.asarray(lons)))]

    return outside_m


def away_of(trips: Iterable[Trip], outside_m: OutsideM) -> dict[int, Away]:
    """Return how far outside the designated place each trip was at its ends and at most."""
    found = {}
    for trip in trips:
        if trip.path[0]:
            metres = outside_m(*trip.path)
            found[trip.id] = Away(metres[0], metres[-1], max(metres))
    return found


def stays_of(
    trips: Sequence[Trip],
    *,
    now: datetime,
    sites: Sites,
    outside_m: OutsideM | None,
    silent: Mapping[int, bool] | None = None,
) -> list[Stay]:
    """Return the stays inside trips and between them, in time order, with the places around.

    Between trips the vehicle stood where the one ended, if the next began near there: where it did not, data are missing and
    nothing is said about where it stood. ``silent`` by trip id tells that.
    """
    found: list[Stay] = []
    for trip in trips:
        for stop in trip.stops:
            start, end = datetime.fromisoformat(str(stop["start"])), datetime.fromisoformat(str(stop["end"]))
            found.append(Stay(start_at=start, end_at=end, lat=stop["lat"], lon=stop["lon"], trip_id=trip.id))
    for before, after in pairwise([*trips, None]):
        if before is None or not before.path[0]:
            continue
        lat, lon = before.path[0][-1], before.path[1][-1]
        end = now
        if after is not None:
            end = after.start_at
            if after.path[0] and _apart_m(lat, lon, after.path[0][0], after.path[1][0]) > SAME_PLACE_M:
                continue
        if (silent or {}).get(before.id):
            continue
        if end - before.end_at >= LEAST_STAY:
            found.append(Stay(start_at=before.end_at, end_at=end, lat=lat, lon=lon, trip_id=before.id))
    return sorted((placed(stay, sites, outside_m) for stay in found), key=lambda stay: stay.start_at)


SAME_PLACE_M = 300.0
"""A vehicle found this near where it was last seen stood there (segmentation's reach of a basement)."""


def placed(stay: Stay, sites: Sites, outside_m: OutsideM | None) -> Stay:
    """Return a stay with the places around it and its distance from the designated place."""
    home_m = outside_m([stay.lat], [stay.lon])[0] if outside_m else None
    return replace(stay, pois=sites.around(stay.lat, stay.lon), home_m=None if home_m is None else round(home_m, 1))


def _apart_m(lat: float, lon: float, lat_b: float, lon_b: float) -> float:
    scale = math.cos(math.radians(lat))
    return math.hypot((lon - lon_b) * scale, lat - lat_b) * METRES_PER_DEGREE


def together(
    rows: Iterable[tuple[str, datetime, datetime, int]], within: timedelta
) -> list[tuple[str, datetime, datetime, int]]:
    """Return (place, from, to, vehicles) of the times at which several vehicles stood at one place within a span.

    For each stay the vehicles are counted whose own began no farther than the span from it.
    """
    by_place: dict[str, list[tuple[datetime, datetime, int]]] = {}
    for name, start, end, vehicle_id in rows:
        by_place.setdefault(name, []).append((start, end, vehicle_id))
    found = []
    for name, stays in by_place.items():
        for start, end, _ in stays:
            others = {vehicle for begin, _, vehicle in stays if abs(begin - start) <= within}
            if len(others) > 1:
                found.append((name, start, end, len(others)))
    return found


def fill_limits(
    rows: Iterable[tuple[int, datetime, float]], *, own_id: int, small_cny: float, large_cny: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the 95th percentile of small and of large fillings over the *other* vehicles that took fuel, by local month.

    ``rows`` are (vehicle, moment, CNY). The vehicle itself stays out, and the percentile lies between two counts where it must:
    in a unit of up to twenty it would else be the highest count, and two who do the same would hide each other. A month with fewer
    than four others has none.
    """
    sides: tuple[dict[str, Counter[int]], dict[str, Counter[int]]] = ({}, {})
    for vehicle_id, at, amount in rows:
        if vehicle_id == own_id:
            continue
        month = f"{clock.local(at):%Y-%m}"
        for side, counts in ((sides[0], amount <= small_cny), (sides[1], amount >= large_cny)):
            side.setdefault(month, Counter())[vehicle_id] += counts
    small, large = (
        {
            month: quantiles(counts.values(), n=20, method="inclusive")[-1]
            for month, counts in side.items()
            if len(counts) >= LEAST_OTHERS
        }
        for side in sides
    )
    return small, large


LEAST_OTHERS = 4


LONG_STAY = timedelta(hours=2)
ODD_M, RIGHT_M = 150.0, 60.0
"""Outside the designated place by the first, and inside the second once read as GCJ-02: no parking is that exact by chance."""


def other_datum(stays: Iterable[Stay], outside_m: OutsideM | None) -> frozenset[date]:
    """Return the local days on which long stays lie outside the designated place but in it when read as GCJ-02.

    A terminal that reports the map's datum for WGS-84 is some five hundred metres off here: nothing about places may be
    judged on such days. The two days around an odd one are odd as well, since the change of datum is a jump of the track.
    """
    if outside_m is None:
        return frozenset()
    odd: set[date] = set()
    for stay in stays:
        if stay.end_at - stay.start_at < LONG_STAY or stay.home_m is None or stay.home_m <= ODD_M:
            continue
        lat, lon = gcj02_to_wgs84(stay.lat, stay.lon)
        if outside_m([lat], [lon])[0] <= RIGHT_M:
            on = clock.local_date(stay.start_at) - timedelta(days=1)
            while on <= clock.local_date(stay.end_at) + timedelta(days=1):
                odd.add(on)
                on += timedelta(days=1)
    return frozenset(odd)
