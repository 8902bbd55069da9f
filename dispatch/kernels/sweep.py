"""Cheapest chains through every node for many vehicle types at once: two passes over a graph in order of time.

Arrays are (nodes, lanes), a lane is a vehicle type. Costs are float64 fen with prices of the master taken off. Driver hours and
range are left out, so a chain here is never dearer than the true one. Between two nodes a lane goes straight along an
arc, or home and out again: all ways by the yard are one look-up of the least cost so far (a Fenwick tree of minima).
"""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Steps = npt.NDArray[np.int32]

CLOSED = 1e10  # a node that costs this much or more is not for this lane
BIG = 1e11


@njit(cache=True, nogil=True, fastmath=True)
def backward(
    ptr: Ints,
    near_end: Ints,
    succ: Steps,
    fen: Steps,
    cov: Floats,
    shut: Steps,
    out: Floats,
    back: Floats,
    depart_s: Steps,
    home_s: Steps,
    stop_s: int,
    depart_rank: Steps,
    home_pos: Steps,
    span: Steps,
    several: bool,
    ahead: Floats,
    after: Steps,
) -> None:
    """Fill `ahead`: least cost from a node (its own included) to the end of the day, and `after`: the next node or -1."""
    k, m = cov.shape
    tree, arg = np.full((k + 1, m), BIG), np.full((k + 1, m), -1, np.int32)
    for i in range(k - 1, -1, -1):
        if shut[i]:
            for y in range(m):
                ahead[i, y], after[i, y] = BIG, -1
            continue
        for y in range(m):
            ahead[i, y], after[i, y] = back[i, y], -1
        if not several:
            for p in range(ptr[i], near_end[i]):
                j, c = succ[p], fen[p]
                for y in range(m):
                    t = c + ahead[j, y]
                    if t < ahead[i, y]:
                        ahead[i, y], after[i, y] = t, j
            for p in range(near_end[i], ptr[i + 1]):
                j, c = succ[p], fen[p]
                for y in range(m):
                    t = c + ahead[j, y]
                    if t < ahead[i, y] and home_s[i, y] + stop_s > depart_s[j, y]:
                        ahead[i, y], after[i, y] = t, j
        else:
            for p in range(ptr[i], ptr[i + 1]):
                j, c, near = succ[p], fen[p], p < near_end[i]
                for y in range(m):
                    t = c + ahead[j, y]
                    if (
                        t < ahead[i, y]
                        and span[i, y] == span[j, y]
                        and (near or home_s[i, y] + stop_s > depart_s[j, y])
                    ):
                        ahead[i, y], after[i, y] = t, j
        for y in range(m):
            q = k - home_pos[i, y]  # departures are kept from the last to the first
            best, who = BIG, np.int32(-1)
            while q > 0:
                if tree[q, y] < best:
                    best, who = tree[q, y], arg[q, y]
                q -= q & -q
            t = best + back[i, y]
            if t < ahead[i, y]:
                ahead[i, y], after[i, y] = t, who
            ahead[i, y] += cov[i, y]
            t = out[i, y] + ahead[i, y]
            q = k - depart_rank[i, y]
            while q <= k and t < BIG:
                if t < tree[q, y]:
                    tree[q, y], arg[q, y] = t, i
                q += q & -q


@njit(cache=True, nogil=True, fastmath=True)
def forward(
    pptr: Ints,
    pnear_end: Ints,
    pred: Steps,
    pfen: Steps,
    cov: Floats,
    shut: Steps,
    out: Floats,
    back: Floats,
    depart_s: Steps,
    home_s: Steps,
    stop_s: int,
    home_rank: Steps,
    depart_pos: Steps,
    span: Steps,
    several: bool,
    past: Floats,
    before: Steps,
) -> None:
    """Fill `past`: least cost from the yard to the end of a node (its own included), and `before`: the node before or -1."""
    k, m = cov.shape
    tree, arg = np.full((k + 1, m), BIG), np.full((k + 1, m), -1, np.int32)
    for j in range(k):
        if shut[j]:
            for y in range(m):
                past[j, y], before[j, y] = BIG, -1
            continue
        for y in range(m):
            past[j, y], before[j, y] = out[j, y], -1
        if not several:
            for p in range(pptr[j], pnear_end[j]):
                i, c = pred[p], pfen[p]
                for y in range(m):
                    t = past[i, y] + c
                    if t < past[j, y]:
                        past[j, y], before[j, y] = t, i
            for p in range(pnear_end[j], pptr[j + 1]):
                i, c = pred[p], pfen[p]
                for y in range(m):
                    t = past[i, y] + c
                    if t < past[j, y] and home_s[i, y] + stop_s > depart_s[j, y]:
                        past[j, y], before[j, y] = t, i
        else:
            for p in range(pptr[j], pptr[j + 1]):
                i, c, near = pred[p], pfen[p], p < pnear_end[j]
                for y in range(m):
                    t = past[i, y] + c
                    if t < past[j, y] and span[i, y] == span[j, y] and (near or home_s[i, y] + stop_s > depart_s[j, y]):
                        past[j, y], before[j, y] = t, i
        for y in range(m):
            q = depart_pos[j, y]
            best, who = BIG, np.int32(-1)
            while q > 0:
                if tree[q, y] < best:
                    best, who = tree[q, y], arg[q, y]
                q -= q & -q
            t = best + out[j, y]
            if t < past[j, y]:
                past[j, y], before[j, y] = t, who
            past[j, y] += cov[j, y]
            t = past[j, y] + back[j, y]
            q = home_rank[j, y] + 1
            while q <= k and t < BIG:
                if t < tree[q, y]:
                    tree[q, y], arg[q, y] = t, j
                q += q & -q


