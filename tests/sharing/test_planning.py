"""Loans and offers on the dispatcher's desk, journeys served otherwise, and the whole by the API."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.audit.models import AuditEntry
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.orders import queries as orders
from fleetapp.orders.rules import Purpose
from fleetapp.planning import service as planning
from fleetapp.planning.models import Assignment
from fleetapp.sharing import fallback, service
from fleetapp.sharing.rules import FallbackKind, FallbackReason
from tests.planning.conftest import approve_one

HOUR = timedelta(hours=1)


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


def test_an_order_is_served_by_a_rented_car_with_reason_and_price(approved, do, database, now, codes):
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
    assert codes("applicant.xhedu")[-1] == "sharing.notice.outsourced.rental"
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
