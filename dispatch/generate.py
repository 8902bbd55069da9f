"""Column generation: a master grows by the chains its prices ask for, proves a bound, and is rounded to a plan by diving.

For any prices, the cheapest chains give a lower bound of every plan (Lagrange). Prices are smoothed between the best so
far and the newest (Wentges, doi:10.1016/S0969-6016(97)00001-4); of the chains found in a round few may share a request,
which keeps the master small.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dispatch.limits import Limits, limits_of
from dispatch.master import LEAVE, Column, Duals, Master, priced_else
from dispatch.network import Mask, Network
from dispatch.pricing import Pricing, Swept
from dispatch.problem import Floats, Ints

MOST_FEN = 10**7
STALL = 5  # rounds
EXACT_SMOOTH = 0.3  # prices are nearly right by then, and a look is dear
HURRY = 0.2  # share of a dive's time in which nothing grows any more
LEVEL = 0.2  # of the time left, what one level of a dive may take
SOON_S = 0.05  # that the programme of a level may always take
WHOLE, LITTLE = 0.99, 1e-3  # of a chain or a request: what counts as settled, and as nothing
FIRST = 0.35  # of what leaving a request costs is its first price


Deadline = Callable[[], float]  # seconds left


@dataclass(frozen=True, slots=True)
class Way:
    """How columns are added: until the master is this close; prices start at this weight of the best so far and climb.

    Of the `steps` of a climb every so many add chains, of which `share` may cover one request.
    """

    close: float
    smooth: float = 0.8
    steps: int = 2
    every: int = 1
    share: int = 4
    rounds: int = 1_000
    exactly: bool = True  # go on with nearly all labels where few find nothing more


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to try; the defaults were measured on days of 500 to 2,000 requests."""

    growing: Way = Way(2e-3)
    climbing: Way = Way(0, steps=30, every=30)
    diving: Way = Way(4e-4, 0.5, 1, 1, 4, 25, exactly=False)
    few: float = 0.06  # of the open requests, a quarter of this share of chains is settled though not whole
    whole: float = 0.6  # a chain this full may be settled
    keep: float = 0.2  # the same for columns that stay in the dive


@dataclass(frozen=True, slots=True)
class Solved:
    """A master's solution, apart from the master: columns by number with their values, and how much is left of requests."""

    open: Ints
    caps: Ints
    used: Floats
    columns: tuple[int, ...]
    values: Floats
    left: Floats
    duals: Duals

    @staticmethod
    def of(master: Master, duals: Duals) -> "Solved":
        """Read the solution off a master that was just solved."""
        return Solved(
            master.open, master.caps, master.used, tuple(master.columns), master.values(), master.left(), duals
        )


