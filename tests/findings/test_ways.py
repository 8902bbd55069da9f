"""Which ways may be taken: those of the road engine, else the main roads at hand."""

from datetime import timedelta

import numpy as np
from sqlalchemy import select

from fleetapp.findings import queries, ways
from fleetapp.findings.families import JUDGES
from fleetapp.findings.gather import gather
from fleetapp.findings.rules import Clue
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.places.roads import Route
from fleetapp.trips import jobs
from fleetapp.trips.roads import Roads
from fleetapp.vehicles.models import Vehicle
from tests.findings.test_families import known, order, trip
from tests.trips.conftest import ORDERED
from tests.trips.engine import engine, says

__all__ = ["engine"]

BY_THE_RIVER = ((30.25, 30.25, 30.30), (120.16, 120.35, 120.20))
"""Latitudes and longitudes of a drive far to the east of the straight way, 36 km."""


def leg(lats, lons, metres):
    points = np.stack((np.array(lons), np.array(lats)), axis=1)
    return Route(points, np.full(len(points), 50.0), np.zeros(len(points), bool), metres, metres / 10)


def asked(legs_of):
    own = known(orders=[order()], trips=[trip(metres=36_000.0, path=BY_THE_RIVER)])
    [pair] = ways.pairs(own.trips, own.orders[0])
    return list(JUDGES["C-02"](known(orders=own.orders, trips=own.trips, legs=legs_of(pair))))


def test_the_way_that_was_driven_is_no_deviation_when_the_engine_offers_it():
    straight, driven = leg((30.25, 30.30), (120.16, 120.20), 7_000.0), leg(*BY_THE_RIVER, 36_000.0)
    [by_main_roads] = asked(lambda pair: {})
    [off_all] = asked(lambda pair: {pair: [straight]})
    assert asked(lambda pair: {pair: [straight, driven]}) == []
    assert isinstance(off_all, Clue)
    assert [line["code"] for line in by_main_roads.evidence_against] == ["main_roads_only", "clears"]
    assert [line["code"] for line in off_all.evidence_against] == ["clears"]
    assert off_all.facts["distance_m"] == 36_000.0


def test_an_order_that_may_go_on_has_no_way_yet():
    early = known(orders=[order()], trips=[trip()], now=order().end_at - timedelta(minutes=1))
    over = known(orders=[order()], trips=[trip()])
    assert ways.finished(early, order()) == []
    assert ways.finished(over, order()) == list(over.trips)


def read(database, now, roads):
    with database.transaction(SYSTEM) as session:
        vehicle_id = session.scalars(select(Vehicle.id).where(Vehicle.plate == ORDERED)).one()
        on = clock.local_date(now - timedelta(days=1))
        return gather(session, vehicle_id=vehicle_id, first_on=on, last_on=clock.local_date(now), now=now,
                      figure_rows=queries.figure_rows(session), roads=roads, keep=False)  # fmt: skip


def test_the_engine_is_asked_for_the_ways_of_orders_that_ended(furnished, journey, now, engine):
    jobs.derive(furnished, now)
    shape = {"type": "LineString", "coordinates": [[120.126, 30.264], [120.208, 30.293]]}
    way = {"distance": 9000.0, "duration": 900.0, "geometry": shape, "legs": [{"annotation": {"speed": [16.0]}}]}
    says(engine, {"code": "Ok", "routes": [way]})
    found = read(furnished, now, Roads(engine.url))
    assert len(found.legs) == len(engine.asked) >= 2
    assert all(path.startswith("/route/v1/driving/120.") for path in engine.asked)
    assert {one.length_m for legs in found.legs.values() for one in legs} == {9000.0}
    assert {round(float(one.limits_kmh[0])) for legs in found.legs.values() for one in legs} == {72}
    assert read(furnished, now, None).legs == {}


def test_an_engine_that_fails_leaves_the_main_roads(furnished, journey, now, engine):
    jobs.derive(furnished, now)
    says(engine, (500, {"code": "InternalError"}))
    assert read(furnished, now, Roads(engine.url)).legs == {}
    assert engine.asked
