"""Notices, proof, exceptions and unsealing, each refused by the service and by the database."""

from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.acquisitions.models import Indicator
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.orders.rules import Stop
from fleetapp.seals import jobs, queries, service
from fleetapp.vehicles import service as vehicles
from fleetapp.vehicles.rules import VehicleState
from tests import world
from tests.seals.conftest import (
    AFTER,
    APPROVER,
    BEFORE,
    DURING,
    END_ON,
    LEADER,
    MANAGER,
    ODOMETER_M,
    OFFICE,
    PLATE,
    SECOND,
    START_ON,
    UNIT,
)
from tests.walks import steps

CITY_CARS = 6
FOREIGN_PHOTO = (
    "UPDATE seal_record SET state = 'SEALED', state_before = 'IN_SERVICE', parking_id = 1, sealed_odometer_m = 1, keys_with = 'leader',"
    " sealed_at = now(), attachment_id = (SELECT max(id) FROM attachment) WHERE id = :id"
)


def refused(code, function, *args, **given):
    with pytest.raises((RuleBroken, NotAllowed, Conflict)) as broken:
        function(*args, **given)
    assert broken.value.code == code


def sql(database, username, statement, **given):
    with database.transaction(world.actor(database, username)) as session:
        return session.execute(text(statement), given).rowcount


def states(seals):
    with seals.database.transaction(SYSTEM) as session:
        rows = queries.filtered(queries.records_visible_to(SYSTEM), campaign_id=seals.campaign_id)
        return {state: number for state, number in queries.count_by_state(session, rows).items() if number}


def test_every_vehicle_in_service_is_to_be_sealed_from_the_publishing_on(seals):
    with seals.database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET state = 'MAINTENANCE' WHERE plate = :plate"), {"plate": PLATE})
    made = seals.draft()
    seals.campaign_id = made.id
    assert states(seals) == {}
    refused(
        "kit.not_allowed", seals.take, UNIT, service.publish, campaign_id=seals.draft("330106-EDU").id, notice_no="x1"
    )
    with pytest.raises(NotFound):
        seals.take(UNIT, service.publish, campaign_id=made.id, notice_no="x1")
    seals.take(OFFICE, service.publish, campaign_id=made.id, notice_no="杭1号")
    assert states(seals) == {"TO_SEAL": CITY_CARS - 1}
    with seals.database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET state = 'IN_SERVICE' WHERE plate = :plate"), {"plate": PLATE})
    assert jobs.move_due(seals.database, BEFORE) == {"started": 0, "closed": 0}
    assert jobs.move_due(seals.database, DURING) == {"started": 1, "closed": 0}
    assert jobs.move_due(seals.database, DURING) == {"started": 0, "closed": 0}
    assert states(seals) == {"TO_SEAL": CITY_CARS}
    assert jobs.move_due(seals.database, AFTER) == {"started": 0, "closed": 1}
    assert jobs.move_due(seals.database, AFTER) == {"started": 0, "closed": 0}
    assert states(seals) == {"MISSED": CITY_CARS}


def test_a_job_that_slept_through_the_holiday_begins_and_closes_all_of_them(published):
    later = published.draft("330108", start_on=END_ON, end_on=END_ON + timedelta(days=1))
    published.take(OFFICE, service.publish, campaign_id=later.id, notice_no="滨1号")
    assert jobs.move_due(published.database, AFTER) == {"started": 2, "closed": 1}
    assert jobs.move_due(published.database, AFTER + timedelta(days=1)) == {"started": 0, "closed": 1}


def test_a_notice_covers_its_part_of_the_city_and_leaves_vehicles_of_another_one(published):
    district = published.draft("330106", start_on=date(2026, 10, 5), end_on=date(2026, 10, 12))
    published.campaign_id = district.id
    published.take(OFFICE, service.publish, campaign_id=district.id, notice_no="西1号")
    assert states(published) == {}
    later = published.draft("330106", start_on=END_ON, end_on=date(2026, 10, 12))
    published.campaign_id = later.id
    published.take(OFFICE, service.publish, campaign_id=later.id, notice_no="西2号")
    assert states(published) == {"TO_SEAL": 3}


