"""Improvement: plan some vehicles anew, exactly, again and again (large neighbourhood search over set partitioning)."""

import random
from collections.abc import Callable

import numpy as np

from dispatch.columns import Choice, Part, hand_out, list_chains, promising, whole
from dispatch.schedule import Clock, Schedule

MOST_CHAINS = 400  # per neighbourhood; measured at 500 requests: 1,000 and 2,500 gain less per second
WHOLE_REQUESTS = 60  # up to here all chains of the whole instance are tried first
WHOLE_CHAINS = 40_000
LEAST_REQUESTS, MOST_REQUESTS = 8, 40  # of a neighbourhood; its size follows how many chains it has
SWEEPS = 3  # rounds without gain before giving up, counted in sweeps over all vehicles


def solve_whole(schedule: Schedule, clock: Clock, *, seed: int) -> int | None:
    """Plan everything at once where that is small; return a proven lower bound if all chains were listed.

    Chains are complete for fixed starts only: with start windows one start per chain is tried, and nothing is proven.
    """
    problem = schedule.problem
    if not 0 < problem.size <= WHOLE_REQUESTS:
        return None
    part = whole(problem)
    listed = list_chains(schedule, part, WHOLE_CHAINS)
    if not listed.complete:
        return None
    budget_fen = schedule.cost_fen()
    choice, bound = Choice(schedule, part, promising(schedule, part, listed, budget_fen)), None
    fixed = problem.every_ride and all(job.earliest_s == job.latest_s for job in problem.jobs)
    for _ in range(20):
        answer = choice.solve(seconds=clock.left_s(), effort=10.0, seed=seed)
        if answer is None:
            break
        if bound is None and fixed:
            bound = max(0, min(budget_fen, answer.bound_fen))
        if answer.cost_fen >= budget_fen:
            break
        changes = hand_out(schedule, part.vehicles, answer.chosen)
        if schedule.put(changes, exactly=True) is not None or clock.expired():
            break
        choice.forbid(answer.chosen)
    return bound


def search(schedule: Schedule, clock: Clock, *, seed: int, rounds: int | None, told: Callable[[int, int], None]) -> str:
    """Improve by neighbourhoods until stopped; return why: no_improvement, rounds, time_limit.

    `told` is called with the number of rounds and the cost after every gain.
    """
    rng = random.Random(seed)
    cost_fen, stale, done, size = schedule.cost_fen(), 0, 0, 24
    while True:
        if rounds is not None and done >= rounds:
            return "rounds"
        if clock.expired():
            return "time_limit"
        part = neighbourhood(schedule, rng, size)
        used = sum(bool(chain.trips) for chain in schedule.chains)
        if part is None or stale > max(20, SWEEPS * used // max(1, len(part.vehicles))):
            return "no_improvement"
        done += 1
        listed = list_chains(schedule, part, MOST_CHAINS)
        size = max(LEAST_REQUESTS, size - 2) if not listed.complete else min(MOST_REQUESTS, size + 1)
        if clock.expired():
            return "time_limit"
        now_fen = sum(schedule.chains[v].cost_fen for v in part.vehicles)
        now_fen += sum(schedule.problem.jobs[r].else_fen for r in part.requests if schedule.vehicle_of[r] < 0)
        stale += 1
        chains = promising(schedule, part, listed, now_fen)
        if not chains or clock.expired():
            continue
        answer = Choice(schedule, part, chains).solve(seconds=clock.left_s(), effort=0.5, seed=rng.randrange(2**31 - 1))
        if answer is None or answer.cost_fen >= now_fen:
            continue
        gain = schedule.put(hand_out(schedule, part.vehicles, answer.chosen), exactly=True)
        if gain is not None and gain < 0:
            cost_fen, stale = cost_fen + gain, 0
            told(done, cost_fen)


def neighbourhood(schedule: Schedule, rng: random.Random, size: int) -> Part | None:
    """Choose vehicles around one request, near in time and place, with all they do, and near unserved requests."""
    problem = schedule.problem
    alone = problem.jobs[: problem.size]
    free = [r for r, job in enumerate(alone) if problem.serves[:, r].any() and job.pinned_vehicle < 0]
    if not free:
        return None
    seed_request = rng.choice(free)
    distance_m, firsts, lasts = problem.instance.travel.distance_m, problem.first_place, problem.last_place
    near_m = distance_m[lasts[seed_request], firsts[: problem.size]].astype(np.float64)
    near_m += distance_m[lasts[: problem.size], firsts[seed_request]]
    apart_h = np.abs(problem.earliest_s - problem.earliest_s[seed_request]) / 3_600
    # One hour apart counts like 4, 12 or 40 km: neighbourhoods around a place, a moment, or both.
    score = near_m / 2_000 + rng.choice((1, 4, 12, 40)) * apart_h
    score = score * np.array([rng.uniform(0.7, 1.3) for _ in alone])
    vehicles: list[int] = []
    requests: set[int] = set()
    unserved = 0
    for r in np.argsort(score, kind="stable").tolist():
        if len(requests) >= size:
            break
        v = schedule.vehicle_of[r]
        if v < 0:
            if unserved < size // 4 and problem.serves[:, r].any():
                requests.add(r)
                unserved += 1
        elif v not in vehicles:
            vehicles.append(v)
            requests.update(problem.covered(schedule.chains[v].jobs()))
    vehicles += _idle(schedule, rng, sorted(requests), few=3)
    return Part(tuple(sorted(vehicles)), tuple(sorted(requests)))


def _idle(schedule: Schedule, rng: random.Random, requests: list[int], few: int) -> list[int]:
    """Pick idle vehicles of different types that can serve some of the requests, nearest yards first."""
    problem = schedule.problem
    idle: dict[int, int] = {}
    for v, chain in enumerate(schedule.chains):
        if not chain.trips:
            idle.setdefault(problem.type_of[v], v)
    r = rng.choice(requests)
    able = [t for t in idle if problem.serves[t, r]]
    able.sort(key=lambda t: (int(problem.out_m[problem.types[t].yard, r]) * rng.uniform(0.5, 1.5), t))
    return [idle[t] for t in able[:few]]
