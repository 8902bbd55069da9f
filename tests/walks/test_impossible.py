"""What must never be: each tried over the API of the real server and by raw SQL in the application's own role.

The services' refusals stand in the tests of their slices; here are the ways around them.
"""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.duty.rules import DutyAction
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import FleetError
from tests import world
from tests.browser.conftest import EAST, SEAT
from tests.walks import steps

REFUSED = (DBAPIError, FleetError)


@pytest.fixture(scope="module")
def driven(city):
    """A journey that is over, one that waits for its driver and one without a vehicle, with their ids."""
    now = clock.now().replace(second=0, microsecond=0)
    start, end = now - timedelta(hours=6), now - timedelta(hours=3)
    number, done = steps.dispatched(city, start=start, end=end, stops=[SEAT, EAST], plate="浙A10001")
    steps.report(city, done, DutyAction.ACCEPT, start - timedelta(hours=1))
    steps.report(city, done, DutyAction.CHECK_OUT, start, odometer_m=10_000_000)
    steps.report(city, done, DutyAction.CHECK_IN, end, odometer_m=10_030_000)
    soon = now + timedelta(days=20)
    _, ahead = steps.dispatched(city, start=soon, end=soon + timedelta(hours=2), stops=[SEAT, EAST], plate="浙A10001")
    waits = steps.asked(
        city, start=soon, end=soon + timedelta(hours=2), stops=[SEAT, EAST], approve=True, unit="xhhealth"
    )
    asked = steps.asked(city, start=soon, end=soon + timedelta(hours=2), stops=[SEAT, EAST], approve=False)
    with city.transaction(SYSTEM) as session:
        of = "SELECT order_id, vehicle_id, driver_id, slip_id FROM assignment WHERE id = :id"
        rows = {name: session.execute(text(of), {"id": row}).one() for name, row in (("done", done), ("ahead", ahead))}
    return {"done": rows["done"], "done_duty": done, "ahead": rows["ahead"], "ahead_duty": ahead, "waits": waits.id,
            "asked": asked.id, "number": number}  # fmt: skip


def sql(city, statement, by=None, **values):
    """Run raw SQL in the application's role: of the whole city, or of a person's part."""
    with city.transaction(world.actor(city, by) if by else SYSTEM) as session:
        return session.execute(text(statement), values).rowcount


def refused(city, statement, **values):
    """Expect raw SQL to be refused, or to find nothing that it may touch."""
    try:
        touched = sql(city, statement, **values)
    except REFUSED:
        return
    assert touched == 0, f"raw SQL went through: {statement}"


def test_12_nobody_decides_their_own_and_no_approver_drives_or_dispatches(city, calls, driven):
    calls("applicant.xhedu")("POST", f"/orders/{driven['asked']}/approve", {}, status=403)
    with city.transaction(SYSTEM) as session:
        approver = session.scalar(text("SELECT approver_id FROM travel_order WHERE id = :id"), {"id": driven["waits"]})
    refused(
        city,
        "UPDATE travel_order SET state = 'APPROVED', approver_id = applicant_id WHERE id = :id",
        id=driven["asked"],
    )
    refused(city, "UPDATE travel_order SET state = 'APPROVED' WHERE id = :id", id=driven["asked"])
    refused(
        city,
        "UPDATE assignment SET assigned_by = (SELECT approver_id FROM travel_order WHERE id = order_id) WHERE id = :id",
        id=driven["ahead_duty"],
    )
    assert approver


def test_13_a_vehicle_and_a_driver_are_booked_once(city, calls, driven):
    crew = {"vehicle_id": driven["ahead"].vehicle_id, "driver_id": driven["ahead"].driver_id}
    answer = calls("dispatcher.xihu")("POST", f"/orders/{driven['waits']}/assignment", crew, status=409)
    assert answer.json["code"] == "planning.vehicle_taken"
    refused(city, "INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at)"
                  " SELECT org_id, order_org_id, :order, vehicle_id, driver_id, slip_id, during, 'ACTIVE', assigned_at"
                  " FROM assignment WHERE id = :id", order=driven["waits"], id=driven["ahead_duty"])  # fmt: skip


def test_14_15_no_unfit_vehicle_and_no_unfit_driver(city, calls, driven):
    with city.transaction(SYSTEM) as session:
        enforcement = session.scalar(text("SELECT id FROM vehicle WHERE plate = '浙A10005'"))
        minibus = session.scalar(text("SELECT id FROM vehicle WHERE plate = '浙A10004'"))
        driver = session.scalar(
            text("SELECT d.id FROM driver d JOIN user_account u ON u.id = d.user_id WHERE u.username = 'driver.fleet'")
        )
        river = session.scalar(
            text(
                "SELECT d.id FROM driver d JOIN user_account u ON u.id = d.user_id WHERE u.username = 'driver.bjwater'"
            )
        )
        session.execute(text("UPDATE driver SET licence = 'C1' WHERE id = :id"), {"id": driver})
    assign = f"/orders/{driven['waits']}/assignment"
    wrong = calls("dispatcher.city")("POST", assign, {"vehicle_id": enforcement, "driver_id": river}, status=422).json
    assert wrong["code"] == "planning.why.purpose"
    wrong = calls("dispatcher.city")("POST", assign, {"vehicle_id": minibus, "driver_id": driver}, status=422).json
    assert wrong["code"] == "planning.why.driver_licence"
    move = "UPDATE assignment SET vehicle_id = :vehicle, driver_id = :driver WHERE id = :id"
    refused(city, move, vehicle=enforcement, driver=river, id=driven["ahead_duty"])
    refused(city, move, vehicle=minibus, driver=driver, id=driven["ahead_duty"])


