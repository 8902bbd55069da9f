"""Pricing of vehicle types whose chains hang on driver hours or range: one type (lane) at a time, two at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from dispatch.kernels import labels, lanes
from dispatch.kernels.lanes import BOUND, END_S, FREE, POOLED
from dispatch.kernels.sweep import BIG
from dispatch.network import Group, Network
from dispatch.problem import Crewman, Floats, Ints, VehicleType

FEW, MANY = 10, 240  # labels per node: quick, and enough to be exact nearly always
MOST_LABELS = 600_000  # of a lane, for large networks
STANDING = 400  # labels at the yard
MOST_CHAINS = 40  # per lane and round
LEAST = -1e-3  # reduced cost from which a chain is worth adding
NOTHING = -1e-6  # from which it counts for the bound


@dataclass(frozen=True, slots=True)
class Priced:
    """Of one lane: a lower bound of the reduced cost of its chains (0 at most), and chains found, the cheapest first.

    `exact`: the bound is the least reduced cost itself.
    """

    lane: int
    least: float
    exact: bool
    chains: list[tuple[float, Ints]]


class _Lane:
    """What does not depend on prices."""

    def __init__(self, network: Network, group: Group, graph: lanes.Graph, y: int) -> None:
        problem = network.problem
        params, jobs = problem.params, network.nodes.job[group.nodes]
        self.kind: VehicleType = problem.types[group.types[y]]
        man = self.kind.crew
        duty = np.zeros(len(jobs), dtype=np.int32)
        self.shut = np.zeros(len(jobs), dtype=np.bool_)  # what its own driver may not do
        self.early, self.late = self.shut, self.shut  # ways out and back he has no time for
        mode, longest_s, home_s = POOLED if problem.crew else FREE, problem.longest_out_s, 0
        if man:
            mode, home_s = BOUND, problem.yards_s[man.yard][self.kind.yard]
            longest_s = man.shift_max_s - home_s - problem.yards_s[self.kind.yard][man.yard]
            secret = np.array([problem.jobs[j].secret for j in jobs], dtype=np.bool_)
            self.shut = (secret & (not man.secret)) | (self.kind.class_no not in man.classes)
            duty, self.early, self.late = self._shifts(group, y, man, home_s, man.shift_max_s - home_s - longest_s)
        self.exact = mode != BOUND or params.yard_stop_s >= params.rest_min_s
        several = len(self.kind.outing_spans) > 1
        first_s, last_s = int(group.home_s[:, y].min()), int(group.home_s[:, y].max())
        self.ends = -(-(last_s - first_s) // END_S) + 1 if mode == BOUND and not several else 1
        self.rules = lanes.Rules(
            mode=mode, bev=int(self.kind.bev), several=int(several), stop_s=params.yard_stop_s,
            before_s=problem.before_s, after_s=problem.after_s, longest_s=longest_s, drive_max_s=params.drive_max_s,
            rest_s=params.rest_min_s, full_m=self.kind.range_m, left_m=self.kind.left_m,
            per_h=self.kind.charge_m_per_h, permille=params.range_reserve_permille,
            apart_s=params.between_shifts_s + (man.shift_max_s - longest_s if man else 0), low_s=first_s,
            late_s=last_s - longest_s,
        )  # fmt: skip
        columns: list[Any] = [
            a[:, y].copy()
            for a in (
                group.out_fen, group.back_fen, group.out_s, group.back_s, group.out_m, group.back_m, group.depart_s,
                group.home_s, group.span, group.depart_rank, group.home_pos,
            )
        ]  # fmt: skip
        columns[0][self.early], columns[1][self.late] = BIG, BIG
        self.arrays = lanes.Lane(*[*columns, duty])
        longest_end = self.arrays.depart_s.astype(np.int64) + longest_s - first_s
        self.first_end = np.clip(-(-longest_end // END_S), 0, self.ends - 1)
        self.serve = np.where(self.shut, BIG, group.serve[:, y])
        self.until_s = np.empty(len(jobs), dtype=np.int64)
        labels.settles(graph, self.arrays, self.rules, self.until_s)
        self.events = self._events(graph.start_s)

    def _shifts(self, group: Group, y: int, man: Crewman, to_s: int, from_s: int) -> tuple[Any, Any, Any]:
        """Return the duty each node lies in, and which ways out and back leave no time for the driver's own way."""
        begins, ends = np.array(man.spans, dtype=np.int64).T
        # An outing lies in the part of a duty in which the vehicle is available too.
        duty_of = np.array([int(np.searchsorted(begins, a, side="right")) - 1 for a, _ in self.kind.outing_spans])
        duty = duty_of[np.maximum(group.span[:, y], 0)] if len(duty_of) else np.zeros(len(group.nodes), dtype=np.int64)
        early = group.depart_s[:, y] - to_s < np.maximum(begins[duty], man.rested_s)
        return duty.astype(np.int32), early, group.home_s[:, y] + from_s > ends[duty]

    def _events(self, start_s: Ints) -> Ints:
        """Return all events in order of time, as kind and node."""
        k, at = len(start_s), self.arrays
        waits = np.flatnonzero(self.until_s >= 0)
        moments = np.concatenate([at.home_s + self.rules.stop_s, at.depart_s, start_s, self.until_s[waits]])
        kinds = np.repeat([lanes.READY, lanes.LEAVE, lanes.SERVE, lanes.SETTLE], [k, k, k, len(waits)])
        places = np.concatenate([np.tile(np.arange(k), 3), waits])
        order = np.lexsort((places, kinds, moments))
        events: Ints = (kinds * k + places)[order].astype(np.int64)
        return events


