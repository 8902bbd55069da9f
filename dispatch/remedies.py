"""What would get a request served that no vehicle serves: another start, one more driver, company, or a rented vehicle."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dispatch.check import suitable
from dispatch.explain import alone, outcome, starts
from dispatch.model import LICENCES, SECRET_TAG, Assignment, Driver, Instance, Plan, Request, Span, Vehicle
from dispatch.params import Params
from dispatch.ride import Ride, ride_of
from dispatch.route import Index
from dispatch.tariff import rental_fen
from dispatch.trial import Board, Fit, Trial

LONGEST_MOVE_S = 7_200  # a start moved further is another journey
MOST = 3  # remedies of a kind that are named

# Licence classes from common to rare: the first that drives a class is the one to look for.
_COMMON = ("C1", "B1", "A3", "B2", "A2", "A1")


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way out, all else as planned; `delta_fen` is what the plan would cost more.

    code "assign": this vehicle (and driver) could take it as it is. "shift": so they could if it started `moved_s`
    later (earlier: below 0). "driver": so could a further driver; detail `licence`, `yard`. "pool": it could ride with
    others; detail `with` and `consent` list request ids, those in `consent` have not consented yet. "rental": detail
    `allowed` 0 where the request forbids it now.
    """

    code: str
    delta_fen: int
    vehicle_id: str | None = None
    driver_id: str | None = None
    start_s: int | None = None
    moved_s: int = 0
    detail: Mapping[str, int | str] = field(default_factory=dict)


def remedies(instance: Instance, plan: Plan, request_id: str, *, params: Params | None = None) -> tuple[Remedy, ...]:
    """List ways to serve a request that a plan which passes `check` leaves unassigned or rents.

    At most three of each kind, the cheapest; of moved starts only those moved least, in steps of the instance's
    `start_step_s` up to two hours. Nothing is listed for a request that is served.

    Raises
    ------
    KeyError
        The instance has no such request.
    """
    index = Index(instance, params or Params())
    request = index.requests[request_id]
    if outcome(plan, request_id) == "assigned":
        return ()
    board = Board(index, plan)
    trial = board.without({request_id})
    fleet = [v for v in _unlike(trial) if suitable(index, request, v) is None]
    fits = _cheapest(_assigned(trial, request, fleet))
    return (
        *(fits or _shifted(trial, request, fleet)),
        *(() if fits else _cheapest(_driven(board, request, fleet))),
        *_cheapest(_pooled(board, request)),
        *_rented(board, request),
    )


def _unlike(trial: Trial) -> list[Vehicle]:
    """List vehicles; of those that stand idle and differ in nothing but their id only the first."""
    seen: dict[object, Vehicle] = {}
    for vehicle in trial.index.instance.vehicles:
        seen.setdefault(vehicle.id if trial.days.get(vehicle.id) else replace(vehicle, id="any"), vehicle)
    return list(seen.values())


def _cheapest(found: Iterable[Remedy]) -> list[Remedy]:
    return sorted(found, key=lambda r: (r.delta_fen, r.vehicle_id or "", r.start_s or 0))[:MOST]


def _assigned(trial: Trial, request: Request, fleet: Sequence[Vehicle]) -> Iterator[Remedy]:
    for vehicle in fleet:
        for start_s in starts(trial, request, vehicle):
            found = trial.put(vehicle, [alone(trial.index, request, vehicle, start_s)])
            if isinstance(found, Fit):
                yield Remedy("assign", found.delta_fen, vehicle.id, found.driver_id, start_s)
                break


def _shifted(trial: Trial, request: Request, fleet: Sequence[Vehicle]) -> list[Remedy]:
    """Move the window step by step, both ways, until some vehicle can take the request."""
    step_s = trial.index.instance.start_step_s
    for moved_s in range(step_s, LONGEST_MOVE_S + 1, step_s):
        found = []
        for vehicle in fleet:
            for start_s, by_s in ((request.earliest_s - moved_s, -moved_s), (request.latest_s + moved_s, moved_s)):
                fit = trial.put(vehicle, [alone(trial.index, request, vehicle, start_s)])
                if isinstance(fit, Fit):
                    found.append(Remedy("shift", fit.delta_fen, vehicle.id, fit.driver_id, start_s, by_s))
        if found:
            return _cheapest(found)
    return []


