"""The linear master programme of column generation, kept warm between rounds.

Choose chains so that every open request is covered or left at its price, with no more chains per type than vehicles, and
within the rows of `limits` (Dantzig-Wolfe form of the multi-depot vehicle scheduling problem; Ribeiro and Soumis,
doi:10.1287/opre.42.1.41). It is solved to some 1e-4 only: bounds hold for any prices, and a dive rounds anyway.
"""

from dataclasses import dataclass

import numpy as np

from dispatch.kernels.relaxed import Programme, steps
from dispatch.limits import Limits
from dispatch.problem import NEVER, Floats, Ints, Problem

LOCKED_FEN = 10**9  # price of leaving a locked request in the bound: never worth it
LEAVE = 5.0  # times the dearest other request is that price in the programme
STEPS, EVERY, CLOSE = 1_500, 100, 2e-4


@dataclass(frozen=True, slots=True)
class Column:
    """A chain of one type: nodes in order, the requests they cover, its price, its coefficients in rows of limits."""

    type: int
    nodes: tuple[int, ...]
    covers: tuple[int, ...]
    fen: int
    limits: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Duals:
    """Prices of the master: per request, per type (<= 0), per row of limits."""

    request: Floats
    fleet: Floats
    limit: Floats

    def mixed(self, other: "Duals", weight: float) -> "Duals":
        """Return weight x self + (1 - weight) x other."""
        rest = 1 - weight
        return Duals(
            weight * self.request + rest * other.request,
            weight * self.fleet + rest * other.fleet,
            weight * self.limit + rest * other.limit,
        )


def priced_else(problem: Problem) -> float:
    """Return a price at which nobody leaves a locked request; a higher one would only unsettle all others."""
    free = problem.else_fen[problem.else_fen < NEVER]
    return LEAVE * float(min(free.max(), LOCKED_FEN)) if len(free) else float(LOCKED_FEN)


