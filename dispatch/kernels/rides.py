"""Every shared ride of two or three requests: pairs that might ride together, then the best order of calls of each set.

The meaning of a ride is `dispatch.ride`; here the same is found without listing all sets. Requests are positions in
ascending order of id. Calls of a set of k are numbered: m picks up member m, k + m sets it down.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]
Steps = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

NO_START = -(2**62)
NO_PACE = 10**9


class Pooled(NamedTuple):
    """Requests that may share, arrays of shape (n,).

    `pick`, `drop` are places; `longest_s` is a request's own time at the slowest pace it can meet; `low`, `high` are the
    paces it can meet, 1/1000; `classes` has a bit per vehicle class that may serve it.
    """

    pick: Ints
    drop: Ints
    pick_dwell_s: Ints
    drop_dwell_s: Ints
    earliest_s: Ints
    latest_s: Ints
    duration_s: Ints
    direct_m: Ints
    longest_s: Ints
    low: Ints
    high: Ints
    passengers: Ints
    purpose: Ints
    classes: Ints


class Roads(NamedTuple):
    """Driving between places (int32, from x to) and the paces it is slowed by."""

    time_s: Steps
    distance_m: Steps
    from_s: Ints
    to_s: Ints
    permille: Ints


class Rules(NamedTuple):
    """Figures of the rules; `seats` is the most seats of a vehicle in each set of classes (-1: no vehicle), `step_s` between starts."""

    shift_s: int
    detour_s: int
    saved_m: int
    step_s: int
    seats: Ints


class Orders(NamedTuple):
    """Orders of calls of a set of k, (orders, 2k), sorted so that those that begin alike stand together.

    `picks`, `drops` (orders, k) say where each member is picked up and set down; an order shares its first `same` calls
    with the one before; the next order that differs within its first n + 1 calls is ``skip[:, n]``.
    """

    calls: Ints
    picks: Ints
    drops: Ints
    same: Ints
    skip: Ints


@njit(cache=True, nogil=True)
def _slow(seconds: int, permille: int) -> int:
    return -(-seconds * permille // 1_000)


@njit(cache=True, nogil=True)
def _slowed(roads: Roads, seconds: int, at_s: int) -> int:
    for k in range(len(roads.permille)):
        if roads.from_s[k] <= at_s < roads.to_s[k]:
            return _slow(seconds, roads.permille[k])
    return seconds


@njit(cache=True, nogil=True)
def _grown(rows: Ints, count: int) -> Ints:
    if count < len(rows):
        return rows
    longer = np.empty((2 * len(rows), rows.shape[1]), dtype=np.int64)
    longer[:count] = rows
    return longer


@njit(cache=True, nogil=True)
def _overlaps(p: Pooled, roads: Roads, rules: Rules, i: int, j: int) -> bool:
    """Tell whether j might be picked up after i and before i is set down, were nobody else on board.

    Necessary for two that overlap in a ride of any size where driving times obey the triangle inequality, and for two
    that ride alone in any case.
    """
    shift_s, detour_s, time_s = rules.shift_s, rules.detour_s, roads.time_s
    if p.earliest_s[j] - shift_s > p.latest_s[i] + shift_s + p.longest_s[i] + detour_s:
        return False
    to_j_s = p.pick_dwell_s[i] + _slow(time_s[p.pick[i], p.pick[j]], p.low[i])
    if p.earliest_s[i] - shift_s + to_j_s > p.latest_s[j] + shift_s:
        return False
    most_i_s, most_j_s = p.longest_s[i] + detour_s, p.longest_s[j] + detour_s
    to_j_s += p.pick_dwell_s[j]
    if to_j_s > most_i_s:
        return False
    first_in = to_j_s + _slow(time_s[p.pick[j], p.drop[i]], p.low[i]) + p.drop_dwell_s[i] <= most_i_s
    if first_in:
        inside_s = p.pick_dwell_s[j] + _slow(time_s[p.pick[j], p.drop[i]], p.low[j]) + p.drop_dwell_s[i]
        if inside_s + _slow(time_s[p.drop[i], p.drop[j]], p.low[j]) + p.drop_dwell_s[j] <= most_j_s:
            return True
    inside_s = _slow(time_s[p.pick[j], p.drop[j]], p.low[i]) + p.drop_dwell_s[j]
    return bool(to_j_s + inside_s + _slow(time_s[p.drop[j], p.drop[i]], p.low[i]) + p.drop_dwell_s[i] <= most_i_s)


@njit(cache=True, nogil=True)
def linked(p: Pooled, roads: Roads, rules: Rules) -> Flags:
    """Tell for every two, (n, n): might the second be picked up while the first is on board? (purpose, seats, times)."""
    follows = np.zeros((len(p.pick), len(p.pick)), dtype=np.bool_)
    for i in range(len(p.pick)):
        for j in range(i + 1, len(p.pick)):
            if p.purpose[i] != p.purpose[j]:
                continue
            if p.passengers[i] + p.passengers[j] > rules.seats[p.classes[i] & p.classes[j]]:
                continue
            follows[i, j] = _overlaps(p, roads, rules, i, j)
            follows[j, i] = _overlaps(p, roads, rules, j, i)
    return follows


@njit(cache=True, nogil=True)
def _start(
    p: Pooled,
    roads: Roads,
    rules: Rules,
    members: Ints,
    calls: Ints,
    place: Ints,
    picked_s: Ints,
    first_s: int,
    last_s: int,
) -> int:
    """Return the start of a whole way that moves nobody far, or NO_START; `picked_s` at the lowest pace."""
    k = len(members)
    even = True
    for x in range(k):
        even &= p.low[members[x]] == p.high[members[x]] == p.low[members[0]]
    best_s, least_s = NO_START, rules.shift_s + 1
    for start_s in range(-(-first_s // rules.step_s) * rules.step_s, last_s + 1, rules.step_s):
        moved_s = 0
        if even:
            for x in range(k):
                at_s = start_s + picked_s[x]
                moved_s = max(moved_s, p.earliest_s[members[x]] - at_s, at_s - p.latest_s[members[x]])
        else:
            moved_s = _moved(p, roads, rules, members, calls, place, start_s)
        if moved_s < least_s:
            best_s, least_s = start_s, moved_s
    return best_s


@njit(cache=True, nogil=True)
def _moved(p: Pooled, roads: Roads, rules: Rules, members: Ints, calls: Ints, place: Ints, start_s: int) -> int:
    """Return how far a start moves a member at most, or more than is allowed where it breaks a rule."""
    k, now_s, most_s = len(members), start_s, 0
    picked_s = np.empty(k, dtype=np.int64)
    for n in range(2 * k):
        if n:
            now_s += _slowed(roads, roads.time_s[place[n - 1], place[n]], now_s)
        m = calls[n] % k
        i = members[m]
        if calls[n] < k:
            picked_s[m] = now_s
            most_s = max(most_s, p.earliest_s[i] - now_s, now_s - p.latest_s[i])
            now_s += p.pick_dwell_s[i]
        else:
            now_s += p.drop_dwell_s[i]
            left_s = picked_s[m] + p.pick_dwell_s[i]
            alone_s = p.pick_dwell_s[i] + _slowed(roads, roads.time_s[p.pick[i], p.drop[i]], left_s) + p.drop_dwell_s[i]
            if now_s - picked_s[m] > max(alone_s, p.duration_s[i]) + rules.detour_s:
                return rules.shift_s + 1
    return most_s


@njit(cache=True, nogil=True)
def _seated(p: Pooled, rules: Rules, members: Ints, calls: Ints) -> bool:
    """Tell whether some vehicle has class and seats for a ride."""
    k, aboard, most, classes = len(members), 0, 0, p.classes[members[0]]
    for call in calls:
        i = members[call % k]
        classes &= p.classes[i]
        aboard += p.passengers[i] if call < k else -p.passengers[i]
        most = max(most, aboard)
    return bool(most <= rules.seats[classes])


@njit(cache=True, nogil=True)
def best_orders(p: Pooled, roads: Roads, rules: Rules, follows: Flags, sets: Ints, orders: Orders) -> Ints:
    """Find the ride of every set (rows of members, ascending): rows (set, order, start_s, saved m) where there is one.

    The way is built call by call, at the lowest pace (`soon_s`, after the dwell) and at the highest (`late_s`), with
    the starts that are left (`first_s` to `last_s`); what cannot be finished is skipped with all that begins alike.
    """
    k, count = sets.shape[1], 0
    rows, members = np.empty((1_024, 4), dtype=np.int64), np.empty(k, dtype=np.int64)
    place, picked_s = np.empty(2 * k, dtype=np.int64), np.empty(k, dtype=np.int64)
    soon_s, late_s = np.zeros(2 * k + 1, dtype=np.int64), np.zeros(2 * k + 1, dtype=np.int64)
    first_s, last_s = np.full(2 * k + 1, NO_START), np.full(2 * k + 1, -NO_START)
    loaded_m = np.zeros(2 * k + 1, dtype=np.int64)
    for q in range(len(sets)):
        direct_m, low, high = 0, NO_PACE, 0
        for x in range(k):
            members[x] = sets[q, x]
            direct_m += p.direct_m[members[x]]
            low, high = min(low, p.low[members[x]]), max(high, p.high[members[x]])
        best, best_s, o, least_m = -1, NO_START, 0, direct_m - rules.saved_m
        while o < len(orders.calls):
            n, possible = orders.same[o], True
            while possible and n < 2 * k:
                m = orders.calls[o, n] % k
                i, picks = members[m], orders.calls[o, n] < k
                for x in range(k * picks):
                    if orders.picks[o, x] < n < orders.drops[o, x] and not follows[members[x], i]:
                        possible = False
                if not possible:
                    break
                here = p.pick[i] if picks else p.drop[i]
                arrive_s, slow_s, metres = soon_s[n], late_s[n], loaded_m[n]
                if n:
                    leg_s = roads.time_s[place[n - 1], here]
                    arrive_s, slow_s = arrive_s + _slow(leg_s, low), slow_s + _slow(leg_s, high)
                    metres += roads.distance_m[place[n - 1], here]
                from_s, to_s = first_s[n], last_s[n]
                if picks:
                    from_s = max(from_s, p.earliest_s[i] - rules.shift_s - slow_s)
                    to_s = min(to_s, p.latest_s[i] + rules.shift_s - arrive_s)
                    picked_s[m] = arrive_s
                    dwell_s = p.pick_dwell_s[i]
                else:
                    dwell_s = p.drop_dwell_s[i]
                    possible = arrive_s + dwell_s - picked_s[m] <= p.longest_s[i] + rules.detour_s
                possible &= -(-from_s // rules.step_s) * rules.step_s <= to_s and metres < least_m
                for x in range(k):
                    if x != m and orders.picks[o, x] < n < orders.drops[o, x]:
                        # Of three, somebody on board is set down no sooner than straight from here.
                        j = members[x]
                        ahead_s = _slow(roads.time_s[here, p.drop[j]], low) if k > 2 else 0
                        ride_s = arrive_s + dwell_s + ahead_s + p.drop_dwell_s[j] - picked_s[x]
                        possible &= ride_s <= p.longest_s[j] + rules.detour_s
                place[n], soon_s[n + 1], late_s[n + 1] = here, arrive_s + dwell_s, slow_s + dwell_s
                first_s[n + 1], last_s[n + 1], loaded_m[n + 1] = from_s, to_s, metres
                n += possible
            if possible:
                start_s = _start(
                    p, roads, rules, members, orders.calls[o], place, picked_s, first_s[2 * k], last_s[2 * k]
                )
                if start_s != NO_START:
                    best, best_s, least_m = o, start_s, loaded_m[2 * k]
                o += 1
            else:
                o = orders.skip[o, n]
        if best >= 0 and _seated(p, rules, members, orders.calls[best]):
            rows = _grown(rows, count)
            rows[count, 0], rows[count, 1], rows[count, 2], rows[count, 3] = q, best, best_s, direct_m - least_m
            count += 1
    return rows[:count]


@njit(cache=True, nogil=True)
def threes(p: Pooled, rules: Rules, follows: Flags, ptr: Ints, near: Ints, from_c: int, to_c: int) -> Ints:
    """List sets of three, ascending, two of them linked to a third between `from_c` and `to_c`.

    ``near[ptr[i]:ptr[i + 1]]`` are those that follow i or that i follows, ascending.
    """
    rows, count = np.empty((1_024, 3), dtype=np.int64), 0
    for c in range(from_c, to_c):
        for x in range(ptr[c], ptr[c + 1]):
            a = near[x]
            for y in range(x + 1, ptr[c + 1]):
                b = near[y]
                linked_too = follows[a, b] or follows[b, a]
                # Three that are linked all round would be met from each of them; two must not both come first.
                if (
                    (a < c)
                    if linked_too
                    else (follows[a, c] and follows[b, c] and not (follows[c, a] or follows[c, b]))
                ):
                    continue
                if rules.seats[p.classes[a] & p.classes[b] & p.classes[c]] >= 0:
                    rows = _grown(rows, count)
                    rows[count, 0], rows[count, 1], rows[count, 2] = min(a, c), min(max(a, c), b), max(b, c)
                    count += 1
    return rows[:count]


@njit(cache=True, nogil=True)
def triangles_hold(time_s: Steps) -> bool:
    """Tell whether no way over a third place is quicker than straight on."""
    n = len(time_s)
    for k in range(n):
        for i in range(n):
            over = time_s[i, k]
            for j in range(n):
                if over + time_s[k, j] < time_s[i, j]:
                    return False
    return True
