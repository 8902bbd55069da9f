"""A whole day by column generation: from a first schedule to a better one, with a proven bound."""

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from dispatch.begun import Grouped, grouped
from dispatch.chains import Chain
from dispatch.generate import Deadline, Effort, Generator, Solved, Way, grown
from dispatch.greedy import greedy, lock
from dispatch.network import Network, build
from dispatch.schedule import Clock, Schedule

LEAST_S_PER_REQUEST = 1e-3  # with less time than this the first schedule stays
EASY_S_PER_REQUEST = 0.022  # with more time than this a day is planned more patiently
GROW_SHARE = 0.55  # of the time until the dive begins at the latest
END_SHARE = 0.04  # of the time is kept for putting the plan together
CLOSE = 4e-4  # the bound goes on until the master is within this of it
DIVES = 3  # at most
NEAR = 4e-4  # of the cost: closer to the bound than this is not worth another dive
MORE = 1.8  # times the last dive, that the next one may take


def effort_for(size: int, left_s: float) -> Effort:
    """Choose how close to come before diving, and how much to settle at once: small days and much time afford more."""
    tier = (1 if size <= 600 else 2 if size <= 1_200 else 3) - (left_s > EASY_S_PER_REQUEST * size)
    close, few = ((1e-3, 0.04), (2e-3, 0.06), (5e-3, 0.1), (8e-3, 0.2))[tier]
    return replace(Effort(), growing=Way(close), diving=replace(Effort().diving, close=close / 3), few=few)


def generate(schedule: Schedule, clock: Clock, *, seed: int) -> tuple[Schedule, int | None]:
    """Return the better of the given schedule and a generated one, and a proven lower bound or None.

    While the plan is made on one core, the bound goes on growing on the other.
    """
    problem, size = schedule.problem, len(schedule.problem.instance.requests)
    if not size or clock.left_s() < LEAST_S_PER_REQUEST * size:
        return schedule, None
    day = grouped(problem)
    network = build(day.problem, {k: b.out_fen for k, b in day.begun.items()})
    if not network.groups:  # nobody can serve anything
        return schedule, sum(job.else_fen for job in problem.jobs[:size])

    def until(kept_s: float) -> Deadline:
        return lambda: 0.0 if clock.expired() else clock.left_s() - kept_s

    caps = np.array([len(m) for m in day.problem.members], dtype=np.int64)
    begun_s, effort = clock.left_s(), effort_for(len(day.rows), clock.left_s())
    found = grown(
        network, day.rows, caps, effort, until(begun_s * (1 - GROW_SHARE)), first=_chains(network, day, schedule)
    )
    bound, center, price_fen = found.bound, found.center, schedule.price_fen()
    open_ = np.zeros(size, dtype=np.bool_)
    open_[day.rows] = True
    for again in range(DIVES):
        solved = found.master.solve(until(0)())
        if solved is None:
            break
        left_s = clock.left_s()
        diver, start = found.generator.copy(), Solved.of(found.master, solved[1])
        diver.effort = _closer(effort, again)
        with ThreadPoolExecutor(1) as pool:
            more = pool.submit(
                found.generator.grow, found.master, open_, center, Way(CLOSE), until(END_SHARE * begun_s)
            )
            taken = diver.dive(start, center, until(END_SHARE * begun_s))
            built = assemble(day, _evaluated(diver, day, taken), clock, seed=seed)
            proven, center, _ = more.result()
            bound = max(bound, proven)
        if built is not None and built.price_fen() < price_fen:
            schedule, price_fen = built, built.price_fen()
        # Once more from the better master, more patiently, where there is something to win and the time for it.
        if price_fen - bound <= NEAR * price_fen or clock.left_s() < MORE * (left_s - clock.left_s()):
            break
    # Half a fen for rounding errors of the sums.
    return schedule, max(0, math.ceil(bound - 0.5)) if _proven(network) and bound > 0 else None


def _closer(effort: Effort, again: int) -> Effort:
    """Return the effort of another dive: smaller steps, closer levels."""
    return replace(
        effort,
        few=effort.few / 2**again,
        diving=replace(effort.diving, close=effort.diving.close / 2**again),
    )


def _proven(network: Network) -> bool:
    """Tell whether every start and every shared ride there could be was looked at."""
    return network.nodes.complete and network.problem.every_ride


def _chains(network: Network, day: Grouped, schedule: Schedule) -> Iterable[tuple[int, tuple[int, ...]]]:
    """Yield the chains of a schedule as types and nodes."""
    nodes, type_of = network.nodes, day.problem.type_of
    past = {k for b in day.begun.values() for k in b.before}
    number = {pair: n for n, pair in enumerate(zip(nodes.job.tolist(), nodes.start_s.tolist(), strict=True))}
    for v, chain in enumerate(schedule.chains):
        path = tuple(
            number.get((visit[0], visit[1]), -1)
            for trip in chain.trips
            for visit in trip.visits
            if visit[0] not in past
        )
        if path and min(path) >= 0:
            yield type_of[v], path


def _evaluated(generator: Generator, day: Grouped, taken: Iterable[int]) -> Iterable[tuple[int, Chain]]:
    """Yield settled columns as chains with times."""
    nodes, chains = generator.network.nodes, generator.pricing.rules
    for q in taken:
        column = generator.columns[q]
        path = list(column.nodes)
        kind = generator.problem.types[column.type]
        jobs, starts_s = nodes.job[path].tolist(), nodes.start_s[path].tolist()
        if jobs[0] in day.begun:
            begun = day.begun[jobs[0]]
            kind = day.whole.types[day.whole.type_of[begun.vehicle]]
            jobs, starts_s = [*begun.before, *jobs], [*(None for _ in begun.before), *starts_s]
        chain = chains.evaluate(kind, jobs, starts_s)
        if chain is not None:
            yield column.type, chain


def assemble(day: Grouped, chosen: Iterable[tuple[int, Chain]], clock: Clock, *, seed: int) -> Schedule | None:
    """Build a schedule from chains by type: what a chain before serves is cut out, what no chain serves is inserted.

    Chains for which no driver is found are taken apart and inserted request by request.
    """
    problem = day.whole
    built = Schedule(problem, seed=seed)
    if not lock(built):
        return None
    under_way = {k: b.vehicle for k, b in day.begun.items()}
    begun = set(under_way.values())
    free = [[v for v in reversed(members) if v not in begun] for members in day.problem.members]
    todo = list(chosen)
    if problem.told_vehicle:
        most = [(max((problem.told_of(c.jobs(), v) for v in free[t]), default=0), t, c) for t, c in todo]
        todo = [(t, c) for _, t, c in sorted(most, key=lambda pair: -pair[0])]
    for t, chain in todo:
        mine = [under_way[j] for j in chain.jobs() if j in under_way] or free[t]
        rest = [j for j in chain.jobs() if built.unserved(j) or problem.jobs[j].pinned_vehicle >= 0]
        if not mine or not rest:
            continue
        v = max(mine, key=lambda v: problem.told_of(chain.jobs(), v)) if problem.told_vehicle else mine[-1]
        kind = problem.types[problem.type_of[v]]
        trimmed = chain if len(rest) == len(chain.jobs()) else built.chains_of.evaluate(kind, rest)
        keeps_locked = set(built.chains[v].jobs()) <= set(rest)
        if trimmed is not None and keeps_locked and built.put({v: trimmed}) is not None and v in free[t]:
            free[t].remove(v)
    greedy(built, expired=clock.expired)
    return built