def _driven(board: Board, request: Request, fleet: Sequence[Vehicle]) -> Iterator[Remedy]:
    """Imagine one driver more per yard and licence, on duty whenever vehicles are there; yield the best use of each."""
    instance = board.index.instance
    wanted: dict[tuple[str, str], str] = {}
    free_ids = (name for name in map("+{}".format, itertools.count()) if name not in board.index.drivers)
    for vehicle in fleet:
        licence = next((c for c in _COMMON if vehicle.vehicle_class in LICENCES[c]), None)
        if vehicle.driver_id is None and licence is not None and (vehicle.yard, licence) not in wanted:
            wanted[vehicle.yard, licence] = next(free_ids)
    if not instance.drivers or not wanted:
        return
    spans = [span for vehicle in fleet for span in vehicle.available]
    duty = (Span(min(s.start_s for s in spans), max(s.end_s for s in spans)),)
    tags = frozenset({SECRET_TAG})
    more = [Driver(d, yard, request.owner_org, licence, duty, tags=tags) for (yard, licence), d in wanted.items()]
    index = Index(replace(instance, drivers=(*instance.drivers, *more)), board.index.params)
    trial = Board(index, board.plan).without({request.id})
    for (yard, licence), d in wanted.items():
        mine = [
            v
            for v in fleet
            if v.yard == yard and v.driver_id is None and index.drivers[d].classes() >= {v.vehicle_class}
        ]
        detail: dict[str, int | str] = {"licence": licence, "yard": yard}
        fits = (
            Remedy("driver", fit.delta_fen, vehicle.id, start_s=start_s, detail=detail)
            for vehicle in mine
            for start_s in starts(trial, request, vehicle)
            if isinstance(
                fit := trial.put(vehicle, [alone(index, request, vehicle, start_s)], [d], hints_only=True), Fit
            )
            and fit.driver_id == d
        )
        yield from _cheapest(fits)[:1]


def _pooled(board: Board, request: Request) -> Iterator[Remedy]:
    """Try to let the request ride with what one vehicle already does, as if everybody had consented."""
    instance = board.index.instance
    willing = tuple(replace(r, pooling=True) for r in instance.requests)
    index = Index(replace(instance, requests=willing), board.index.params)
    asked = Board(index, board.plan)
    groups: dict[tuple[str, str], list[Assignment]] = {}
    for a in board.plan.assignments:
        groups.setdefault(("request", a.request_id) if a.ride is None else ("ride", a.ride), []).append(a)
    for group in groups.values():
        ids = {request.id, *(a.request_id for a in group)}
        ride = ride_of(index, ids)
        if ride is None:
            continue
        vehicle, driver_id = index.vehicles[group[0].vehicle_id], group[0].driver_id
        fit = asked.without(ids).put(vehicle, _aboard(ride, vehicle), [driver_id])
        if isinstance(fit, Fit):
            start_s = dict(zip(ride.request_ids, ride.spans, strict=True))[request.id][0]
            moved_s = min(0, start_s - request.earliest_s) + max(0, start_s - request.latest_s)
            others = sorted(ids - {request.id})
            detail: dict[str, int | str] = {
                "with": ",".join(others),
                "consent": ",".join(r for r in sorted(ids) if not board.index.requests[r].pooling),
            }
            yield Remedy("pool", fit.delta_fen, vehicle.id, fit.driver_id, start_s, moved_s, detail)


def _aboard(ride: Ride, vehicle: Vehicle) -> list[Assignment]:
    return [
        Assignment(name, vehicle.id, None, start_s, end_s, ride.key)
        for name, (start_s, end_s) in zip(ride.request_ids, ride.spans, strict=True)
    ]


def _rented(board: Board, request: Request) -> Iterator[Remedy]:
    """Price a rented vehicle, also where the request forbids it (a secret one is never rented)."""
    index, served = board.index, board.index.services[request.id]
    price = rental_fen(index.params, replace(request, rentable=True), served.distance_m, served.busy_s)
    if price is None or request.id in board.plan.rented:
        return
    fen = price - index.params.penalty_fen[request.priority]
    yield Remedy("rental", fen, detail={"allowed": int(request.rentable), "price_fen": price})
