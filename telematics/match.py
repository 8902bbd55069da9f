"""Trips matched to the approved orders of the vehicle, with every figure a person needs to recompute the score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import pairwise
from math import isfinite

from telematics.geo import distance_m
from telematics.model import Match, MatchKind, OrderWindow, Place, Score, Trip


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchParams:
    """Figures of matching (rule catalogue, primitive P11).

    The window of an order is ``[start - before_s, end + after_s)``. The weights sum to 1. A score of ``matched`` or
    more is a match, from ``weak`` on a weak one; a lead below ``clear_margin`` over the second-best order is
    ambiguous. A place counts fully within its tolerance and not at all from ``fade`` times its tolerance on.
    """

    before_s: float = 1_800.0
    after_s: float = 3_600.0
    weight_time: float = 0.40
    weight_dest: float = 0.30
    weight_orig: float = 0.10
    weight_driver: float = 0.10
    weight_events: float = 0.10
    matched: float = 0.60
    weak: float = 0.40
    clear_margin: float = 0.10
    fade: float = 3.0

    def __post_init__(self) -> None:
        """Refuse figures that cannot be meant."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"MatchParams.{field.name} must be a number from 0 up, not {value!r}.")
        weights = (self.weight_time, self.weight_dest, self.weight_orig, self.weight_driver, self.weight_events)
        if abs(sum(weights) - 1.0) > 1e-9:
            raise ValueError(f"The weights of MatchParams must sum to 1, not {sum(weights):g}.")
        if not self.weak <= self.matched <= 1.0:
            raise ValueError("MatchParams needs weak <= matched <= 1.")
        if self.fade <= 1.0:
            raise ValueError(f"MatchParams.fade must be above 1, not {self.fade:g}.")


DEFAULT = MatchParams()

# Scores are sums of products of decimal weights: 0.6 must not be missed by the last bit.
ROUNDING = 1e-9


def match(
    trips: Sequence[Trip],
    orders: Sequence[OrderWindow],
    *,
    trip_drivers: Mapping[int, int | None] | None = None,
    params: MatchParams = DEFAULT,
) -> list[Match]:
    """Match one vehicle's trips to its orders by maximum total score.

    Parameters
    ----------
    trips
        In time order; results name them by index.
    orders
        Approved orders of the vehicle; orders of one ``slip`` share the vehicle (pooled), so a trip that belongs to
        one of them belongs to all of them it scores ``weak`` or more with.
    trip_drivers
        Driver id by trip index, from check-in, card or face; missing or ``None`` if unknown.

    Returns
    -------
    list of Match
        In order of trip, time and order id. A trip that crosses the edge of its order's window gives an inside part,
        matched, and outside parts, unmatched; all parts of a trip carry its candidates.

    Notes
    -----
    The assignment problem (choose x[t, s] in {0, 1} to maximise the sum of score[t, s] x[t, s], every trip t with at
    most one slip s) has no constraint that links two trips, because an order may take any number of them. It is
    therefore the sum of independent problems, one a trip, and the best slip of each trip is the exact optimum for the
    vehicle-day; no assignment solver would find a better one. A trip outside an order's window is no candidate.
    Equal scores are decided by the lower order id, so that the result does not depend on the order of the input.
    """
    ids = [order.order_id for order in orders]
    if len(set(ids)) != len(ids):
        raise ValueError("Each order may be given once.")
    drivers = trip_drivers or {}
    matches: list[Match] = []
    for index, trip in enumerate(trips):
        matches.extend(_match_trip(index, trip, orders, drivers.get(index), params))
    return matches


def score(trip: Trip, order: OrderWindow, *, driver_id: int | None = None, params: MatchParams = DEFAULT) -> Score:
    """Score of a trip against an order, with its parts.

    ``time`` is the share of the trip inside the order's window. ``dest`` and ``orig`` are the nearness of any approved
    stop, and of the origin, to one of the trip's ends or stays; a place that is not known scores 0. ``driver`` is 1 if
    equal, 0 if different, 0.5 if either is unknown. ``events`` is half for a check-out in the window before the trip
    is over and half for a return in the window after the trip has begun.
    """
    start_at, end_at = window(order, params=params)
    duration_s = (trip.end_at - trip.start_at).total_seconds()
    inside_s = (min(trip.end_at, end_at) - max(trip.start_at, start_at)).total_seconds()
    time = max(inside_s, 0.0) / duration_s if duration_s > 0 else float(start_at <= trip.start_at < end_at)
    dest = max((_nearness(trip, place, params) for place in order.stops), default=0.0)
    orig = _nearness(trip, order.origin, params) if order.origin is not None else 0.0
    known = driver_id is not None and order.driver_id is not None
    driver = float(driver_id == order.driver_id) if known else 0.5
    out_at, back_at = order.checked_out_at, order.returned_at
    checked_out = out_at is not None and start_at <= out_at < end_at and out_at <= trip.end_at
    returned = back_at is not None and start_at <= back_at < end_at and back_at >= trip.start_at
    events = (checked_out + returned) / 2
    total = (
        params.weight_time * time
        + params.weight_dest * dest
        + params.weight_orig * orig
        + params.weight_driver * driver
        + params.weight_events * events
    )
    return Score(time, dest, orig, driver, events, total)