def test_the_database_lets_no_two_notices_hold_a_vehicle(published):
    other = published.draft("330106", start_on=date(2026, 10, 7), end_on=date(2026, 10, 12))
    published.take(OFFICE, service.publish, campaign_id=other.id, notice_no="西1号")
    car = published.vehicle()
    insert = (
        "INSERT INTO seal_record (org_id, campaign_id, vehicle_id, during, state, created_at, version)"
        " VALUES (:org, :campaign, :vehicle, daterange(:start_on, :end_on), :state, now(), 1)"
    )
    given = {
        "org": car.org_id,
        "campaign": other.id,
        "vehicle": car.id,
        "start_on": other.start_on,
        "end_on": other.end_on,
    }
    with pytest.raises(Conflict) as broken:
        sql(published.database, OFFICE, insert, state="TO_SEAL", **given)
    assert broken.value.code == "seals.held"
    with pytest.raises(IntegrityError, match="begins unsealed"):
        sql(published.database, OFFICE, insert, state="EXEMPT", **given)


def test_from_the_proof_to_the_unsealing(published):
    refused("seals.photo_needed", published.prove, photo=None)
    refused("seals.photo_kind", published.prove, photo=("list.csv", b"a,b"))
    refused("attachments.disguised", published.prove, photo=("car.png", b"%PDF-1.7"))
    refused("vehicles.odometer_back", published.prove, odometer_m=ODOMETER_M - 1)
    assert published.vehicle().state == VehicleState.IN_SERVICE
    sealed = published.prove(odometer_m=ODOMETER_M + 400)
    assert (sealed.state, sealed.state_before, sealed.attachment.media_type) == ("SEALED", "IN_SERVICE", "image/png")
    assert published.vehicle().state == VehicleState.SEALED
    assert published.vehicle().odometer_m == ODOMETER_M + 400
    refused("seals.wrong_step", published.prove)
    refused(
        "seals.still_sealed",
        published.take,
        UNIT,
        service.unseal,
        DURING,
        record_id=sealed.id,
        odometer_m=ODOMETER_M + 400,
    )
    unsealed = published.take(MANAGER, service.unseal, AFTER, record_id=sealed.id, odometer_m=ODOMETER_M + 1900)
    assert (unsealed.state, unsealed.moved_m) == ("UNSEALED", 1500)
    assert published.vehicle().state == VehicleState.IN_SERVICE
    with published.database.transaction(SYSTEM) as session:
        steps = [
            event.action for event in queries.events(session, campaign_id=published.campaign_id, record_id=sealed.id)
        ]
    assert steps == ["sealed", "unsealed"]


def test_a_vehicle_in_the_workshop_goes_back_to_the_workshop(published):
    published.take(
        MANAGER, vehicles.change_state, vehicle_id=published.vehicle().id, to=VehicleState.MAINTENANCE, reason="保养"
    )
    record = published.prove()
    assert published.vehicle().state == VehicleState.SEALED
    published.take(UNIT, service.unseal, AFTER, record_id=record.id, odometer_m=ODOMETER_M)
    assert published.vehicle().state == VehicleState.MAINTENANCE


@pytest.mark.parametrize(
    "username", [OFFICE, LEADER, APPROVER, "auditor.city", "dispatcher.xihu", "driver.xhedu", "unit_admin.xhhealth"]
)
def test_others_cannot_prove(published, username):
    with pytest.raises((NotAllowed, NotFound)):
        published.prove(username=username)
    assert published.record().state == "TO_SEAL"


JOURNEY = {"start": DURING, "end": DURING + timedelta(hours=2),
           "stops": [Stop("西湖区人民政府", 30.261755, 120.125436), Stop("杭州东站", 30.293549, 120.208203)]}  # fmt: skip


