"""Plan the same invented days with routing solvers and with this library, and print one JSON document of ratios.

Every solver gets the same instance (benchmarks.dispatch_day, work base), the same time, and the exact price of every leg
of every kind of vehicle: with fixed starts, waiting and going home in between depend only on what is served one after
the other, so that they are part of the price of the leg, as is the loaded way itself. A request that is not served is a
prize not collected (PyVRP) or a penalty (OR-Tools); VROOM serves as many as it can. What is cheaper rented is dropped
from every peer's routes afterwards. All plans are priced and judged by `dispatch.check`.

The peers are optional: make an environment with requirements/peers.txt and run this file with its Python. A peer that is
not installed is reported as absent. Each runs in a process of its own, since their libraries do not get on. PyVRP and
OR-Tools use one core, VROOM and this library two.

    python -m benchmarks.dispatch_peers [--sizes 500 1000 2000] [--seconds 60] [--seed 0] [--peers pyvrp vroom ...]
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import numpy as np

import dispatch
from dispatch.check import priced, suitable
from dispatch.route import Index
from dispatch.synthetic import PARAMS, day
from dispatch.tariff import drive_fen, km_rate, rental_fen, upgrade_fen, wait_fen

HORIZON_S = 30 * 3_600
Routes = list[tuple[int, list[int]]]  # kind of vehicle and requests in order


@dataclass(frozen=True)
class Kind:
    """Vehicles with the same yard, class and seats."""

    yard: int
    vehicles: tuple[dispatch.Vehicle, ...]
    serves: np.ndarray  # bool (n,)


class Task:
    """A day in matrices; nodes are the m yards and then the n requests.

    `start_s`, `busy_s`, `else_fen` (n,): fixed start, length, and price of not serving a request.
    `seconds` (m + n, m + n): driving from the end of one request to the start of another, or from or to a yard.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.instance = day(size, seed=seed)
        self.index = Index(self.instance, PARAMS)
        requests, vehicles = self.instance.requests, self.instance.vehicles
        self.n = len(requests)
        self.yards = list(dict.fromkeys(v.yard for v in vehicles))
        groups: dict[Any, list[dispatch.Vehicle]] = defaultdict(list)
        for v in vehicles:
            groups[v.yard, v.vehicle_class, v.seats].append(v)
        self.kinds = [Kind(self.yards.index(vs[0].yard), tuple(vs), self._serves(vs[0])) for vs in groups.values()]
        services = [self.index.services[r.id] for r in requests]
        self.start_s = np.array([r.earliest_s for r in requests])
        self.busy_s = np.array([s.busy_s for s in services])
        self.loaded_m = np.array([s.distance_m for s in services])
        self.else_fen = np.array(
            [
                min(
                    PARAMS.penalty_fen[r.priority],
                    rental_fen(PARAMS, r, s.distance_m, s.busy_s) or PARAMS.penalty_fen[r.priority],
                )
                for r, s in zip(requests, services, strict=True)
            ]
        )
        travel = self.instance.travel
        homes = [travel.index[y] for y in self.yards]
        begin = np.array(homes + [travel.index[r.stops[0].place] for r in requests])
        end = np.array(homes + [travel.index[r.stops[-1].place] for r in requests])
        self.seconds = travel.time_s[np.ix_(end, begin)].astype(np.int64)
        self.metres = travel.distance_m[np.ix_(end, begin)].astype(np.int64)
        for matrix in (self.seconds, self.metres):
            np.fill_diagonal(matrix, 0)

    def _serves(self, vehicle: dispatch.Vehicle) -> np.ndarray:
        return np.array([suitable(self.index, r, vehicle) is None for r in self.instance.requests])

    @property
    def m(self) -> int:
        return len(self.yards)

    @cached_property
    def patterns(self) -> list[tuple[bool, ...]]:
        """Kinds that may serve a request, every combination once."""
        return sorted({tuple(bool(k.serves[r]) for k in self.kinds) for r in range(self.n)})

    @cached_property
    def pattern_of(self) -> list[int]:
        return [self.patterns.index(tuple(bool(k.serves[r]) for k in self.kinds)) for r in range(self.n)]

    def day_fen(self, kind: Kind) -> int:
        return PARAMS.day_fen[kind.vehicles[0].vehicle_class]

    def fen(self, kind: Kind) -> np.ndarray:
        """Price every leg with what comes at its end, fen; going home in between where the judge would."""
        vehicle, m = kind.vehicles[0], self.m
        rate = km_rate(PARAMS, vehicle)
        legs = drive_fen(rate, self.metres)
        free_s = self.start_s[None, :] - (self.start_s + self.busy_s)[:, None]
        wait_s = free_s - self.seconds[m:, m:]
        straight = legs[m:, m:] + wait_fen(PARAMS, np.maximum(wait_s, 0))
        home = legs[m:, kind.yard, None] + legs[None, kind.yard, m:]
        home_s = self.seconds[m:, kind.yard, None] + self.seconds[None, kind.yard, m:] + PARAMS.yard_stop_s
        goes_home = (home_s <= free_s) & ((wait_s < 0) | (wait_s > PARAMS.max_wait_s) | (home < straight))
        legs[m:, m:] = np.where(goes_home, home, straight)
        loaded = [
            upgrade_fen(PARAMS, r, vehicle, int(metres))
            for r, metres in zip(self.instance.requests, self.loaded_m, strict=True)
        ]
        legs[:, m:] += drive_fen(rate, self.loaded_m) + np.array(loaded)
        np.fill_diagonal(legs, 0)
        return legs

    def trimmed(self, routes: Routes) -> tuple[Routes, int]:
        """Drop what is cheaper rented, one request after the other; return the price of the day with it."""
        prices = {t: self.fen(self.kinds[t]) for t in {t for t, _ in routes}}

        def route_fen(t: int, route: list[int]) -> int:
            if not route:
                return 0
            nodes = [self.kinds[t].yard, *(self.m + r for r in route), self.kinds[t].yard]
            return self.day_fen(self.kinds[t]) + sum(int(prices[t][a, b]) for a, b in pairwise(nodes))

        kept, total = [], int(self.else_fen.sum())
        for t, given in routes:
            route, now = given, route_fen(t, given)
            # The whole route first: its last request alone may hold up the price of the day.
            if now >= self.else_fen[route].sum():
                continue
            while True:
                shorter = [[*route[:k], *route[k + 1 :]] for k in range(len(route))]
                saved = [
                    now - route_fen(t, rest) - int(self.else_fen[r]) for r, rest in zip(route, shorter, strict=True)
                ]
                if max(saved) <= 0:
                    break
                route = shorter[int(np.argmax(saved))]
                now = route_fen(t, route)
            kept.append((t, route))
            total += now - int(self.else_fen[route].sum())
        return kept, total

    def plan(self, routes: Routes, method: str) -> dispatch.Plan:
        """Turn routes into a plan with its true price."""
        ids = [r.id for r in self.instance.requests]
        left, rows = [list(k.vehicles) for k in self.kinds], []
        for t, route in routes:
            vehicle = left[t].pop()
            for r in route:
                start_s = int(self.start_s[r])
                rows.append(dispatch.Assignment(ids[r], vehicle.id, None, start_s, start_s + int(self.busy_s[r])))
        served = {a.request_id for a in rows}
        rented = tuple(name for name in ids if name not in served)
        return priced(self.instance, dispatch.Plan(tuple(rows), {}, rented, 0, method=method), params=PARAMS)


