"""Before and after label setting: a lower bound of every end of a day, and reading chains off the labels."""

import numpy as np
import numpy.typing as npt
from numba import njit

from dispatch.kernels.sweep import BIG, CLOSED

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Steps = npt.NDArray[np.int32]


@njit(cache=True, nogil=True, fastmath=True)
def lower(
    ptr: Ints,
    near_end: Ints,
    succ: Steps,
    fen: Floats,
    cov: Floats,
    out: Floats,
    back: Floats,
    depart_s: Steps,
    home_s: Steps,
    stop_s: int,
    rank: Steps,
    pos: Steps,
    ends_s: Ints,
    bound: Floats,
    tree: Floats,
) -> None:
    """Fill ``bound[i, b]``: least cost from a node to the end of a day that ends at ``ends_s[b]`` at the latest."""
    k, b_count = len(cov), len(ends_s)
    tree[: k + 1] = BIG
    for i in range(k - 1, -1, -1):
        if cov[i] >= CLOSED:
            bound[i, :] = BIG
            continue
        for b in range(b_count):
            bound[i, b] = back[i] if home_s[i] <= ends_s[b] else BIG
        for p in range(ptr[i], ptr[i + 1]):
            j, c = succ[p], fen[p]
            if p < near_end[i] or home_s[i] + stop_s > depart_s[j]:
                for b in range(b_count):
                    t = c + bound[j, b]
                    bound[i, b] = min(bound[i, b], t)
        q = k - pos[i]
        while q > 0:
            for b in range(b_count):
                t = tree[q, b] + back[i]
                bound[i, b] = min(bound[i, b], t)
            q -= q & -q
        for b in range(b_count):
            bound[i, b] += cov[i]
        q = k - rank[i]
        while q <= k:
            for b in range(b_count):
                t = out[i] + bound[i, b]
                tree[q, b] = min(tree[q, b], t)
            q += q & -q


@njit(cache=True, nogil=True)
def trace(
    order: Ints,
    final: Floats,
    final_slot: Ints,
    whole: Ints,
    limit: int,
    least: float,
    share: int,
    times: Ints,
    covers: Steps,
    most: int,
    ends: Ints,
    found: Ints,
) -> int:
    """Read off the cheapest chains while their requests are in few of them; return how many."""
    path = np.empty(len(final), np.int64)
    chains = pos = 0
    for n in range(len(order)):
        i = order[n]
        if chains >= most or final[i] >= least:
            break
        size, ok, at = 0, True, i * limit + final_slot[i]
        while at >= 0:
            j = at // limit
            path[size] = j
            size += 1
            for c in range(3):
                r = covers[j, c]
                if r >= 0 and times[r] >= share:
                    ok = False
            at = whole[j, at % limit, 5]
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