@njit(cache=True, nogil=True)
def extract(
    through: Floats,
    order: Ints,
    before: Steps,
    after: Steps,
    covers: Steps,
    times: Ints,
    share: int,
    most: int,
    lanes: Ints,
    ends: Ints,
    found: Ints,
) -> int:
    """Read off the cheapest chain through each node of `order` while its requests are in few chains of this round.

    `covers` (k, 3) names the requests of a node, `times` counts chains per request over the round. Returns the number of
    chains; chain q has lane ``lanes[q]`` and the nodes ``found[ends[q - 1]:ends[q]]``.
    """
    k, m = through.shape
    skip, path = np.zeros(k, np.bool_), np.empty(k, np.int64)
    count = pos = 0
    for q in range(len(order)):
        middle = order[q]
        if count >= most or pos + k >= len(found):
            break
        if skip[middle]:
            continue
        y = 0
        for b in range(m):
            if through[middle, b] < through[middle, y]:
                y = b
        a, size, ok = middle, 0, True
        while before[a, y] >= 0:
            a = before[a, y]
        while a >= 0 and ok:
            path[size] = a
            size += 1
            for c in range(3):
                r = covers[a, c]
                if r >= 0 and times[r] >= share:
                    ok = False
            a = after[a, y]
        if not ok:
            continue
        for u in range(size):
            for c in range(3):
                r = covers[path[u], c]
                if r >= 0:
                    times[r] += 1
        for u in range(size):
            skip[path[u]] |= abs(through[path[u], y] - through[middle, y]) < 1e-6
            found[pos + u] = path[u]
        pos += size
        lanes[count], ends[count] = y, pos
        count += 1
    return count


@njit(cache=True, nogil=True)
def chain_fen(
    path: Ints,
    y: int,
    ptr: Ints,
    near_end: Ints,
    succ: Steps,
    fen: Steps,
    serve: Floats,
    out: Floats,
    back: Floats,
    depart_s: Steps,
    home_s: Steps,
    stop_s: int,
    span: Steps,
    several: bool,
) -> float:
    """Price a chain of one lane without its day, or return -1 where it cannot be driven; driver hours and range aside."""
    cost = out[path[0], y] + back[path[-1], y]
    for u in range(len(path)):
        j = path[u]
        cost += serve[j, y]
        if u == 0:
            continue
        i = path[u - 1]
        way, near = BIG, False
        for low, high, close in ((ptr[i], near_end[i], True), (near_end[i], ptr[i + 1], False)):
            p = low + np.searchsorted(succ[low:high], j)
            if p < high and succ[p] == j:
                way, near = fen[p], close
        if several and span[i, y] != span[j, y]:
            way = BIG
        if home_s[i, y] + stop_s <= depart_s[j, y]:
            home = back[i, y] + out[j, y]
            if not near or home < way:
                way = home
        cost += way
    return cost if cost < CLOSED else -1.0


@njit(cache=True, nogil=True)
def mark_useful(
    rows: Ints,
    cols: Ints,
    wait_s: Ints,
    most_wait_s: int,
    bev: bool,
    serve: Floats,
    depart_s: Steps,
    home_s: Steps,
    stop_s: int,
    near: npt.NDArray[np.bool_],
    useful: npt.NDArray[np.bool_],
) -> None:
    """Tell for each possible link whether it waits little, and whether any lane would drive it rather than go home."""
    m = serve.shape[1]
    for p in range(len(rows)):
        i, j = rows[p], cols[p]
        near[p] = wait_s[p] <= most_wait_s and not bev
        useful[p] = near[p]
        y = 0
        while not useful[p] and y < m:
            fits = home_s[i, y] + stop_s <= depart_s[j, y]
            useful[p] = not fits and serve[i, y] < CLOSED and serve[j, y] < CLOSED
            y += 1
