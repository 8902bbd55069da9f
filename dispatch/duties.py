"""Pricing of vehicle types whose chains hang on driver hours or range: one type (lane) at a time, two at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from dispatch.kernels import ends, labels
from dispatch.kernels.labels import BOUND, FREE, POOLED
from dispatch.kernels.sweep import BIG
from dispatch.network import Group, Network
from dispatch.problem import NEVER, Floats, Ints, VehicleType

FEW, MANY = 10, 240  # labels per node: quick, and enough to be exact nearly always
STANDING = 400  # labels at the yard
HOUR_S = 3_600
MOST_CHAINS = 40  # per lane and round
LEAST = -1e-3  # reduced cost from which a chain is worth adding


@dataclass(frozen=True, slots=True)
class Priced:
    """Of one lane: a lower bound of the reduced cost of its chains (0 at most), and chains found, the cheapest first."""

    lane: int
    least: float
    chains: list[tuple[float, Ints]]


class _Lane:
    """What does not depend on prices."""

    def __init__(self, network: Network, group: Group, y: int) -> None:
        problem = network.problem
        kind: VehicleType = problem.types[group.types[y]]
        params, k = problem.params, len(group.nodes)
        self.kind = kind
        self.out_s, self.back_s, self.out_m, self.back_m, self.depart_s, self.home_s = (
            np.ascontiguousarray(a[:, y])
            for a in (group.out_s, group.back_s, group.out_m, group.back_m, group.depart_s, group.home_s)
        )
        self.out_fen, self.back_fen = (
            np.ascontiguousarray(group.out_fen[:, y]),
            np.ascontiguousarray(group.back_fen[:, y]),
        )
        self.rank, self.pos = np.ascontiguousarray(group.depart_rank[:, y]), np.ascontiguousarray(group.home_pos[:, y])
        start_s = network.nodes.start_s[group.nodes]
        moments = np.concatenate([self.home_s + params.yard_stop_s, self.depart_s, start_s]).astype(np.int64)
        kinds, places = np.repeat([labels.READY, labels.LEAVE, labels.SERVE], k), np.tile(np.arange(k), 3)
        order = np.lexsort((places, kinds, moments))
        self.events: Ints = (kinds * k + places)[order].astype(np.int64)
        mode = BOUND if kind.crew else POOLED if problem.crew else FREE
        longest_s = kind.crew.shift_max_s if kind.crew else problem.longest_out_s if problem.crew else NEVER
        self.ends_s: Ints = np.array([NEVER], dtype=np.int64)
        if mode == BOUND:
            low, high = int(self.home_s.min()), int(self.home_s.max())
            self.ends_s = np.array([*range(low + HOUR_S, high, HOUR_S), NEVER], dtype=np.int64)
        self.figures: Ints = np.array(
            [
                mode, params.yard_stop_s, problem.before_s, problem.after_s, longest_s, params.drive_max_s,
                params.rest_min_s, kind.range_m, kind.left_m, kind.charge_m_per_h, params.range_reserve_permille,
            ],
            dtype=np.int64,
        )  # fmt: skip
        # The first end of day that a duty begun at a node's departure can reach.
        self.first_end = np.searchsorted(self.ends_s[:-1], self.depart_s + min(longest_s, 10**9), side="left")


class Duties:
    """Prices the lanes of one group."""

    def __init__(self, network: Network, group: Group, own: threading.local) -> None:
        self.group, nodes, mine = group, network.nodes, group.nodes
        self.lanes = [_Lane(network, group, y) for y in range(len(group.types))]
        self.nodes: tuple[Any, ...] = tuple(
            np.ascontiguousarray(a[mine])
            for a in (
                nodes.start_s, nodes.end_s, nodes.loaded_m, nodes.lead_idle_s, nodes.head_s, nodes.tail_s,
                nodes.tail_idle_s, nodes.sound,
            )
        )  # fmt: skip
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
        lanes = [y for y in range(len(self.lanes)) if caps[self.group.types[y]] > 0]
        tasks = [
            pool.submit(
                self._lane, y, np.ascontiguousarray(cov[:, y]), np.ascontiguousarray(out[:, y]),
                np.ascontiguousarray(back[:, y]), float(base[y]), requests, MANY if exactly else FEW,
            )
            for y in lanes
        ]  # fmt: skip
        return [task.result() for task in tasks]

    def _space(self, ends: int) -> tuple[Any, ...]:
        """Return this thread's working arrays; all groups of a network share them."""
        k = max(len(self.group.nodes), getattr(self.own, "k", 0))
        ends = max(ends, getattr(self.own, "ends", 0))
        if (k, ends) != (getattr(self.own, "k", 0), getattr(self.own, "ends", 0)):
            self.own.k, self.own.ends = k, ends
            self.own.space = (
                np.empty((k, MANY)), np.empty((k, MANY)), np.empty((k, MANY, 6), dtype=np.int64),
                np.empty(k, dtype=np.int64), np.empty(k), np.empty(k, dtype=np.int64), np.empty(STANDING),
                np.empty((STANDING, 4), dtype=np.int64), np.empty(k * ends), np.empty((k + 1) * ends),
            )  # fmt: skip
        space: tuple[Any, ...] = self.own.space
        return space

    def _lane(  # noqa: PLR0917
        self, y: int, cov: Floats, out: Floats, back: Floats, base: float, requests: int, most: int
    ) -> Priced:
        lane, group, n, k = self.lanes[y], self.group, self.nodes, len(cov)
        count_ends = len(lane.ends_s)
        cost, hope, whole, count, final, slot, yard, yard_whole, bound_space, tree_space = self._space(count_ends)
        bound, tree = (
            bound_space[: k * count_ends].reshape(k, -1),
            tree_space[: (k + 1) * count_ends].reshape(k + 1, -1),
        )
        final, slot = final[:k], slot[:k]
        stop_s = int(lane.figures[1])
        ends.lower(
            group.ptr, group.near_end, group.succ, group.fen, cov, out, back, lane.depart_s, lane.home_s, stop_s, lane.rank,
            lane.pos, lane.ends_s, bound, tree,
        )  # fmt: skip
        relaxed = base + float((out + bound[np.arange(k), lane.first_end]).min(initial=BIG))
        if relaxed >= LEAST:
            return Priced(y, 0.0, [])
        lost = labels.label(
            group.ptr, group.near_end, group.succ, group.fen, group.link_s, group.link_m, cov, out, back, lane.out_fen,
            lane.back_fen, lane.out_s, lane.back_s, lane.out_m, lane.back_m, lane.depart_s, lane.home_s, n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7],
            lane.events, lane.figures, group.bev, base, relaxed, LEAST, bound, lane.ends_s, most, count, cost, hope, whole, final, slot,
            yard, yard_whole,
        )  # fmt: skip
        order = np.argsort(final, kind="stable")
        order = order[final[order] < LEAST]
        ends_at, found = np.empty(MOST_CHAINS, dtype=np.int64), np.empty(MOST_CHAINS * 40, dtype=np.int64)
        times = np.zeros(requests, dtype=np.int64)
        chains = ends.trace(order, final, slot, whole, MANY, LEAST, 1, times, self.covers, MOST_CHAINS, ends_at, found)
        low, made = 0, []
        for q in range(chains):
            path = found[low : ends_at[q]].copy()
            made.append((float(final[path[-1]]), path))
            low = ends_at[q]
        least = min(0.0, float(final.min(initial=0.0)), float(lost))
        return Priced(y, least, made)