def window(order: OrderWindow, *, params: MatchParams = DEFAULT) -> tuple[datetime, datetime]:
    """Half-open time window in which a trip may belong to an order."""
    return order.start_at - timedelta(seconds=params.before_s), order.end_at + timedelta(seconds=params.after_s)


def _match_trip(
    index: int, trip: Trip, orders: Sequence[OrderWindow], driver_id: int | None, params: MatchParams
) -> list[Match]:
    within = [order for order in orders if _meets(trip, order, params)]
    scored = [(order, score(trip, order, driver_id=driver_id, params=params)) for order in within]
    scored.sort(key=lambda pair: (-pair[1].total, pair[0].order_id))
    candidates = tuple((order.order_id, points) for order, points in scored)
    if not scored:
        return [Match(index, trip.start_at, trip.end_at, None, MatchKind.UNMATCHED, None, 0.0)]
    best_order, best = scored[0]
    # Another order of the same slip is no rival: the trip belongs to both.
    second = next((points.total for order, points in scored if order.slip != best_order.slip), 0.0)
    margin = best.total - second
    chosen = [
        (order, points)
        for order, points in scored
        if order.slip == best_order.slip and points.total >= params.weak - ROUNDING
    ]
    if not chosen:
        return [Match(index, trip.start_at, trip.end_at, None, MatchKind.UNMATCHED, best, margin, candidates)]
    parts: list[Match] = []
    covered: list[tuple[datetime, datetime]] = []
    for order, points in chosen:
        start_at, end_at = window(order, params=params)
        part = max(trip.start_at, start_at), min(trip.end_at, end_at)
        covered.append(part)
        parts.append(Match(index, *part, order.order_id, _kind(points, margin, params), points, margin, candidates))
    parts.extend(
        Match(index, *part, None, MatchKind.UNMATCHED, None, margin, candidates) for part in _outside(trip, covered)
    )
    return sorted(parts, key=lambda part: (part.start_at, part.end_at, part.order_id or 0))


def _meets(trip: Trip, order: OrderWindow, params: MatchParams) -> bool:
    """Whether any of the trip lies in the order's window."""
    start_at, end_at = window(order, params=params)
    return (start_at < trip.end_at and trip.start_at < end_at) or start_at <= trip.start_at == trip.end_at < end_at


def _kind(points: Score, margin: float, params: MatchParams) -> MatchKind:
    if margin < params.clear_margin - ROUNDING:
        return MatchKind.AMBIGUOUS
    return MatchKind.MATCHED if points.total >= params.matched - ROUNDING else MatchKind.WEAK


def _outside(trip: Trip, covered: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """What the covered parts leave of the trip."""
    edges = [(trip.start_at, trip.start_at), *sorted(covered), (trip.end_at, trip.end_at)]
    reached, rest = trip.start_at, []
    for (_, end_at), (next_at, _) in pairwise(edges):
        reached = max(reached, end_at)
        if next_at > reached:
            rest.append((reached, next_at))
    return rest


def _nearness(trip: Trip, place: Place, params: MatchParams) -> float:
    """1 within the place's tolerance of an end or stay of the trip, falling to 0 at ``fade`` times the tolerance."""
    points = [(trip.fixes[0].lat, trip.fixes[0].lon), (trip.fixes[-1].lat, trip.fixes[-1].lon)] if trip.fixes else []
    points += [(stop.lat, stop.lon) for stop in trip.stops]
    if not points:
        return 0.0
    nearest_m = min(distance_m(lat, lon, place.lat, place.lon) for lat, lon in points)
    over = nearest_m / place.tolerance_m - 1.0
    return min(1.0, max(0.0, 1.0 - over / (params.fade - 1.0)))