class Duties:
    """Prices the lanes of one group."""

    def __init__(self, network: Network, group: Group, own: threading.local) -> None:
        self.group, nodes, mine = group, network.nodes, group.nodes
        own_nodes: list[Any] = [
            np.ascontiguousarray(a[mine])
            for a in (
                nodes.start_s, nodes.end_s, nodes.loaded_m, nodes.lead_idle_s, nodes.head_s, nodes.tail_s,
                nodes.tail_idle_s, nodes.sound,
            )
        ]  # fmt: skip
        self.graph = lanes.Graph(
            group.ptr, group.near_end, group.succ, group.fen, group.link_s, group.link_m, group.pptr, group.pnear_end,
            group.pred, group.pfen, *own_nodes,
        )  # fmt: skip
        self.lanes = [_Lane(network, group, self.graph, y) for y in range(len(group.types))]
        self.covers = np.ascontiguousarray(nodes.covers[mine])
        self.own = own

    def price(  # noqa: PLR0917
        self,
        pool: ThreadPoolExecutor,
        cov: Floats,
        out: Floats,
        back: Floats,
        base: Floats,
        caps: Ints,
        requests: int,
        *,
        exactly: bool,
    ) -> list[Priced]:
        """Price all lanes that have vehicles; arrays (nodes, lanes) with the master's prices taken off, `base` per lane."""
        having = [y for y in range(len(self.lanes)) if caps[self.group.types[y]] > 0]
        tasks = [
            pool.submit(
                self.lane, y, cov[:, y], out[:, y], back[:, y], float(base[y]), requests, MANY if exactly else FEW
            )
            for y in having
        ]
        return [task.result() for task in tasks]

    def evaluate(self, y: int, path: Ints) -> int | None:
        """Return the cost of a lane's chain (positions in order) with its day, or None where it breaks a rule."""
        lane = self.lanes[y]
        fen = labels.walk(self.graph, lane.arrays, lane.rules, lane.serve, path)
        return None if fen < 0 else round(fen) + lane.kind.day_fen

    def _space(self, ends: int) -> tuple[lanes.Ahead, Floats, lanes.Store, lanes.Yard, Ints, Floats, Ints]:
        """Return this thread's working arrays for a lane; all groups of a network share the memory."""
        own, k = self.own, len(self.group.nodes)
        if k > getattr(own, "k", 0):
            own.k = k
            limit = min(MANY, MOST_LABELS // k + 1)
            own.store = lanes.Store(
                np.empty(k, dtype=np.int64), np.empty((k, limit)), np.empty((k, limit)),
                np.empty((k, limit, 7), dtype=np.int64),
            )  # fmt: skip
            own.yard = lanes.Yard(np.empty(STANDING), np.empty(STANDING), np.empty((STANDING, 6), dtype=np.int64))
            own.mark, own.final, own.slot = np.empty(k, dtype=np.int64), np.empty(k), np.empty(k, dtype=np.int64)
            own.ahead = np.empty(0)
        if len(own.ahead) < 3 * (k + 1) * ends:
            own.ahead = np.empty(3 * (k + 1) * ends)
        ahead = own.ahead[: 3 * (k + 1) * ends].reshape(3, k + 1, ends)
        return (
            lanes.Ahead(ahead[0, :k], ahead[1, :k]), ahead[2], own.store, own.yard, own.mark[:k], own.final[:k],
            own.slot[:k],
        )  # fmt: skip

    def lane(  # noqa: PLR0917
        self, y: int, cov: Floats, out: Floats, back: Floats, base: float, requests: int, most: int
    ) -> Priced:
        """Price one lane with `most` labels per node."""
        lane, graph = self.lanes[y], self.graph
        ahead, tree, store, yard, mark, final, slot = self._space(lane.ends)
        prices = lanes.Prices(
            np.where(lane.shut, BIG, cov), np.where(lane.early, BIG, out), np.where(lane.late, BIG, back), base, NOTHING
        )
        lanes.lower(graph, lane.arrays, lane.rules, prices, ahead, tree)
        floor = base + float((prices.out + ahead.bound[np.arange(len(cov)), lane.first_end]).min(initial=BIG))
        if floor >= NOTHING:
            return Priced(y, 0.0, exact=True, chains=[])  # no chain at all is the least
        lost = labels.label(
            graph, lane.arrays, lane.rules, prices, ahead, lane.events, lane.until_s, floor,
            min(most, store.cost.shape[1]), store, yard, mark, final, slot,
        )  # fmt: skip
        order = np.argsort(final, kind="stable")
        order = order[final[order] < LEAST]
        ends_at, found = np.empty(MOST_CHAINS, dtype=np.int64), np.empty(MOST_CHAINS * 40, dtype=np.int64)
        times = np.zeros(requests, dtype=np.int64)
        chains = lanes.trace(order, slot, store, 1, times, self.covers, ends_at, found)
        low, made = 0, []
        for q in range(chains):
            path = found[low : ends_at[q]].copy()
            made.append((float(final[path[-1]]), path))
            low = ends_at[q]
        least = min(0.0, float(final.min(initial=0.0)))
        return Priced(y, min(least, float(lost)), exact=lane.exact and lost >= least, chains=made)