class Generator:
    """Columns of one network, known by (type, nodes)."""

    def __init__(self, network: Network, effort: Effort, pricing: Pricing | None = None) -> None:
        self.network, self.problem, self.effort = network, network.problem, effort
        self.pricing = pricing or Pricing(network, limits_of(self.problem))
        self.limits: Limits = self.pricing.limits
        self.columns: list[Column] = []
        self.number_of: dict[tuple[int, tuple[int, ...]], int] = {}
        self.caps = np.array([len(m) for m in self.problem.members], dtype=np.int64)

    def column(self, t: int, nodes: tuple[int, ...]) -> int | None:
        """Return the number of a chain's column, made if new; None where the chain is not allowed."""
        key = (t, nodes)
        if key not in self.number_of:
            made = self.pricing.column(t, nodes)
            if made is None:
                return None
            self.number_of[key] = len(self.columns)
            self.columns.append(made)
        return self.number_of[key]

    def lagrange(self, master: Master, duals: Duals, least: Floats) -> float:
        """Return the bound that prices prove."""
        return master.constant(duals) + float(((duals.fleet + least) * master.caps).sum())

    def climb(
        self, master: Master, duals: Duals, open_: Mask, way: Way, how: str = "relaxed"
    ) -> tuple[Duals, float, int]:
        """Move prices of requests towards what the cheapest chain through each would bear; add chains on the way.

        Each request moves by a share of its least reduced cost, for the other requests of that chain move as well; under
        driver hours and range (`how` not "relaxed") prices stay, as only the chains are known there. Returns
        the prices with the best bound, that bound, and the number of chains added.
        """
        dear = np.minimum(self.problem.else_fen, MOST_FEN).astype(np.float64)
        best, best_duals, added = -math.inf, duals, 0
        labelled = how != "relaxed" and bool(self.pricing.duties)
        for step in range(1 if labelled else way.steps):
            swept = self.pricing.sweep(duals, open_, master.caps, how)
            proven = self.lagrange(master, duals, self.pricing.least(swept))
            if proven > best:
                best, best_duals = proven, duals
            if way.every and step % way.every == 0:
                added += self.add(master, self.pricing.chains(swept, way.share))
            if labelled:
                break
            through = self.through(swept)
            price = np.clip(duals.request + np.where(through < 0, through / 3, through / 4), 0, dear)
            duals = Duals(price, duals.fleet, duals.limit)
        return best_duals, best, added

    def through(self, swept: Sequence[Swept]) -> Floats:
        """Return per request the least reduced cost of a chain that covers it."""
        least = np.full(len(self.problem.else_fen) + 1, 1e7)
        for s in swept:
            covers = self.network.nodes.covers[s.group.nodes]
            by_node = s.through.min(axis=1)
            for c in range(3):
                np.minimum.at(least, covers[:, c], by_node)
        return least[:-1]

    def grow(self, master: Master, open_: Mask, center: Duals, way: Way, until: Deadline) -> tuple[float, Duals, Duals]:
        """Add columns until the master is close to its bound, or rounds or time end.

        Returns the bound, its prices, and the newest prices of the master.
        """
        bound, newest, how = -math.inf, center, "quick"
        values: list[float] = []
        for n in range(way.rounds):
            solved = master.solve(until())
            if solved is None:
                break
            value, newest = solved
            added = 0
            # Smoothed prices give good chains; where they ask for nothing new, the newest have the last word.
            smooth = way.smooth if how == "quick" else min(way.smooth, EXACT_SMOOTH)
            for weight in (0.0,) if n == 0 else (smooth, 0.0):
                if n and weight == 0.0 and added:
                    break
                start = center if n == 0 else center.mixed(newest, weight)
                duals, proven, more = self.climb(master, start, open_, way, how)
                added += more
                if proven > bound:
                    bound, center = proven, duals
            if value - bound <= way.close * abs(value) or until() <= 0:
                break
            values.append(value)
            # With few labels the bound says little: the master's own progress tells when to look more closely.
            stalled = (
                how == "quick"
                and bool(self.pricing.duties)
                and n > STALL
                and values[-STALL] - value < way.close / 2 * value
            )
            if n and (not added or stalled):
                if how == "exact" or not way.exactly or not self.pricing.duties:
                    break
                how = "exact"
        return bound, center, newest

    def add(self, master: Master, chains: Iterable[tuple[int, tuple[int, ...]]]) -> int:
        """Add chains to a master; return how many were new to it."""
        numbers = (self.column(t, nodes) for t, nodes in chains)
        return sum(master.add(q, self.columns[q]) for q in numbers if q is not None)

    def copy(self) -> "Generator":
        """Return a generator that knows the same columns and learns others on its own."""
        other = Generator(self.network, self.effort, self.pricing)
        other.columns, other.number_of = self.columns.copy(), self.number_of.copy()
        return other

    def dive(self, found: Solved, center: Duals, until: Deadline) -> list[int]:
        """Round a master's solution: settle what is whole or nearly so, let the rest grow anew, and so on.

        Columns that lost requests to settled ones are trimmed to what is left of them: without that a dive ends more than
        1 % dearer. When time runs short more is settled at once and nothing grows. Returns the settled columns.
        """
        open_, caps, used = np.zeros(len(self.problem.else_fen), dtype=np.bool_), found.caps.copy(), found.used.copy()
        open_[found.open] = True
        taken: list[int] = []
        begun_s = left_s = until()
        share = self.effort.few
        while open_.any():
            settled = self._settle(found, open_, caps, share)
            for q in settled:
                column = self.columns[q]
                open_[list(column.covers)] = False
                caps[column.type] -= 1
                for row, coefficient in column.limits:
                    used[row] += coefficient
            taken += settled
            if share >= 1 or (not settled and not self._leave(found, open_)):
                break
            if until() <= 0:
                share = 1.0  # the last of it is settled as it stands
                continue
            master = Master(self.problem, self.limits, np.flatnonzero(open_), caps.copy(), used.copy(), found.duals)
            for q, value in self._trimmed(found, open_, caps):
                master.add(q, self.columns[q], value)
            if until() > HURRY * begun_s:
                rest_s = until() * (1 - LEVEL)
                _, center, _ = self.grow(master, open_, center, self.effort.diving, _less(until, rest_s))
            solved = master.solve(max(until(), SOON_S))
            if solved is None:
                break
            found = Solved.of(master, solved[1])
            # As many levels as there is time for: each settles its share of what is open.
            spent_s, left_s = left_s - until(), until()
            share = max(self.effort.few, min(1.0, spent_s / max(left_s, 1e-3)))
        return taken

    def _settle(self, found: Solved, open_: Mask, caps: Ints, share: float) -> list[int]:
        """Choose columns to settle: all whole ones, and some of the fullest; the larger the share the less full ones."""
        values = found.values
        few, least = max(1, int(share * open_.sum() / 4)), self.effort.whole * (1 - share)
        free, left = open_.copy(), caps.copy()
        settled: list[int] = []
        parts = 0
        for k in np.argsort(-values, kind="stable").tolist():
            full = values[k] > WHOLE
            if values[k] < LITTLE or (not full and share < 1 and (parts >= few or (values[k] < least and settled))):
                break
            column = self.columns[found.columns[k]]
            covers = list(column.covers)
            if free[covers].all() and left[column.type] > 0:
                free[covers] = False
                left[column.type] -= 1
                settled.append(found.columns[k])
                parts += not full
        return settled

    def _leave(self, found: Solved, open_: Mask) -> bool:
        """Give up requests the master leaves; return whether there were any."""
        gone = [r for r, value in zip(found.open.tolist(), found.left, strict=True) if open_[r] and value > LITTLE]
        open_[gone] = False
        return bool(gone)

    def _trimmed(self, found: Solved, open_: Mask, caps: Ints) -> list[tuple[int, float]]:
        """Return columns for the requests still open with their values: cheap ones, without what is settled."""
        kept: list[tuple[int, float]] = []
        most = self.effort.keep * float(found.duals.request.sum()) / len(found.open)
        covers_of = self.network.nodes.covers
        for q, value in zip(found.columns, found.values.tolist(), strict=True):
            column = self.columns[q]
            if caps[column.type] <= 0:
                continue
            if reduced(column, found.duals) > most:
                continue
            if open_[list(column.covers)].all():
                kept.append((q, value))
                continue
            rest = tuple(n for n in column.nodes if all(open_[r] for r in covers_of[n].tolist() if r >= 0))
            trimmed = self.column(column.type, rest) if rest else None
            if trimmed is not None:
                kept.append((trimmed, value))
        return kept


