"""A whole day by column generation: from a first schedule to a better one, with a proven bound."""

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from dispatch.chains import Chain
from dispatch.generate import Deadline, Effort, Generator, Solved, Way, grown
from dispatch.greedy import greedy, lock
from dispatch.network import Network, build
from dispatch.problem import Problem
from dispatch.schedule import Clock, Schedule

LEAST_S_PER_REQUEST = 1e-3  # with less time than this the first schedule stays
GROW_SHARE = 0.55  # of the time until the dive begins at the latest
END_SHARE = 0.04  # of the time is kept for putting the plan together
CLOSE = 4e-4  # the bound goes on until the master is within this of it


def effort_for(size: int) -> Effort:
    """Choose how close to come before diving: small days afford more."""
    close, few, rounds = (8e-4, 0.06, 25) if size <= 600 else (2.5e-3, 0.1, 25) if size <= 1_200 else (8e-3, 0.2, 8)
    diving = replace(Effort().diving, close=close / 3, rounds=rounds)
    return replace(Effort(), growing=Way(close), diving=diving, few=few)


def generate(schedule: Schedule, clock: Clock, *, seed: int) -> tuple[Schedule, int | None]:
    """Return the better of the given schedule and a generated one, and a proven lower bound or None.

    While the plan is made on one core, the bound goes on growing on the other.
    """
    problem, size = schedule.problem, len(schedule.problem.instance.requests)
    if not size or not problem.types or clock.left_s() < LEAST_S_PER_REQUEST * size:
        return schedule, None
    network = build(problem)
    if not network.groups:
        return schedule, None

    def until(kept_s: float) -> Deadline:
        return lambda: 0.0 if clock.expired() else clock.left_s() - kept_s

    caps = np.array([len(m) for m in problem.members], dtype=np.int64)
    begun_s, effort = clock.left_s(), effort_for(size)
    found = grown(
        network, np.arange(size), caps, effort, np.random.default_rng(seed), until(begun_s * (1 - GROW_SHARE)),
        first=_chains(network, schedule),
    )  # fmt: skip
    solved = found.master.solve(until(0)())
    bound = found.bound
    if solved is not None:
        diver, start = found.generator.copy(), Solved.of(found.master, solved[1])
        open_ = np.ones(size, dtype=np.bool_)
        with ThreadPoolExecutor(1) as pool:
            more = pool.submit(
                found.generator.grow, found.master, open_, found.center, Way(CLOSE), until(END_SHARE * begun_s)
            )
            taken = diver.dive(start, found.center, until(END_SHARE * begun_s))
            built = assemble(problem, _evaluated(diver, taken), clock, seed=seed)
            bound = max(bound, more.result()[0])
        if built is not None and built.cost_fen() < schedule.cost_fen():
            schedule = built
    # Half a fen for rounding errors of the sums.
    return schedule, max(0, math.ceil(bound - 0.5)) if _proven(network) and bound > 0 else None


def _proven(network: Network) -> bool:
    """Tell whether every start and every shared ride there could be was looked at."""
    return network.nodes.complete and network.problem.every_ride


def _chains(network: Network, schedule: Schedule) -> Iterable[tuple[int, tuple[int, ...]]]:
    """Yield the chains of a schedule as types and nodes."""
    nodes, problem = network.nodes, network.problem
    number = {pair: n for n, pair in enumerate(zip(nodes.job.tolist(), nodes.start_s.tolist(), strict=True))}
    for v, chain in enumerate(schedule.chains):
        path = tuple(number.get((visit[0], visit[1]), -1) for trip in chain.trips for visit in trip.visits)
        if path and min(path) >= 0:
            yield problem.type_of[v], path


def _evaluated(generator: Generator, taken: Iterable[int]) -> Iterable[tuple[int, Chain]]:
    """Yield settled columns as chains with times."""
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
        rest = [j for j in chain.jobs() if built.unserved(j) or problem.jobs[j].pinned_vehicle >= 0]
        if not free[t] or not rest:
            continue
        trimmed = chain if len(rest) == len(chain.jobs()) else built.chains_of.evaluate(problem.types[t], rest)
        keeps_locked = set(built.chains[free[t][-1]].jobs()) <= set(rest)
        if trimmed is not None and keeps_locked and built.put({free[t][-1]: trimmed}) is not None:
            free[t].pop()
    greedy(built, expired=clock.expired)
    return built
