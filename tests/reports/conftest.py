"""A driven, matched order of Xihu, a trip without an order there, an order that never drove, and a trip of Binjiang."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range

from fleetapp.drivers.models import Driver
from fleetapp.duty.models import DutyEvent
from fleetapp.findings import cases
from fleetapp.findings.models import Finding, FindingEvent
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.models import OrderEvent, OrderStop, TravelOrder
from fleetapp.orders.service import issue_slip
from fleetapp.planning.models import Assignment
from fleetapp.trips.models import Trip, TripMatch
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from telematics import store
from telematics.model import Fix
from tests import world

PLACES = (("=1+1 教育局", 120.1260, 30.2640), ("杭州东站", 120.2125, 30.2905))
DANGEROUS = '=HYPERLINK("http://example.invalid","点击")'


@dataclass
class Made:
    """Ids of what the fixture made."""

    order_id: int
    ghost_id: int
    matched_trip: int
    loose_trip: int
    binjiang_trip: int
    finding_id: int
    slip: str = "330106-EDU-2026-00001"
    reason: str = DANGEROUS


def make_order(session, vehicle, applicant, number, start, end):
    driver = session.scalars(select(Driver).where(Driver.org_id == vehicle.org_id).order_by(Driver.id)).first()
    order = TravelOrder(
        org_id=vehicle.org_id, serving_org_id=vehicle.org_id, number=number, kind="ordinary", purpose="meeting", reason=DANGEROUS,
        applicant_id=applicant, passengers="+86 同事", passenger_count=2, contact="0571-85000000", body="sedan", start_at=start,
        end_at=end, state="SUBMITTED", supplementary=False, created_at=start - timedelta(hours=20),
    )  # fmt: skip
    session.add(order)
    session.flush()
    for position, (name, lon, lat) in enumerate(PLACES):
        session.add(
            OrderStop(
                order_id=order.id, position=position, name=name, point=f"SRID=4326;POINT({lon} {lat})", tolerance_m=300
            )
        )
    session.flush()
    order.state = "RETURNED"
    session.add(OrderEvent(order_id=order.id, action="check_in", to_state="RETURNED", at=end))
    made_slip = issue_slip(session, org_id=vehicle.org_id, actor=SYSTEM, now=start)
    duty = Assignment(org_id=vehicle.org_id, order_org_id=order.org_id, order_id=order.id, vehicle_id=vehicle.id, driver_id=driver.id,
                      slip_id=made_slip.id, during=Range(start, end), state="ACTIVE", assigned_at=start)  # fmt: skip
    session.add(duty)
    session.flush()
    return order, duty


def make_trip(session, vehicle, start, minutes, metres, kind, order_id=None, score=None):
    terminal = session.scalars(
        select(TerminalBinding.terminal_id).where(TerminalBinding.vehicle_id == vehicle.id)
    ).one()
    end = start + timedelta(minutes=minutes)
    trip = Trip(
        org_id=vehicle.org_id, vehicle_id=vehicle.id, terminal_id=terminal, start_at=start, end_at=end,
        path="SRID=4326;LINESTRING(120.126 30.264, 120.2125 30.2905)", start_place="@教育局停车场", end_place="杭州东站", gps_m=metres,
        odometer_m=metres + 100, matched_m=metres * 1.02, matched_source="estimate", best_m=metres, best_source="gps", error_m=20,
        coverage=0.97, points=80, max_speed_kmh=61, stops=[{"start": (start + timedelta(minutes=15)).isoformat(),
        "end": (start + timedelta(minutes=19)).isoformat(), "lat": 30.28, "lon": 120.17, "points": 8}], gaps=[],
        content_digest=f"{vehicle.plate}{start.isoformat()}", derived_at=end,
    )  # fmt: skip
    session.add(trip)
    session.flush()
    session.add(TripMatch(
        org_id=vehicle.org_id, trip_id=trip.id, order_id=order_id, start_at=start, end_at=end, distance_m=metres, kind=kind, score=score,
        score_time=score and 1.0, score_dest=score and 0.9, score_orig=score and 1.0, score_driver=score and 1.0, score_events=score and 0.5,
        margin=1.0, candidates=[], derived_at=end,
    ))  # fmt: skip
    session.flush()
    return trip


def drive(start: datetime, minutes: int) -> list[Fix]:
    """Return a fix every 15 s on a straight line, 40 km/h."""
    count = minutes * 4
    return [
        Fix(
            at=start + timedelta(seconds=15 * k),
            lat=30.264 + 0.0265 * k / count,
            lon=120.126 + 0.0865 * k / count,
            speed_kmh=40.0,
            acc=True,
        )
        for k in range(count + 1)
    ]


@pytest.fixture
def made(database, now) -> Made:
    """Yesterday's facts; ``now`` is Wednesday 09:00 at the office."""
    return build(database, now)


