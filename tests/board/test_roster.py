"""Leave: asked for by the driver, seen and decided by dispatchers, and in the way of orders when it is granted."""

from datetime import date, timedelta

import pytest
from sqlalchemy import update

from fleetapp.drivers import service
from fleetapp.drivers.models import DriverAbsence
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.orders import queries as orders
from fleetapp.planning import service as planning
from fleetapp.planning.models import Assignment

TODAY = date(2026, 11, 18)


@pytest.fixture
def ask(database, acting, now):
    def run(by="driver.xhedu", from_on=TODAY, until_on=TODAY):
        actor = acting(by)
        with database.transaction(actor) as session:
            return service.ask_leave(
                session, from_on=from_on, until_on=until_on, reason="家中有事", actor=actor, now=now
            ).id

    return run


@pytest.fixture
def decide(database, acting, now):
    def run(absence_id, grant=True, by="dispatcher.xihu"):
        actor = acting(by)
        with database.transaction(actor) as session:
            return service.decide_leave(session, absence_id=absence_id, grant=grant, actor=actor, now=now).state

    return run


def test_granted_leave_keeps_orders_off_the_driver_and_refused_leave_does_not(
    approved, assign, ask, decide, known, database, acting, now
):
    order_id = approved()
    assert decide(ask()) == "GRANTED"
    with pytest.raises(RuleBroken, match="driver_absent"):
        assign(order_id)
    actor = acting("dispatcher.xihu")
    with database.transaction(actor) as session:
        order = orders.get_order(session, order_id=order_id, actor=actor)
        _, _, ready = planning.candidates(session, order=order, actor=actor, now=now)
        assert known["driver.xhedu"] not in {driver.id for driver in ready}
    assert decide(ask("driver2.xhedu"), grant=False) == "REFUSED"
    assert assign(order_id, "浙AD00002", "driver2.xhedu") > 0


def test_the_database_refuses_an_order_on_leave_and_leave_over_an_order(approved, assign, ask, decide, known, database):
    held = assign(approved())
    absence_id = ask()
    with pytest.raises(Conflict, match="leave_booked"):
        decide(absence_id)
    decide(ask("driver2.xhedu"))
    with pytest.raises(Conflict, match="driver_absent"), database.transaction(SYSTEM) as session:
        session.execute(update(Assignment).where(Assignment.id == held).values(driver_id=known["driver2.xhedu"]))


def test_days_are_asked_for_once_ahead_of_time_by_drivers_and_decided_by_others(
    ask, decide, row, browse, monkeypatch, now
):
    absence_id = ask(until_on=TODAY + timedelta(days=2))
    for first, last in (
        (TODAY - timedelta(days=1), TODAY),
        (TODAY, TODAY - timedelta(days=1)),
        (TODAY, TODAY + timedelta(days=90)),
    ):
        with pytest.raises(RuleBroken, match="leave_days"):
            ask("driver2.xhedu", first, last)
    with pytest.raises(Conflict, match="leave_there"):
        ask(from_on=TODAY + timedelta(days=1), until_on=TODAY + timedelta(days=4))
    for username in ("driver.xhedu", "applicant.xhedu", "auditor.xihu", "dispatcher.binjiang"):
        with pytest.raises((NotAllowed, NotFound)):
            decide(absence_id, by=username)
    with pytest.raises(NotAllowed):
        ask("dispatcher.xihu")
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)
    page = browse("dispatcher.xihu")
    assert "家中有事" in page.get("/roster").text
    assert page.submit(f"/roster/{absence_id}/grant", note="同意").status_code == 302
    assert row(DriverAbsence, absence_id).state == "GRANTED"
    assert "请假" in page.get("/roster?day=2026-11-18").text
    assert page.submit(f"/roster/{absence_id}/refuse").status_code == 422
    assert browse("applicant.xhedu").get("/roster").status_code == 403
