"""Lower bound of any plan's cost by min-cost flow, and the chains of that relaxation as a hint for plans.

Relaxed: which vehicle it is (each leg is priced with the cheapest suitable one), to which yard a chain returns, drivers,
range, reserves. Kept: times, number of vehicles, the choice between own vehicle, rental and nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ortools.graph.python import min_cost_flow

from dispatch.problem import NEVER, Ints, Problem
from dispatch.tariff import drive_fen

MOST_REQUESTS = 3_000  # memory: one arc per pair that fits in time


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A proven lower bound and the chains of requests that attain it, each in order."""

    bound_fen: int
    chains: tuple[tuple[int, ...], ...]


def relax(problem: Problem) -> Relaxed | None:
    """Solve the relaxation; None where it would be too large, rides are shared or locked requests cannot be covered."""
    n = len(problem.jobs)
    if n == 0:
        return Relaxed(0, ())
    if n > MOST_REQUESTS or n > problem.size or not problem.types:
        return None
    out_fen, back_fen, node_fen, day_fen = _ends(problem)
    link_fen = _links(problem, out_fen, back_fen)
    a, b = np.nonzero(link_fen < NEVER)
    depot, sink, fleet = 2 * n, 2 * n + 1, len(problem.type_of)
    own = np.flatnonzero(node_fen < NEVER)
    left = np.array([k for k, j in enumerate(problem.jobs) if j.else_fen < NEVER], dtype=np.int64)
    else_fen = np.array([problem.jobs[k].else_fen for k in left], dtype=np.int64)
    tails = np.concatenate([a, np.full(len(own), depot), own, left, [depot]])
    heads = np.concatenate([b + n, own + n, np.full(len(own), sink), left + n, [sink]])
    costs = np.concatenate(
        [link_fen[a, b] + node_fen[b], day_fen[own] + out_fen[own] + node_fen[own], back_fen[own], else_fen, [0]]
    )
    capacities = np.ones(len(tails), dtype=np.int64)
    capacities[-1] = fleet
    solver = min_cost_flow.SimpleMinCostFlow()
    arcs = solver.add_arcs_with_capacity_and_unit_cost(tails, heads, capacities, costs)
    nodes = np.arange(2 * n + 2)
    supply = np.concatenate([np.ones(n), -np.ones(n), [fleet, -fleet]]).astype(np.int64)
    solver.set_nodes_supplies(nodes, supply)
    if solver.solve() != solver.OPTIMAL:
        return None
    links = solver.flows(arcs[: len(a)]) > 0
    return Relaxed(
        int(solver.optimal_cost()),
        _chains(n, a[links], b[links], solver.flows(arcs[len(a) : len(a) + len(own)]) > 0, own),
    )


def _ends(problem: Problem) -> tuple[Ints, Ints, Ints, Ints]:
    """Cheapest way out, way back, service and day per request, over the types that serve it."""
    n = len(problem.jobs)
    best = [np.full(n, NEVER, dtype=np.int64) for _ in range(4)]
    for kind in problem.types:
        prices: tuple[Ints, ...] = (
            drive_fen(kind.rate, problem.out_m[kind.yard].astype(np.int64)),
            drive_fen(kind.rate, problem.back_m[:, kind.yard].astype(np.int64)),
            np.array(kind.serve_fen, dtype=np.int64),
            np.full(n, kind.day_fen, dtype=np.int64),
        )
        for k, price in enumerate(prices):
            best[k] = np.where(kind.serves, np.minimum(best[k], price), best[k])
    return best[0], best[1], best[2], best[3]


def _links(problem: Problem, out_fen: Ints, back_fen: Ints) -> Ints:
    """Least cost of going from one request to another, straight or by a yard; NEVER where time or type forbid it."""
    params, n = problem.params, len(problem.jobs)
    rate: Ints = np.full(n, NEVER, dtype=np.int64)
    near_out_s, near_back_s = np.full(n, NEVER, dtype=np.int64), np.full(n, NEVER, dtype=np.int64)
    for kind in problem.types:
        rate = np.where(kind.serves, np.minimum(rate, kind.rate), rate)
        near_out_s = np.where(kind.serves, np.minimum(near_out_s, problem.out_s[kind.yard]), near_out_s)
        near_back_s = np.where(kind.serves, np.minimum(near_back_s, problem.back_s[:, kind.yard]), near_back_s)
    serves = problem.serves.astype(np.float32)
    together: npt.NDArray[np.bool_] = serves.T @ serves > 0
    np.fill_diagonal(together, val=False)
    free_s = problem.earliest_s + problem.busy_s + problem.after_s
    ready_s = problem.latest_s - problem.before_s
    pairs = np.ix_(problem.last_place, problem.first_place)
    link_s, link_m = problem.instance.travel.time_s[pairs], problem.instance.travel.distance_m[pairs]
    direct = together & (free_s[:, None] + link_s <= ready_s[None, :])
    home = together & (free_s + near_back_s)[:, None].__le__((ready_s - near_out_s - params.yard_stop_s)[None, :])
    latest_free_s = problem.latest_s + problem.busy_s + problem.after_s
    wait_s = np.maximum((problem.earliest_s - problem.before_s)[None, :] - latest_free_s[:, None] - link_s, 0)
    pair_rate = np.minimum(np.maximum(rate[:, None], rate[None, :]), 10**10)
    by_road = (pair_rate * link_m + 500_000) // 1_000_000 + (params.wait_hour_fen * wait_s + 1_800) // 3_600
    by_yard = np.minimum(back_fen[:, None] + out_fen[None, :], NEVER)
    cost: Ints = np.minimum(np.where(direct, by_road, NEVER), np.where(home, by_yard, NEVER))
    return cost


def _chains(
    n: int, a: Ints, b: Ints, starts: npt.NDArray[np.bool_], own: npt.NDArray[np.intp]
) -> tuple[tuple[int, ...], ...]:
    after = dict(zip(a.tolist(), b.tolist(), strict=True))
    chains = []
    for first in own[starts].tolist():
        chain = [first]
        while chain[-1] in after and len(chain) <= n:
            chain.append(after[chain[-1]])
        chains.append(tuple(chain))
    return tuple(chains)
