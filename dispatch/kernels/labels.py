"""Cheapest chains of one vehicle type (lane) under driver hours and electric range: label setting in order of time.

A label stands at the end of a node: its cost, when its duty (or outing) began, driving since the last rest, idle time since
the last driving, and charge. Labels are dropped when another is no worse in all of these, or when the cost to the end of the
day cannot be small enough any more (`lower`, a bound that knows the end of the duty but neither rest nor charge).

A stand at the yard counts as a rest, also where the parameters let it be shorter: then bounds stay valid, but a chain found
here may be one that `walk` refuses.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from dispatch.kernels.lanes import (
    BOUND,
    END_S,
    FREE,
    FULL,
    LEAVE,
    READY,
    SETTLE,
    Ahead,
    Graph,
    Lane,
    Prices,
    Rules,
    Store,
    Yard,
)  # fmt: skip
from dispatch.kernels.sweep import BIG, CLOSED

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def bucket(begun_s: int, f: Rules, ends: int) -> int:
    """Return the first end of a day that a duty can reach."""
    return max(0, min(ends - 1, -((f.low_s - begun_s - f.longest_s) // END_S)))


@njit(cache=True, nogil=True)
def settles(g: Graph, y: Lane, f: Rules, until_s: Ints) -> None:
    """Fill the last departure, after a stand at the yard, for which a vehicle would have gone straight from a node; or -1."""
    for i in range(len(until_s)):
        until_s[i] = -1
        for a in range(g.ptr[i], g.near_end[i]):
            j = g.succ[a]
            if y.home_s[i] + f.stop_s <= y.depart_s[j] and y.back_fen[i] + y.out_fen[j] >= g.fen[a]:
                until_s[i] = max(until_s[i], y.depart_s[j])


@njit(cache=True, nogil=True)
def leg(f: Rules, run: int, idle: int, seconds: int) -> tuple[int, int]:
    """Drive on with (run, idle); return both after it, run -1 where a rest is missing. A leg of no time is nothing."""
    if seconds > 0:
        run = seconds if idle >= f.rest_s else run + seconds
        if run > f.drive_max_s:
            return -1, 0
        idle = 0
    return run, idle


@njit(cache=True, nogil=True)
def arrive(
    f: Rules, run: int, idle: int, lead_idle_s: int, head_s: int, tail_s: int, tail_idle_s: int
) -> tuple[int, int]:
    """Serve a node with (run, idle) at its pick-up; return both after its last buffer, run -1 where a rest is missing."""
    first_s = head_s if head_s >= 0 else tail_s
    if first_s > 0:
        run, idle = leg(f, run, idle + lead_idle_s, first_s)
        if run < 0:
            return -1, 0
        run = tail_s if head_s >= 0 else run
    idle += tail_idle_s + f.after_s
    # What was driven before a rest counts no more: labels that are alike from here on look alike.
    return (0, f.rest_s) if idle >= f.rest_s or run == 0 else (run, idle)


@njit(cache=True, nogil=True)
def keep(
    s: Store, j: int, most: int, cost: float, hope: float, begun: int, run: int, idle: int, left: int, slack: int,
    came: int, end: int,
) -> float:  # fmt: skip
    """Keep a label of node j unless it is dominated; return the hope of a label that the limit dropped, or BIG.

    `hope` is a lower bound of what a chain with the label costs; the label with the most is dropped first.
    """
    n, b, state = s.held[j], 0, s.state
    for a in range(n):
        if (
            s.cost[j, a] <= cost
            and state[j, a, 0] >= begun
            and state[j, a, 1] <= run
            and state[j, a, 2] >= idle
            and state[j, a, 3] >= left
            and state[j, a, 4] >= slack
        ):
            return BIG
    for a in range(n):
        if (
            cost > s.cost[j, a]
            or begun < state[j, a, 0]
            or run > state[j, a, 1]
            or idle < state[j, a, 2]
            or left < state[j, a, 3]
            or slack < state[j, a, 4]
        ):
            if a != b:
                s.cost[j, b], s.hope[j, b] = s.cost[j, a], s.hope[j, a]
                for c in range(7):
                    state[j, b, c] = state[j, a, c]
            b += 1
    s.held[j], lost = b, BIG
    if b >= most:
        b = 0
        for a in range(1, most):
            if s.hope[j, a] > s.hope[j, b]:
                b = a
        lost = s.hope[j, b]
        if lost <= hope:
            return hope
    else:
        s.held[j] = b + 1
    s.cost[j, b], s.hope[j, b] = cost, hope
    state[j, b, 0], state[j, b, 1], state[j, b, 2], state[j, b, 3] = begun, run, idle, left
    state[j, b, 4], state[j, b, 5], state[j, b, 6] = slack, came, end
    return lost


@njit(cache=True, nogil=True)
def stand(
    h: Yard, slots: int, several: int, now_c: int, full_c: int, limit: int, cost: float, hope: float, begun: int,
    charge: int, home_s: int, duty: int, came: int, settled: bool,
) -> tuple[int, float]:  # fmt: skip
    """Keep a label at the yard unless it is dominated; return the labels there, and the hope of one dropped, or BIG.

    Charge is in 1/3600 m, less what is charged since time 0, so that it stays the same while labels stand. Who may not
    go on to every node yet (not `settled`) dominates none but those who came from the same node.
    """
    if charge + now_c >= full_c:
        charge = FULL
    better, b, state = False, 0, h.state
    for q in range(slots):
        if state[q, 1] + now_c >= full_c:
            state[q, 1] = FULL
        kin = state[q, 4] // limit == came // limit
        alike = state[q, 3] == duty and (several == 0 or state[q, 2] <= home_s)
        if alike and (state[q, 5] == 1 or kin) and h.cost[q] <= cost and state[q, 0] >= begun and state[q, 1] >= charge:
            better = True
        alike = state[q, 3] == duty and (several == 0 or home_s <= state[q, 2])
        worse = alike and (settled or kin) and cost <= h.cost[q] and begun >= state[q, 0] and charge >= state[q, 1]
        if better or not worse:
            if q != b:
                h.cost[b], h.hope[b] = h.cost[q], h.hope[q]
                for c in range(6):
                    state[b, c] = state[q, c]
            b += 1
    if better:
        return b, BIG
    slots, lost = b, BIG
    if slots >= len(h.cost):
        b = 0
        for q in range(1, slots):
            if h.hope[q] > h.hope[b]:
                b = q
        lost = h.hope[b]
        if lost <= hope:
            return slots, hope
    else:
        slots += 1
    h.cost[b], h.hope[b] = cost, hope
    h.state[b, 0], h.state[b, 1], h.state[b, 2] = begun, charge, home_s
    h.state[b, 3], h.state[b, 4], h.state[b, 5] = duty, came, 1 if settled else 0
    return slots, lost


@njit(cache=True, nogil=True)
def settle(h: Yard, slots: int, several: int, limit: int, i: int) -> int:
    """Let the labels from node i go on to every node, and drop those they dominate; return how many are left."""
    for q in range(slots):
        if h.state[q, 4] // limit == i:
            h.state[q, 5] = 1
    b = 0
    for r in range(slots):
        state, gone = h.state[r], False
        for q in range(slots):
            other = h.state[q]
            if (q < b or q > r) and other[4] // limit == i and other[3] == state[3] and h.cost[q] <= h.cost[r]:
                gone |= other[0] >= state[0] and other[1] >= state[1] and (several == 0 or other[2] <= state[2])
        if not gone:
            if r != b:
                h.cost[b], h.hope[b] = h.cost[r], h.hope[r]
                h.state[b] = state
            b += 1
    return b


@njit(cache=True, nogil=True)
def extend(
    g: Graph, y: Lane, f: Rules, p: Prices, bound: Floats, i: int, most: int, s: Store, final: Floats, slot: Ints
) -> float:
    """Send the labels of a node home for good and along its links; return the least hope of one dropped, or BIG."""
    n, limit, ends, state, crewed = s.held[i], s.cost.shape[1], bound.shape[1], s.state, f.mode != FREE
    low, lost = BIG, BIG
    for a in range(n):
        cost = s.cost[i, a]
        low = min(low, cost)
        cost += p.back[i]
        if cost >= min(final[i], CLOSED) or state[i, a, 4] < f.permille * f.bev * y.back_m[i]:
            continue
        if crewed and (
            y.home_s[i] - state[i, a, 0] > f.longest_s or leg(f, state[i, a, 1], state[i, a, 2], y.back_s[i])[0] < 0
        ):
            continue
        final[i], slot[i] = cost, a
    cost_of, cov, lead_s, head_s, tail_s, tail_idle_s = s.cost, p.cov, g.lead_idle_s, g.head_s, g.tail_s, g.tail_idle_s
    back_fen, ready_s = y.back_fen[i], y.home_s[i] + f.stop_s
    for q in range(g.ptr[i], g.ptr[i + 1]):
        j, fen = g.succ[q], g.fen[q]
        if low + fen + bound[j, ends - 1] >= p.least or y.span[i] != y.span[j] or (crewed and not g.sound[j]):
            continue
        if ready_s <= y.depart_s[j] and (q >= g.near_end[i] or back_fen + y.out_fen[j] < fen):
            continue
        link_s, end_s, used_m, more = g.link_s[q], g.end_s[j], g.link_m[q] + g.loaded_m[j], fen + cov[j]
        stay_s = g.start_s[j] - g.end_s[i] - f.after_s - link_s
        for a in range(n):
            begun, run, idle, end = state[i, a, 0], state[i, a, 1], state[i, a, 2], state[i, a, 6]
            hope = cost_of[i, a] + fen + bound[j, end]
            if hope >= p.least:
                continue
            left, slack = state[i, a, 3], state[i, a, 4]
            if f.bev:
                left, slack = left - used_m, slack - f.permille * used_m
                if slack < 0:
                    continue
            if crewed:
                if end_s - begun > f.longest_s:
                    continue
                run, idle = leg(f, run, idle, link_s)
                if run >= 0:
                    run, idle = arrive(f, run, idle + stay_s, lead_s[j], head_s[j], tail_s[j], tail_idle_s[j])
                if run < 0:
                    continue
            dropped = keep(s, j, most, cost_of[i, a] + more, hope, begun, run, idle, left, slack, i * limit + a, end)
            lost = min(lost, dropped)
    return lost


@njit(cache=True, nogil=True)
def label(
    g: Graph, y: Lane, f: Rules, p: Prices, ahead: Ahead, events: Ints, until_s: Ints, floor: float, most: int, s: Store,
    h: Yard, mark: Ints, final: Floats, slot: Ints,
) -> float:  # fmt: skip
    """Set labels over all events; fill `final`, the least cost of a chain that ends with a node, and its label's `slot`.

    `floor` is a lower bound of all chains. Returns one of those that dropped labels could have become, BIG if there are
    none.
    """
    k, limit, slots, lost, ends = len(final), s.cost.shape[1], 0, BIG, ahead.bound.shape[1]
    bound, state, crewed, full_c = ahead.bound, s.state, f.mode != FREE, 3_600 * f.full_m
    s.held[:k] = 0
    final[:], mark[:] = BIG, -1
    for event in events:
        kind, i = event // k, event % k
        if p.cov[i] >= CLOSED:
            continue
        if kind == READY:
            if y.home_s[i] + f.stop_s <= g.start_s[i]:
                lost = min(lost, floor)  # a node that takes no time at all: its labels come too late for this
            for a in range(s.held[i]):
                begun, hope = state[i, a, 0], s.cost[i, a] + ahead.stay[i, state[i, a, 6]]
                if hope >= p.least or state[i, a, 4] < f.permille * f.bev * y.back_m[i]:
                    continue
                if crewed and (
                    y.home_s[i] - begun > f.longest_s or leg(f, state[i, a, 1], state[i, a, 2], y.back_s[i])[0] < 0
                ):
                    continue
                charge = 3_600 * (state[i, a, 3] - y.back_m[i]) - y.home_s[i] * f.per_h if f.bev else FULL
                slots, dropped = stand(
                    h, slots, f.several, (y.home_s[i] + f.stop_s) * f.per_h, full_c, limit, s.cost[i, a] + p.back[i],
                    hope, begun if f.mode == BOUND else 0, charge, y.home_s[i], y.duty[i], i * limit + a, until_s[i] < 0,
                )  # fmt: skip
                lost = min(lost, dropped)
        elif kind == SETTLE:
            slots = settle(h, slots, f.several, limit, i)
        elif kind == LEAVE:
            run, idle = 0, f.rest_s
            if crewed and g.sound[i]:
                run, idle = leg(f, run, idle, y.out_s[i])
                if run >= 0:
                    run, idle = arrive(
                        f, run, idle + f.before_s, g.lead_idle_s[i], g.head_s[i], g.tail_s[i], g.tail_idle_s[i]
                    )
            if run < 0 or p.out[i] >= CLOSED or (crewed and not g.sound[i]):
                continue
            for a in range(g.pptr[i], g.pnear_end[i]):
                if y.back_fen[g.pred[a]] + y.out_fen[i] >= g.pfen[a]:
                    mark[g.pred[a]] = i
            used_m = y.out_m[i] + g.loaded_m[i]
            for q in range(-1, slots):
                cost, begun, charge, came = p.base + p.out[i], y.depart_s[i], f.left_m, -1
                if q >= 0:
                    cost, came = h.cost[q] + p.out[i], h.state[q, 4]
                    if h.state[q, 5] == 0 and mark[came // limit] == i:
                        continue
                    if f.mode == BOUND and h.state[q, 3] == y.duty[i]:
                        begun = h.state[q, 0]
                    elif f.mode == BOUND and h.state[q, 2] + f.apart_s > y.depart_s[i]:
                        continue
                    charge = min(f.full_m, (h.state[q, 1] + y.depart_s[i] * f.per_h) // 3_600)
                begun = min(begun, f.late_s)
                end = bucket(begun, f, ends)
                hope = cost + bound[i, end]
                if hope >= p.least or (crewed and g.end_s[i] - begun > f.longest_s):
                    continue
                left = charge - used_m if f.bev else 0
                slack = 1_000 * charge - f.permille * used_m if f.bev else 0
                if slack >= 0:
                    cost += p.cov[i]
                    lost = min(lost, keep(s, i, most, cost, hope, begun, run, idle, left, slack, came, end))
        else:
            lost = min(lost, extend(g, y, f, p, bound, i, most, s, final, slot))
    return lost


@njit(cache=True, nogil=True)
def walk(g: Graph, y: Lane, f: Rules, serve: Floats, path: Ints) -> float:
    """Return what a chain costs without its day, by all rules, or -1 where it breaks one."""
    n, crewed = len(path), f.mode != FREE
    cost, run, idle, begun, left, used = 0.0, 0, f.rest_s, 0, f.left_m, 0
    for u in range(n + 1):
        i, j, q = path[u - 1] if u else -1, path[u] if u < n else -1, -1
        if i >= 0 and j >= 0:
            near = True
            for low, high in ((g.ptr[i], g.near_end[i]), (g.near_end[i], g.ptr[i + 1])):
                at = low + np.searchsorted(g.succ[low:high], j)
                if at < high and g.succ[at] == j:
                    q, near = at, high == g.near_end[i]
            if y.home_s[i] + f.stop_s <= y.depart_s[j]:
                q = q if q >= 0 and near and y.back_fen[i] + y.out_fen[j] >= g.fen[q] else -1
            elif q < 0 or y.span[i] != y.span[j]:
                return -1.0
        if q >= 0:
            if y.span[i] != y.span[j]:
                return -1.0
            cost += g.fen[q]
            used += g.link_m[q]
            if crewed:
                run, idle = leg(f, run, idle, g.link_s[q])
                idle += g.start_s[j] - g.end_s[i] - f.after_s - g.link_s[q]
        else:
            if i >= 0:
                cost += y.back_fen[i]
                used += y.back_m[i]
                if crewed:
                    run, idle = leg(f, run, idle, y.back_s[i])
                if run < 0 or (crewed and y.home_s[i] - begun > f.longest_s):
                    return -1.0
                if f.bev and 1_000 * left < f.permille * used:
                    return -1.0
            if j >= 0:
                apart = i < 0 or f.mode != BOUND or y.duty[i] != y.duty[j]
                if i >= 0:
                    stand_s = y.depart_s[j] - y.home_s[i]
                    if f.mode == BOUND and apart and stand_s < f.apart_s:
                        return -1.0
                    left = min(f.full_m, left - used + stand_s * f.per_h // 3_600)
                    run, idle = (run, idle + stand_s) if f.mode == BOUND else (0, f.rest_s)
                if apart:
                    begun = y.depart_s[j]
                cost += y.out_fen[j]
                used = y.out_m[j]
                if crewed:
                    run, idle = leg(f, run, idle, y.out_s[j])
                    idle += f.before_s
        if j >= 0:
            cost += serve[j]
            used += g.loaded_m[j]
            if crewed and run >= 0 and g.sound[j]:
                run, idle = arrive(f, run, idle, g.lead_idle_s[j], g.head_s[j], g.tail_s[j], g.tail_idle_s[j])
            if run < 0 or (crewed and not g.sound[j]):
                return -1.0
    return cost if cost < CLOSED else -1.0
