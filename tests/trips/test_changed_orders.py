"""An order that is changed, or loses its vehicle, after its trips were matched: they are matched anew, the old rows stay."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from fleetapp.approvals.rules import Verdict
from fleetapp.duty.rules import DutyAction
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders import changes
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import Stop
from fleetapp.planning import service as planning
from fleetapp.trips import jobs, queries
from fleetapp.trips.models import TripMatch
from tests.trips.conftest import EAST, ORDERED, SEAT, YARD
from tests.trips.test_service import parts, trips_of
from tests.walks import steps

ELSEWHERE = Stop("城西某处", 30.2800, 120.0700)
HOUR = timedelta(hours=1)


@pytest.fixture
def running(furnished, roads, save, now):
    """An order that began two hours ago and ends in two; out, driven to the east station, matched. Returns (number, order id)."""
    start = now - 2 * HOUR
    number, duty_id = steps.dispatched(furnished, start=start, end=now + 2 * HOUR, stops=[SEAT, EAST], plate=ORDERED)
    steps.report(furnished, duty_id, DutyAction.ACCEPT, start - HOUR)
    fixes = steps.driven(roads, [YARD, (EAST.lon, EAST.lat)], start, stay=HOUR / 4, odometer_m=10_000_000, seed=1)
    save(ORDERED, fixes, now)
    jobs.derive(furnished, now)
    with furnished.transaction(SYSTEM) as session:
        order_id = session.scalar(select(TravelOrder.id).where(TravelOrder.number == number))
    [trip] = trips_of(furnished, ORDERED)
    assert parts(furnished, trip) == [("matched", number)]
    return number, order_id


def history(database) -> list[tuple[str, bool, float]]:
    with database.transaction(SYSTEM) as session:
        rows = session.scalars(select(TripMatch).order_by(TripMatch.id)).all()
        return [(row.kind, row.superseded_at is None, row.score_dest) for row in rows]


def test_a_changed_destination_is_matched_anew(furnished, running, now, acting):
    number, order_id = running
    later = now + timedelta(minutes=10)
    applicant, approver = acting("applicant.xhedu"), acting("approver.xhedu")
    with furnished.transaction(applicant) as session:
        change_id = changes.request(
            session, order_id=order_id, reason="会议改在城西", actor=applicant, now=later, stops=[SEAT, ELSEWHERE]
        ).id
    assert jobs.derive(furnished, later)["matches"] == 0, "asked for is not changed"
    with furnished.transaction(approver) as session:
        change = changes.decide(session, change_id=change_id, verdict=Verdict.AGREE, actor=approver, now=later)
        assert change.state == "APPLIED"
    assert jobs.derive(furnished, later + timedelta(minutes=1))["matches"] == 1
    [(_, old_stands, old_dest), (_, new_stands, new_dest)] = history(furnished)
    assert (old_stands, old_dest, new_stands, new_dest) == (False, 1, True, 0)
    [trip] = trips_of(furnished, ORDERED)
    assert [order for _, order in parts(furnished, trip)] == [number]


def test_hours_an_order_no_longer_has_are_recomputed_too(furnished, running, now, acting):
    _, order_id = running
    later = now + timedelta(minutes=10)
    applicant = acting("applicant.xhedu")
    with furnished.transaction(applicant) as session:
        change = changes.request(
            session, order_id=order_id, reason="会议缩短", actor=applicant, now=later, end_at=now + HOUR
        )
        assert change.state == "APPLIED", "less than was approved needs nobody"
    with furnished.transaction(SYSTEM) as session:
        [(_, start, end)] = queries.changed_windows(session, since=later)
    assert start <= now - 2 * HOUR
    assert end >= now + 2 * HOUR


def test_a_vehicle_taken_back_leaves_its_trip_unmatched(furnished, running, now, acting):
    _, order_id = running
    later = now + timedelta(minutes=10)
    dispatcher = acting("dispatcher.xihu")
    with furnished.transaction(dispatcher) as session:
        planning.release(session, order_id=order_id, reason="车辆故障，换车", actor=dispatcher, now=later)
    jobs.derive(furnished, later + timedelta(minutes=1))
    [trip] = trips_of(furnished, ORDERED)
    assert parts(furnished, trip) == [("unmatched", None)]
    with furnished.transaction(SYSTEM) as session:
        assert session.scalar(select(func.count()).select_from(TripMatch)) == 2
