"""The judge: every hard rule and the cost of any plan, whoever made it. Imports no solver."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from dispatch.costs import known_ids, plan_cost
from dispatch.model import SECRET_TAG, SERVED_BY, Assignment, Driver, Instance, Plan, Request, Reserve, Vehicle
from dispatch.params import Params
from dispatch.ride import Ride, as_given, obstacle, ride_of
from dispatch.route import Index, Outing, Overlap, by_driver, by_vehicle, is_emergency, longest_drive_s, walk
from dispatch.tariff import rental_fen


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: its code, whom it concerns, and the figures behind it (texts are made elsewhere)."""

    code: str
    request_id: str | None = None
    vehicle_id: str | None = None
    driver_id: str | None = None
    detail: Mapping[str, int | str] = field(default_factory=dict)


def check(
    instance: Instance, plan: Plan, *, params: Params | None = None, locked: Sequence[Assignment] = ()
) -> list[Violation]:
    """Judge a plan.

    Returns all violations, none for a sound plan. Rules that need a known request, vehicle and driver are judged on
    those assignments only; the cost is judged when all ids are known.

    Notes
    -----
    Range: a battery-electric vehicle leaves its yard only with range for 1.2 x the distance to its next yard visit;
    it loses the distance driven and regains `charge_m_per_h` at the yard, up to its full range.
    Rest: no more than 4 h of driving without 20 min in one piece (道路交通安全法实施条例 第62条第(七)项); stops, buffers
    and waits are rest, time of a request that its stops do not explain is neither driving nor rest.
    Reserve: vehicles available minus vehicles out on anything but emergencies, at every moment of the span.
    """
    index = Index(instance, params or Params())
    found = broken_rules(index, plan, locked)
    if known_ids(index, plan):
        found += _money(index, plan)
    return found


def broken_rules(index: Index, plan: Plan, locked: Sequence[Assignment] = ()) -> list[Violation]:
    """Judge a plan as `check` does, but for its cost."""
    instance = index.instance
    found = [*_bookkeeping(index, plan), *_locked(plan, locked)]
    known = [a for a in plan.assignments if not _unknown(index, a)]
    given = {*locked, *instance.told}
    found += [v for a in known for v in request_violations(index, a, kept=a in given)]
    found += _rides(index, known, given)
    outings: list[Outing] = []
    for vehicle_id, assignments in sorted(by_vehicle(known).items()):
        vehicle = index.vehicles[vehicle_id]
        own, overlaps = walk(index, vehicle, assignments)
        found += vehicle_violations(index, vehicle, own, overlaps)
        outings += own
    crews = by_driver(outings)
    for driver in instance.drivers:
        found += driver_violations(index, driver, crews.get(driver.id, ()))
    for reserve in instance.reserves:
        found += reserve_violations(index, reserve, outings)
    return found


def check_locked(instance: Instance, locked: Sequence[Assignment], *, params: Params | None = None) -> list[Violation]:
    """Judge assignments that are to be kept, as if nothing else were planned."""
    bare = Plan(tuple(locked), {}, (), 0)
    return [
        v
        for v in check(instance, bare, params=params, locked=locked)
        if v.code not in ("request_missing", "cost_mismatch")
    ]


def _unknown(index: Index, a: Assignment) -> list[Violation]:
    found = []
    if a.request_id not in index.requests:
        found.append(Violation("unknown_request", a.request_id, a.vehicle_id, a.driver_id))
    if a.vehicle_id not in index.vehicles:
        found.append(Violation("unknown_vehicle", a.request_id, a.vehicle_id, a.driver_id))
    if a.driver_id is not None and a.driver_id not in index.drivers:
        found.append(Violation("unknown_driver", a.request_id, a.vehicle_id, a.driver_id))
    return found


