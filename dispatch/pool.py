"""Shared rides of an instance: all there are, and what the rides of a plan save."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dispatch.kernels.rides import (
    Flags,
    Ints,
    Orders,
    Pooled,
    Roads,
    Rules,
    best_orders,
    linked,
    threes,
    triangles_hold,
)
from dispatch.model import SERVED_BY, VEHICLE_CLASSES, Assignment, Plan, Request
from dispatch.ride import LEAST_SAVED_M, MINUTE_S, Ride, as_given, orders, ride_of, shares, unrolled
from dispatch.route import Index

MOST_SETS = 1_000_000  # looked at in one go
RIDES_PER_REQUEST = 12  # measured at 1,000 requests: all there are with 15 min shift and 20 min detour
FEW_RIDES = 1_500  # so many are offered whatever they save
MOST_PLACES = 1_500  # the triangle inequality is looked at for; beyond, nothing is claimed


class Saved(NamedTuple):
    """What pooling saves: kilometres against driving everybody alone, rides, and requests in them."""

    km: float
    rides: int
    requests: int


def saved(index: Index, plan: Plan) -> Saved:
    """Measure the shared rides of a plan."""
    groups: dict[tuple[str, str], list[Assignment]] = defaultdict(list)
    for a in plan.assignments:
        if a.ride is not None:
            groups[a.vehicle_id, a.ride].append(a)
    shared = [as_given(index, group) for group in groups.values() if len(group) > 1]
    alone_m = sum(index.services[name].distance_m for ride in shared for name in ride.request_ids)
    metres = alone_m - sum(ride.loaded_m for ride in shared)
    return Saved(metres / 1_000, len(shared), sum(len(ride.request_ids) for ride in shared))


def rides(index: Index) -> list[Ride]:
    """List every ride for which some vehicle of the instance has class and seats, by request ids.

    Pairs are complete. So are triples where driving times obey the triangle inequality, as shortest ways do: of three
    in one ride two always overlap with the third, and two that overlap must be able to do so without anybody else.
    Two of the three need not save anything, nor even overlap with each other.
    """
    return offered(index, per_request=None)[0]


def offered(
    index: Index, *, per_request: int | None = RIDES_PER_REQUEST, few: int = FEW_RIDES
) -> tuple[list[Ride], bool]:
    """List at most so many rides per request that may share, those that save somebody most first; tell if these are all."""
    members = sorted((r for r in index.instance.requests if shares(index, r)), key=lambda r: r.id)
    largest = min(index.params.pool_most, len(members))
    if largest < 2:
        return [], True
    pooled, roads, rules = _pooled(index, members), _roads(index), _rules(index)
    follows = linked(pooled, roads, rules)
    parts = []
    for sets in _sets(pooled, rules, follows, largest):
        best = best_orders(pooled, roads, rules, follows, sets, _orders(sets.shape[1]))
        third = sets[best[:, 0], 2:] if sets.shape[1] > 2 else np.full((len(best), 1), -1)
        parts.append(np.hstack([sets[best[:, 0], :2], third, best[:, 1:]]))
    found = np.vstack(parts)
    every = per_request is None or len(found) <= few
    kept = found if every or per_request is None else found[_foremost(found)[: per_request * len(members)]]
    listed: list[Ride] = []
    shortest = largest < 3 or _shortest(index, members)
    for *who, order, start_s, _ in kept.tolist():
        together = [members[m] for m in who if m >= 0]
        ride = unrolled(index, together, orders(len(together))[order], start_s)
        # Where a way round is quicker than straight on, three may have a better order than was looked at.
        if shortest or len(together) < 3 or ride == ride_of(index, ride.request_ids):
            listed.append(ride)
    return sorted(listed, key=lambda ride: ride.request_ids), len(kept) == len(found) and shortest


def _shortest(index: Index, members: Sequence[Request]) -> bool:
    """Tell whether no way round is quicker than straight on, at any time, between the places of some requests."""
    places = sorted({index.instance.travel.index[stop.place] for r in members for stop in r.stops})
    if len(places) > MOST_PLACES or index.instance.travel.paces:
        return False
    return triangles_hold(np.ascontiguousarray(index.instance.travel.time_s[np.ix_(places, places)]))


def _foremost(found: Ints) -> Ints:
    """Order rides (three members, -1 for none, order, start_s, saved m): everybody's best pair and triple first, and so on."""
    row, column = np.nonzero(found[:, :3] >= 0)
    saved_m, pile = found[:, -1], 2 * found[row, column] + (found[row, 2] >= 0)
    order = np.lexsort((row, -saved_m[row], pile))
    better = np.full(
        len(found), len(found), dtype=np.int64
    )  # rides of its size that save more, for the best placed member
    np.minimum.at(better, row[order], np.arange(len(order)) - np.searchsorted(pile[order], pile[order]))
    return np.lexsort((np.arange(len(found)), -saved_m, better))