def test_a_vehicle_with_a_journey_ahead_is_not_sealed(published):
    number, _ = steps.dispatched(published.database, plate=PLATE, **JOURNEY)
    with pytest.raises(RuleBroken) as broken:
        published.prove()
    assert (broken.value.code, broken.value.params["number"]) == ("seals.booked", number)
    assert published.vehicle().state == VehicleState.IN_SERVICE
    assert published.prove(SECOND).state == "SEALED"


def test_a_sealed_vehicle_is_dispatched_neither_by_the_service_nor_by_sql(published):
    published.prove()
    refused("planning.why.vehicle_state", steps.dispatched, published.database, plate=PLATE, **JOURNEY)
    order = steps.asked(published.database, approve=True, **JOURNEY)
    insert = (
        "WITH series AS (INSERT INTO number_series (key, last) VALUES ('330106-EDU-2026', 1)),"
        " slip AS (INSERT INTO dispatch_slip (org_id, year, seq, number, issued_at)"
        " VALUES (:org, 2026, 1, '330106-EDU-2026-00001', now()) RETURNING id)"
        " INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at, assigned_by)"
        " SELECT :org, :org, :order, :car, d.id, slip.id, tstzrange(:start, :end), 'ACTIVE', now(), d.user_id FROM slip, driver d"
        " WHERE d.org_id = :org LIMIT 1"
    )
    car = published.vehicle()
    given = {"org": car.org_id, "order": order.id, "start": DURING, "end": DURING + timedelta(hours=1)}
    with pytest.raises(Conflict) as broken:
        sql(published.database, "dispatcher.xihu", insert, car=car.id, **given)
    assert broken.value.code == "seals.vehicle_sealed"
    assert sql(published.database, "dispatcher.xihu", insert, car=published.vehicle(SECOND).id, **given) == 1


def test_a_sealed_vehicle_goes_back_by_unsealing_only(published):
    published.prove()
    car = published.vehicle()
    for to in (VehicleState.IN_SERVICE, VehicleState.MAINTENANCE):
        refused(
            "seals.by_unsealing",
            published.take,
            MANAGER,
            vehicles.change_state,
            vehicle_id=car.id,
            to=to,
            reason="急用",
        )
    with pytest.raises(Conflict) as broken:
        sql(published.database, MANAGER, "UPDATE vehicle SET state = 'IN_SERVICE' WHERE id = :id", id=car.id)
    assert broken.value.code == "seals.by_unsealing"
    assert published.vehicle().state == VehicleState.SEALED


# ---- exceptions ---------------------------------------------------------------------------------------------------------


def test_a_duty_vehicle_is_approved_by_another_and_sealed_when_its_duty_is_over(published):
    refused("seals.exception_period", published.ask, end_on=END_ON + timedelta(days=1))
    refused("kit.not_allowed", published.ask, username=MANAGER)
    asked = published.ask(end_on=date(2026, 10, 4))
    refused("seals.exception_there", published.ask)
    for username in (UNIT, OFFICE, MANAGER, "auditor.city"):
        with pytest.raises(NotAllowed):
            published.decide(asked, username=username)
    with pytest.raises(NotFound):
        published.decide(asked, username="approver.bjwater")
    assert published.record().state == "TO_SEAL"
    published.decide(asked)
    record = published.record()
    assert (record.state, record.exempt_from, record.exempt_until) == ("EXEMPT", START_ON, date(2026, 10, 4))
    refused("seals.exception_decided", published.decide, asked, username=LEADER)
    assert published.vehicle().state == VehicleState.IN_SERVICE
    assert published.prove(now=AFTER - timedelta(days=3)).state == "SEALED"


def test_a_rejected_duty_leaves_the_vehicle_to_be_sealed_and_may_be_asked_again(published):
    published.decide(published.ask(), approve=False)
    assert published.record().state == "TO_SEAL"
    published.decide(published.ask(), username=LEADER)
    assert published.record().state == "EXEMPT"


