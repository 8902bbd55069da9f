"""Chains a master asks for: the cheapest through every node for given prices, all types at once, on two cores."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dispatch.chains import Chain, Chains
from dispatch.crew import Duty, sound
from dispatch.duties import LEAST, Duties, Priced
from dispatch.kernels import sweep
from dispatch.kernels.sweep import BIG, CLOSED
from dispatch.limits import Limits
from dispatch.master import Column, Duals
from dispatch.network import Group, Network, Steps
from dispatch.problem import Crewman, Floats, Ints, VehicleType

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Swept:
    """Cheapest chains of a group: `through` (node, lane) is the least reduced cost of a chain through a node.

    Of a group under driver hours or range `through` is a lower bound, and `priced` has the chains.
    """

    group: Group
    through: Floats
    before: Steps
    after: Steps
    priced: list[Priced] | None = None


class Pricing:
    """Finds chains of a network; `share` chains of a round may cover one request."""

    def __init__(self, network: Network, limits: Limits) -> None:
        self.network, self.limits = network, limits
        self.problem = network.problem
        self.day = np.array([k.day_fen for k in self.problem.types], dtype=np.float64)
        self.covers = [network.nodes.covers[g.nodes] for g in network.groups]
        # Groups differ in size: the largest first keeps both cores busy.
        self.order = sorted(
            range(len(network.groups)), key=lambda g: -len(network.groups[g].succ) * len(network.groups[g].types)
        )
        self.rules = Chains(self.problem)
        # Chains of vehicles that burn fuel, without drivers and rows of limits, are priced by the compiled loops alone.
        self.plain = not self.problem.crew and not limits.size
        own = threading.local()
        self.duties = {
            g: Duties(network, group, own)
            for g, group in enumerate(network.groups)
            if (self.problem.crew or group.bev) and not group.several
        }
        self.pool = ThreadPoolExecutor(WORKERS)

    def sweep(self, duals: Duals, open_: npt.NDArray[np.bool_], caps: Ints, how: str = "quick") -> list[Swept]:
        """Find the cheapest chains of all groups; types without a vehicle left are passed over.

        `how`: "relaxed" leaves driver hours and range out, "quick" keeps few labels, "exact" nearly all.
        """
        labelled = [] if how == "relaxed" else [g for g in self.order if g in self.duties]
        tasks = [self.pool.submit(self._group, g, duals, open_, caps) for g in self.order if g not in labelled]
        found = [self._labelled(g, duals, open_, caps, exactly=how == "exact") for g in labelled]
        return [task.result() for task in tasks] + found

    def _labelled(self, number: int, duals: Duals, open_: npt.NDArray[np.bool_], caps: Ints, *, exactly: bool) -> Swept:
        group = self.network.groups[number]
        cov, out, back, _ = self._prices(number, duals, open_)
        base = (self.day - duals.fleet)[group.types]
        priced = self.duties[number].price(self.pool, cov, out, back, base, caps, len(open_), exactly=exactly)
        nothing = np.empty((0, 0), dtype=np.int32)
        return Swept(group, np.zeros((1, 1)), nothing, nothing, priced)

    def _prices(
        self, number: int, duals: Duals, open_: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]:
        """Return what nodes, ways out and ways back cost a group by the prices, and which nodes are shut."""
        group, covers = self.network.groups[number], self.covers[number]
        prices = np.concatenate([duals.request, [0.0]])
        shut = ~np.concatenate([open_, [True]])[covers].all(axis=1)
        cov = group.serve - prices[covers].sum(axis=1)[:, None]
        out, back = group.out_fen, group.back_fen
        charged = self.limits.charges(self.network.nodes, group, duals.limit) if self.limits.size else None
        if charged is not None:
            out, back, cov = out + charged[0], back + charged[1], cov + charged[2]
        cov[group.serve >= CLOSED] = BIG
        cov[shut] = BIG
        return cov, out, back, shut | (cov >= CLOSED).all(axis=1)

    def _group(self, number: int, duals: Duals, open_: npt.NDArray[np.bool_], caps: Ints) -> Swept:
        group, stop_s = self.network.groups[number], self.problem.params.yard_stop_s
        cov, out, back, shut = self._prices(number, duals, open_)
        ahead, past = np.empty_like(cov), np.empty_like(cov)
        after, before = np.empty(cov.shape, dtype=np.int32), np.empty(cov.shape, dtype=np.int32)
        closed = shut.astype(np.int32)
        sweep.backward(
            group.ptr, group.near_end, group.succ, group.fen, cov, closed, out, back, group.depart_s, group.home_s, stop_s,
            group.depart_rank, group.home_pos, group.span, group.several, ahead, after,
        )  # fmt: skip
        sweep.forward(
            group.pptr, group.pnear_end, group.pred, group.pfen, cov, closed, out, back, group.depart_s, group.home_s, stop_s,
            group.home_rank, group.depart_pos, group.span, group.several, past, before,
        )  # fmt: skip
        through = ahead + past - cov + (self.day - duals.fleet)[group.types][None, :]
        through[cov >= CLOSED] = BIG
        through[:, caps[group.types] <= 0] = BIG
        return Swept(group, through, before, after)

    def least(self, swept: Sequence[Swept]) -> Floats:
        """Return per type the least reduced cost of a chain, 0 at most."""
        least = np.zeros(len(self.day))
        for s in swept:
            if s.priced is None:
                least[s.group.types] = np.minimum(0.0, s.through.min(axis=0))
            else:
                for lane in s.priced:
                    least[s.group.types[lane.lane]] = lane.least
        return least

    def chains(self, swept: Sequence[Swept], share: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield types and nodes of chains worth adding, groups in order of their best."""
        times = np.zeros(len(self.problem.else_fen), dtype=np.int64)
        labelled = [(rc, s.group, p.lane, path) for s in swept for p in s.priced or () for rc, path in p.chains]
        for _, group, lane, path in sorted(labelled, key=lambda found: (found[0], found[1].types[found[2]])):
            nodes = group.nodes[path]
            covers = self.network.nodes.covers[nodes]
            covers = covers[covers >= 0]
            if (times[covers] <= share).all():
                times[covers] += 1
                yield int(group.types[lane]), tuple(nodes.tolist())
        for s in sorted((s for s in swept if s.priced is None), key=lambda s: float(s.through.min())):
            least = s.through.min(axis=1)
            order = np.argsort(least, kind="stable")
            order = order[least[order] < LEAST]
            if not len(order):
                continue
            k = len(least)
            lanes, ends = np.empty(k, dtype=np.int64), np.empty(k, dtype=np.int64)
            found = np.empty(k * (share + 2), dtype=np.int64)
            covers = self.network.nodes.covers[s.group.nodes]
            count = sweep.extract(s.through, order, s.before, s.after, covers, times, share, k, lanes, ends, found)
            low = 0
            for q in range(count):
                yield int(s.group.types[lanes[q]]), tuple(s.group.nodes[found[low : ends[q]]].tolist())
                low = ends[q]

    def column(self, t: int, nodes: tuple[int, ...]) -> Column | None:
        """Price a chain, or return None where it covers somebody twice or breaks a rule."""
        covers = [r for n in nodes for r in self.network.nodes.covers[n].tolist() if r >= 0]
        if len(set(covers)) < len(covers):
            return None
        number, lane = self.network.lane_of[t]
        group = self.network.groups[number]
        path = np.searchsorted(group.nodes, nodes)
        fen = sweep.chain_fen(
            path, lane, group.ptr, group.near_end, group.succ, group.fen, group.serve, group.out_fen, group.back_fen,
            group.depart_s, group.home_s, self.problem.params.yard_stop_s, group.span, group.several,
        )  # fmt: skip
        if fen < 0:
            return None
        kind = self.problem.types[t]
        if self.plain and not group.bev:
            return Column(t, nodes, tuple(covers), round(fen) + kind.day_fen)
        jobs, starts_s = self.network.nodes.job[list(nodes)].tolist(), self.network.nodes.start_s[list(nodes)].tolist()
        chain = self.rules.evaluate(kind, jobs, starts_s)
        if chain is None or (kind.crew and not self._may(kind, kind.crew, chain)):
            return None
        outings = [(trip.out_s, trip.in_s, trip.emergency) for trip in chain.trips]
        return Column(t, nodes, tuple(covers), chain.cost_fen, tuple(self.limits.of_chain(t, jobs, outings)))

    def _may(self, kind: VehicleType, man: Crewman, chain: Chain) -> bool:
        """Tell whether a vehicle's own driver may drive a chain."""
        duties = [Duty(trip.out_s, trip.in_s, kind.yard, kind.class_no, -1, trip) for trip in chain.trips]
        return (
            kind.class_no in man.classes
            and all(man.secret or not trip.secret for trip in chain.trips)
            and sound(self.problem, man, duties)
        )