def _less(until: Deadline, rest_s: float) -> Deadline:
    """Return a deadline some time before another."""
    return lambda: until() - rest_s


def reduced(column: Column, duals: Duals) -> float:
    """Return the reduced cost of a column."""
    cost = float(column.fen - duals.fleet[column.type] - duals.request[list(column.covers)].sum())
    return cost - sum(float(duals.limit[row]) * coefficient for row, coefficient in column.limits)


@dataclass(frozen=True, slots=True)
class Grown:
    """What growing left: the columns, their master, the prices of the best bound, and that bound."""

    generator: Generator
    master: Master
    center: Duals
    bound: float


def grown(
    network: Network,
    rows: Ints,
    caps: Ints,
    effort: Effort,
    until: Deadline,
    *,
    first: Iterable[tuple[int, tuple[int, ...]]] = (),
) -> Grown:
    """Grow a master over some requests, with `first` chains to begin with: prices climb first, then columns are added."""
    generator = Generator(network, effort)
    none = np.zeros(generator.limits.size)
    open_ = np.zeros(len(network.problem.else_fen), dtype=np.bool_)
    open_[rows] = True
    dear = np.minimum(network.problem.else_fen, min(MOST_FEN, priced_else(network.problem) / LEAVE))
    duals = Duals(dear * FIRST * open_, np.zeros(len(caps)), none)
    master = Master(network.problem, generator.limits, rows, caps, none, duals)
    generator.add(master, first)
    duals, bound, _ = generator.climb(master, duals, open_, effort.climbing)
    if until() > 0:
        proven, center, _ = generator.grow(master, open_, duals, effort.growing, until)
        if proven > bound:
            bound, duals = proven, center
    return Grown(generator, master, duals, bound)
