"""Planning again from now: the plan that stands as the optimizer sees it, a new one held against it, a new order put into it."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dispatch
from dispatch.costs import plan_cost
from dispatch.route import Index
from fleetapp.planning import bridge
from fleetapp.planning.bridge import Option
from fleetapp.planning.rules import Fault
from fleetapp.planning.scene import Scene

NOWHERE = "no_free_vehicle"
"""Why an order that waits has no vehicle in the plan that stands: nobody has given it one yet."""
TELLING = 3
"""Vehicles named for a new order."""


@dataclass(frozen=True, slots=True)
class Held:
    """An order with the vehicle and the driver it has, by row id."""

    order_id: int
    vehicle_id: int
    driver_id: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is given and what waits: an instance, the plan that stands, orders whose place breaks a rule of the optimizer."""

    instance: dispatch.Instance
    params: dispatch.Params
    plan: dispatch.Plan
    broken: frozenset[int]

    def kept(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return instance and plan as JSON values."""
        return dispatch.dump_instance(self.instance, self.params), dispatch.dump_plan(self.plan)


@dataclass(frozen=True, slots=True)
class Extra:
    """An order that nobody has asked for: like another one, so many seconds later (before it: less than 0)."""

    order_id: int
    later_s: int


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is: phase, seconds, cost and proven bound so far in fen."""

    phase: str
    elapsed_s: float
    cost_fen: int
    bound_fen: int | None


@dataclass(frozen=True, slots=True)
class Changed:
    """One order that a new plan treats otherwise; ``was`` and ``now`` are vehicle and driver by row id, None without a vehicle.

    ``reason`` is why it gets none, ``rented`` where renting is better. An ``order_id`` of None is an order of a what-if.
    """

    key: str
    order_id: int | None
    was: tuple[int, int] | None
    now: tuple[int, int] | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Inserted:
    """The answer to a new order: vehicles by extra cost, and the cheapest plan that moves others for it, if one is cheaper.

    ``moves`` are the orders of that plan with vehicle and driver, the new one first; ``extra_fen`` what it costs more.
    """

    best: Sequence[Option]
    extra_fen: int
    moves: Sequence[tuple[int, int, int]]
    rented: bool
    reason: str | None


def standing(scene: Scene, held: Sequence[Held], *, change_fen: int, extra: Sequence[Extra] = ()) -> Standing:
    """Return what stands as instance and plan. People were told of what they have: a new plan pays ``change_fen`` to change it."""
    made = bridge.instance_of(scene)
    params = replace(bridge.params_of(scene.figures), change_fen=change_fen)
    index = Index(made, params)
    cars, people = {car.id for car in made.vehicles}, {one.id for one in made.drivers}
    given = tuple(
        _assignment(index, row) for row in held if str(row.vehicle_id) in cars and str(row.driver_id) in people
    )
    also = [
        replace(like, id=f"+{k}", earliest_s=like.earliest_s + one.later_s, latest_s=like.latest_s + one.later_s)
        for k, one in enumerate(extra, 1)
        if (like := index.requests.get(str(one.order_id)))
    ]
    instance = replace(made, requests=(*made.requests, *also), told=given)
    plan = _priced(instance, params, given, {r.id: NOWHERE for r in instance.requests}, ())
    found = dispatch.check(instance, plan, params=params)
    of_car, of_driver = defaultdict(set), defaultdict(set)
    for row in given:
        of_car[row.vehicle_id].add(row.request_id)
        of_driver[row.driver_id].add(row.request_id)
    broken: set[str] = set()
    for one in found:
        broken |= {one.request_id} if one.request_id else of_car[one.vehicle_id or ""] | of_driver[one.driver_id]
    return Standing(instance, params, plan, frozenset(int(key) for key in broken if key.isdecimal()))


def _assignment(index: Index, row: Held) -> dispatch.Assignment:
    request = index.requests[str(row.order_id)]
    end_s = request.earliest_s + index.services[request.id].busy_s
    return dispatch.Assignment(request.id, str(row.vehicle_id), str(row.driver_id), request.earliest_s, end_s)


def _priced(
    instance: dispatch.Instance,
    params: dispatch.Params,
    given: Sequence[dispatch.Assignment],
    left: Mapping[str, str],
    rented: Collection[str],
) -> dispatch.Plan:
    """Return a plan with its cost; whoever is given or rented is not left."""
    served = {row.request_id for row in given} | set(rented)
    rest = {key: reason for key, reason in left.items() if key not in served}
    plan = dispatch.Plan(tuple(given), rest, tuple(rented), 0)
    return replace(plan, cost_fen=plan_cost(Index(instance, params), plan).total_fen)


def solve(
    kept: Mapping[str, Any],
    standing_plan: Mapping[str, Any],
    *,
    time_limit_s: float,
    seed: int,
    told: Callable[[Step], None],
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Solve a kept instance; a run that is cancelled gives the best plan so far. Returns plan, figures of both, cost of each order."""
    instance, params, _ = dispatch.load_instance(kept)
    plan = dispatch.solve(
        instance, params=params, stop=dispatch.Until(time_limit_s=time_limit_s, cancel=cancelled), seed=seed,
        progress=lambda one: told(Step(one.phase, one.elapsed_s, one.cost_fen, one.bound_fen)),
    )  # fmt: skip
    before = dispatch.load_plan(standing_plan)
    if before.cost_fen < plan.cost_fen and not plan.gap:
        plan = replace(before, stopped=plan.stopped)  # cut before it was as good as what stands
    broken = dispatch.check(instance, plan, params=params)
    if broken:
        raise AssertionError(f"The plan breaks {len(broken)} rules, first {broken[0]}.")
    return {
        "plan": dispatch.dump_plan(plan),
        "figures": bridge.figures_of(instance, params, plan),
        "before": bridge.figures_of(instance, params, before),
        "orders": bridge.per_order(instance, params, plan),
    }


def changes(plan: Mapping[str, Any], standing_plan: Mapping[str, Any]) -> list[Changed]:
    """Return what a new plan does otherwise than the one that stands, in order of start."""
    new, old = dispatch.load_plan(plan), dispatch.load_plan(standing_plan)
    now, was = ({row.request_id: row for row in one.assignments} for one in (new, old))
    left = {**new.unassigned, **dict.fromkeys(new.rented, "rented")}
    found = [
        (
            (now.get(key) or was[key]).start_s if key in now or key in was else 0,
            Changed(
                key, int(key) if key.isdecimal() else None, _pair(was.get(key)), _pair(now.get(key)), left.get(key)
            ),
        )
        for key in {*now, *left}
        if _pair(now.get(key)) != _pair(was.get(key))
    ]
    return [one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].key))]


def _pair(row: dispatch.Assignment | None) -> tuple[int, int] | None:
    return (int(row.vehicle_id), int(row.driver_id)) if row is not None and row.driver_id is not None else None


def left_over(plan: Mapping[str, Any], standing_plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the reason of each order that has no vehicle in either plan, by its key."""
    new, old = dispatch.load_plan(plan), dispatch.load_plan(standing_plan)
    had = {row.request_id for row in old.assignments}
    reasons = {**new.unassigned, **dict.fromkeys(new.rented, "rented")}
    return {key: reason for key, reason in reasons.items() if key not in had}


def judge(
    kept: Mapping[str, Any], plan: Mapping[str, Any], standing_plan: Mapping[str, Any], ticked: Collection[int]
) -> list[tuple[int | None, Fault]]:
    """Judge what comes of taking over a part of a new plan: each broken rule with the order it concerns."""
    instance, params, _ = dispatch.load_instance(kept)
    new, old = dispatch.load_plan(plan), dispatch.load_plan(standing_plan)
    chosen = {str(order_id) for order_id in ticked}
    given = [row for row in new.assignments if row.request_id in chosen]
    given += [row for row in old.assignments if row.request_id not in chosen]
    rented = [key for key in new.rented if key in chosen]
    left = {r.id: new.unassigned.get(r.id, NOWHERE) for r in instance.requests}
    mixed = _priced(instance, params, given, left, rented)
    found = dispatch.check(instance, mixed, params=params)
    of_car = {row.vehicle_id: row.request_id for row in given}
    of_driver = {row.driver_id: row.request_id for row in given}
    rows = []
    for one in found:
        key = one.request_id or of_car.get(one.vehicle_id or "") or of_driver.get(one.driver_id)
        fault = bridge.fault_of(one.code, one.detail)
        if fault is not None:
            rows.append((int(key) if key and key.isdecimal() else None, fault))
    return rows


def why(kept: Mapping[str, Any], plan: Mapping[str, Any], key: str) -> list[Option]:
    """Return every vehicle's case for an order of a plan, all else as planned: possible ones by cost, then the others."""
    instance, params, _ = dispatch.load_instance(kept)
    told = dispatch.explain(instance, dispatch.load_plan(plan), key, params=params)
    return [_option(one) for one in told.options]


def _option(one: dispatch.Option) -> Option:
    driver_id = int(one.driver_id) if one.driver_id else None
    return Option(int(one.vehicle_id), driver_id, one.delta_fen, bridge.fault_of(one.code, one.detail))


def insert(found: Standing, order_id: int) -> Inserted:
    """Put one waiting order into what stands, at once: no search, the cheapest places judged (see ``docs/optimizer.md``)."""
    key, instance, plan = str(order_id), found.instance, found.plan
    penalty = found.params.penalty_fen[Index(instance, found.params).requests[key].priority]
    told = dispatch.explain(instance, plan, key, params=found.params)
    best = [replace(_option(one), cost_fen=(one.delta_fen or 0) + penalty) for one in told.options if one.code is None]
    request = next(one for one in instance.requests if one.id == key)
    without = replace(instance, requests=tuple(one for one in instance.requests if one.id != key))
    before = _priced(
        without, found.params, plan.assignments, {r: w for r, w in plan.unassigned.items() if r != key}, ()
    )
    live = dispatch.Live(without, before, found.params)
    answer = live.add(request)
    rows = {row.request_id: row for row in live.plan().assignments}
    moved = [rows[one] for one in (key, *answer.moved) if one in rows]
    moves = [
        (int(row.request_id), int(row.vehicle_id), int(row.driver_id)) for row in moved if row.driver_id is not None
    ]
    return Inserted(best[:TELLING], answer.delta_fen, moves, answer.rented, answer.reason)
