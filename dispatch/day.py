"""A whole day by column generation: from a first schedule to a better one, with a proven bound."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from dispatch.chains import Chain
from dispatch.generate import Effort, Grown, Way, grown
from dispatch.greedy import greedy, lock
from dispatch.network import Network, build
from dispatch.problem import Problem
from dispatch.schedule import Clock, Schedule

LEAST_S_PER_REQUEST = 1e-3  # with less time than this the first schedule stays
GROW_SHARE = 0.62  # of the time for prices and bound, the rest for the plan


def effort_for(size: int) -> Effort:
    """Choose how close to come: what the time limits people give allow at this size."""
    close = 4e-4 if size <= 600 else 1e-3 if size <= 1_200 else 2.4e-3
    return replace(Effort(), growing=Way(close), diving=replace(Effort().diving, close=max(4e-4, close / 3)))


def generate(schedule: Schedule, clock: Clock, *, seed: int) -> tuple[Schedule, int | None]:
    """Return the better of the given schedule and a generated one, and a proven lower bound or None."""
    problem, size = schedule.problem, len(schedule.problem.instance.requests)
    if not size or not problem.types or clock.left_s() < LEAST_S_PER_REQUEST * size:
        return schedule, None
    network = build(problem)
    if not network.groups:
        return schedule, None
    grow_s = clock.left_s() * (1 - GROW_SHARE)
    caps = np.array([len(m) for m in problem.members], dtype=np.int64)
    found = grown(
        network, np.arange(size), caps, effort_for(size), np.random.default_rng(seed),
        lambda: 0.0 if clock.expired() else clock.left_s() - grow_s, first=_chains(network, schedule),
    )  # fmt: skip
    # Half a fen for rounding errors of the sums.
    bound = max(0, math.ceil(found.bound - 0.5)) if network.nodes.complete and found.bound > 0 else None
    kept_s = 0.05 * clock.left_s()
    taken = found.generator.dive(
        found.master, found.center, lambda: 0.0 if clock.expired() else clock.left_s() - kept_s
    )
    built = assemble(problem, _evaluated(found, taken), clock, seed=seed)
    return (built if built is not None and built.cost_fen() < schedule.cost_fen() else schedule), bound


def _chains(network: Network, schedule: Schedule) -> Iterable[tuple[int, tuple[int, ...]]]:
    """Yield the chains of a schedule as types and nodes."""
    nodes, problem = network.nodes, network.problem
    number = {pair: n for n, pair in enumerate(zip(nodes.job.tolist(), nodes.start_s.tolist(), strict=True))}
    for v, chain in enumerate(schedule.chains):
        path = tuple(number.get((visit[0], visit[1]), -1) for trip in chain.trips for visit in trip.visits)
        if path and min(path) >= 0:
            yield problem.type_of[v], path


def _evaluated(found: Grown, taken: Iterable[int]) -> Iterable[tuple[int, Chain]]:
    """Yield settled columns as chains with times."""
    generator = found.generator
    nodes, chains = generator.network.nodes, generator.pricing.rules
    for q in taken:
        column = generator.columns[q]
        path = list(column.nodes)
        kind = generator.problem.types[column.type]
        chain = chains.evaluate(kind, nodes.job[path].tolist(), nodes.start_s[path].tolist())
        if chain is not None:
            yield column.type, chain


def assemble(problem: Problem, chosen: Iterable[tuple[int, Chain]], clock: Clock, *, seed: int) -> Schedule | None:
    """Build a schedule from chains by type: what a chain before serves is cut out, what no chain serves is inserted.

    Chains for which no driver is found are taken apart and inserted request by request.
    """
    built = Schedule(problem, seed=seed)
    if not lock(built):
        return None
    free = [list(reversed(members)) for members in problem.members]
    for t, chain in chosen:
        rest = [r for r in chain.requests() if built.vehicle_of[r] < 0 or problem.jobs[r].pinned_vehicle >= 0]
        if not free[t] or not rest:
            continue
        trimmed = chain if len(rest) == len(chain.requests()) else built.chains_of.evaluate(problem.types[t], rest)
        keeps_locked = set(built.chains[free[t][-1]].requests()) <= set(rest)
        if trimmed is not None and keeps_locked and built.put({free[t][-1]: trimmed}) is not None:
            free[t].pop()
    greedy(built, expired=clock.expired)
    return built