def _bookkeeping(index: Index, plan: Plan) -> Iterator[Violation]:
    """Every request occurs exactly once among assigned, rented and unassigned."""
    for a in plan.assignments:
        yield from _unknown(index, a)
    for request_id in (*plan.rented, *plan.unassigned):
        if request_id not in index.requests:
            yield Violation("unknown_request", request_id)
    times = Counter([a.request_id for a in plan.assignments] + list(plan.rented) + list(plan.unassigned))
    for request_id in index.requests:
        if times[request_id] > 1:
            yield Violation("request_twice", request_id, detail={"times": times[request_id]})
        elif times[request_id] == 0:
            yield Violation("request_missing", request_id)
    for request_id in plan.rented:
        request, served = index.requests.get(request_id), index.services.get(request_id)
        if request and served and rental_fen(index.params, request, served.distance_m, served.busy_s) is None:
            yield Violation("rental_not_allowed", request_id)


def _rides(index: Index, known: Sequence[Assignment], given: Collection[Assignment]) -> Iterator[Violation]:
    """Judge shared rides: one vehicle and driver, allowed together, at the times that are theirs, seats for everybody.

    Rides all of whose assignments are locked or told stay as they are.
    """
    groups: dict[str, list[Assignment]] = {}
    for a in known:
        if a.ride is not None:
            groups.setdefault(a.ride, []).append(a)
    for key, group in sorted(groups.items()):
        first = group[0]

        def broken(code: str, first: Assignment = first, key: str = key, **detail: int | str) -> Violation:
            return Violation(code, first.request_id, first.vehicle_id, first.driver_id, {"ride": key, **detail})

        if len(group) < 2 or len({(a.vehicle_id, a.driver_id) for a in group}) > 1:
            yield broken("ride_split", members=len(group))
            continue
        ids = [a.request_id for a in group]
        if all(a in given for a in group):
            ride: Ride | None = as_given(index, group)
        else:
            ride = ride_of(index, ids)
        if ride is None or len(set(ids)) < len(ids):
            yield broken("ride_members", why=obstacle(index, ids) or "way")
            continue
        spans = dict(zip(ride.request_ids, ride.spans, strict=True))
        if any(spans[a.request_id] != (a.start_s, a.end_s) for a in group):
            yield broken("ride_times", start_s=ride.start_s, end_s=ride.end_s)
        seats = index.vehicles[first.vehicle_id].seats
        if ride.passengers > seats:
            yield broken("seats", passengers=ride.passengers, seats=seats)


def _locked(plan: Plan, locked: Sequence[Assignment]) -> Iterator[Violation]:
    planned = set(plan.assignments)
    for a in locked:
        if a not in planned:
            yield Violation("locked_moved", a.request_id, a.vehicle_id, a.driver_id)


def _money(index: Index, plan: Plan) -> Iterator[Violation]:
    cost_fen = plan_cost(index, plan).total_fen
    if cost_fen != plan.cost_fen:
        yield Violation("cost_mismatch", detail={"plan_fen": plan.cost_fen, "cost_fen": cost_fen})
    if plan.bound_fen is not None and plan.bound_fen > cost_fen:
        yield Violation("bound_above_cost", detail={"bound_fen": plan.bound_fen, "cost_fen": cost_fen})


def suitable(index: Index, request: Request, vehicle: Vehicle) -> Violation | None:
    """Return why a vehicle can never serve a request, or None: class, seats, purpose, needs, secrecy, lending."""

    def broken(code: str, **detail: int | str) -> Violation:
        return Violation(code, request.id, vehicle.id, detail=detail)

    if vehicle.vehicle_class not in SERVED_BY[request.vehicle_class]:
        return broken("vehicle_class", wanted=request.vehicle_class, given=vehicle.vehicle_class)
    if vehicle.seats < request.passengers:
        return broken("seats", passengers=request.passengers, seats=vehicle.seats)
    if vehicle.purposes is not None and request.purpose not in vehicle.purposes:
        return broken("purpose", purpose=request.purpose)
    missing = sorted(request.needs - vehicle.tags)
    if missing:
        return broken("needs", missing=",".join(missing))
    if request.secret and SECRET_TAG not in vehicle.tags:
        return broken("secret")
    if not index.instance.lends(vehicle.owner_org, request.owner_org):
        return broken("lending", owner_org=vehicle.owner_org, borrower_org=request.owner_org)
    return None