def test_a_sealed_vehicle_is_unsealed_for_an_approved_duty_on_its_days(published):
    record = published.prove()
    published.decide(published.ask(start_on=date(2026, 10, 3), end_on=date(2026, 10, 4)))
    unseal = {"record_id": record.id, "odometer_m": ODOMETER_M}
    refused("seals.still_sealed", published.take, UNIT, service.unseal, BEFORE, **unseal)
    assert published.take(UNIT, service.unseal, DURING, **unseal).state == "EXEMPT"
    assert published.vehicle().state == VehicleState.IN_SERVICE
    again = published.prove(now=DURING + timedelta(hours=9), odometer_m=ODOMETER_M + 30_000)
    assert (again.state, again.sealed_odometer_m, again.unsealed_at) == ("SEALED", ODOMETER_M + 30_000, None)
    assert published.vehicle().state == VehicleState.SEALED


def test_nobody_approves_an_own_request(published):
    """An approver who is also the unit's administrator."""
    asker = world.user_id(published.database, UNIT)
    with published.database.transaction(SYSTEM) as session:
        session.execute(text("INSERT INTO role_grant (user_id, role, org_id) SELECT id, 'approver', org_id FROM user_account WHERE id = :id"),
                        {"id": asker})  # fmt: skip
    asked = published.ask()
    refused("kit.own_row", published.decide, asked, username=UNIT)
    with pytest.raises(Conflict) as broken:
        sql(
            published.database,
            UNIT,
            "UPDATE seal_exception SET state = 'APPROVED', decided_by = :who WHERE id = :id",
            who=asker,
            id=asked.id,
        )
    assert broken.value.code == "kit.own_row"


# ---- the end, and raw SQL ---------------------------------------------------------------------------------------------------


def test_closing_by_hand_misses_what_was_not_proved_and_lets_the_rest_out(published):
    record = published.prove()
    published.decide(published.ask(SECOND))
    refused("seals.wrong_step", published.take, OFFICE, service.close, campaign_id=published.campaign_id)
    published.take(OFFICE, service.start, campaign_id=published.campaign_id)
    refused("seals.wrong_step", published.take, OFFICE, service.cancel, campaign_id=published.campaign_id, note="改期")
    published.take(OFFICE, service.close, DURING, campaign_id=published.campaign_id)
    assert states(published) == {"MISSED": CITY_CARS - 2, "SEALED": 1, "EXEMPT": 1}
    refused("seals.not_in_force", published.prove, SECOND)
    refused("seals.not_in_force", published.ask, SECOND)
    assert published.take(UNIT, service.unseal, DURING, record_id=record.id, odometer_m=ODOMETER_M).state == "UNSEALED"


def test_a_vehicle_that_left_its_unit_or_the_fleet_is_no_longer_to_be_sealed(published):
    other = published.org_id("330106-HEALTH")
    car = published.vehicle()
    with published.database.transaction(SYSTEM) as session:
        session.add(Indicator(
            org_id=other, number="ZB2026-90001", kind="transfer", category=car.category, body=car.body, energy=car.energy, step="normal", max_price=1,
            fiscal_year=2026, expires_on=END_ON, justification="调入", leader_fixed=False, state="USED", vehicle_id=car.id,
            applicant_id=world.user_id(published.database, "unit_admin.xhhealth"), decided_at=BEFORE, created_at=BEFORE,
        ))  # fmt: skip
        session.flush()
        session.execute(text("UPDATE vehicle SET org_id = :org WHERE plate = :plate"), {"org": other, "plate": PLATE})
        session.execute(text("UPDATE vehicle SET state = 'DISPOSING' WHERE plate = :plate"), {"plate": SECOND})
    assert jobs.move_due(published.database, DURING) == {"started": 1, "closed": 0}
    assert states(published) == {"TO_SEAL": CITY_CARS - 2, "CANCELLED": 2}
    assert jobs.move_due(published.database, AFTER) == {"started": 0, "closed": 1}
    assert states(published) == {"MISSED": CITY_CARS - 2, "CANCELLED": 2}