def build(database, now) -> Made:
    """Make the facts."""
    morning = now - timedelta(days=1)
    people = {name: world.user_id(database, name) for name in ("applicant.xhedu", "driver.xhedu", "fleet_manager.xihu")}
    with database.transaction(SYSTEM) as session:
        cars = {car.plate: car for car in session.scalars(select(Vehicle))}
        car, water = cars["浙A10001"], cars["浙A10005"]
        order, duty = make_order(
            session, car, people["applicant.xhedu"], "YC20261117-0001", morning, morning + timedelta(hours=3)
        )
        for action, at, odometer_m in (
            ("CHECK_OUT", morning, 10_000_000),
            ("CHECK_IN", morning + timedelta(hours=2), 10_024_300),
        ):
            session.add(DutyEvent(org_id=car.org_id, assignment_id=duty.id, driver_id=duty.driver_id, action=action, at=at, received_at=at,
                                  idempotency_key=f"{order.number}{action}", odometer_m=odometer_m))  # fmt: skip
        ghost, _ = make_order(
            session,
            cars["浙AD00002"],
            people["applicant.xhedu"],
            "YC20261117-0002",
            morning + timedelta(hours=4),
            morning + timedelta(hours=5),
        )
        matched = make_trip(session, car, morning + timedelta(minutes=10), 40, 12_345.6, "matched", order.id, 0.92)
        loose = make_trip(session, car, morning + timedelta(hours=12), 30, 8_000.0, "unmatched")
        river = make_trip(session, water, morning + timedelta(hours=1), 20, 5_000.0, "unmatched")
        finding = Finding(
            org_id=car.org_id, number="XS20261117-0001", dedupe_key="A-01|1", rule="A-01", rule_version="2026.11", vehicle_id=car.id,
            trip_id=loose.id, concerned_id=people["driver.xhedu"], start_at=loose.start_at, end_at=loose.end_at, severity="orange",
            state="DETECTED", confidence=0.9, facts={"distance_m": 8_000.0, "coverage": 0.97, "trips": 1, "trip_ids": [loose.id]},
            params={"version": "2026.11", "figures": {"A-01.min_km": {"value": 0.5, "unit": "km", "valid_from": "2026-01-01",
            "source": "规则目录 2026.11", "article": None}}},
            evidence_for=[{"code": "no_order"}], evidence_against=[{"code": "supplementary_possible"}],
            detected_at=now, due_at=now + timedelta(days=3),
        )  # fmt: skip
        session.add(finding)
        session.flush()
        cases.settle(session, vehicle_id=car.id, start=loose.start_at, end=loose.end_at, now=now)
        # Answered on paper but not on its way yet: tests change what the clue says, which an explained one no longer allows.
        finding.explainer_id, finding.explanation = people["driver.xhedu"], "送修车辆，未及时补单"
        session.add(FindingEvent(finding_id=finding.id, action="explain", from_state="NOTIFIED", to_state="NOTIFIED",
                                 actor_id=people["driver.xhedu"], at=now, note="送修车辆，未及时补单"))  # fmt: skip
        phones = dict(session.execute(text("SELECT phone, id FROM gps_terminal")).all())
        fixes = [(phones["13900000001"], fix, f"raw {fix.at}".encode()) for fix in drive(loose.start_at, 30)]
        store.save(session.connection().connection.driver_connection, fixes, now)
        session.flush()
        return Made(order.id, ghost.id, matched.id, loose.id, river.id, finding.id)