def test_16_17_an_approved_order_is_neither_edited_nor_removed(city, calls, driven):
    order_id = driven["waits"]
    applicant = calls("applicant.xhhealth")
    content = {"reason": "改了事由"}
    assert applicant.ask("POST", f"/orders/{order_id}/resubmit", content).status in {403, 422}
    for method in ("PUT", "PATCH", "DELETE"):
        assert applicant.ask(method, f"/orders/{order_id}", content).status in {404, 405}
    refused(city, "UPDATE travel_order SET end_at = end_at + interval '5 hours' WHERE id = :id", id=order_id)
    refused(city, "UPDATE order_stop SET name = 'elsewhere' WHERE order_id = :id", id=order_id)
    for table in (
        "travel_order",
        "order_stop",
        "order_event",
        "dispatch_slip",
        "assignment",
        "duty_event",
        "finding",
        "audit_entry",
    ):
        refused(city, f"DELETE FROM {table}")
    refused(city, "UPDATE order_event SET note = 'x'")


def test_18_an_odometer_does_not_go_back(city, calls, driven):
    step = {"action": "ACCEPT", "idempotency_key": uuid.uuid4().hex}
    calls("driver.xhedu")("POST", f"/duties/{driven['ahead_duty']}/events", step, status=201)
    back = {"action": "CHECK_OUT", "idempotency_key": uuid.uuid4().hex, "odometer_km": 1}
    assert (
        calls("driver.xhedu")("POST", f"/duties/{driven['ahead_duty']}/events", back, status=422).json["code"]
        == "duty.odometer_back"
    )
    refused(
        city,
        "UPDATE vehicle SET odometer_m = odometer_m - 1, version = version + 1 WHERE id = :id",
        id=driven["done"].vehicle_id,
    )


def test_19_a_slip_number_is_neither_skipped_nor_used_again(city, driven):
    refused(city, "UPDATE number_series SET last = last + 2")
    refused(city, "UPDATE dispatch_slip SET seq = seq + 1 WHERE id = :id", id=driven["ahead"].slip_id)
    refused(city, "INSERT INTO dispatch_slip (org_id, year, seq, number, issued_at) SELECT org_id, year, seq + 7, number || 'x', issued_at"
                  " FROM dispatch_slip WHERE id = :id", id=driven["ahead"].slip_id)  # fmt: skip


def test_20_nothing_is_settled_unconfirmed_or_twice(city, calls, driven):
    order_id = driven["done"].order_id
    refused(city, "UPDATE travel_order SET state = 'SETTLED' WHERE id = :id", id=order_id)
    refused(city, "UPDATE travel_order SET state = 'MILEAGE_CONFIRMED' WHERE id = :id", id=order_id)
    refused(city, "UPDATE travel_order SET state = 'CLOSED' WHERE id = :id", id=order_id)
    calls("driver.xhedu")("POST", f"/orders/{order_id}/confirmation", {}, status=403)
    confirmed = [
        calls("applicant.xhedu").ask("POST", f"/orders/{order_id}/confirmation", {"reason": "绕行"}) for _ in range(2)
    ]
    assert {answer.status for answer in confirmed} <= {200, 201}
    refused(city, "UPDATE travel_order SET state = 'SETTLED' WHERE id = :id", id=order_id)
    refused(city, "INSERT INTO mileage_confirmation SELECT * FROM mileage_confirmation")


def test_26_the_reserve_stays(city, calls):
    """A floor above what is free, on two days of its own: the API and raw SQL are refused alike."""
    start = clock.now().replace(second=0, microsecond=0) + timedelta(days=40)
    ours = {"start": start, "end": start + timedelta(hours=2), "stops": [SEAT, EAST]}
    _, booked = steps.dispatched(city, **ours, plate="浙A10001")
    waits = steps.asked(city, **ours, approve=True, unit="xhhealth").id
    on = clock.local_date(start)
    with city.transaction(SYSTEM) as session:
        pool = session.scalar(text("SELECT id FROM organisation WHERE code = '330106'"))
    floor = {
        "org_id": pool, "body": "sedan", "level": "usual", "vehicles": 9, "start_on": on.isoformat(),
        "end_on": (on + timedelta(days=1)).isoformat(), "reason": "防汛预案",
    }  # fmt: skip
    calls("vehicle_office.city")("POST", "/reserves/floors", floor, status=201)
    cases = calls("dispatcher.xihu")("GET", f"/orders/{waits}/candidates").json
    assert "reserve_floor" in {case["code"] for case in cases}
    longer = (
        "UPDATE assignment SET during = tstzrange(lower(during), upper(during) + interval '1 minute') WHERE id = :id"
    )
    refused(city, longer, id=booked)


def test_27_whoever_drove_it_does_not_approve_it(city, calls, driven):
    assert calls("driver.xhedu").ask("POST", f"/orders/{driven['asked']}/approve", {}).status in {403, 404}
    refused(city, "INSERT INTO approval_step (org_id, case_id, task_id, user_id, for_id, verdict, at) SELECT t.org_id, t.case_id, t.id, d.user_id,"
                  " d.user_id, 'agree', now() FROM approval_task t, driver d WHERE t.state = 'OPEN' LIMIT 1")  # fmt: skip