def test_cancelling_lets_everything_go(published):
    record = published.prove()
    published.decide(published.ask(SECOND))
    published.take(OFFICE, service.cancel, campaign_id=published.campaign_id, note="不再统一封存")
    assert states(published) == {"CANCELLED": CITY_CARS - 1, "SEALED": 1}
    assert published.take(UNIT, service.unseal, BEFORE, record_id=record.id, odometer_m=ODOMETER_M).state == "UNSEALED"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE seal_record SET state = 'SEALED' WHERE id = :id",
        "UPDATE seal_record SET state = 'UNSEALED' WHERE id = :id",
        "UPDATE seal_record SET state = 'EXEMPT', exempt_from = '2026-10-01', exempt_until = '2026-10-08' WHERE id = :id",
        FOREIGN_PHOTO,
        "UPDATE seal_record SET vehicle_id = vehicle_id + 1 WHERE id = :id",
        "DELETE FROM seal_record WHERE id = :id",
        "DELETE FROM seal_exception WHERE record_id = :id",
        "UPDATE seal_event SET note = 'x' WHERE record_id = :id OR id > 0",
        "DELETE FROM seal_campaign WHERE id > :id - :id",
    ],
)
def test_raw_sql_seals_nothing_without_proof_and_removes_nothing(published, statement):
    published.prove(SECOND)  # its photograph is not the one of another vehicle
    with pytest.raises((IntegrityError, ProgrammingError, Conflict)):
        sql(published.database, UNIT, statement, id=published.record().id)
    assert published.record().state == "TO_SEAL"


def test_what_was_proved_published_or_decided_stays_as_it_was(published):
    record = published.prove()
    asked = published.ask(SECOND)
    published.decide(asked)
    for username, statement in (
        (UNIT, f"UPDATE seal_record SET sealed_odometer_m = 1 WHERE id = {record.id}"),
        (UNIT, f"UPDATE seal_exception SET purpose = 'something else' WHERE id = {asked.id}"),
        (UNIT, f"UPDATE seal_exception SET state = 'REQUESTED', decided_by = NULL WHERE id = {asked.id}"),
        (OFFICE, "UPDATE seal_campaign SET end_on = end_on + 1"),
        (OFFICE, "UPDATE seal_campaign SET state = 'DRAFT'"),
    ):
        with pytest.raises(IntegrityError):
            sql(published.database, username, statement)
    published.take(UNIT, service.unseal, AFTER, record_id=record.id, odometer_m=ODOMETER_M)
    with pytest.raises(IntegrityError):
        sql(published.database, UNIT, f"UPDATE seal_record SET unsealed_odometer_m = 1 WHERE id = {record.id}")
    with pytest.raises(ProgrammingError, match="row-level security"):
        sql(published.database, UNIT, "UPDATE seal_campaign SET state = 'RUNNING'")


def test_the_history_of_one_vehicle_is_for_whoever_may_read_it(published):
    published.prove()
    later = published.draft(start_on=date(2027, 1, 1), end_on=date(2027, 1, 4))
    published.take(UNIT, service.unseal, AFTER, record_id=published.record().id, odometer_m=ODOMETER_M)
    published.take(OFFICE, service.publish, AFTER, campaign_id=later.id, notice_no="杭2号")
    car = published.vehicle()
    for username in (UNIT, MANAGER, "auditor.city"):
        who = world.actor(published.database, username)
        with published.database.transaction(who) as session:
            found = queries.of_vehicle(session, vehicle_id=car.id, actor=who)
        assert [record.state for record in found] == ["TO_SEAL", "UNSEALED"]
    stranger = world.actor(published.database, "unit_admin.bjwater")
    with pytest.raises(NotFound), published.database.transaction(stranger) as session:
        queries.of_vehicle(session, vehicle_id=car.id, actor=stranger)
