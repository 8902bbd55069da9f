"""First plan: requests in order of start, each alone, to the vehicle that takes it at least extra cost."""

from collections.abc import Callable, Collection

import numpy as np

from dispatch.chains import NO_CHAIN, Visit
from dispatch.problem import NEVER, Ints, Problem
from dispatch.schedule import Schedule

TRIES = 12  # exact evaluations per request, cheapest estimate first
DAY_PERCENT = 25  # measured on synthetic days of 100 to 2,000 requests: 0 and 50 are 1 to 6 % dearer


class Tails:
    """Where each vehicle would leave for a request from: where a request ends, its last before it, or its yard (-1)."""

    def __init__(self, problem: Problem, *, day_percent: int = 100) -> None:
        self.problem = problem
        kinds = [problem.types[t] for t in problem.type_of]
        self.kind: Ints = np.array(problem.type_of, dtype=np.int64)
        self.yard: Ints = np.array([k.yard for k in kinds], dtype=np.int64)
        self.rate: Ints = np.array([k.rate for k in kinds], dtype=np.int64)
        self.day_fen: Ints = np.array([k.day_fen * day_percent // 100 for k in kinds], dtype=np.int64)
        prices = [k.serve_fen[: problem.size] for k in problem.types]
        self.serve_fen: Ints = np.array(prices, dtype=np.int64).reshape(len(problem.types), problem.size)
        self.last: Ints = np.full(len(kinds), -1, dtype=np.int64)
        self.end_s: Ints = np.zeros(len(kinds), dtype=np.int64)
        self.used = np.zeros(len(kinds), dtype=np.bool_)

    def set(self, v: int, visits: list[Visit], before_s: int) -> None:
        """Note a vehicle's last visit that starts no later than a moment."""
        past = [visit for visit in visits if visit[1] <= before_s]
        self.used[v] = bool(visits)
        self.last[v], self.end_s[v] = (self.problem.last_of[past[-1][0]], past[-1][2]) if past else (-1, 0)

    def estimate(self, r: int) -> Ints:
        """Estimate the extra cost of appending a request to each vehicle, NEVER-like large where time forbids it."""
        problem, params = self.problem, self.problem.params
        after_s, before_s = problem.after_s, problem.before_s
        latest_s, earliest_s = problem.latest_s[r], problem.earliest_s[r]
        out_m, out_s = problem.out_m[self.yard, r], problem.out_s[self.yard, r]
        back_m = problem.back_m[r, self.yard]
        fresh = self.rate * (out_m.astype(np.int64) + back_m) // 1_000_000 + np.where(self.used, 0, self.day_fen)
        last = np.maximum(self.last, 0)
        free_s = self.end_s + after_s
        old_back_m, old_back_s = problem.back_m[last, self.yard], problem.back_s[last, self.yard]
        link = (problem.last_place[last], problem.first_at[r])
        link_s, link_m = problem.instance.travel.time_s[link], problem.instance.travel.distance_m[link]
        wait_s = np.maximum(earliest_s - before_s - free_s - link_s, 0)
        can_link = free_s + link_s + before_s <= latest_s
        can_home = free_s + old_back_s + params.yard_stop_s + out_s + before_s <= latest_s
        linked = self.rate * (link_m.astype(np.int64) + back_m - old_back_m) // 1_000_000
        linked += params.wait_hour_fen * wait_s // 3_600
        home = self.rate * (out_m.astype(np.int64) + back_m) // 1_000_000
        goes_home = can_home & (wait_s > params.max_wait_s)
        cost = np.where(goes_home, home, linked)
        cost = np.where(can_link | can_home, cost, 10**14)
        cost = np.where(self.last < 0, fresh, cost)
        cost = cost + self.serve_fen[self.kind, r]
        result: Ints = np.where(problem.serves[self.kind, r], cost, 10**14)
        return result


def lock(schedule: Schedule) -> bool:
    """Put the locked requests on their vehicles; False if that breaks a rule."""
    problem = schedule.problem
    kept: dict[int, list[int]] = {}
    for r in sorted(
        (r for r, job in enumerate(problem.jobs) if job.pinned_vehicle >= 0), key=schedule.chains_of.order_key
    ):
        kept.setdefault(problem.jobs[r].pinned_vehicle, []).append(r)
    # All at once: their drivers are given, and a vehicle's reserve may hang on another's trips.
    return not kept or schedule.replace(kept) is not None


def keep(schedule: Schedule) -> None:
    """Give vehicles what people were told of, as far as the rules still allow; shared rides are left to the solver."""
    problem = schedule.problem
    days: dict[int, list[tuple[int, int]]] = {}
    for r, v in problem.told_vehicle.items():
        if v >= 0 and schedule.vehicle_of[r] < 0 and not schedule.chains[v].trips:
            days.setdefault(v, []).append((problem.told_start[r], r))
    for v, day in days.items():
        kind, order = problem.types[problem.type_of[v]], sorted(day)
        chain = schedule.chains_of.evaluate(kind, [r for _, r in order], [at_s for at_s, _ in order])
        if chain is not None:
            schedule.put({v: chain})


def insert(schedule: Schedule, tails: Tails, r: int, tries: int) -> str:
    """Serve a request with the best vehicle that may; return "" or why none could (a reason code)."""
    estimate = tails.estimate(r)
    reasons: set[str] = set()
    count = min(tries, len(estimate))
    nearest = np.argpartition(estimate, count - 1)[:count] if count else np.zeros(0, dtype=np.int64)
    for v in sorted(nearest.tolist(), key=lambda k: (estimate[k], k)):
        if estimate[v] >= schedule.problem.jobs[r].else_fen or estimate[v] >= 10**14:
            reasons.add("cost" if estimate[v] < 10**14 else "vehicle")
            break
        visits = schedule.visits(v)
        at = sum(visit[1] <= schedule.problem.earliest_s[r] for visit in visits)
        order = [visit[0] for visit in visits]
        kind = schedule.problem.types[schedule.problem.type_of[v]]
        chain = schedule.chains_of.evaluate(kind, [*order[:at], r, *order[at:]])
        if chain is None:
            reasons.add("vehicle")
        elif schedule.put({v: chain}) is None:
            reasons.add(schedule.refusal)
        else:
            return ""
    return reason_code(reasons, suitable=bool(schedule.problem.serves[:, r].any()))


def reason_code(refusals: Collection[str], *, suitable: bool) -> str:
    """Name why a request stays without own vehicle: the rule that came closest to letting it pass."""
    if not suitable:
        return "no_suitable_vehicle"
    for refusal, code in (("cost", "too_dear"), ("reserve", "reserve"), ("driver", "no_free_driver")):
        if refusal in refusals:
            return code
    return "no_free_vehicle"


def greedy(schedule: Schedule, *, expired: Callable[[], bool], day_percent: int = DAY_PERCENT) -> dict[str, str]:
    """Serve what can be served, in order of start; return the reason code of every request left over.

    A vehicle's first request is charged `day_percent` of its day price, for others will share it; vehicles whose
    day proves dearer than leaving their requests are sent home afterwards. When `expired` turns true the rest is
    left over with "time_limit". Locked requests must be in place (`lock`).
    """
    problem = schedule.problem
    tails = Tails(problem, day_percent=day_percent)
    busy_later: set[int] = {v for v, chain in enumerate(schedule.chains) if chain.trips}
    left: dict[str, str] = {}
    ids = [request.id for request in problem.instance.requests]
    todo = sorted((r for r, v in enumerate(schedule.vehicle_of) if v < 0), key=schedule.chains_of.order_key)
    for n, r in enumerate(todo):
        if n % 16 == 0 and expired():
            left.update(dict.fromkeys((ids[k] for k in todo[n:]), "time_limit"))
            break
        at_s = problem.jobs[r].earliest_s
        for v in list(busy_later):
            visits = schedule.visits(v)
            tails.set(v, visits, at_s)
            if visits[-1][1] <= at_s:  # from here on it only gets more at the end
                busy_later.discard(v)
        reason = insert(schedule, tails, r, TRIES)
        if reason:
            left[ids[r]] = reason
        elif schedule.vehicle_of[r] not in busy_later:
            tails.set(schedule.vehicle_of[r], schedule.visits(schedule.vehicle_of[r]), NEVER)
    for v, chain in enumerate(schedule.chains):
        served = problem.covered(chain.jobs())
        if served and chain.cost_fen > sum(problem.jobs[r].else_fen for r in served):
            left.update(dict.fromkeys((ids[r] for r in served), "too_dear"))
            schedule.put({v: NO_CHAIN})
    return left
