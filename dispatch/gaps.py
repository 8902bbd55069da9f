"""Where a new task fits between those of all vehicles, and which rests of days to exchange: estimates over arrays.

Gap k of a vehicle lies before its task k, the last one before the way home. Estimates are in fen; what they leave out
(range, drivers, reserves, availability, bands) is for the judge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dispatch.model import Instance, Vehicle
from dispatch.params import Params
from dispatch.roads import Roads
from dispatch.route import Task
from dispatch.tariff import drive_fen, km_rate, upgrade_fen, wait_fen

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NOWHERE = -1  # instead of a place: the vehicle is at its yard
FAR_S = 10**9  # beyond every moment
NO = 10**13  # fen: cannot be
ROWS = 64  # of a matrix in work at once, few enough for the cache


@dataclass(frozen=True, slots=True)
class Wanted:
    """A new task as gaps see it: places by number, length, window and grid of its start, and its price per vehicle."""

    first: int
    last: int
    busy_s: int
    earliest_s: int
    latest_s: int
    step_s: int
    serve_fen: Ints
    suits: Flags

    def start_after(self, ready_s: Ints) -> Ints:
        """Return the earliest start on the grid that is not before a moment, FAR_S where none is."""
        late_s = np.maximum(ready_s - self.earliest_s, 0)
        on_grid = self.earliest_s + -(-late_s // self.step_s) * self.step_s
        return np.where(ready_s > self.latest_s, FAR_S, np.minimum(on_grid, self.latest_s))

    def start_before(self, end_s: Ints) -> Ints:
        """Return the latest start on the grid that ends by a moment; it may lie before the window."""
        last_s = end_s - self.busy_s
        on_grid = self.earliest_s + (last_s - self.earliest_s) // self.step_s * self.step_s
        return np.where(last_s >= self.latest_s, self.latest_s, on_grid)


@dataclass(frozen=True, slots=True)
class Spot:
    """A vehicle could serve a task from `start_s` on in gap `gap`, and then do the rest of the day of `rest_of`.

    Where it takes the place of the task behind the gap, `ousted_fen` is what serving that one cost, without the ways to it.
    """

    fen: int
    vehicle: int
    gap: int
    start_s: int
    rest_of: int
    ousted_fen: int = 0


class Gaps:
    """All vehicles' days as arrays: a row for each vehicle, a column for each gap."""

    def __init__(self, instance: Instance, params: Params, roads: Roads, now_s: int | None) -> None:
        vehicles = instance.vehicles
        self.params, self.roads, self.now_s = params, roads, -FAR_S if now_s is None else now_s
        self.before_s, self.after_s, self.paces = instance.before_s, instance.after_s, instance.travel.paces
        self.yard: Ints = np.array([roads.index[v.yard] for v in vehicles], dtype=np.int64)
        self.yards, self.yard_no = np.unique(self.yard, return_inverse=True)
        self.rate: Ints = np.array([km_rate(params, v) for v in vehicles], dtype=np.int64)
        self.day_fen: Ints = np.array([params.day_fen[v.vehicle_class] for v in vehicles], dtype=np.int64)
        self.bev: Flags = np.array([v.energy == "bev" for v in vehicles], dtype=np.bool_)
        kinds: dict[object, int] = {}
        alike = [kinds.setdefault(replace(v, id="any", yard="any"), len(kinds)) for v in vehicles]
        self.kind: Ints = np.array(alike, dtype=np.int64)
        # Rests of days are exchanged where nothing but the way to the yard depends on who drives them.
        self.exchanges = np.logical_not(self.bev) & (not instance.drivers)
        self.count: Ints = np.zeros(len(vehicles), dtype=np.int64)
        self._make_room(8)

    def _make_room(self, width: int) -> None:
        def wider(name: str, value: int, *shape: int) -> None:
            made = np.full((len(self.kind), width, *shape), value, dtype=np.int64)
            if hasattr(self, name):
                old = getattr(self, name)
                made[:, : old.shape[1]] = old
            setattr(self, name, made)

        self.width = width
        self.free_s: Ints
        self.ready_s: Ints
        self.from_: Ints
        self.to: Ints
        self.own_fen: Ints
        self.rest_fen: Ints
        self.start_s: Ints
        self.fixed: Ints
        self.told: Ints
        self.serve_fen: Ints
        self.alone: Ints
        for name, value in (
            ("free_s", FAR_S),
            ("ready_s", -FAR_S),
            ("from_", NOWHERE),
            ("to", NOWHERE),
            ("own_fen", 0),
        ):
            wider(name, value)
        for name, value in (("start_s", FAR_S), ("fixed", 0), ("told", 0), ("serve_fen", 0), ("alone", 0)):
            wider(name, value)
        wider("rest_fen", 0, len(self.yards))
        self.ready_s[:, 0] = np.where(self.count == 0, FAR_S, self.ready_s[:, 0])
        self.free_s[:, 0] = -FAR_S

    def set(self, v: int, tasks: Sequence[Task], fixed: Sequence[bool], told: Sequence[int], vehicle: Vehicle) -> None:
        """Note what a vehicle does; `fixed` tasks do not move, `told` counts the assignments people know of."""
        n = len(tasks)
        if n >= self.width:
            self._make_room(2 * n)
        where = self.roads.index
        self.count[v] = n
        self.free_s[v], self.ready_s[v], self.start_s[v] = FAR_S, -FAR_S, FAR_S
        self.from_[v], self.to[v], self.fixed[v], self.told[v] = NOWHERE, NOWHERE, 0, 0
        self.free_s[v, 0], self.ready_s[v, n] = -FAR_S, FAR_S
        self.free_s[v, 1 : n + 1] = [t.end_s + self.after_s for t in tasks]
        self.from_[v, 1 : n + 1] = [where[t.last] for t in tasks]
        self.ready_s[v, :n] = [t.start_s - self.before_s for t in tasks]
        self.to[v, :n] = [where[t.first] for t in tasks]
        self.start_s[v, :n] = [t.start_s for t in tasks]
        self.fixed[v, :n] = np.cumsum(np.array(fixed[::-1], dtype=np.int64))[::-1]
        self.told[v, :n] = np.cumsum(np.array(told[::-1], dtype=np.int64))[::-1]
        self.serve_fen[v, :n] = [
            drive_fen(int(self.rate[v]), t.loaded_m) + upgrade_fen(self.params, t.wanted, vehicle, t.loaded_m)
            for t in tasks
        ]
        self.alone[v] = 0
        self.alone[v, :n] = [len(t.assignments) == 1 and not keep for t, keep in zip(tasks, fixed, strict=True)]

    def price(self, rows: Sequence[int]) -> None:
        """Price the ways of vehicles whose days were noted anew."""
        v = np.array(rows, dtype=np.int64)
        # The rest of the day behind every gap, for a vehicle of every yard: ways between its tasks and back.
        fen = self.connect(
            self.from_[v, :, None], self.free_s[v, :, None], self.to[v, :, None], self.ready_s[v, :, None],
            self.yards[None, None, :], v=v[:, None, None], now_s=-FAR_S,
        )  # fmt: skip
        self.own_fen[v] = np.take_along_axis(fen, self.yard_no[v, None, None], axis=2)[:, :, 0]
        from_here = np.cumsum(fen[:, ::-1], axis=1)[:, ::-1]
        self.rest_fen[v] = np.minimum(from_here - fen, NO)

    def legs(self, a: Ints, b: Ints, at_s: Ints) -> tuple[Ints, Ints]:
        """Return seconds and metres between places by number, at the pace of a moment."""
        flat = a * len(self.roads.time_s) + b
        seconds: Ints = self.roads.time_s.ravel().take(flat, mode="wrap").astype(np.int64)
        for pace in self.paces:
            slow = (pace.span.start_s <= at_s) & (at_s < pace.span.end_s)
            seconds = np.where(slow, -(-seconds * pace.permille // 1_000), seconds)
        return seconds, self.roads.distance_m.ravel().take(flat, mode="wrap").astype(np.int64)

    def connect(self, a: Ints, free_s: Ints, b: Ints, ready_s: Ints, yard: Ints, *, v: Ints, now_s: int) -> Ints:
        """Price the way from one task's end to the next one's start, as `route.walk` has it; NO where time forbids it.

        From NOWHERE a vehicle leaves its yard, to NOWHERE it goes home. No way may begin before `now_s`, unless it is the
        way home that the vehicle is on already.
        """
        params, rate, bev = self.params, self.rate[v], self.bev[v]
        out, home = a == NOWHERE, b == NOWHERE
        back_s, back_m = self.legs(a, yard, free_s)
        to_s, to_m = self.legs(yard, b, ready_s)
        link_s, link_m = self.legs(a, b, free_s)
        back_fen, to_fen = drive_fen(rate, back_m), drive_fen(rate, to_m)
        slack_s = ready_s - free_s
        wait_s = slack_s - link_s
        linked = drive_fen(rate, link_m) + wait_fen(params, np.maximum(wait_s, 0))
        via_home = back_fen + to_fen
        rests = slack_s - back_s - to_s >= params.yard_stop_s
        rests &= bev | (wait_s < 0) | (wait_s > params.max_wait_s) | (via_home < linked)
        fen = np.where(rests, via_home, np.where((wait_s >= 0) & (free_s >= now_s), linked, NO))
        fen = np.where(home, back_fen, np.where(out, to_fen, fen))
        fen = np.where((out | rests) & ~home & (ready_s - to_s < now_s), NO, fen)
        result: Ints = np.where(out & home, 0, fen)
        return result

    def spots(self, wanted: Wanted, over: int = 0) -> list[Spot]:
        """Return where a task fits, cheapest estimate first; of idle vehicles of a kind and yard only the first.

        With `over` 1 it takes the place of the task behind the gap.
        """
        fits = self.free_s[:, : self.width - over] + self.before_s <= wanted.latest_s
        fits &= self.ready_s[:, over:] - self.after_s >= wanted.earliest_s + wanted.busy_s
        fits &= (wanted.suits & self._first_idle())[:, None]
        if over:
            fits &= self.alone[:, :-1] > 0
        v, k = np.nonzero(fits)
        yard = self.yard[v]
        a, free_s, b, ready_s = self.from_[v, k], self.free_s[v, k], self.to[v, k + over], self.ready_s[v, k + over]
        first, last = np.full_like(v, wanted.first), np.full_like(v, wanted.last)
        earliest_s = np.full_like(v, wanted.earliest_s)
        link_s, _ = self.legs(a, first, free_s)
        back_s, _ = self.legs(a, yard, free_s)
        to_s, _ = self.legs(yard, first, np.maximum(free_s + back_s, earliest_s - self.before_s))
        quickest_s = np.minimum(free_s + link_s, free_s + back_s + self.params.yard_stop_s + to_s)
        reach_s = np.where(a == NOWHERE, self.now_s + to_s, quickest_s) + self.before_s
        next_s, _ = self.legs(last, b, earliest_s + wanted.busy_s)
        starts = [wanted.start_after(reach_s)]
        if wanted.latest_s > wanted.earliest_s:
            last_s = np.where(b == NOWHERE, -FAR_S, ready_s - next_s - self.after_s)
            starts.append(np.where(b == NOWHERE, -FAR_S, wanted.start_before(last_s)))
        found: list[tuple[Ints, Ints]] = []
        old_fen = self.own_fen[v, k] - self.day_fen[v] * (self.count[v] == 0)
        ousted_fen = np.zeros_like(v)
        if over:
            ousted_fen = self.serve_fen[v, k]
            old_fen = old_fen + self.own_fen[v, k + 1] + ousted_fen
        for start_s in starts:
            end_s = start_s + wanted.busy_s + self.after_s
            fen = self.connect(a, free_s, first, start_s - self.before_s, yard, v=v, now_s=self.now_s)
            fen = fen + self.connect(last, end_s, b, ready_s, yard, v=v, now_s=self.now_s)
            fen += wanted.serve_fen[v] - old_fen
            out_of_window = (start_s < wanted.earliest_s) | (start_s > wanted.latest_s)
            found.append((np.where(out_of_window, NO, fen), start_s))
        made = [
            Spot(int(fen[n]), int(v[n]), int(k[n]), int(start_s[n]), int(v[n]), int(ousted_fen[n]))
            for fen, start_s in found
            for n in np.argsort(fen + ousted_fen, kind="stable")[:64].tolist()
            if fen[n] < NO // 2
        ]
        return sorted(made, key=lambda s: (s.fen, s.vehicle, s.gap, s.start_s))

    def chain(self, v: int, wanted: Sequence[Wanted], worth: Ints, must: int) -> tuple[int, list[int]]:
        """Return what an idle vehicle saves with the best day made of tasks at their earliest starts, and these in order.

        `worth` is what each costs otherwise, fen; the task `must` is one of the day.
        """
        n = len(wanted)
        order = np.argsort([w.earliest_s for w in wanted], kind="stable")
        tasks = [wanted[k] for k in order.tolist()]
        gain = worth[order] - np.array([w.serve_fen[v] if w.suits[v] else NO for w in tasks])
        first, last = np.array([w.first for w in tasks]), np.array([w.last for w in tasks])
        start_s = np.array([w.earliest_s for w in tasks])
        ready_s = start_s - self.before_s
        free_s = start_s + np.array([w.busy_s for w in tasks]) + self.after_s
        rows, away = np.full(n, v), np.full(n, NOWHERE)
        yard = self.yard[rows]
        out = self.connect(away, np.full(n, -FAR_S), first, ready_s, yard, v=rows, now_s=self.now_s)
        back = self.connect(last, free_s, away, np.full(n, FAR_S), yard, v=rows, now_s=self.now_s)
        link = self.connect(
            last[:, None], free_s[:, None], first[None, :], ready_s[None, :], yard[:, None], v=rows[:, None], now_s=self.now_s
        )  # fmt: skip
        here = int(np.flatnonzero(order == must)[0])
        best, before = gain - out, np.full(n, -1)
        for k in range(1, here + 1):
            come = best[:k] - link[:k, k]
            j = int(come.argmax())
            if gain[k] + come[j] > best[k]:
                best[k], before[k] = gain[k] + come[j], j
        rest, after = -back, np.full(n, -1)
        for k in range(n - 2, here - 1, -1):
            go = rest[k + 1 :] + gain[k + 1 :] - link[k, k + 1 :]
            j = int(go.argmax())
            if go[j] > rest[k]:
                rest[k], after[k] = go[j], k + 1 + j
        path, k = [here], int(before[here])
        while k >= 0:
            path.insert(0, k)
            k = int(before[k])
        k = int(after[here])
        while k >= 0:
            path.append(k)
            k = int(after[k])
        return int(best[here] + rest[here] - self.day_fen[v]), [int(order[k]) for k in path]

    def savings(self, v: int) -> list[tuple[int, int]]:
        """Return what a vehicle saves without each of its tasks that may move: the gap before it, and fen."""
        k = np.flatnonzero(self.alone[v])
        rows = np.full_like(k, v)
        joined = self.connect(
            self.from_[v, k], self.free_s[v, k], self.to[v, k + 1], self.ready_s[v, k + 1], self.yard[rows], v=rows,
            now_s=self.now_s,
        )  # fmt: skip
        saved = self.own_fen[v, k] + self.own_fen[v, k + 1] + self.serve_fen[v, k] - joined
        saved += self.day_fen[v] * (self.count[v] == 1)
        return list(zip(k.tolist(), saved.tolist(), strict=True))

    def _first_idle(self) -> Flags:
        """Tell which vehicles are used, or the first unused one of their kind and yard."""
        key = self.kind * len(self.yards) + self.yard_no
        first = np.ones(len(self.kind), dtype=np.bool_)
        idle = np.flatnonzero(self.count == 0)
        first[idle] = False
        first[idle[np.unique(key[idle], return_index=True)[1]]] = True
        return first

    def group(self, kind: int, at_s: int) -> tuple[Ints, Ints]:
        """Return the vehicles of a kind whose tasks from a moment on may move, and the gap before these.

        Of idle ones only the first of every yard: the others would do as well.
        """
        rows = np.flatnonzero((self.kind == kind) & self.exchanges & self._first_idle())
        gap = (self.start_s[rows] < at_s).sum(axis=1)
        loose = self.fixed[rows, gap] == 0
        return rows[loose], gap[loose]

    def matrix(self, rows: Ints, gap: Ints) -> Ints:
        """Price every rest of a day (columns) after every beginning of one (rows), with the vehicle's day."""
        fen = np.empty((len(rows), len(rows)), dtype=np.int64)
        for n in range(0, len(rows), ROWS):
            some = slice(n, n + ROWS)
            fen[some] = self._after(rows[some, None], gap[some, None], rows[None, :], gap[None, :])
        return fen

    def _after(self, i: Ints, ki: Ints, j: Ints, kj: Ints) -> Ints:
        """Price the tasks of vehicle j from gap kj on, done by vehicle i after its gap ki."""
        fen = self.connect(
            self.from_[i, ki], self.free_s[i, ki], self.to[j, kj], self.ready_s[j, kj], self.yard[i], v=i,
            now_s=self.now_s,
        )  # fmt: skip
        fen = np.where(i == j, self.own_fen[j, kj], fen) + self.rest_fen[j, kj, self.yard_no[i]]
        fen = fen + self.day_fen[i] * ((ki > 0) | (kj < self.count[j]))
        return fen + np.where(i == j, 0, self.params.change_fen * self.told[j, kj])

    def crossings(self, wanted: Wanted, most: int) -> list[Spot]:
        """Return where a task fits if its vehicle exchanges the rest of its day with another one, cheapest first."""
        start_s = wanted.earliest_s
        end_s = start_s + wanted.busy_s + self.after_s
        found: list[Spot] = []
        for kind in np.unique(self.kind[wanted.suits & self.exchanges]).tolist():
            rows, gap = self.group(kind, start_s)
            if len(rows) < 2:
                continue
            own = self._after(rows, gap, rows, gap)
            first, last = np.full_like(rows, wanted.first), np.full_like(rows, wanted.last)
            into = self.connect(
                self.from_[rows, gap], self.free_s[rows, gap], first, np.full_like(rows, start_s - self.before_s),
                self.yard[rows], v=rows, now_s=self.now_s,
            )  # fmt: skip
            into = into + wanted.serve_fen[rows] + self.day_fen[rows]
            on = self.connect(
                last[:, None], np.full_like(rows, end_s)[:, None], self.to[rows, gap][:, None],
                self.ready_s[rows, gap][:, None], self.yards[None, :], v=rows[:, None],
                now_s=self.now_s,
            )  # fmt: skip
            on = on + self.rest_fen[rows, gap]
            on += self.params.change_fen * self.told[rows, gap][:, None]
            # What both days cost without the other half of the exchange; only where that is little is the rest worth a look.
            half = (into - own)[:, None] + (on - own[:, None]).T[self.yard_no[rows]]
            np.fill_diagonal(half, NO)
            near = np.argpartition(half, min(most, half.size - 1), axis=None)[:most]
            near = near[half.ravel()[near] < NO // 2]
            p, q = near // len(rows), near % len(rows)
            fen = half[p, q] + self._after(rows[q], gap[q], rows[p], gap[p])
            found += [
                Spot(int(fen[n]), int(rows[p[n]]), int(gap[p[n]]), start_s, int(rows[q[n]]))
                for n in np.argsort(fen, kind="stable")[:32].tolist()
                if fen[n] < NO // 2
            ]
        return sorted(found, key=lambda s: (s.fen, s.vehicle, s.rest_of))
