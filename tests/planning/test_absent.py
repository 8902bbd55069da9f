"""Passengers who did not come: noted from the start on, by a dispatcher; the vehicle is free and the slip void."""

import uuid
from datetime import timedelta

import pytest

from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.orders.models import DispatchSlip, TravelOrder
from fleetapp.planning import absent
from fleetapp.planning.models import Assignment, AssignmentState

WHY = "等候 20 分钟，电话无人接听"


@pytest.fixture
def waiting(database, acting, now, approved, assign):
    """Return an order that begins in four hours, its driver ready, and its assignment."""
    order_id = approved()
    made = assign(order_id)
    driver = acting("driver.xhedu")
    with database.transaction(driver) as session:
        duty.report(
            session,
            assignment_id=made,
            action=DutyAction.ACCEPT,
            idempotency_key=uuid.uuid4().hex,
            actor=driver,
            now=now,
        )
    return order_id, made


@pytest.fixture
def noted(database, acting):
    """Note that nobody came."""

    def run(order_id, at, by="dispatcher.xihu", reason=WHY):
        who = acting(by)
        with database.transaction(who) as session:
            return absent.no_show(session, order_id=order_id, reason=reason, actor=who, now=at).state

    return run


def test_nobody_came_and_the_vehicle_goes_to_another(waiting, noted, row, now, approved, assign):
    order_id, made = waiting
    start = now + timedelta(hours=4)
    assert noted(order_id, start) == "NO_SHOW"
    assert noted(order_id, start + timedelta(minutes=5)) == "NO_SHOW", "again changes nothing"
    assert row(TravelOrder, order_id).closing_reason == WHY
    held = row(Assignment, made)
    assert (held.state, held.release_reason) == (AssignmentState.RELEASED, WHY)
    assert row(DispatchSlip, held.slip_id).void_reason == WHY
    assert assign(approved(), at=start) > made


def test_not_before_the_start_not_without_a_reason_not_by_others(waiting, noted, row, now):
    order_id, _ = waiting
    start = now + timedelta(hours=4)
    with pytest.raises(RuleBroken, match=r"planning\.not_begun"):
        noted(order_id, start - timedelta(seconds=1))
    with pytest.raises(RuleBroken, match=r"orders\.reason_needed"):
        noted(order_id, start, reason=" ")
    for username in ("applicant.xhedu", "approver.xhedu", "fleet_manager.xihu"):
        with pytest.raises(NotAllowed):
            noted(order_id, start, by=username)
    assert row(TravelOrder, order_id).state == "DRIVER_ACCEPTED"


def test_not_after_the_vehicle_has_left(database, acting, waiting, noted, now):
    order_id, made = waiting
    driver = acting("driver.xhedu")
    with database.transaction(driver) as session:
        duty.report(session, assignment_id=made, action=DutyAction.CHECK_OUT, idempotency_key=uuid.uuid4().hex, actor=driver,
                    now=now + timedelta(hours=4), odometer_m=10_000_000)  # fmt: skip
    with pytest.raises(NotAllowed):
        noted(order_id, now + timedelta(hours=5))


def test_the_page_offers_it_once_the_order_has_begun(browse, api, waiting, now, monkeypatch):
    order_id, _ = waiting
    for at, offered in ((now + timedelta(hours=3), False), (now + timedelta(hours=4), True)):
        monkeypatch.setattr("fleetapp.kit.clock.now", lambda at=at: at)
        shown = browse("dispatcher.xihu").get(f"/orders/{order_id}/assignment").get_data(as_text=True)
        assert (f"/orders/{order_id}/no-show" in shown) == offered
    refused = api("applicant.xhedu")("POST", f"/orders/{order_id}/no-show", json={"reason": WHY})
    assert refused.status_code == 403
    client = browse("dispatcher.xihu")
    client.get(f"/orders/{order_id}")
    assert client.submit(f"/orders/{order_id}/no-show", reason=WHY).status_code == 302
    assert (
        api("dispatcher.xihu")("POST", f"/orders/{order_id}/no-show", json={"reason": WHY}).json["state"] == "NO_SHOW"
    )
