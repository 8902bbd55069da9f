"""What no booking may be: refused by the database when raw SQL tries it, and in words when the dispatcher does."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from fleetapp.approvals.rules import Verdict
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, FleetError
from fleetapp.orders import changes
from fleetapp.orders.rules import Stop

# What is changed beforehand, behind the service's back, and what the database says then of the booking.
UNFIT = {
    "state": "UPDATE vehicle SET state = 'MAINTENANCE' WHERE plate = '浙A10001'",
    "purpose": "UPDATE vehicle SET category = 'JYTX' WHERE plate = '浙A10001'",
    "seats": "UPDATE vehicle SET seats = 2 WHERE plate = '浙A10001'",
    "range": "UPDATE vehicle SET energy = 'bev', displacement_ml = NULL, plate = '浙AD10009', range_km = 1 WHERE plate = '浙A10001'",
    "licence": "UPDATE driver SET licence_valid_to = '2020-01-01'",
}
SAYS = {
    "state": "planning.why.vehicle_state", "purpose": "planning.why.purpose", "seats": "planning.unfit_seats",
    "range": "planning.unfit_range", "licence": "planning.unfit_licence",
}  # fmt: skip
COPY = (
    "INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at)"
    " SELECT org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, 'ACTIVE', assigned_at"
    " FROM assignment WHERE id = :id"
)


RELEASE = text(
    "UPDATE assignment SET state = 'RELEASED', released_at = now(), release_reason = 'x' WHERE state = 'ACTIVE'"
)
OFFICE, BEIJING, SHANGHAI = (
    Stop("西湖区教育局", 30.2640, 120.1260),
    Stop("北京", 39.9042, 116.4074),
    Stop("上海", 31.2304, 121.4737),
)


@pytest.mark.parametrize("against", UNFIT)
def test_raw_sql_cannot_book_what_does_not_fit(database, approved, assign, against):
    made = assign(approved())
    with database.transaction(SYSTEM) as session:
        session.execute(RELEASE)
        session.execute(text(COPY), {"id": made})  # nothing is against it as it was
        session.execute(RELEASE)
        session.execute(text(UNFIT[against]))
    with (
        pytest.raises(Conflict, match=SAYS[against]),
        database.transaction(SYSTEM) as session,
    ):
        session.execute(text(COPY), {"id": made})


def test_driving_all_day_without_room_for_rest_is_refused(approved, assign, now):
    """To Beijing and back is 2,200 km at least: 19 hours at the highest speed allowed, which leaves no room for four rests."""
    with pytest.raises(FleetError) as refused:
        assign(approved(stops=[OFFICE, BEIJING], start_h=4, end_h=23.5))
    assert refused.value.code in {"planning.rest_short", "planning.why.driver_rest"}
    assert assign(approved(stops=[OFFICE, BEIJING], start_h=30, end_h=90), at=now + timedelta(minutes=1))


def test_raw_sql_cannot_put_long_drives_back_to_back(database, approved, assign, known):
    """Each alone is short enough to need no rest; with no pause between they are one run that has no room for one."""
    first = assign(approved(stops=[OFFICE, SHANGHAI], start_h=4, end_h=6.8))
    second = assign(
        approved(stops=[OFFICE, SHANGHAI], start_h=6.8, end_h=9.6),
        plate="浙AF00006",
        driver="driver.fleet",
        by="dispatcher.city",
    )
    exact = text(
        "UPDATE assignment a SET during = tstzrange(o.start_at, o.end_at) FROM travel_order o WHERE o.id = a.order_id"
    )
    with database.transaction(SYSTEM) as session:
        session.execute(exact)
    with pytest.raises(Conflict, match="planning.rest_short"), database.transaction(SYSTEM) as session:
        session.execute(
            text("UPDATE assignment SET driver_id = :driver WHERE id = :id"),
            {"driver": known["driver.xhedu"], "id": second},
        )
    assert first != second


@pytest.mark.parametrize("next_h", [None, 7.6])
def test_a_later_return_takes_the_booking_along_unless_somebody_has_the_vehicle(
    database, acting, approved, assign, now, next_h
):
    order_id = approved(start_h=4, end_h=7)
    made = assign(order_id)
    if next_h:
        assign(approved(start_h=next_h, end_h=next_h + 1))
    applicant, approver = acting("applicant.xhedu"), acting("approver.xhedu")
    with database.transaction(applicant) as session:
        later = now + timedelta(hours=8)
        change = changes.request(session, order_id=order_id, reason="会议延长", actor=applicant, now=now, end_at=later)
        change_id = change.id
    with database.transaction(approver) as session:
        change = changes.decide(session, change_id=change_id, verdict=Verdict.AGREE, actor=approver, now=now)
        assert (change.state, change.redispatch) == ("APPLIED", next_h is not None)
    with database.transaction(SYSTEM) as session:
        until = session.execute(text("SELECT upper(during) FROM assignment WHERE id = :id"), {"id": made}).scalar_one()
        assert (until >= later) is (next_h is None)
