"""Small instances with round numbers: places on a line, one minute and one kilometre apart per unit."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from dispatch import Assignment, Driver, Instance, Params, Place, Plan, Request, Span, Stop, Travel, Vehicle
from dispatch.check import priced

HOUR_S = 3_600
EPOCH = datetime(2026, 3, 1, 16, tzinfo=UTC)
DAY = (Span(0, 24 * HOUR_S),)
LINE_KM = {"yard": 0, "office": 5, "hall": 15, "depot": 40, "far": 200}


def line() -> Travel:
    """Places on a line: 1 km = 1 minute."""
    km = np.array(list(LINE_KM.values()))
    apart = np.abs(km[:, None] - km[None, :])
    places = tuple(Place(name, 30.0, 120.0 + at / 96) for name, at in LINE_KM.items())
    return Travel(places, (apart * 60).astype(np.int32), (apart * 1_000).astype(np.int32), "line")


def request(name="morning", route=("office", "hall"), start_h=9.0, **given) -> Request:
    start_s = round(start_h * HOUR_S)
    values = {
        "earliest_s": start_s, "latest_s": start_s, "duration_s": 1_800, "passengers": 2, "vehicle_class": "sedan",
        "purpose": "meeting", "owner_org": "city",
    }  # fmt: skip
    return Request(name, tuple(s if isinstance(s, Stop) else Stop(s) for s in route), **{**values, **given})


def vehicle(name="sedan-1", **given) -> Vehicle:
    values = {"yard": "yard", "owner_org": "city", "vehicle_class": "sedan", "seats": 4, "available": DAY}
    return Vehicle(name, **{**values, **given})


def driver(name="driver-1", **given) -> Driver:
    values = {"yard": "yard", "org": "city", "licence": "C1", "on_duty": DAY}
    return Driver(name, **{**values, **given})


def instance(requests=None, vehicles=None, drivers=None, **given) -> Instance:
    """Two requests an hour apart, two sedans, two drivers, unless said otherwise."""
    return Instance(
        epoch=EPOCH,
        travel=given.pop("travel", None) or line(),
        requests=(request(), request("noon", ("hall", "office"), 10.0)) if requests is None else tuple(requests),
        vehicles=(vehicle(), vehicle("sedan-2")) if vehicles is None else tuple(vehicles),
        drivers=(driver(), driver("driver-2")) if drivers is None else tuple(drivers),
        **{"before_s": 300, "after_s": 300, **given},
    )


def served(problem: Instance, name: str, vehicle_id="sedan-1", driver_id="driver-1", start_s=None) -> Assignment:
    """Serve a request at its earliest start for half an hour or as long as driving takes."""
    from dispatch.route import service_of

    wanted = next(r for r in problem.requests if r.id == name)
    start_s = wanted.earliest_s if start_s is None else start_s
    return Assignment(name, vehicle_id, driver_id, start_s, start_s + service_of(problem, wanted).busy_s)


def plan(problem: Instance, *assignments: Assignment, rented=(), unassigned=None, params=None) -> Plan:
    """Make a priced plan by hand."""
    return priced(problem, Plan(tuple(assignments), unassigned or {}, tuple(rented), 0), params=params)


def usual(problem: Instance, params: Params | None = None) -> Plan:
    """Give everything to the first vehicle and the first driver."""
    return plan(problem, *(served(problem, r.id) for r in problem.requests), params=params)


def changed(problem: Instance, name: str, **values) -> Instance:
    """Change one request, vehicle or driver by id."""

    def swap(items):
        return tuple(replace(item, **values) if item.id == name else item for item in items)

    return replace(
        problem, requests=swap(problem.requests), vehicles=swap(problem.vehicles), drivers=swap(problem.drivers)
    )