def request_violations(index: Index, a: Assignment, *, kept: bool = False) -> Iterator[Violation]:
    """Judge one assignment alone: suitability, start, length, and its driver; a `kept` one may start off the grid.

    Start and length of a shared ride are judged for all its members together.
    """
    request, vehicle = index.requests[a.request_id], index.vehicles[a.vehicle_id]
    unfit = suitable(index, request, vehicle)
    if unfit:
        yield unfit

    def broken(code: str, **detail: int | str) -> Violation:
        return Violation(code, a.request_id, a.vehicle_id, a.driver_id, detail)

    if a.ride is None:
        if not request.earliest_s <= a.start_s <= request.latest_s:
            yield broken("start_window", start_s=a.start_s, earliest_s=request.earliest_s, latest_s=request.latest_s)
        step_s, past_s = index.instance.start_step_s, a.start_s - request.earliest_s
        if not kept and past_s % step_s and request.earliest_s <= a.start_s < request.latest_s:
            yield broken("start_grid", start_s=a.start_s, earliest_s=request.earliest_s, step_s=step_s)
        least_s = index.service_at(a.request_id, a.start_s).busy_s
        if a.end_s - a.start_s < least_s:
            yield broken("too_short", given_s=a.end_s - a.start_s, least_s=least_s)
    if index.instance.drivers and a.driver_id is None:
        yield broken("driver_missing")
    elif index.instance.drivers and a.driver_id is not None:
        yield from driver_unfit(index, request, vehicle, index.drivers[a.driver_id])


def driver_unfit(index: Index, request: Request, vehicle: Vehicle, driver: Driver) -> Iterator[Violation]:
    """Judge whether a driver may ever drive a vehicle for a request: binding, licence, clearance."""

    def broken(code: str, **detail: int | str) -> Violation:
        return Violation(code, request.id, vehicle.id, driver.id, detail)

    own = index.vehicle_of.get(driver.id)
    if (vehicle.driver_id or driver.id) != driver.id or (own or vehicle.id) != vehicle.id:
        yield broken("driver_bound", own_driver=vehicle.driver_id or "", own_vehicle=own or "")
    if vehicle.vehicle_class not in driver.classes():
        yield broken("driver_licence", licence=driver.licence, vehicle_class=vehicle.vehicle_class)
    if request.secret and SECRET_TAG not in driver.tags:
        yield broken("driver_secret")


def vehicle_violations(
    index: Index, vehicle: Vehicle, outings: Sequence[Outing], overlaps: Iterable[Overlap]
) -> Iterator[Violation]:
    """Judge one vehicle's day as it was walked: overlaps, availability with empty legs, driver changes, range."""
    for overlap in overlaps:
        detail: dict[str, int | str] = {"after": overlap.earlier.request_id, "short_s": overlap.short_s}
        yield Violation("vehicle_overlap", overlap.later.request_id, vehicle.id, detail=detail)
    for outing in outings:
        first = outing.assignments[0]
        if not any(span.holds(outing.out_s, outing.in_s) for span in vehicle.available):
            detail = {"out_s": outing.out_s, "in_s": outing.in_s}
            yield Violation("vehicle_unavailable", first.request_id, vehicle.id, detail=detail)
        for a, b in pairwise(outing.assignments):
            if a.driver_id != b.driver_id:
                yield Violation("driver_change", b.request_id, vehicle.id, b.driver_id)
    if vehicle.energy == "bev":
        yield from _range(index, vehicle, outings)


