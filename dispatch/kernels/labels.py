"""Cheapest chains of one vehicle type under driver hours and electric range: label setting in order of time.

A label stands at the end of a node: its cost, when its duty (or outing) began, driving since the last rest, idle time since
the last driving, and charge. Labels are dropped when another is no worse in all of these, or when the cost to the end of the
day cannot be small enough any more (`lower`, a bound that knows the end of the duty but neither rest nor charge).
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from dispatch.kernels.sweep import BIG, CLOSED

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Steps = npt.NDArray[np.int32]

FREE, POOLED, BOUND = 0, 1, 2
READY, LEAVE, SERVE = 0, 1, 2  # kinds of events: a vehicle is ready at the yard again, leaves it, serves a node


@njit(cache=True, nogil=True)
def drive(run: int, idle: int, seconds: int, rest_s: int) -> int:
    """Return driving since the last rest after a leg."""
    return seconds if idle >= rest_s else run + seconds


@njit(cache=True, nogil=True)
def arrive(
    run: int,
    idle: int,
    j: int,
    lead_s: Ints,
    head_s: Ints,
    tail_s: Ints,
    tail_idle_s: Ints,
    drive_max_s: int,
    rest_s: int,
) -> tuple[int, int]:
    """Serve a node with (run, idle) at its pick-up; return both at its end, run -1 where a rest is missing."""
    first = head_s[j] if head_s[j] >= 0 else tail_s[j]
    if first <= 0:
        return run, idle + tail_idle_s[j]
    run = drive(run, idle + lead_s[j], first, rest_s)
    if run > drive_max_s:
        return -1, 0
    return (tail_s[j] if head_s[j] >= 0 else run), tail_idle_s[j]


@njit(cache=True, nogil=True)
def keep(
    j: int,
    most: int,
    count: Ints,
    cost: Floats,
    hope: Floats,
    whole: Ints,
    new_cost: float,
    new_hope: float,
    begun: int,
    run: int,
    idle: int,
    left: int,
    used: int,
    came: int,
    permille: int,
) -> float:
    """Keep a label of node j unless it is dominated; return the least whole cost of a label the limit dropped, or BIG.

    `hope` is a lower bound of what a chain with the label costs; the label with the most is dropped first.
    """
    slack = 1000 * left - permille * used
    n = count[j]
    for a in range(n):
        if (
            cost[j, a] <= new_cost
            and whole[j, a, 0] >= begun
            and whole[j, a, 1] <= run
            and whole[j, a, 2] >= idle
            and whole[j, a, 3] - whole[j, a, 4] >= left - used
            and 1000 * whole[j, a, 3] - permille * whole[j, a, 4] >= slack
        ):
            return BIG
    b = 0
    for a in range(n):
        worse = (
            new_cost <= cost[j, a]
            and begun >= whole[j, a, 0]
            and run <= whole[j, a, 1]
            and idle >= whole[j, a, 2]
            and left - used >= whole[j, a, 3] - whole[j, a, 4]
            and slack >= 1000 * whole[j, a, 3] - permille * whole[j, a, 4]
        )
        if not worse:
            if a != b:
                cost[j, b], hope[j, b] = cost[j, a], hope[j, a]
                whole[j, b] = whole[j, a]
            b += 1
    lost = BIG
    if b >= most:
        slot = 0
        for a in range(1, b):
            if hope[j, a] > hope[j, slot]:
                slot = a
        if hope[j, slot] <= new_hope:
            count[j] = b
            return new_hope
        lost = hope[j, slot]
    else:
        slot = b
        b += 1
    count[j] = b
    cost[j, slot], hope[j, slot] = new_cost, new_hope
    whole[j, slot, 0], whole[j, slot, 1], whole[j, slot, 2] = begun, run, idle
    whole[j, slot, 3], whole[j, slot, 4], whole[j, slot, 5] = left, used, came
    return lost


@njit(cache=True, nogil=True)
def bucket(begun: int, shift_s: int, ends_s: Ints) -> int:
    """Return the first end of day that a duty can reach."""
    b = 0
    while b < len(ends_s) - 1 and ends_s[b] < begun + shift_s:
        b += 1
    return b


@njit(cache=True, nogil=True)
def label(
    ptr: Ints,
    near_end: Ints,
    succ: Steps,
    fen: Floats,
    link_s: Steps,
    link_m: Steps,
    cov: Floats,
    out: Floats,
    back: Floats,
    true_out: Floats,
    true_back: Floats,
    out_s: Steps,
    back_s: Steps,
    out_m: Steps,
    back_m: Steps,
    depart_s: Steps,
    home_s: Steps,
    start_s: Ints,
    end_s: Ints,
    loaded_m: Ints,
    lead_s: Ints,
    head_s: Ints,
    tail_s: Ints,
    tail_idle_s: Ints,
    sound: npt.NDArray[np.bool_],
    events: Ints,
    figures: Ints,
    bev: bool,
    base: float,
    floor: float,
    least: float,
    bound: Floats,
    ends_s: Ints,
    most: int,
    count: Ints,
    cost: Floats,
    hope: Floats,
    whole: Ints,
    final: Floats,
    final_slot: Ints,
    yard: Floats,
    yard_whole: Ints,
) -> float:
    """Set labels over all events; fill ``final``: the least cost of a chain that ends with a node.

    Returns a lower bound of the cost of every chain that a dropped label could have become, BIG if none was dropped.

    `figures`: mode, stop, before, after, longest duty or outing, most driving, least rest, full range, first charge, charge
    per hour, reserve in 1/1000. A label is (duty begun, run, idle, charge at departure, used since, came from).
    """
    mode, stop_s, before_s, after_s, shift_s, drive_max_s, rest_s, full_m, left_m, per_h, permille = figures
    k, limit, slots = len(cov), cost.shape[1], 0
    crewed = mode != FREE
    lost = BIG
    count[:k] = 0
    final[:k] = BIG
    for e in range(len(events)):
        kind, i = events[e] // k, events[e] % k
        if cov[i] >= CLOSED:
            continue
        if kind == READY:
            # The vehicle is at the yard again and may leave: labels of i join those that stand there.
            for a in range(count[i]):
                c = cost[i, a] + back[i]
                begun, run, idle, left, used = (
                    whole[i, a, 0],
                    whole[i, a, 1],
                    whole[i, a, 2],
                    whole[i, a, 3],
                    whole[i, a, 4],
                )
                if crewed:
                    if back_s[i] > 0 and drive(run, idle + after_s, back_s[i], rest_s) > drive_max_s:
                        continue
                    if home_s[i] - begun > shift_s:
                        continue
                if bev:
                    if 1000 * left < permille * (used + back_m[i]):
                        continue
                    left = max(0, left - used - back_m[i])
                if mode != BOUND:
                    begun = 0
                now_s, better = home_s[i] + stop_s, False
                charge = min(full_m, left + stop_s * per_h // 3600) if bev else 0
                b = 0
                for q in range(slots):
                    there = 0
                    if bev:
                        there = min(full_m, yard_whole[q, 1] + (now_s - yard_whole[q, 2]) * per_h // 3600)
                    if yard[q] <= c and yard_whole[q, 0] >= begun and there >= charge:
                        better = True
                    if better or not (c <= yard[q] and begun >= yard_whole[q, 0] and charge >= there):
                        if q != b:
                            yard[b] = yard[q]
                            yard_whole[b] = yard_whole[q]
                        b += 1
                slots = b
                if better:
                    continue
                if slots >= len(yard):
                    slot = 0
                    for q in range(slots):
                        if yard[q] > yard[slot]:
                            slot = q
                    # What stands at the yard has no lower bound of its own: the whole day's has to do.
                    lost = min(lost, floor)
                    if yard[slot] <= c:
                        continue
                else:
                    slot = slots
                    slots += 1
                yard[slot] = c
                yard_whole[slot, 0], yard_whole[slot, 1], yard_whole[slot, 2] = begun, left, home_s[i]
                yard_whole[slot, 3] = i * limit + a
        elif kind == LEAVE:
            if not sound[i] and crewed:
                continue
            if out[i] >= CLOSED or (crewed and out_s[i] > drive_max_s):
                continue
            run, idle = arrive(
                out_s[i], before_s, i, lead_s, head_s, tail_s, tail_idle_s, drive_max_s if crewed else 10**9, rest_s
            )
            if run < 0:
                continue
            used = out_m[i] + loaded_m[i]
            begun = depart_s[i] if crewed else 0
            c = base + out[i]
            hoped = c + bound[i, bucket(begun, shift_s, ends_s)]
            if hoped < least and end_s[i] - begun <= shift_s and (not bev or used <= left_m):
                drop = keep(
                    i,
                    most,
                    count,
                    cost,
                    hope,
                    whole,
                    c + cov[i],
                    hoped,
                    begun,
                    run,
                    idle,
                    left_m if bev else 0,
                    used if bev else 0,
                    -1,
                    permille,
                )
                lost = min(lost, drop)
            for q in range(slots):
                c = yard[q] + out[i]
                if mode == BOUND:
                    begun = yard_whole[q, 0]
                hoped = c + bound[i, bucket(begun, shift_s, ends_s)]
                if hoped >= least or end_s[i] - begun > shift_s:
                    continue
                left = 0
                if bev:
                    left = min(full_m, yard_whole[q, 1] + (depart_s[i] - yard_whole[q, 2]) * per_h // 3600)
                    if used > left:
                        continue
                drop = keep(
                    i,
                    most,
                    count,
                    cost,
                    hope,
                    whole,
                    c + cov[i],
                    hoped,
                    begun,
                    run,
                    idle,
                    left,
                    used if bev else 0,
                    yard_whole[q, 3],
                    permille,
                )
                lost = min(lost, drop)
        else:
            best, best_slot = BIG, -1
            for a in range(count[i]):
                c = cost[i, a]
                begun, run, idle, left, used = (
                    whole[i, a, 0],
                    whole[i, a, 1],
                    whole[i, a, 2],
                    whole[i, a, 3],
                    whole[i, a, 4],
                )
                home = c + back[i] < best
                if home and crewed:
                    home = home_s[i] - begun <= shift_s
                    home = home and (back_s[i] == 0 or drive(run, idle + after_s, back_s[i], rest_s) <= drive_max_s)
                if home and bev:
                    home = 1000 * left >= permille * (used + back_m[i])
                if home:
                    best, best_slot = c + back[i], a
                b = bucket(begun, shift_s, ends_s)
                for p in range(ptr[i], ptr[i + 1]):
                    j = succ[p]
                    hoped = c + fen[p] + bound[j, b]
                    if cov[j] >= CLOSED or hoped >= least:
                        continue
                    if home_s[i] + stop_s <= depart_s[j] and (p >= near_end[i] or true_back[i] + true_out[j] < fen[p]):
                        continue
                    if crewed and (end_s[j] - begun > shift_s or not sound[j]):
                        continue
                    at_run, at_idle = run, idle + after_s
                    wait_s = start_s[j] - before_s - end_s[i] - after_s - link_s[p]
                    if link_s[p] > 0:
                        at_run = drive(run, at_idle, link_s[p], rest_s)
                        if crewed and at_run > drive_max_s:
                            continue
                        at_idle = 0
                    end_run, end_idle = arrive(
                        at_run,
                        at_idle + wait_s + before_s,
                        j,
                        lead_s,
                        head_s,
                        tail_s,
                        tail_idle_s,
                        drive_max_s if crewed else 10**9,
                        rest_s,
                    )
                    if end_run < 0:
                        continue
                    more = used + link_m[p] + loaded_m[j]
                    if bev and more > left:
                        continue
                    drop = keep(
                        j,
                        most,
                        count,
                        cost,
                        hope,
                        whole,
                        c + fen[p] + cov[j],
                        hoped,
                        begun,
                        end_run if crewed else 0,
                        end_idle if crewed else 0,
                        left,
                        more if bev else 0,
                        i * limit + a,
                        permille,
                    )
                    lost = min(lost, drop)
            final[i], final_slot[i] = best, best_slot
    return lost