def pyvrp(task: Task, seconds: float, seed: int, *, neighbours: int, wait_weight: float, perturbations: int) -> Routes:
    import pyvrp as peer
    from pyvrp.search import NeighbourhoodParams, PerturbationParams
    from pyvrp.stop import MaxRuntime

    demand = np.eye(len(task.patterns), dtype=int)
    clients = [
        peer.Client(
            task.m + r, demand[task.pattern_of[r]].tolist(), service_duration=int(task.busy_s[r]),
            tw_early=int(task.start_s[r]), tw_late=int(task.start_s[r]), prize=int(task.else_fen[r]), required=False,
        )
        for r in range(task.n)
    ]  # fmt: skip
    types = [
        peer.VehicleType(
            len(kind.vehicles), [task.n if pattern[t] else 0 for pattern in task.patterns], kind.yard, kind.yard,
            fixed_cost=task.day_fen(kind), tw_late=HORIZON_S, profile=t,
        )
        for t, kind in enumerate(task.kinds)
    ]  # fmt: skip
    data = peer.ProblemData(
        [peer.Location(0, 0) for _ in range(task.m + task.n)], clients, [peer.Depot(y) for y in range(task.m)], types,
        [task.fen(kind) for kind in task.kinds], [task.seconds] * len(task.kinds),
    )  # fmt: skip
    params = peer.SolveParams(
        neighbourhood=NeighbourhoodParams(wait_weight, min(neighbours, task.n - 1)),
        perturbation=PerturbationParams(1, perturbations),
    )
    best = peer.solve(data, MaxRuntime(seconds), seed=seed, collect_stats=False, params=params).best
    return [(route.vehicle_type(), [a.idx for a in route if a.is_client()]) for route in best.routes()]


