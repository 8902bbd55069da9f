"""Invented days of a city's vehicle pool, to measure with: no real orders, places or prices.

14 yards spread like a large city and its counties, 25 offices around each, trips of 5 to 60 km with peaks in the morning
and the early afternoon, 62 % of them round trips with a stay, three vehicle classes, 0.335 vehicles per request.
"""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime

from dispatch.bounds import whole
from dispatch.model import Driver, Instance, Place, Request, Span, Stop, Vehicle, estimate_travel
from dispatch.params import Params

# Name, km east and north of the centre, share of the orders.
YARDS = (
    ("city-1", 0, 0, 14), ("city-2", 4, 3, 11), ("city-3", -4, 2, 10), ("city-4", 2, -5, 9), ("south", 2, -9, 8),
    ("southeast", 12, -10, 10), ("northwest", -16, 8, 8), ("northeast", 18, 16, 7), ("east", 24, 4, 6),
    ("southwest", -20, -24, 5), ("west", -40, 4, 4), ("county-1", -48, -50, 3), ("county-2", -72, -82, 3),
    ("county-3", -92, -50, 2),
)  # fmt: skip
SHARES = [share for *_, share in YARDS]
CLASSES = (("sedan", 58, 4), ("mpv", 30, 6), ("van", 12, 15))  # name, share, seats
LAT, LON = 30.27, 120.16
KM_LAT, KM_LON = 1 / 111.2, 1 / (111.2 * math.cos(math.radians(LAT)))
SPEED_KMH, DETOUR = 38.0, 1.3
VEHICLES_PER_REQUEST = 0.335
LEAST_S, BOARDING_S = 1_800, 120
DAY = (Span(0, 30 * 3_600),)
# A vehicle's day at full cost, so that own vehicles and rental really compete.
PARAMS = Params(day_fen={**Params().day_fen, "sedan": 26_000, "mpv": 32_000, "van": 52_000})


def day(size: int, *, seed: int, drivers: bool = False, duties: bool = False, pooling: bool = False) -> Instance:
    """Invent a day of `size` requests with fixed starts.

    With `drivers` two shifts of drivers share the vehicles of their yard; with `duties` every vehicle has its own driver
    for 10 h; with either, 40 % of the vehicles are electric with a range of 300 km. With `pooling` everybody consents to
    share: one-way trips then take as long as they drive, with two minutes to get in and out, instead of half an hour at
    least.
    """
    whole(size, "Day", "size", 1, 20_000)
    rng = random.Random(seed)
    places = [_at(name, x, y) for name, x, y, _ in YARDS]
    offices = [[(x + rng.gauss(0, 2.6), y + rng.gauss(0, 2.6)) for _ in range(25)] for _, x, y, _ in YARDS]
    requests = []
    for k in range(size):
        request, ends = _request(rng, k, offices)
        requests.append(_shared(request) if pooling else request)
        places += ends
    fleet, crew = _fleet(rng, round(VEHICLES_PER_REQUEST * size), drivers=drivers, duties=duties)
    travel = estimate_travel(places, detour=DETOUR, speed_kmh=SPEED_KMH)
    epoch = datetime(2026, 3, 1, 16, tzinfo=UTC)
    return Instance(epoch, travel, tuple(requests), fleet, crew, before_s=0, after_s=0)


def _at(name: str, x_km: float, y_km: float) -> Place:
    return Place(name, LAT + y_km * KM_LAT, LON + x_km * KM_LON)


def _request(
    rng: random.Random, number: int, offices: list[list[tuple[float, float]]]
) -> tuple[Request, tuple[Place, Place]]:
    """Return a request from an office to somewhere, with its two places."""
    home = rng.choices(range(len(YARDS)), SHARES)[0]
    here = rng.choice(offices[home])
    while True:
        u = rng.random()
        target = home if u < 0.62 else rng.randrange(4) if u < 0.86 else rng.choices(range(len(YARDS)), SHARES)[0]
        there = (YARDS[target][1] + rng.gauss(0, 6), YARDS[target][2] + rng.gauss(0, 6))
        if 5 <= DETOUR * math.dist(here, there) <= 60:
            break
    start_s = _minute(rng) * 60
    wanted, _, seats = rng.choices(CLASSES, [share for _, share, _ in CLASSES])[0]
    pick, drop = _at(f"p{number}", *here), _at(f"d{number}", *there)
    stops: tuple[Stop, ...] = (Stop(pick.id), Stop(drop.id))
    if rng.random() < 0.62:
        stay_s = round(min(300, max(10, rng.gammavariate(1.6, 70)))) * 60
        stops = (Stop(pick.id), Stop(drop.id, stay_s), Stop(pick.id))
    request = Request(
        f"r{number:04d}", stops, start_s, start_s, LEAST_S, rng.randint(1, seats), wanted, "business", "city"
    )
    return request, (pick, drop)


def _minute(rng: random.Random) -> int:
    """Return a start in minutes after midnight, with two peaks."""
    u = rng.random()
    minute = (
        rng.gauss(520, 50) if u < 0.42 else rng.gauss(835, 55) if u < 0.72
        else rng.uniform(390, 1140) if u < 0.95 else rng.gauss(1110, 40)
    )  # fmt: skip
    return min(1290, max(330, round(minute / 5) * 5))


def _shared(request: Request) -> Request:
    if len(request.stops) > 2:
        return replace(request, pooling=True)
    stops = tuple(Stop(stop.place, BOARDING_S) for stop in request.stops)
    return replace(request, stops=stops, duration_s=0, pooling=True)


def _fleet(
    rng: random.Random, count: int, *, drivers: bool, duties: bool
) -> tuple[tuple[Vehicle, ...], tuple[Driver, ...]]:
    fleet, crew = [], []
    for number in range(count):
        yard = rng.choices(YARDS, SHARES)[0][0]
        name, _, seats = rng.choices(CLASSES, [share for _, share, _ in CLASSES])[0]
        bev = (drivers or duties) and rng.random() < 0.4
        own = f"d{number:03d}" if duties else None
        fleet.append(
            Vehicle(
                f"v{number:03d}", yard, "city", name, seats, DAY, energy="bev" if bev else "petrol",
                range_m=300_000 if bev else None, charge_m_per_h=150_000, driver_id=own,
            )
        )  # fmt: skip
        if own:
            crew.append(Driver(own, yard, "city", "A1", DAY))
        elif drivers:
            for half, (begin_h, end_h) in enumerate(((5, 15.5), (11, 24))):
                if half == 0 or rng.random() < 0.3:
                    duty = (Span(int(begin_h * 3_600), int(end_h * 3_600)),)
                    crew.append(Driver(f"d{number:03d}-{half}", yard, "city", "A1", duty))
    return tuple(fleet), tuple(crew)
