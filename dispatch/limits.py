"""Rows of the master beyond requests and fleets: outings under way at a moment, and bands between organisations.

Drivers on duty and reserves bound how many outings may be under way. That is necessary, not enough, so a bound that rests
on it is valid. What a band leaves outside is priced, so such rows can always be met.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from dispatch.model import VEHICLE_CLASSES
from dispatch.network import Group, Nodes
from dispatch.problem import Floats, Problem

STEP_S = 900  # drivers on duty and reserves are counted every quarter of an hour


@dataclass(frozen=True, slots=True)
class Count:
    """At most ``most[n]`` outings of some types under way at ``moments[n]``; `drawn_only` leaves emergencies out."""

    types: frozenset[int]
    drawn_only: bool
    moments: tuple[int, ...]
    most: tuple[int, ...]
    first_row: int


@dataclass(frozen=True, slots=True)
class Share:
    """What should lie in a band: metres lent by `types`, or requests in `left`."""

    row: int
    types: frozenset[int]
    lent_m: tuple[int, ...]  # per job, what serving it lends
    left: frozenset[int]
    low: int
    high: int
    fen: int


@dataclass(frozen=True)
class Limits:
    """All rows of a problem, in order: those of `counts`, then one per share."""

    problem: Problem
    counts: tuple[Count, ...]
    shares: tuple[Share, ...]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", sum(len(c.moments) for c in self.counts) + len(self.shares))

    def of_leaving(self, request: int) -> Iterator[tuple[int, float]]:
        """Yield row and coefficient of leaving a request without own vehicle."""
        for share in self.shares:
            if request in share.left:
                yield share.row, 1.0

    def of_chain(
        self, t: int, jobs: Iterable[int], outings: Sequence[tuple[int, int, bool]]
    ) -> Iterator[tuple[int, float]]:
        """Yield rows and coefficients of a chain: its outings as (out_s, in_s, emergencies only)."""
        for count in self.counts:
            if t in count.types:
                for n, at_s in enumerate(count.moments):
                    under_way = sum(a <= at_s < b and not (count.drawn_only and e) for a, b, e in outings)
                    if under_way:
                        yield count.first_row + n, float(under_way)
        for share in self.shares:
            if t in share.types:
                metres = sum(share.lent_m[j] for j in jobs)
                if metres:
                    yield share.row, float(metres)

    def charges(self, nodes: Nodes, group: Group, prices: Floats) -> tuple[Floats, Floats, Floats] | None:
        """Return what the rows' prices add to ways out, ways back and service of a group, or None if nothing.

        A chain with an emergency is never charged too much, as the price of its outing may not apply.
        """
        if not prices.any():
            return None
        out, back, serve = (np.zeros_like(group.serve) for _ in range(3))
        job = nodes.job[group.nodes]
        emergency = np.array([self.problem.jobs[j].emergency for j in job], dtype=np.bool_)
        for count in self.counts:
            mine = [y for y, t in enumerate(group.types.tolist()) if t in count.types]
            charge = -prices[count.first_row : count.first_row + len(count.moments)]
            if mine and charge.any():
                total = np.concatenate([[0.0], np.cumsum(charge)])
                moments = np.array(count.moments)
                out[:, mine] -= total[np.searchsorted(moments, group.depart_s[:, mine], side="left")]
                back[:, mine] += total[np.searchsorted(moments, group.home_s[:, mine], side="left")]
                if count.drawn_only:
                    serve[np.ix_(np.flatnonzero(emergency), np.array(mine))] -= total[-1]
        for share in self.shares:
            mine = [y for y, t in enumerate(group.types.tolist()) if t in share.types]
            if mine and prices[share.row]:
                serve[:, mine] -= prices[share.row] * np.array(share.lent_m, dtype=np.float64)[job][:, None]
        return out, back, serve


def limits_of(problem: Problem) -> Limits:
    """Make the rows of a problem; those that can never bind are left out."""
    counts: list[Count] = []
    row = 0
    for types, drawn_only, moments, most in [*_crews(problem), *_reserves(problem)]:
        fleet = sum(len(problem.members[t]) for t in types)
        kept = [(at_s, n) for at_s, n in zip(moments, most, strict=True) if n < fleet]
        if kept:
            counts.append(Count(types, drawn_only, tuple(a for a, _ in kept), tuple(n for _, n in kept), row))
            row += len(kept)
    shares = []
    for band in problem.instance.bands:
        lends = band.measure == "lent_m"
        types = frozenset(t for t, k in enumerate(problem.types) if k.owner_org == band.org) if lends else frozenset()
        left = () if lends else (r for r, q in enumerate(problem.instance.requests) if q.owner_org == band.org)
        lent_m = tuple(problem.lent_m(j, band.org) for j in range(len(problem.jobs))) if lends else ()
        shares.append(Share(row, types, lent_m, frozenset(left), band.low, band.high, band.fen))
        row += 1
    return Limits(problem, tuple(counts), tuple(shares))


def _moments(problem: Problem) -> range:
    if not problem.jobs:
        return range(0)
    return range(int(problem.earliest_s.min()) - STEP_S, int((problem.latest_s + problem.busy_s).max()), STEP_S)


def _crews(problem: Problem) -> Iterator[tuple[frozenset[int], bool, Sequence[int], list[int]]]:
    """Not more outings than drivers on duty, over all classes and for each class; bound drivers aside."""
    every = frozenset(range(len(VEHICLE_CLASSES)))
    pool = [man for man in problem.crew if not man.bound]
    for classes in (every, *(frozenset({c}) for c in every)):
        types = frozenset(k.id for k in problem.types if k.class_no in classes and k.crew is None)
        if problem.crew and types:
            able = [man for man in pool if man.classes & classes]
            moments = _moments(problem)
            yield types, False, moments, [sum(any(a <= at_s < b for a, b in m.spans) for m in able) for at_s in moments]


def _reserves(problem: Problem) -> Iterator[tuple[frozenset[int], bool, Sequence[int], list[int]]]:
    """Not more outings than vehicles available beyond each reserve."""
    for reserve, fleet in problem.reserves:
        spans = [span for v in fleet for span in problem.types[problem.type_of[v]].spans]
        edges = {reserve.span.start_s, *(end_s for _, end_s in spans), *_moments(problem)}
        moments = sorted(at_s for at_s in edges if reserve.span.start_s <= at_s < reserve.span.end_s)
        most = [max(0, sum(a <= at_s < b for a, b in spans) - reserve.min_free) for at_s in moments]
        yield frozenset(problem.type_of[v] for v in fleet), True, moments, most