def _range(index: Index, vehicle: Vehicle, outings: Sequence[Outing]) -> Iterator[Violation]:
    full_m = vehicle.range_m or 0
    per_h = index.params.charge_m_per_h if vehicle.charge_m_per_h is None else vehicle.charge_m_per_h
    left_m, home_s = int(vehicle.soc * full_m), None
    for outing in outings:
        if home_s is not None:
            left_m = min(full_m, left_m + max(0, outing.out_s - home_s) * per_h // 3_600)
        needed_m = -(-outing.distance_m * index.params.range_reserve_permille // 1_000)
        if left_m < needed_m:
            detail = {"left_m": left_m, "needed_m": needed_m}
            yield Violation("range", outing.assignments[-1].request_id, vehicle.id, detail=detail)
        left_m, home_s = max(0, left_m - outing.distance_m), outing.in_s


def driver_violations(index: Index, driver: Driver, outings: Iterable[Outing]) -> Iterator[Violation]:
    """Judge the outings of one driver: overlaps with the way between yards, on duty, shift length, rest."""
    mine = sorted(outings, key=lambda o: (o.out_s, o.in_s))
    leg, params = index.instance.travel.leg, index.params

    def broken(code: str, outing: Outing, **detail: int | str) -> Violation:
        return Violation(code, outing.assignments[0].request_id, outing.vehicle.id, driver.id, detail)

    timeline: list[tuple[bool, int]] = []
    for k, outing in enumerate(mine):
        if k:
            gap_s = outing.out_s - mine[k - 1].in_s - leg(mine[k - 1].vehicle.yard, outing.vehicle.yard)[0]
            if gap_s < 0:
                yield broken("driver_overlap", outing, after=mine[k - 1].assignments[-1].request_id, short_s=-gap_s)
            timeline.append((False, max(0, gap_s)))
        timeline += outing.timeline
        drive_s = longest_drive_s(timeline, params.rest_min_s)
        if drive_s > params.drive_max_s:
            yield broken("driver_rest", outing, drive_s=drive_s, most_s=params.drive_max_s)
            timeline = []
        if not any(span.holds(outing.out_s, outing.in_s) for span in driver.on_duty):
            yield broken("driver_off_duty", outing, out_s=outing.out_s, in_s=outing.in_s)
    rested_s = None if driver.off_since_s is None else driver.off_since_s + params.between_shifts_s
    for span in driver.on_duty:
        shift = [o for o in mine if span.holds(o.out_s, o.in_s)]
        if not shift:
            continue
        start_s = shift[0].out_s - leg(driver.yard, shift[0].vehicle.yard)[0]
        end_s = shift[-1].in_s + leg(shift[-1].vehicle.yard, driver.yard)[0]
        if not span.holds(start_s, end_s):
            yield broken("driver_off_duty", shift[0], out_s=start_s, in_s=end_s)
        if rested_s is not None and start_s < rested_s:
            yield broken("driver_between", shift[0], out_s=start_s, rested_s=rested_s)
        rested_s = end_s + params.between_shifts_s
        if end_s - start_s > driver.shift_max_s:
            yield broken("driver_shift", shift[-1], shift_s=end_s - start_s, most_s=driver.shift_max_s)


def reserve_violations(index: Index, reserve: Reserve, outings: Iterable[Outing]) -> list[Violation]:
    """Judge one reserve: the first moment at which too few vehicles are left, if any."""
    fleet = {
        v.id: v for v in index.instance.vehicles if v.yard == reserve.yard and v.vehicle_class == reserve.vehicle_class
    }
    drawn = [o for o in outings if o.vehicle.id in fleet and not is_emergency(index, o)]
    moments = {reserve.span.start_s, *(o.out_s for o in drawn)}
    moments |= {span.end_s for v in fleet.values() for span in v.available}
    for at_s in sorted(m for m in moments if reserve.span.start_s <= m < reserve.span.end_s):
        here = {v.id for v in fleet.values() if any(s.start_s <= at_s < s.end_s for s in v.available)}
        out = {o.vehicle.id: o for o in drawn if o.out_s <= at_s < o.in_s}
        free = len(here - set(out))
        if out and free < reserve.min_free:
            last = max(out.values(), key=lambda o: (o.out_s, o.vehicle.id))
            detail: dict[str, int | str] = {
                "at_s": at_s,
                "free": free,
                "min_free": reserve.min_free,
                "yard": reserve.yard,
            }
            return [Violation("reserve", last.assignments[0].request_id, last.vehicle.id, detail=detail)]
    return []


def priced(instance: Instance, plan: Plan, *, params: Params | None = None) -> Plan:
    """Return the plan with the cost this library finds for it (for plans made by hand)."""
    return replace(plan, cost_fen=plan_cost(Index(instance, params or Params()), plan).total_fen)