def _sets(pooled: Pooled, rules: Rules, follows: Flags, most: int) -> Iterator[Ints]:
    """Yield sets that might ride together, of one size and not too many at once."""
    either = follows | follows.T
    yield np.argwhere(np.triu(either))
    if most < 3:
        return
    one, near = np.nonzero(either)
    ptr = np.searchsorted(one, np.arange(len(either) + 1))
    degree = np.diff(ptr)
    block = np.cumsum(degree * (degree - 1) // 2) // MOST_SETS
    edges = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(either)]
    for from_c, to_c in pairwise(edges):
        yield threes(pooled, rules, follows, ptr, near, from_c, to_c)


def _orders(size: int) -> Orders:
    """Prepare the orders of calls of a set: drops numbered after pick-ups, common beginnings."""
    listed = orders(size)
    picks = [[order.index(m) for m in range(size)] for order in listed]
    drops = [[2 * size - 1 - order[::-1].index(m) for m in range(size)] for order in listed]
    calls = [[m + size * (m in order[:n]) for n, m in enumerate(order)] for order in listed]
    same = [0] + [next(n for n in range(2 * size) if a[n] != b[n]) for a, b in pairwise(listed)]
    skip = [
        [
            next((x for x in range(o, len(listed)) if listed[x][: n + 1] != order[: n + 1]), len(listed))
            for n in range(2 * size)
        ]
        for o, order in enumerate(listed)
    ]
    return Orders(*(np.array(part, dtype=np.int64) for part in (calls, picks, drops, same, skip)))


def _roads(index: Index) -> Roads:
    travel = index.instance.travel
    paces = np.array([(p.span.start_s, p.span.end_s, p.permille) for p in travel.paces], dtype=np.int64).reshape(-1, 3)
    from_s, to_s, permille = np.ascontiguousarray(paces.T)
    return Roads(np.ascontiguousarray(travel.time_s), np.ascontiguousarray(travel.distance_m), from_s, to_s, permille)


def _rules(index: Index) -> Rules:
    """Gather the figures; classes of which there is no vehicle have -1 seats."""
    most: Mapping[str, int] = {
        c: max((v.seats for v in index.instance.vehicles if v.vehicle_class == c), default=-1) for c in VEHICLE_CLASSES
    }
    seats = [
        max((most[c] for bit, c in enumerate(VEHICLE_CLASSES) if classes >> bit & 1), default=-1)
        for classes in range(1 << len(VEHICLE_CLASSES))
    ]
    params = index.params
    return Rules(params.pool_shift_s, params.pool_detour_s, LEAST_SAVED_M, MINUTE_S, np.array(seats, dtype=np.int64))


def _pooled(index: Index, members: Sequence[Request]) -> Pooled:
    travel = index.instance.travel
    purposes = {purpose: k for k, purpose in enumerate(dict.fromkeys(r.purpose for r in members))}
    rows = []
    for r in members:
        served, (pick, drop) = index.services[r.id], r.stops
        low, high = _paces(index, r)
        own_s = pick.dwell_s - (-served.drive_s * high // 1_000) + drop.dwell_s
        classes = sum(1 << VEHICLE_CLASSES.index(c) for c in SERVED_BY[r.vehicle_class])
        rows.append(
            (travel.index[pick.place], travel.index[drop.place], pick.dwell_s, drop.dwell_s, r.earliest_s, r.latest_s,
             r.duration_s, served.distance_m, max(r.duration_s, own_s), low, high, r.passengers, purposes[r.purpose],
             classes)
        )  # fmt: skip
    return Pooled(*np.ascontiguousarray(np.array(rows, dtype=np.int64).T))


def _paces(index: Index, request: Request) -> tuple[int, int]:
    """Return the lowest and highest pace a request can meet in a ride."""
    paces, params = index.instance.travel.paces, index.params
    slowest = max((p.permille for p in paces), default=1_000)
    busy_s = index.services[request.id].busy_s * max(slowest, 1_000) // 1_000 + 1
    from_s = request.earliest_s - params.pool_shift_s
    to_s = request.latest_s + params.pool_shift_s + busy_s + params.pool_detour_s + 1
    met = [p for p in paces if p.span.start_s < to_s and from_s < p.span.end_s]
    slowed_s = sum(min(p.span.end_s, to_s) - max(p.span.start_s, from_s) for p in met)
    permille = [p.permille for p in met] + [1_000] * (slowed_s < to_s - from_s)
    return min(permille), max(permille)