def vroom(task: Task, seconds: float, seed: int) -> Routes:
    del seed  # it has none
    import vroom as peer

    problem, kind_of = peer.Input(), []
    for t, kind in enumerate(task.kinds):
        problem.set_durations_matrix(str(t), task.seconds)
        problem.set_costs_matrix(str(t), task.fen(kind))
        skills = {p for p, pattern in enumerate(task.patterns) if pattern[t]}
        for _ in kind.vehicles:
            problem.add_vehicle(
                peer.Vehicle(
                    len(kind_of), kind.yard, kind.yard, profile=str(t), skills=skills,
                    costs=peer.VehicleCosts(fixed=task.day_fen(kind)), time_window=peer.TimeWindow(0, HORIZON_S),
                )
            )  # fmt: skip
            kind_of.append(t)
    for r in range(task.n):
        start_s = int(task.start_s[r])
        problem.add_job(
            peer.Job(
                r, task.m + r, default_service=int(task.busy_s[r]), skills={task.pattern_of[r]},
                time_windows=[peer.TimeWindow(start_s, start_s)],
            )
        )  # fmt: skip
    frame = problem.solve(5, nb_threads=2, timeout=timedelta(seconds=seconds)).routes
    jobs = frame[frame["type"] == "job"]
    return [(kind_of[v], [int(r) for r in rows["id"]]) for v, rows in jobs.groupby("vehicle_id", sort=True)]


def ortools(task: Task, seconds: float, seed: int, *, first: str) -> Routes:
    del seed  # it has none
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2

    kind_of = [t for t, kind in enumerate(task.kinds) for _ in kind.vehicles]
    yards = [task.kinds[t].yard for t in kind_of]
    manager = pywrapcp.RoutingIndexManager(task.m + task.n, len(kind_of), yards, yards)
    model = pywrapcp.RoutingModel(manager)
    prices = [model.RegisterTransitMatrix(task.fen(kind).tolist()) for kind in task.kinds]
    for v, t in enumerate(kind_of):
        model.SetArcCostEvaluatorOfVehicle(prices[t], v)
        model.SetFixedCostOfVehicle(task.day_fen(task.kinds[t]), v)
    spent_s = task.seconds.copy()
    spent_s[task.m :] += task.busy_s[:, None]
    model.AddDimension(model.RegisterTransitMatrix(spent_s.tolist()), HORIZON_S, HORIZON_S, False, "time")
    clock = model.GetDimensionOrDie("time")
    for r in range(task.n):
        node = manager.NodeToIndex(task.m + r)
        clock.CumulVar(node).SetRange(int(task.start_s[r]), int(task.start_s[r]))
        fit = [v for v, t in enumerate(kind_of) if task.kinds[t].serves[r]]
        model.VehicleVar(node).SetValues([-1, *fit])
        model.AddDisjunction([node], int(task.else_fen[r]))
    params = pywrapcp.DefaultRoutingSearchParameters()
    params.first_solution_strategy = getattr(routing_enums_pb2.FirstSolutionStrategy, first)
    params.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    params.time_limit.FromMilliseconds(int(seconds * 1_000))
    found = model.SolveWithParameters(params)
    routes: Routes = []
    for v, t in enumerate(kind_of) if found else ():
        node, route = found.Value(model.NextVar(model.Start(v))), []
        while not model.IsEnd(node):
            route.append(manager.IndexToNode(node) - task.m)
            node = found.Value(model.NextVar(node))
        if route:
            routes.append((t, route))
    return routes