class Master:
    """The programme over the open requests, with `caps` vehicles left per type and `used` of each row of limits gone.

    Rows are the open requests, types, limits; columns are leaving each request, what shares exceed, then chains.
    """

    def __init__(  # noqa: PLR0917
        self, problem: Problem, limits: Limits, open_: Ints, caps: Ints, used: Floats, prices: Duals
    ) -> None:
        self.problem, self.limits, self.open, self.caps, self.used = problem, limits, open_, caps, used
        self.else_fen = np.minimum(problem.else_fen, LOCKED_FEN).astype(np.float64)
        self.row_of = np.full(len(self.else_fen), -1, dtype=np.int64)
        self.row_of[open_] = np.arange(len(open_))
        self._bounds()
        self.prices = np.concatenate([prices.request[open_], prices.fleet, prices.limit])
        # Money in units of a usual price of a request, so that both sides move alike.
        self.unit_fen = max(1.0, float(np.median(prices.request[open_]))) if len(open_) else 1.0
        self.weight = 1.0
        self.columns: list[int] = []
        self.known: set[int] = set()
        self.size, self.entries = 0, 0
        self.ptr, self.fen, self.x = np.zeros(1_025, dtype=np.int64), np.empty(1_024), np.empty(1_024)
        self.rows, self.coefficients = np.empty(8_192, dtype=np.int64), np.empty(8_192)
        first = len(open_) + len(caps)
        leave_fen = np.minimum(self.else_fen, priced_else(problem))
        for r in open_.tolist():
            rows = [(int(self.row_of[r]), 1.0), *((first + row, c) for row, c in limits.of_leaving(r))]
            self._append(float(leave_fen[r]), rows, 0.0)
        for share in limits.shares:
            for sign in (1.0, -1.0):
                self._append(float(share.fen), [(first + share.row, sign)], 0.0)
        self.fixed = self.size

    def _bounds(self) -> None:
        """Set what each row must be within."""
        kept = self.problem.else_fen[self.open] >= NEVER
        low, high = np.full(self.limits.size, -np.inf), np.full(self.limits.size, np.inf)
        for count in self.limits.counts:
            at = slice(count.first_row, count.first_row + len(count.most))
            high[at] = np.maximum(0, np.array(count.most) - self.used[at])
        for share in self.limits.shares:
            low[share.row], high[share.row] = share.low - self.used[share.row], share.high - self.used[share.row]
        self.low_limit, self.high_limit = low, high
        self.low = np.concatenate([np.ones(len(self.open)), np.full(len(self.caps), -np.inf), low])
        self.high = np.concatenate([np.where(kept, 1.0, np.inf), self.caps.astype(np.float64), high])

    def _append(self, fen: float, entries: list[tuple[int, float]], value: float) -> None:
        if self.size == len(self.fen):
            self.ptr, self.fen, self.x = (np.concatenate([a, np.empty_like(a)]) for a in (self.ptr, self.fen, self.x))
        while self.entries + len(entries) > len(self.rows):
            self.rows, self.coefficients = (
                np.concatenate([a, np.empty_like(a)]) for a in (self.rows, self.coefficients)
            )
        self.fen[self.size], self.x[self.size] = fen, value
        for row, coefficient in entries:
            self.rows[self.entries], self.coefficients[self.entries] = row, coefficient
            self.entries += 1
        self.size += 1
        self.ptr[self.size] = self.entries

    def add(self, number: int, column: Column, value: float = 0.0) -> bool:
        """Add a column under its number, to begin with at a value, unless it is there."""
        if number in self.known:
            return False
        self.known.add(number)
        fleet = len(self.open)
        rows = [(int(row), 1.0) for row in self.row_of[list(column.covers)]]
        rows.append((fleet + column.type, 1.0))
        rows += [(fleet + len(self.caps) + row, c) for row, c in column.limits]
        self._append(float(column.fen), rows, value)
        self.columns.append(number)
        return True

    def solve(self, left_s: float) -> tuple[float, Duals] | None:
        """Return value and prices; None if late."""
        if left_s <= 0:
            return None
        at = slice(0, self.size)
        programme = Programme(
            self.ptr[: self.size + 1], self.rows[: self.entries], self.coefficients[: self.entries],
            self.fen[at] / self.unit_fen, self.low, self.high,
        )  # fmt: skip
        y = self.prices / self.unit_fen
        self.weight, value = steps(programme, self.x[at], y, self.weight, STEPS, EVERY, CLOSE)
        self.prices = y * self.unit_fen
        n, fleet = len(self.open), len(self.open) + len(self.caps)
        request = np.zeros(len(self.else_fen))
        request[self.open] = np.minimum(self.prices[:n], self.else_fen[self.open])
        duals = Duals(request, np.minimum(self.prices[n:fleet], 0.0), self.clipped(self.prices[fleet:]))
        return value * self.unit_fen, duals

    def values(self) -> Floats:
        """Return how much of each chain is chosen, in the order they were added."""
        return self.x[self.fixed : self.size].copy()

    def left(self) -> Floats:
        """Return how much of each open request is left."""
        return self.x[: len(self.open)].copy()

    def clipped(self, limit: Floats) -> Floats:
        """Keep prices of limit rows within what makes the bound finite."""
        out = np.minimum(limit, 0.0)
        for share in self.limits.shares:
            out[share.row] = min(max(limit[share.row], -share.fen), share.fen)
        return out

    def constant(self, duals: Duals) -> float:
        """Return the part of the Lagrangian bound that does not depend on chains; leaving a request is in it.

        With prices y of requests, leaving costs ``min(0, else - y - rows)`` at best; fleets count with their chains.
        """
        rows = 0.0
        for n, price in enumerate(duals.limit.tolist()):
            if price:
                rows += price * (self.high_limit[n] if price < 0 else self.low_limit[n])
        leave = self.else_fen[self.open] - duals.request[self.open]
        for share in self.limits.shares:
            inside = np.array([r in share.left for r in self.open.tolist()], dtype=np.bool_)
            leave[inside] -= duals.limit[share.row]
        return float(duals.request[self.open].sum() + rows + np.minimum(leave, 0.0).sum())
