"""Beginnings and rests of vehicles' days, matched at least cost."""

from collections.abc import Iterator, Sequence

import numpy as np

from dispatch.gaps import NO, Flags, Ints

NEAR = 16  # rests of days that are matched with every beginning


def cheaper_rests(cost: Ints) -> tuple[list[int], list[list[int]]]:
    """Return for every beginning (row) the rest (column) that goes on with it, and the exchanges of rests that save fen, most first.

    Each exchange is a cycle of beginnings that pass on their rests; cycles do not depend on each other.
    """
    from ortools.graph.python import linear_sum_assignment  # OR-Tools takes long to load

    count = len(cost)
    # Nothing moves for nothing.
    priced = cost + 1 - np.eye(count, dtype=np.int64)
    i, j = np.nonzero(_near(priced - cost.diagonal()) & (cost < NO // 2))
    solver = linear_sum_assignment.SimpleLinearSumAssignment()
    solver.add_arcs_with_cost(i, j, priced[i, j])
    if solver.solve() != solver.OPTIMAL:
        return list(range(count)), []
    rest_of = [solver.right_mate(n) for n in range(count)]
    saved = [(sum(int(cost[n, n] - cost[n, rest_of[n]]) for n in cycle), cycle) for cycle in _cycles(rest_of)]
    return rest_of, [cycle for fen, cycle in sorted(saved, reverse=True) if fen > 0]


def _near(fen: Ints) -> Flags:
    """Mark the cheapest rests for every beginning, and its own."""
    near = np.eye(len(fen), dtype=np.bool_)
    if len(fen) > NEAR:
        np.put_along_axis(near, np.argpartition(fen, NEAR, axis=1)[:, :NEAR], values=True, axis=1)
    else:
        near[:] = True
    return near


def _cycles(mate: Sequence[int]) -> Iterator[list[int]]:
    """Yield the cycles of a permutation that are longer than one."""
    seen: set[int] = set()
    for first in range(len(mate)):
        cycle, n = [], first
        while n not in seen:
            seen.add(n)
            cycle.append(n)
            n = mate[n]
        if len(cycle) > 1:
            yield cycle
