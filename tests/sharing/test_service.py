"""Offers, requests, loans, and journeys served otherwise: by service, API and raw SQL, the permission beside its refusal."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.audit.models import AuditEntry
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.notices.models import Notice
from fleetapp.orders import queries as orders
from fleetapp.orders import service as order_service
from fleetapp.orders.rules import OrderKind, Purpose
from fleetapp.planning import service as planning
from fleetapp.planning.models import Assignment
from fleetapp.sharing import fallback, jobs, queries, service
from fleetapp.sharing.models import ShareEvent, ShareLoan, ShareRequest
from fleetapp.sharing.rules import FallbackKind, FallbackReason
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.planning.conftest import approve_one

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def codes(database, username):
    """What somebody was told, oldest first."""
    user_id = world.user_id(database, username)
    with database.transaction(SYSTEM) as session:
        return list(session.scalars(select(Notice.code).where(Notice.user_id == user_id).order_by(Notice.id)))


def plates(database, username):
    actor = world.actor(database, username)
    with database.transaction(actor) as session:
        return set(session.scalars(select(Vehicle.plate)))


def test_the_whole_way_of_a_loan_tells_both_sides_and_leaves_its_steps(asked, do, known, database, now):
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
    assert codes(database, "dispatcher.city") == ["sharing.notice.asked", "sharing.notice.given_back"]
    assert codes(database, "dispatcher.xihu") == ["sharing.notice.accepted"]


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


def test_a_request_nobody_answers_expires_and_an_emergency_comes_first(asked, approved, do, org, database, now):
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
    assert codes(database, "dispatcher.city").count("sharing.notice.missed") == 2
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


# ---- planning with loans and offers -----------------------------------------------------------------------------------


def test_the_borrower_dispatches_the_lent_car_and_sees_who_holds_it(
    approved, asked, do, known, org, database, acting, now
):
    order_id = approved(start_h=28, end_h=31)
    with pytest.raises(NotFound):
        do(
            planning.assign,
            "dispatcher.xihu",
            order_id=order_id,
            vehicle_id=known["浙AF00006"],
            driver_id=known["driver.fleet"],
        )
    request = do(service.ask, "dispatcher.xihu", to_org_id=org("city"), order_id=order_id, reason="区内车辆均有任务")
    do(
        service.accept,
        "dispatcher.city",
        request_id=request.id,
        vehicle_id=known["浙AF00006"],
        driver_id=known["driver.fleet"],
    )
    actor = acting("dispatcher.xihu")
    with database.transaction(actor) as session:
        order = orders.get_order(session, order_id=order_id, actor=actor)
        options, _, people = planning.candidates(session, order=order, actor=actor, now=now)
        option = next(option for option in options if option.vehicle_id == known["浙AF00006"])
        assert (option.fault, option.driver_id) == (None, known["driver.fleet"])
        assert known["driver.fleet"] in [driver.id for driver in people]
    made = do(
        planning.assign,
        "dispatcher.xihu",
        order_id=order_id,
        vehicle_id=known["浙AF00006"],
        driver_id=known["driver.fleet"],
    )
    assert (made.org_id, made.order_org_id) == (org("fleet"), org("xhedu")), "quota at the holder, use at the user"
    assert made.slip.number.startswith("330106-"), "the borrower sends it out"
    other = approved(start_h=40, end_h=41)
    with pytest.raises((NotFound, RuleBroken)):
        do(
            planning.assign,
            "dispatcher.xihu",
            order_id=other,
            vehicle_id=known["浙AF00006"],
            driver_id=known["driver.fleet"],
        )


def test_a_car_lent_without_a_driver_is_driven_by_the_borrowers(approved, lent, do, known, now):
    lent(with_driver=False, org_id=None, order_id=(order_id := approved(start_h=28, end_h=31)))
    with pytest.raises(RuleBroken, match="driver_holder"):
        do(
            planning.assign,
            "dispatcher.city",
            order_id=order_id,
            vehicle_id=known["浙AF00006"],
            driver_id=known["driver.fleet"],
        )
    assert do(
        planning.assign,
        "dispatcher.xihu",
        order_id=order_id,
        vehicle_id=known["浙AF00006"],
        driver_id=known["driver.xhedu"],
    ).id


def test_an_offered_car_is_the_home_units_first(approved, do, known, org, database, acting, now):
    do(service.offer, "fleet_manager.city", org_id=org("bjwater"), vehicle_id=known["浙A10005"], to_org_id=org("xihu"), valid_from=date(2026, 11, 1),
       notice_h=2)  # fmt: skip
    order_id = approved(body="suv", purpose=Purpose.INSPECTION)
    actor = acting("dispatcher.city")

    def fault():
        with database.transaction(actor) as session:
            order = orders.get_order(session, order_id=order_id, actor=actor)
            options, _, _ = planning.candidates(session, order=order, actor=actor, now=now)
            found = next(option.fault for option in options if option.vehicle_id == known["浙A10005"])
            return found.code if found else None

    assert fault() is None
    own = approved(unit="bjwater", body="suv", purpose=Purpose.INSPECTION)
    assert fault() == "home_first"
    with pytest.raises(RuleBroken, match="home_first"):
        do(
            planning.assign,
            "dispatcher.city",
            order_id=order_id,
            vehicle_id=known["浙A10005"],
            driver_id=known["driver.bjwater"],
        )
    do(planning.cancel, "applicant.bjwater", order_id=own, reason="改为线上会议")
    assert do(
        planning.assign,
        "dispatcher.city",
        order_id=order_id,
        vehicle_id=known["浙A10005"],
        driver_id=known["driver.bjwater"],
    ).id
    with database.transaction(SYSTEM) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "planning.assigned")).one()
        assert entry.data["decided_against"] == []
        assert session.scalar(select(Assignment.org_id)) == org("bjwater")


# ---- without a vehicle ------------------------------------------------------------------------------------------------

RENTAL = {
    "kind": FallbackKind.RENTAL,
    "reason": FallbackReason.NONE_FREE,
    "price": Decimal("400.00"),
    "provider": "定点租赁公司",
}


def test_an_order_is_served_by_a_rented_car_with_reason_and_price(approved, do, database, now):
    order_id = approved()
    for by in ("applicant.xhedu", "approver.xhedu", "auditor.xihu", "fleet_manager.xihu"):
        with pytest.raises((NotAllowed, NotFound)):
            do(fallback.outsource, by, order_id=order_id, **RENTAL)
    with pytest.raises(RuleBroken, match="above_norm"):
        do(fallback.outsource, "dispatcher.xihu", order_id=order_id, **(RENTAL | {"price": Decimal("450.01")}))
    made = do(fallback.outsource, "dispatcher.xihu", order_id=order_id, **RENTAL)
    assert (made.norm, do(fallback.outsource, "dispatcher.xihu", order_id=order_id, **RENTAL).id) == (
        Decimal(450),
        made.id,
    )
    with pytest.raises(Conflict, match="outsourced_otherwise"):
        do(fallback.outsource, "dispatcher.xihu", order_id=order_id, **(RENTAL | {"price": Decimal(1)}))
    with database.transaction(SYSTEM) as session:
        order = orders.get_order(session, order_id=order_id, actor=SYSTEM)
        assert (order.state, order.events[-1].action) == ("OUTSOURCED", "outsource")
    assert codes(database, "applicant.xhedu") == ["sharing.notice.outsourced.rental"]
    assert do(fallback.bill, "dispatcher.xihu", order_id=order_id, bill_no="FP-1").bill_no == "FP-1"
    with pytest.raises(Conflict, match="billed"):
        do(fallback.bill, "dispatcher.xihu", order_id=order_id, bill_no="FP-2")
    for statement in ("UPDATE fallback SET price = 1", "UPDATE fallback SET bill_no = 'x'", "DELETE FROM fallback"):
        with pytest.raises((IntegrityError, ProgrammingError)), database.transaction(SYSTEM) as session:
            session.execute(text(statement))


def test_the_same_by_the_api(api, database, org, known):
    order_id = approve_one(database, clock.now(), start_h=28, end_h=31)
    xihu, city, stranger = api("dispatcher.xihu"), api("dispatcher.city"), api("dispatcher.binjiang")
    offered = api("unit_admin.bjwater")(
        "POST", "/share-offers", json={"org_id": org("bjwater"), "body": "suv", "valid_from": "2026-11-01"}
    )
    assert offered.status_code == 201, offered.json
    assert [row["id"] for row in xihu("GET", "/share-offers").json] == [offered.json["id"]]
    asked = xihu(
        "POST", "/share-requests", json={"to_org_id": org("city"), "order_id": order_id, "reason": "区内车辆均有任务"}
    )
    assert asked.status_code == 201, asked.json
    path = f"/share-requests/{asked.json['id']}"
    assert (stranger("GET", path).status_code, stranger("GET", "/share-requests").json) == (404, [])
    assert xihu("GET", f"{path}/vehicles").status_code == 403
    assert [car["plate"] for car in city("GET", f"{path}/vehicles").json][:1] == ["浙AF00006"]
    given = {"vehicle_id": known["浙AF00006"], "driver_id": known["driver.fleet"]}
    assert stranger("POST", f"{path}/acceptance", json=given).status_code == 404
    loan = city("POST", f"{path}/acceptance", json=given)
    assert (loan.status_code, loan.json["state"]) == (201, "AGREED")
    assert [row["id"] for row in xihu("GET", "/share-loans?state=AGREED").json] == [loan.json["id"]]
    assert (
        xihu("POST", f"/share-loans/{loan.json['id']}/cancellation", json={"reason": "行程取消"}).json["state"]
        == "CALLED_OFF"
    )
    served = xihu(
        "POST", f"/orders/{order_id}/fallback", json={"kind": "public_transport", "reason": "none_free", "price": "12"}
    )
    assert (served.status_code, served.json["norm"]) == (201, "450.00"), served.json
    assert xihu("GET", f"/orders/{order_id}/fallback").json["kind"] == "public_transport"
