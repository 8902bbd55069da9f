"""Several orders in one vehicle (拼车): what may go together, in which order the stops come, what it costs each. Plain values."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations, pairwise

from fleetapp.orders.rules import OrderKind
from fleetapp.planning.rules import Fault

Point = tuple[float, float]
"""Latitude and longitude, WGS-84 degrees."""
Leg = Callable[[Point, Point], tuple[float, float]]
"""Way between two points: seconds and metres."""

MOST_STOPS = 12
"""Stops of one journey, pick-ups counted: a driver keeps no more apart, and every order of them can be tried."""
ALONE = frozenset({OrderKind.CONFIDENTIAL, OrderKind.EMERGENCY, OrderKind.SERVICE})
"""Kinds that share their vehicle with nobody."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Policy figures: how much longer anybody may sit in the car, and how much later be picked up, than alone."""

    detour: timedelta
    wait: timedelta


@dataclass(frozen=True, slots=True)
class Rider:
    """One order of a journey. ``agreed``: the applicant ticked pooling, or said yes to the dispatcher, which is on record.

    ``stops`` are (id, point), the pick-up first.
    """

    order_id: int
    number: str
    kind: str
    start_at: datetime
    end_at: datetime
    passengers: int
    agreed: bool
    stops: tuple[tuple[int, Point], ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """One stop of a journey in its turn; ``at`` is when the car is estimated to be there."""

    order_id: int
    stop_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Joint:
    """A journey with one more order: its turns, its length out and back, and everything against it."""

    turns: tuple[Turn, ...]
    distance_m: float
    faults: tuple[Fault, ...]


def peak(riders: Sequence[Rider]) -> int:
    """Return the most people on board at any time: everybody of an order from its start to its end."""
    return max(sum(b.passengers for b in riders if b.start_at <= a.start_at < b.end_at) for a in riders)


def places(points: Sequence[Point]) -> list[int]:
    """Return the place of each stop, from 0: stops at one point that follow each other are one place for the driver.

    >>> places([(30.1, 120.1), (30.1, 120.1), (30.2, 120.2)])
    [0, 0, 1]
    """
    found: list[int] = []
    for number, point in enumerate(points):
        found.append(found[-1] + (point != points[number - 1]) if number else 0)
    return found


def join(
    riders: Sequence[Rider],
    known: Sequence[int],
    reached: int,
    *,
    seats: int,
    range_m: float | None,
    limits: Limits,
    leg: Leg,
) -> Joint:
    """Return the best journey of all riders, the last of them new, as few limits broken and then as short as can be.

    ``known`` are the stop ids of the journey so far in their turn; the first ``reached`` of them stay where they are.
    ``seats`` do not count the driver's; ``range_m`` is how far the car goes, None for any distance.
    """
    points = {stop_id: point for rider in riders for stop_id, point in rider.stops}
    general = _general(riders, seats=seats)
    newcomer = [stop_id for stop_id, _ in riders[-1].stops]
    if len(points) > MOST_STOPS:
        return Joint((), 0.0, (*general, Fault("pool_stops", {"stops": len(points), "most": MOST_STOPS})))
    fixed, rest = list(known[:reached]), list(known[reached:])
    tried = []
    for places in combinations(range(len(rest) + len(newcomer)), len(newcomer)):
        old, new = iter(rest), iter(newcomer)
        sequence = fixed + [next(new) if k in places else next(old) for k in range(len(rest) + len(newcomer))]
        turns, metres = _drive(sequence, riders, points, leg)
        lost_s = sum((turn.at - turns[0].at).total_seconds() for turn in turns)
        broken = _limits(turns, riders, limits, leg)
        beyond = sum(fault.params.get("minutes", 0) for fault in broken)
        tried.append((len(broken), beyond, round(metres), lost_s, turns, broken))
    *_, metres, _, turns, broken = min(tried, key=lambda one: one[:4])
    short = [] if range_m is None or metres <= range_m else [
        Fault("range", {"left_km": round(range_m / 1000), "needed_km": round(metres / 1000)})
    ]  # fmt: skip
    return Joint(tuple(turns), metres, (*general, *short, *broken))


def alone_m(rider: Rider, leg: Leg) -> float:
    """Return how far a rider's own journey goes, out and back, in metres."""
    places = [point for _, point in rider.stops]
    return sum(leg(a, b)[1] for a, b in zip(places, [*places[1:], places[0]], strict=True))


def _general(riders: Sequence[Rider], *, seats: int) -> list[Fault]:
    """Return what no order of the stops can mend."""
    found = [Fault("pool_alone", {"number": rider.number}) for rider in riders if rider.kind in ALONE]
    found += [Fault("pool_consent", {"number": rider.number}) for rider in riders if not rider.agreed]
    if max(rider.start_at for rider in riders) >= min(rider.end_at for rider in riders):
        found.append(Fault("pool_apart"))
    if (most := peak(riders)) > seats:
        found.append(Fault("seats", {"passengers": most, "seats": seats}))
    return found


def _drive(
    sequence: Sequence[int], riders: Sequence[Rider], points: Mapping[int, Point], leg: Leg
) -> tuple[list[Turn], float]:
    """Return when the car is where, from the earliest start, and the metres out and back; nobody is picked up early."""
    owner = {stop_id: rider for rider in riders for stop_id, _ in rider.stops}
    turns: list[Turn] = []
    metres, at = 0.0, min(rider.start_at for rider in riders)
    for number, stop_id in enumerate(sequence):
        rider = owner[stop_id]
        if number:
            seconds, way_m = leg(points[sequence[number - 1]], points[stop_id])
            metres, at = metres + way_m, at + timedelta(seconds=math.ceil(seconds))
        if stop_id == rider.stops[0][0]:
            at = max(at, rider.start_at)
        turns.append(Turn(rider.order_id, stop_id, at))
    return turns, metres + leg(points[sequence[-1]], points[sequence[0]])[1]


def _limits(turns: Sequence[Turn], riders: Sequence[Rider], limits: Limits, leg: Leg) -> list[Fault]:
    at = {turn.stop_id: turn.at for turn in turns}
    found = []
    for rider in riders:
        places = [point for _, point in rider.stops]
        direct_s = sum(leg(a, b)[0] for a, b in pairwise(places))
        boards, leaves = at[rider.stops[0][0]], at[rider.stops[-1][0]]
        detour_min = math.ceil(((leaves - boards).total_seconds() - direct_s) / 60)
        wait_min = math.ceil((boards - rider.start_at).total_seconds() / 60)
        if timedelta(minutes=detour_min) > limits.detour:
            found.append(_over("pool_detour", rider, detour_min, limits.detour))
        if timedelta(minutes=wait_min) > limits.wait:
            found.append(_over("pool_wait", rider, wait_min, limits.wait))
        if leaves >= rider.end_at:
            found.append(Fault("pool_late", {"number": rider.number}))
    return found


def _over(code: str, rider: Rider, minutes: int, most: timedelta) -> Fault:
    return Fault(code, {"number": rider.number, "minutes": minutes, "most": round(most / timedelta(minutes=1))})
