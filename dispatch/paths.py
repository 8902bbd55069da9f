"""Shortest paths through all requests in order of start: the cheapest chains for given prices, all types at once.

A path knows times, yards and prices. Range, shifts and rest are left to `Chains.evaluate`; without them a path can only
be cheaper than the chain it stands for, which keeps the bound that rests on it valid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dispatch.chains import Chains
from dispatch.columns import Limit
from dispatch.problem import Problem
from dispatch.schedule import Clock

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Duals:
    """Prices of the master: per request (>= 0), per type (<= 0), and per moment of each crew limit (>= 0)."""

    request: Floats
    fleet: Floats
    crew: tuple[Floats, ...]

    def mixed(self, other: "Duals", weight: float) -> "Duals":
        """Return weight x self + (1 - weight) x other."""
        return Duals(
            weight * self.request + (1 - weight) * other.request,
            weight * self.fleet + (1 - weight) * other.fleet,
            tuple(weight * a + (1 - weight) * b for a, b in zip(self.crew, other.crew, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Swept:
    """Cheapest paths of all types: `through` (type, request) is the least reduced cost of a path through a request.

    Fleet prices are left out. `before` and `after` are the neighbours on that path, -1 at its ends.
    """

    through: Array
    before: Steps
    after: Steps

    def path(self, t: int, middle: int) -> list[int]:
        """Return the positions of the cheapest path through one."""
        path = [middle]
        while self.before[t, path[0]] >= 0:
            path.insert(0, int(self.before[t, path[0]]))
        while self.after[t, path[-1]] >= 0:
            path.append(int(self.after[t, path[-1]]))
        return path


class Paths:
    """Requests as positions in order of start, vehicles by type; arrays are (type, request) or (later, earlier)."""

    def __init__(self, problem: Problem, limits: Sequence[Limit]) -> None:
        self.problem, self.chains, self.limits = problem, Chains(problem), limits
        params, jobs, kinds = problem.params, problem.jobs, problem.types
        self.order = np.array(sorted(range(len(jobs)), key=self.chains.order_key), dtype=np.int64)
        order, yards = self.order, np.array([k.yard for k in kinds], dtype=np.int64)
        rates = np.array([k.rate for k in kinds], dtype=np.float64)
        start_s, end_s = problem.earliest_s[order], problem.earliest_s[order] + problem.busy_s[order]
        self.cap = np.array([len(m) for m in problem.members], dtype=np.float64)
        self.day = np.array([k.day_fen for k in kinds], dtype=np.float32)
        self.bev = np.array([k.bev for k in kinds], dtype=np.bool_)
        serve = np.array([k.serve_fen for k in kinds], dtype=np.float64).reshape(len(kinds), len(jobs))[:, order]
        self.serve = np.where(problem.serves[:, order], serve, np.inf)
        out_s, back_s = problem.out_s[np.ix_(yards, order)], problem.back_s[np.ix_(order, yards)].T
        # The true price rounds every leg: half a fen less (and a little for float32) keeps paths below it.
        self.out_fen = np.maximum(rates[:, None] * problem.out_m[np.ix_(yards, order)] / 1e6 - 0.6, 0)
        self.back_fen = np.maximum(rates[:, None] * problem.back_m[np.ix_(order, yards)].T / 1e6 - 0.6, 0)
        self.depart_s = start_s[None, :] - problem.before_s - out_s
        self.home_s = (end_s + problem.after_s)[None, :] + back_s
        self.leave_by_s = (self.depart_s - params.yard_stop_s).astype(np.int32)
        self.back_by_s = self.home_s.astype(np.int32)
        wait_s = (start_s - problem.before_s)[:, None] - (end_s + problem.after_s)[None, :]
        wait_s = wait_s - problem.link_s[np.ix_(order, order)].T
        self.not_straight = (wait_s < 0) | (wait_s > params.max_wait_s)
        self.prices, self.price_no = np.unique(rates, return_inverse=True)
        link_m = problem.link_m[np.ix_(order, order)].T
        waits_fen = params.wait_hour_fen * np.maximum(wait_s, 0) / 3_600
        straight = [np.where(wait_s >= 0, rate * link_m / 1e6 + waits_fen - 1.2, np.inf) for rate in self.prices]
        self.straight = np.maximum(np.array(straight, dtype=np.float32), 0)

    def _crew_fen(self, duals: Duals) -> tuple[Floats, Floats]:
        """Return what being away from a departure on, and until a return, costs by the crew prices."""
        away, back = np.zeros_like(self.out_fen), np.zeros_like(self.out_fen)
        for limit, prices in zip(self.limits, duals.crew, strict=True):
            if prices.any():
                moments = np.array(list(limit.most_at), dtype=np.int64)
                total = np.concatenate([[0.0], np.cumsum(prices)])
                concerned = np.array([t in limit.types for t in range(len(self.day))], dtype=np.float64)[:, None]
                away -= concerned * total[np.searchsorted(moments, self.depart_s, side="left")]
                back += concerned * total[np.searchsorted(moments, self.home_s, side="left")]
        return away, back

    def sweep(self, duals: Duals, clock: Clock) -> Swept | None:
        """Find the cheapest paths forward and backward; None if time runs out."""
        away, back = self._crew_fen(duals)
        out_fen, back_fen = (self.out_fen + away).astype(np.float32), (self.back_fen + back).astype(np.float32)
        serve = (self.serve - duals.request[self.order]).astype(np.float32)
        types, n = serve.shape
        rows, price_no, bev = np.arange(types), self.price_no, self.bev[:, None]
        past, past_home, future = (np.full((types, n), np.inf, dtype=np.float32) for _ in range(3))
        before, after = (np.full((types, n), -1, dtype=np.int32) for _ in range(2))
        for b in range(n):
            if b % 128 == 0 and clock.expired():
                return None
            best = self.day + out_fen[:, b]
            if b:
                home = self.back_by_s[:, :b] <= self.leave_by_s[:, b, None]
                home &= bev | self.not_straight[b, :b]
                road = np.where(home, np.inf, past[:, :b] + self.straight[price_no, b, :b])
                yard = np.where(home, past_home[:, :b], np.inf)
                k, h = road.argmin(axis=1), yard.argmin(axis=1)
                by_road, by_yard = road[rows, k], yard[rows, h] + out_fen[:, b]
                linked = np.minimum(by_road, by_yard)
                before[:, b] = np.where(linked < best, np.where(by_road <= by_yard, k, h), -1)
                best = np.minimum(best, linked)
            past[:, b] = best + serve[:, b]
            past_home[:, b] = past[:, b] + back_fen[:, b]
        ahead, ahead_out = past_home.copy(), past_home.copy()
        for a in range(n - 1, -1, -1):
            if a % 128 == 0 and clock.expired():
                return None
            best = back_fen[:, a]
            if a < n - 1:
                home = self.back_by_s[:, a, None] <= self.leave_by_s[:, a + 1 :]
                home &= bev | self.not_straight[a + 1 :, a]
                road = np.where(home, np.inf, ahead[:, a + 1 :] + self.straight[price_no, a + 1 :, a])
                yard = np.where(home, ahead_out[:, a + 1 :], np.inf)
                k, h = road.argmin(axis=1), yard.argmin(axis=1)
                by_road, by_yard = road[rows, k], yard[rows, h] + back_fen[:, a]
                linked = np.minimum(by_road, by_yard)
                after[:, a] = np.where(linked < best, np.where(by_road <= by_yard, k, h) + a + 1, -1)
                best = np.minimum(best, linked)
            future[:, a] = best
            ahead[:, a] = best + serve[:, a]
            ahead_out[:, a] = ahead[:, a] + out_fen[:, a]
        return Swept(past + future, before, after)

    def bound(self, duals: Duals, swept: Swept) -> float:
        """Return the Lagrangian bound of any duals, from the cheapest paths they give."""
        crew = sum(float(p @ np.array(list(m.most_at.values()))) for m, p in zip(self.limits, duals.crew, strict=True))
        least = np.minimum(0.0, swept.through.min(axis=1).astype(np.float64))
        # Two fen per vehicle for sums in float32.
        return float(duals.request.sum() + (self.cap * (least - 2.0)).sum()) - crew
