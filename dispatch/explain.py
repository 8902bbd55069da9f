"""Why this vehicle, why not that one, why none: codes and figures for every vehicle (texts are made elsewhere).

Stands on the judge and the cost function, not on a solver, so it explains any plan, also one changed by hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dispatch.check import Violation
from dispatch.model import Assignment, Instance, Plan, Request, Vehicle
from dispatch.params import Params
from dispatch.route import Index
from dispatch.tariff import rental_fen
from dispatch.trial import Board, Fit, Trial


@dataclass(frozen=True, slots=True)
class Option:
    """One vehicle for a request, all else as planned.

    `code` is None where the vehicle could take it (with `driver_id`, from `start_s`), else the first rule it would
    break, with figures in `detail`. `delta_fen` is what the plan would cost more, where it is possible.
    """

    vehicle_id: str
    code: str | None
    driver_id: str | None = None
    start_s: int | None = None
    delta_fen: int | None = None
    detail: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a request and every vehicle's case: possible ones by cost, then the others by id.

    `outcome` is assigned, rented, unassigned or missing; `reason` the plan's reason code where unassigned;
    `rental_fen` None where it must not or cannot be rented. `companions` share the ride: options are for all of them.
    """

    request_id: str
    outcome: str
    vehicle_id: str | None
    driver_id: str | None
    reason: str | None
    rental_fen: int | None
    penalty_fen: int
    options: tuple[Option, ...]
    companions: tuple[str, ...] = ()


def explain(instance: Instance, plan: Plan, request_id: str, *, params: Params | None = None) -> Explanation:
    """Explain one request of a plan that passes `check`.

    Raises
    ------
    KeyError
        The instance has no such request.
    """
    index = Index(instance, params or Params())
    request, served = index.requests[request_id], index.services[request_id]
    mine = next((a for a in plan.assignments if a.request_id == request_id), None)
    ride = [a for a in plan.assignments if mine and mine.ride is not None and a.ride == mine.ride]
    together = ride or ([mine] if mine else [])
    trial = Board(index, plan).without({request_id, *(a.request_id for a in together)})
    options = [_option(trial, request, vehicle, together) for vehicle in instance.vehicles]
    options.sort(key=lambda o: (o.code is not None, o.delta_fen or 0, o.vehicle_id))
    return Explanation(
        request_id=request_id,
        outcome=outcome(plan, request_id),
        vehicle_id=mine.vehicle_id if mine else None,
        driver_id=mine.driver_id if mine else None,
        reason=plan.unassigned.get(request_id),
        rental_fen=rental_fen(index.params, request, served.distance_m, served.busy_s),
        penalty_fen=index.params.penalty_fen[request.priority],
        options=tuple(options),
        companions=tuple(sorted(a.request_id for a in together if a.request_id != request_id)),
    )


def outcome(plan: Plan, request_id: str) -> str:
    """Return what a plan does with a request: assigned, rented, unassigned or missing."""
    if any(a.request_id == request_id for a in plan.assignments):
        return "assigned"
    return "rented" if request_id in plan.rented else "unassigned" if request_id in plan.unassigned else "missing"


def alone(index: Index, request: Request, vehicle: Vehicle, start_s: int) -> Assignment:
    """Return the assignment of a request to a vehicle from a start, without a driver yet."""
    return Assignment(request.id, vehicle.id, None, start_s, start_s + index.service_at(request.id, start_s).busy_s)


def starts(trial: Trial, request: Request, vehicle: Vehicle) -> list[int]:
    """List permitted starts worth trying: the window's ends, and as soon as the vehicle comes from another request."""
    index, instance = trial.index, trial.index.instance
    found = [request.earliest_s, request.latest_s]
    for a in trial.days.get(vehicle.id, ()) if request.earliest_s < request.latest_s else ():
        free_s = a.end_s + instance.after_s
        last = index.requests[a.request_id].stops[-1].place
        link_s, _ = instance.travel.leg_after(last, request.stops[0].place, free_s)
        found.append(_on_grid(request, free_s + link_s + instance.before_s, instance.start_step_s))
    return sorted({s for s in found if request.earliest_s <= s <= request.latest_s})


def _on_grid(request: Request, start_s: int, step_s: int) -> int:
    """Return the first permitted start no earlier than a moment (beyond the window if there is none)."""
    later = request.earliest_s - (request.earliest_s - max(start_s, request.earliest_s)) // step_s * step_s
    return request.latest_s if start_s <= request.latest_s < later else later


def _option(trial: Trial, request: Request, vehicle: Vehicle, together: Sequence[Assignment]) -> Option:
    """Try a vehicle: at the planned times, or else from every start worth it."""
    first: Violation | None = None
    for added in (
        [together] if together else [[alone(trial.index, request, vehicle, s)] for s in starts(trial, request, vehicle)]
    ):
        found = trial.put(vehicle, added, [a.driver_id for a in together])
        if isinstance(found, Fit):
            start_s = next(a.start_s for a in added if a.request_id == request.id)
            return Option(vehicle.id, None, found.driver_id, start_s, found.delta_fen)
        first = first or found
    assert first is not None
    return Option(vehicle.id, first.code, detail=first.detail)