PEERS: dict[str, Callable[[Task, float, int], Routes]] = {
    "pyvrp": partial(pyvrp, neighbours=50, wait_weight=0.2, perturbations=25),
    # What is near by driving is not what follows well: looking at many pays, and waits are in the prices already.
    "pyvrp-wide": partial(pyvrp, neighbours=500, wait_weight=0.0, perturbations=8),
    "vroom": vroom,
    "ortools-insertion": partial(ortools, first="PARALLEL_CHEAPEST_INSERTION"),
    "ortools-savings": partial(ortools, first="SAVINGS"),
}


def run_peer(name: str, size: int, seed: int, seconds: float) -> dict[str, Any]:
    """Run one peer and judge its plan; `modelled` is the cost by the prices it was given."""
    task = Task(size, seed)
    began = time.perf_counter()
    try:
        routes = PEERS[name](task, seconds, seed)
    except ImportError as error:
        return {"peer": name, "absent": str(error)}
    took_s = time.perf_counter() - began
    routes, modelled = task.trimmed([route for route in routes if route[1]])
    plan = task.plan(routes, name)
    broken = dispatch.check(task.instance, plan, params=PARAMS)
    return {
        "peer": name, "cost": plan.cost_fen, "modelled": modelled, "seconds": round(took_s, 1), "vehicles": len(routes),
        "rented": len(plan.rented), "violations": sorted({v.code for v in broken}),
    }  # fmt: skip


def run_ours(size: int, seed: int, seconds: float) -> dict[str, Any]:
    dispatch.solve(day(40, seed=1), params=PARAMS, stop=dispatch.Until(5))  # loads compiled loops
    plan = dispatch.solve(day(size, seed=seed), params=PARAMS, stop=dispatch.Until(seconds), seed=seed)
    vehicles = len({a.vehicle_id for a in plan.assignments})
    return {
        "peer": "ours", "cost": plan.cost_fen, "bound": plan.bound_fen, "seconds": plan.elapsed_s, "vehicles": vehicles,
        "rented": len(plan.rented), "violations": [],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    given = parser.parse_args()
    results = []
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for size in given.sizes:
            ours = processes.submit(run_ours, size, given.seed, given.seconds).result()
            rows = [ours]
            for name in given.peers:
                try:
                    rows.append(processes.submit(run_peer, name, size, given.seed, given.seconds).result())
                except Exception as error:  # noqa: BLE001 - a peer that fails is a result
                    rows.append({"peer": name, "failed": f"{type(error).__name__}: {error}"})
            for row in rows:
                if "cost" in row:
                    row["over_ours"] = round(row["cost"] / ours["cost"], 4)
                    row["over_bound"] = round(row["cost"] / ours["bound"], 4) if ours["bound"] else None
            results.append({"orders": size, "seed": given.seed, "limit_s": given.seconds, "rows": rows})
    print(json.dumps({"benchmark": "dispatch_peers", "results": results}, indent=1))


if __name__ == "__main__":
    main()
