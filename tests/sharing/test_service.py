"""Offers, requests and loans: by service, API and raw SQL, the permission beside its refusal."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.orders import queries as orders
from fleetapp.orders import service as order_service
from fleetapp.orders.rules import OrderKind, Purpose
from fleetapp.planning import service as planning
from fleetapp.sharing import jobs, queries, service
from fleetapp.sharing.models import ShareEvent, ShareLoan, ShareRequest
from fleetapp.vehicles.models import Vehicle
from tests import world

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def plates(database, username):
    actor = world.actor(database, username)
    with database.transaction(actor) as session:
        return set(session.scalars(select(Vehicle.plate)))


def test_the_whole_way_of_a_loan_tells_both_sides_and_leaves_its_steps(asked, do, known, database, now, codes):
    request = asked()
    assert request.reply_by == now + 4 * HOUR
    loan = do(
        service.accept,
        "dispatcher.city",
        request_id=request.id,
        vehicle_id=known["浙AF00006"],
        driver_id=known["driver.fleet"],
    )
    again = do(
        service.accept,
        "dispatcher.city",
        request_id=request.id,
        vehicle_id=known["浙AF00006"],
        driver_id=known["driver.fleet"],
    )
    assert loan.id == again.id
    do(service.give_back, "dispatcher.xihu", when=now + DAY + HOUR, loan_id=loan.id, reason="任务提前结束")
    with database.transaction(SYSTEM) as session:
        steps = session.execute(select(ShareEvent.action, ShareEvent.to_state).order_by(ShareEvent.id)).all()
        over = session.get_one(ShareLoan, loan.id)
        logged = list(
            session.scalars(
                select(AuditEntry.action).where(AuditEntry.action.startswith("sharing.")).order_by(AuditEntry.seq)
            )
        )
        assert queries.span_of(over).end == now + DAY + HOUR
    assert steps == [("asked", "PENDING"), ("accepted", "ACCEPTED"), ("agreed", "AGREED"), ("given_back", "RETURNED")]
    assert logged == ["sharing.asked", "sharing.accepted", "sharing.agreed", "sharing.given_back"]
    assert codes("dispatcher.city") == ["sharing.notice.asked", "sharing.notice.given_back"]
    assert codes("dispatcher.xihu") == ["sharing.notice.accepted"]


def test_the_borrower_sees_the_vehicle_while_the_loan_lives_and_no_longer(lent, do, database, now):
    """INV-24, both ways: what is lent is seen by the borrower alone, from the agreement to the end."""
    assert "浙AF00006" not in plates(database, "dispatcher.xihu")
    loan = lent()
    assert "浙AF00006" in plates(database, "dispatcher.xihu")
    assert "浙AF00006" not in plates(database, "dispatcher.binjiang")
    assert not {"浙A10004", "浙A10005"} & plates(database, "dispatcher.xihu")
    assert jobs.move_due(database, now + 2 * DAY - HOUR) == {"expired": 0, "ended": 0}
    assert jobs.move_due(database, now + 2 * DAY) == {"expired": 0, "ended": 1}
    assert "浙AF00006" not in plates(database, "dispatcher.xihu")
    with pytest.raises(NotAllowed, match="wrong_state"):
        do(service.give_back, "dispatcher.xihu", when=now + 3 * DAY, loan_id=loan.id, reason="归还车辆")


def test_only_the_home_fleet_writes_the_vehicles_record(lent, database, acting, known):
    lent(with_driver=False)
    borrower = acting("dispatcher.xihu")
    with database.transaction(borrower) as session:
        car = {"id": known["浙AF00006"]}
        assert (
            session.execute(
                text("UPDATE vehicle SET odometer_m = odometer_m + 1, version = version + 1 WHERE id = :id"), car
            ).rowcount
            == 1
        )
    for change in (
        "plate = '浙A99999'",
        "state = 'SUSPENDED'",
        "org_id = (SELECT id FROM organisation WHERE code = '330106')",
    ):
        with (
            pytest.raises((IntegrityError, ProgrammingError), match=r"on loan|row-level"),
            database.transaction(borrower) as session,
        ):
            session.execute(text(f"UPDATE vehicle SET {change} WHERE id = :id"), car)


@pytest.mark.parametrize(("by", "error"), [
    ("dispatcher.xihu", NotAllowed), ("unit_admin.xhedu", NotFound), ("dispatcher.binjiang", NotFound), ("auditor.city", NotAllowed),
    ("applicant.xhedu", NotFound),
])  # fmt: skip
def test_only_whoever_was_asked_answers(asked, do, known, by, error):
    request = asked()
    given = {"request_id": request.id, "vehicle_id": known["浙AF00006"], "driver_id": known["driver.fleet"]}
    with pytest.raises(error):
        do(service.accept, by, **given)
    with pytest.raises(error):
        do(service.decline, by, request_id=request.id, note="没有空闲车辆")
    assert do(service.decline, "dispatcher.city", request_id=request.id, note="没有空闲车辆").state == "DECLINED"


def test_nobody_answers_his_own_request(asked, do):
    request = asked(by="dispatcher.city")
    with pytest.raises(NotAllowed, match="own_row"):
        do(service.decline, "dispatcher.city", request_id=request.id, note="没有空闲车辆")


def test_two_requests_for_one_car_one_wins_the_other_hears_of_alternatives(asked, do, known, org, database):
    first = asked()
    second = asked(by="dispatcher.binjiang", org_id=org("binjiang"), with_driver=False, seats=2)
    do(
        service.accept,
        "dispatcher.city",
        request_id=first.id,
        vehicle_id=known["浙AF00006"],
        driver_id=known["driver.fleet"],
    )
    with pytest.raises(Conflict, match="vehicle_lent") as told:
        do(service.accept, "dispatcher.city", request_id=second.id, vehicle_id=known["浙AF00006"])
    assert told.value.params["others"] == "浙A10004"
    with database.transaction(SYSTEM) as session:
        assert session.get_one(ShareRequest, second.id).state == "PENDING"
    assert do(service.accept, "dispatcher.city", request_id=second.id, vehicle_id=known["浙A10004"]).driver_id is None


@pytest.mark.parametrize(("given", "code"), [
    ({"plate": "浙A10001"}, "sharing.not_yours"), ({"driver": None}, "sharing.driver_needed"), ({"driver": "driver.xhedu"}, "sharing.driver_other"),
    ({"request": {"seats": 5}}, "sharing.seats"), ({"request": {"with_driver": False}}, "sharing.driver_not_needed"),
])  # fmt: skip
def test_what_cannot_be_lent_is_refused(asked, do, known, org, given, code):
    request = asked(by="dispatcher.binjiang", org_id=org("binjiang"), **given.get("request", {}))
    driver = given.get("driver", "driver.fleet")
    with pytest.raises(RuleBroken, match=code):
        do(service.accept, "dispatcher.city", request_id=request.id, vehicle_id=known[given.get("plate", "浙AF00006")],
           driver_id=known[driver] if driver else None)  # fmt: skip


def test_an_offered_car_of_a_district_may_be_lent_by_the_city(do, asked, known, org, now):
    offer = do(
        service.offer,
        "unit_admin.xhedu",
        org_id=org("xhedu"),
        vehicle_id=known["浙A10001"],
        valid_from=date(2026, 11, 1),
        request_key="k",
    )
    assert (
        do(
            service.offer,
            "unit_admin.xhedu",
            org_id=org("xhedu"),
            vehicle_id=known["浙A10001"],
            valid_from=date(2026, 11, 1),
            request_key="k",
        ).id
        == offer.id
    )
    request = asked(by="dispatcher.binjiang", org_id=org("binjiang"), with_driver=False)
    loan = do(service.accept, "dispatcher.city", request_id=request.id, vehicle_id=known["浙A10001"])
    assert loan.org_id == org("xhedu"), "the holder stays the holder"
    with pytest.raises(NotAllowed):
        do(service.withdraw_offer, "dispatcher.city", offer_id=offer.id)
    assert do(service.withdraw_offer, "unit_admin.xhedu", offer_id=offer.id).withdrawn_at == now
    with pytest.raises((NotAllowed, NotFound)):
        do(service.offer, "unit_admin.xhedu", org_id=org("bjwater"), body="suv", valid_from=date(2026, 11, 1))


def test_a_request_nobody_answers_expires_and_an_emergency_comes_first(asked, approved, do, org, database, now, codes):
    request = asked()
    order_id = approved(kind=OrderKind.EMERGENCY, purpose=Purpose.EMERGENCY, start_h=30, end_h=32)
    urgent = do(service.ask, "dispatcher.xihu", to_org_id=org("city"), order_id=order_id, reason="应急抢险用车")
    assert (urgent.priority, urgent.reply_by, urgent.start_at) == (1, now + HOUR, now + 29.75 * HOUR)
    again = do(service.ask, "dispatcher.xihu", to_org_id=org("city"), order_id=order_id, reason="应急抢险用车")
    assert again.id == urgent.id
    assert jobs.move_due(database, now + 2 * HOUR)["expired"] == 1
    assert jobs.move_due(database, now + 4 * HOUR)["expired"] == 1
    with database.transaction(SYSTEM) as session:
        assert session.get_one(ShareRequest, request.id).state == "EXPIRED"
    assert codes("dispatcher.city").count("sharing.notice.missed") == 2
    with pytest.raises(NotAllowed):
        do(service.expire_next, "dispatcher.city")


def test_calling_off_and_calling_back(lent, do, now):
    loan = lent(start_at=now + 2 * DAY, end_at=now + 4 * DAY)
    with pytest.raises((NotAllowed, NotFound)):
        do(service.recall, "dispatcher.xihu", loan_id=loan.id, at=now + 3 * DAY, reason="本级有任务")
    with pytest.raises(RuleBroken, match="recall_notice"):
        do(service.recall, "dispatcher.city", loan_id=loan.id, at=now + 23 * HOUR, reason="本级有任务")
    recalled = do(service.recall, "dispatcher.city", loan_id=loan.id, at=now + 3 * DAY, reason="本级有任务")
    assert (recalled.state, queries.span_of(recalled).end) == ("RECALLED", now + 3 * DAY)
    other = lent(start_at=now + 5 * DAY, end_at=now + 6 * DAY)
    assert do(service.call_off, "dispatcher.xihu", loan_id=other.id, reason="会议取消").state == "CALLED_OFF"
    assert lent(start_at=now + 5 * DAY, end_at=now + 6 * DAY).state == "AGREED", "a loan called off holds nothing"


# ---- what the database itself refuses ---------------------------------------------------------------------------------

RAW = """INSERT INTO share_loan (org_id, to_org_id, number, vehicle_id, during, state, agreed_by, agreed_at, version)
         SELECT v.org_id, :to, :number, v.id, tstzrange(:start, :end), 'AGREED', :user, :start, 1 FROM vehicle v WHERE v.plate = :plate"""


@pytest.fixture
def raw(database, acting, org, now):
    """Write a loan by raw SQL as a dispatcher."""

    def run(plate="浙AF00006", number="JC-X", to="xihu", by="dispatcher.city", start=now + DAY, end=now + 2 * DAY):
        actor = acting(by)
        given = {"to": org(to), "number": number, "start": start, "end": end, "user": actor.user_id, "plate": plate}
        with database.transaction(actor) as session:
            return session.execute(text(RAW), given).rowcount

    return run


def test_a_vehicle_is_lent_once_at_a_time_by_raw_sql(raw, now):
    assert raw() == 1
    with pytest.raises(Conflict, match="lent_now"):
        raw(number="JC-Y", to="binjiang", start=now + 1.5 * DAY, end=now + 3 * DAY)
    assert raw(number="JC-Z", to="binjiang", start=now + 2 * DAY, end=now + 3 * DAY) == 1, "half-open"


@pytest.mark.parametrize("state", ["MAINTENANCE", "SEALED", "SUSPENDED"])
def test_what_is_sealed_or_out_of_service_is_not_lent(raw, asked, do, known, database, state):
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET state = :state WHERE plate = '浙AF00006'"), {"state": state})
    with pytest.raises(Conflict, match="not_in_service"):
        raw()
    request = asked(with_driver=False)
    actor = world.actor(database, "dispatcher.city")
    with database.transaction(actor) as session:
        assert known["浙AF00006"] not in [car.id for car in queries.lendable(session, request=request, actor=actor)]
    with pytest.raises((Conflict, IntegrityError), match="not_in_service|not in service"):
        do(service.accept, "dispatcher.city", request_id=request.id, vehicle_id=known["浙AF00006"])


def test_nobody_takes_a_loan_in_the_holders_name_nor_answers_for_the_asked(raw, asked, lent, database, acting, now):
    lent(start_at=now + 4 * DAY, end_at=now + 5 * DAY)
    lent()
    with pytest.raises(ProgrammingError, match="row-level security"):
        raw(by="dispatcher.xihu", number="JC-Q", start=now + 5 * DAY, end=now + 6 * DAY)
    request = asked(to="binjiang")
    actor = acting("dispatcher.xihu")
    with pytest.raises(IntegrityError, match="whoever was asked"), database.transaction(actor) as session:
        session.execute(text("UPDATE share_request SET state = 'ACCEPTED' WHERE id = :id"), {"id": request.id})
    for statement in ("UPDATE share_event SET note = 'x'", "DELETE FROM share_loan", "DELETE FROM share_request"):
        with pytest.raises((ProgrammingError, IntegrityError)), database.transaction(SYSTEM) as session:
            session.execute(text(statement))


def test_a_loan_and_an_order_of_somebody_else_never_cross(raw, approved, lent, do, known, org, database, now):
    lent(start_at=now + 3 * HOUR, end_at=now + 10 * HOUR)
    foreign = approved(unit="bjwater", purpose=Purpose.MEETING)
    with pytest.raises(RuleBroken, match="lent_elsewhere"):
        do(
            planning.assign,
            "dispatcher.city",
            order_id=foreign,
            vehicle_id=known["浙AF00006"],
            driver_id=known["driver.fleet"],
        )
    with database.transaction(SYSTEM) as session:
        order = orders.get_order(session, order_id=foreign, actor=SYSTEM)
        slip = order_service.issue_slip(session, org_id=org("fleet"), actor=SYSTEM, now=now)
        given = {"order": order.id, "unit": order.org_id, "org": org("fleet"), "car": known["浙AF00006"], "driver": known["driver.fleet"],
                 "slip": slip.id, "now": now}  # fmt: skip
    statement = """INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at)
                   SELECT :org, :unit, :order, :car, :driver, :slip, tstzrange(CAST(:now AS timestamptz) + interval '4 hours',
                          CAST(:now AS timestamptz) + interval '7 hours'), 'ACTIVE', :now"""
    with pytest.raises(Conflict, match="lent_elsewhere"), database.transaction(SYSTEM) as session:
        session.execute(text(statement), given)
    later = approved(unit="bjwater", purpose=Purpose.MEETING, start_h=50, end_h=53)
    do(
        planning.assign,
        "dispatcher.city",
        order_id=later,
        vehicle_id=known["浙AF00006"],
        driver_id=known["driver.fleet"],
    )
    with pytest.raises(Conflict, match="booked"):
        raw(start=now + 51 * HOUR, end=now + 60 * HOUR)


def test_offers_are_listed_to_whom_they_are_made_and_to_nobody_else(do, known, org, database, acting):
    """Several offers at once, each to somebody else."""
    made = {
        to: do(service.offer, "fleet_manager.city", org_id=org("fleet"), vehicle_id=known[plate], to_org_id=to and org(to),
               valid_from=date(2026, 11, 1)).id
        for to, plate in (("xihu", "浙A10004"), ("binjiang", "浙AF00006"), (None, "浙A10004"))
    }  # fmt: skip

    def listed(username):
        actor = acting(username)
        with database.transaction(actor) as session:
            return {row.id for row in session.scalars(queries.offers_visible_to(actor))}

    assert listed("dispatcher.xihu") == {made["xihu"], made[None]}
    assert listed("dispatcher.binjiang") == {made["binjiang"], made[None]}
    assert listed("dispatcher.city") == set(made.values())
