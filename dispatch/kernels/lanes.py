"""What prices a vehicle type (lane) under driver hours and electric range: its arrays, and a bound of its chains.

Compiled loops take their arrays in named tuples.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from dispatch.kernels.sweep import BIG, CLOSED

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Steps = npt.NDArray[np.int32]

FULL = 10**17  # charge of a label that stands at the yard with a full battery
END_S = 3_600  # ends of a day are told apart by the hour
FREE, POOLED, BOUND = 0, 1, 2
READY, LEAVE, SETTLE, SERVE = 0, 1, 2, 3  # kinds of events, in their order at one moment


class Graph(NamedTuple):
    """Nodes and links of a group, by position (see `dispatch.network`)."""

    ptr: Ints
    near_end: Ints
    succ: Steps
    fen: Steps
    link_s: Steps
    link_m: Steps
    pptr: Ints
    pnear_end: Ints
    pred: Steps
    pfen: Steps
    start_s: Ints
    end_s: Ints
    loaded_m: Ints
    lead_idle_s: Ints
    head_s: Ints
    tail_s: Ints
    tail_idle_s: Ints
    sound: npt.NDArray[np.bool_]


class Lane(NamedTuple):
    """What a type makes of the nodes: true prices of ways out and back, moments, its span, order of departures, duty."""

    out_fen: Floats
    back_fen: Floats
    out_s: Steps
    back_s: Steps
    out_m: Steps
    back_m: Steps
    depart_s: Steps
    home_s: Steps
    span: Steps
    rank: Steps
    pos: Steps
    duty: Steps


class Rules(NamedTuple):
    """Figures of a type; `longest_s` is the longest duty (bound) or outing (pooled), without the driver's own ways."""

    mode: int
    bev: int
    several: int  # duties
    stop_s: int
    before_s: int
    after_s: int
    longest_s: int
    drive_max_s: int
    rest_s: int
    full_m: int
    left_m: int
    per_h: int
    permille: int
    apart_s: int  # from the last return of a duty to the first departure of the next
    low_s: int  # the first end of a day
    late_s: int  # who begins this late or later comes home in time


class Prices(NamedTuple):
    """Prices of a round, the master's taken off; chains are wanted that cost less than `least`."""

    cov: Floats
    out: Floats
    back: Floats
    base: float
    least: float


class Ahead(NamedTuple):
    """Least cost from a node to the end of a day by (node, end of the day); `stay` is without it and goes home first."""

    bound: Floats
    stay: Floats


class Store(NamedTuple):
    """Labels (node, slot): `state` is duty begun, run, idle, charge, charge without reserve in 1/1000, came from, end of day."""

    held: Ints
    cost: Floats
    hope: Floats
    state: Ints


class Yard(NamedTuple):
    """Labels at the yard: `state` is duty begun, charge, home, duty, came from, settled."""

    cost: Floats
    hope: Floats
    state: Ints


@njit(cache=True, nogil=True, fastmath=True)
def lower(g: Graph, y: Lane, f: Rules, p: Prices, ahead: Ahead, tree: Floats) -> None:
    """Fill `ahead`; end b of a day is ``low_s + b * END_S``, the last one is never too early."""
    k, ends = ahead.bound.shape
    bound, stay, cov, out, back = ahead.bound, ahead.stay, p.cov, p.out, p.back
    home_s, depart_s, span, succ, fen = y.home_s, y.depart_s, y.span, g.succ, g.fen
    tree[:] = BIG
    for i in range(k - 1, -1, -1):
        stay[i, :] = BIG
        if cov[i] >= CLOSED:
            bound[i, :] = BIG
            continue
        for b in range(ends):
            bound[i, b] = back[i] if b == ends - 1 or home_s[i] <= f.low_s + b * END_S else BIG
        for a in range(g.ptr[i], g.ptr[i + 1]):
            j, c = succ[a], fen[a]
            if span[i] == span[j] and (a < g.near_end[i] or home_s[i] + f.stop_s > depart_s[j]):
                for b in range(ends):
                    bound[i, b] = min(bound[i, b], c + bound[j, b])
        q = k - y.pos[i]
        while q > 0:
            for b in range(ends):
                stay[i, b] = min(stay[i, b], tree[q, b] + back[i])
            q -= q & -q
        for b in range(ends):
            bound[i, b] = min(bound[i, b], stay[i, b]) + cov[i]
        q = k - y.rank[i]
        while q <= k:
            for b in range(ends):
                tree[q, b] = min(tree[q, b], out[i] + bound[i, b])
            q += q & -q


@njit(cache=True, nogil=True)
def trace(order: Ints, slot: Ints, s: Store, share: int, times: Ints, covers: Steps, ends: Ints, found: Ints) -> int:
    """Read off the chains that end with the nodes of `order` while their requests are in few of them; return how many."""
    limit, path = s.cost.shape[1], np.empty(len(slot), np.int64)
    chains = pos = 0
    for i in order:
        if chains >= len(ends):
            break
        size, ok, at = 0, True, i * limit + slot[i]
        while at >= 0:
            j = at // limit
            path[size] = j
            size += 1
            for c in range(3):
                r = covers[j, c]
                if r >= 0 and times[r] >= share:
                    ok = False
            at = s.state[j, at % limit, 5]
        if not ok or pos + size > len(found):
            continue
        for u in range(size):
            j = path[size - 1 - u]
            found[pos + u] = j
            for c in range(3):
                if covers[j, c] >= 0:
                    times[covers[j, c]] += 1
        pos += size
        ends[chains] = pos
        chains += 1
    return chains
