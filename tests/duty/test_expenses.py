"""What drivers pay: added once by the driver of the duty while it is open, made void once, never changed."""

import io
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from fleetapp.duty import expenses, queries, service
from fleetapp.duty.models import TripExpense
from fleetapp.duty.rules import DutyAction, ExpenseKind
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40


@pytest.fixture
def duty(database, acting, now, dispatched):
    """The id of a duty whose car was taken at nine."""
    driver = acting("driver.xhedu")
    with database.transaction(driver) as session:
        for action, odometer_m in ((DutyAction.ACCEPT, None), (DutyAction.CHECK_OUT, 10_000_000)):
            service.report(session, assignment_id=dispatched, action=action, idempotency_key=f"step-{action}", odometer_m=odometer_m,
                           actor=driver, now=now)  # fmt: skip
    return dispatched


@pytest.fixture
def pay(database, acting, now, duty):
    """Return a caller that adds an expense; minutes count from check-out."""

    def call(kind=ExpenseKind.TOLL, amount="25.00", *, minutes=30, key=None, username="driver.xhedu", **more):
        actor = acting(username)
        with database.transaction(actor) as session:
            made = expenses.add(
                session, assignment_id=duty, kind=kind, amount=Decimal(amount), idempotency_key=key or f"pay-{kind}-{minutes}-{amount}",
                actor=actor, now=now + timedelta(minutes=minutes), **more,
            )  # fmt: skip
            return made.id, made.twin_id

    return call


def finish(database, acting, now, duty, state):
    """Bring the duty's order to a state as others would."""
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE travel_order SET state = :state WHERE id = (SELECT order_id FROM assignment WHERE id = :duty)"),
                        {"state": state, "duty": duty})  # fmt: skip


def test_an_expense_is_added_once_and_one_that_looks_the_same_is_marked(pay, database, duty):
    first, twin = pay(key="toll-key-1")
    assert twin is None
    assert pay(key="toll-key-1", minutes=33) == (first, None)
    with pytest.raises(Conflict, match="already_received"):
        pay(key="toll-key-1", amount="26")
    assert pay(minutes=39) == (pytest.approx(first, abs=5), first)
    for other in ({"minutes": 55}, {"amount": "25.01"}, {"kind": ExpenseKind.PARKING}):
        assert pay(**other)[1] is None
    with database.transaction(SYSTEM) as session:
        [order_id] = session.scalars(text("SELECT order_id FROM assignment WHERE id = :id"), {"id": duty})
        found = queries.expenses_of_orders(session, order_ids=[order_id, 0])
    assert sum(one.amount for one in found[order_id]) == Decimal("125.01")
    assert found[0] == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"amount": "0"}, "duty.expense_amount"),
        ({"amount": "-1"}, "duty.expense_amount"),
        ({"amount": "1.005"}, "duty.expense_amount"),
        ({"amount": "2000.01"}, "duty.expense_too_much"),
        ({"ahead": 33}, "duty.time_ahead"),
        ({"ahead": -1}, "duty.expense_early"),
        ({"photo": ("a.png", b"not a picture")}, "attachments.disguised"),
    ],
)
def test_amount_time_and_photograph_have_limits(pay, now, given, code):
    if "ahead" in given:
        given = {"at": now + timedelta(minutes=given["ahead"])}
    with pytest.raises(RuleBroken, match=code):
        pay(**given)
    assert pay(amount="2000", at=now)[0]


def test_only_the_driver_adds_and_only_while_the_duty_is_open(pay, database, acting, now, duty):
    for stranger in ("driver2.xhedu", "applicant.xhedu", "fleet_manager.xihu"):
        with pytest.raises(NotFound):
            pay(username=stranger)
    pay()
    finish(database, acting, now, duty, "RETURNED")
    pay(minutes=200)
    for state in ("DISPATCHED", "OUTSOURCED"):
        finish(database, acting, now, duty, state)
        with pytest.raises(NotAllowed, match="wrong_state"):
            pay(minutes=201)


def test_a_wrong_one_is_made_void_once_by_the_driver_or_the_fleet_manager(pay, database, acting, now, duty):
    mine, other = pay()[0], pay(amount="7")[0]

    def void(username, expense_id, reason="金额填错"):
        with database.transaction(acting(username)) as session:
            return expenses.void(
                session, expense_id=expense_id, reason=reason, actor=acting(username), now=now
            ).void_reason

    for username, error in (
        ("driver2.xhedu", NotFound),
        ("fleet_manager.binjiang", NotFound),
        ("dispatcher.xihu", NotAllowed),
    ):
        with pytest.raises(error):
            void(username, mine)
    assert void("driver.xhedu", mine) == "金额填错"
    assert void("driver.xhedu", mine, "again") == "金额填错"
    assert void("fleet_manager.xihu", other) == "金额填错"
    assert pay(minutes=31)[1] is None, "a void one is no twin"


def test_the_database_refuses_what_the_service_would(pay, database, acting, now, duty):
    expense_id, _ = pay()
    add = (
        "INSERT INTO trip_expense (org_id, assignment_id, driver_id, kind, amount, at, received_at, idempotency_key)"
        " SELECT org_id, assignment_id, driver_id, kind, {amount}, at, received_at, 'raw-{amount}-' || id FROM trip_expense"
    )
    refused = [
        ("driver2.xhedu", add.format(amount="9"), "row-level security"),
        ("driver.xhedu", add.format(amount="0"), "ck_trip_expense_amount"),
        ("driver.xhedu", "UPDATE trip_expense SET amount = 1", "can only be made void"),
        ("driver.xhedu", "UPDATE trip_expense SET void_at = now()", "ck_trip_expense_void"),
        ("driver.xhedu", "DELETE FROM trip_expense", "permission denied"),
    ]
    for username, statement, message in refused:
        with pytest.raises(DBAPIError, match=message), database.transaction(acting(username)) as session:
            session.execute(text(statement))
    with database.transaction(acting("fleet_manager.binjiang")) as session:
        assert session.scalar(select(func.count()).select_from(TripExpense)) == 0
    with database.transaction(acting("driver.xhedu")) as session:
        session.execute(text(add.format(amount="9")))
    finish(database, acting, now, duty, "OUTSOURCED")
    for statement in (add.format(amount="8"), "UPDATE trip_expense SET void_at = now(), void_reason = 'late'"):
        with (
            pytest.raises(Conflict, match="duty.expense_closed"),
            database.transaction(acting("driver.xhedu")) as session,
        ):
            session.execute(text(statement))
    with database.transaction(SYSTEM) as session:
        assert session.get(TripExpense, expense_id).void_at is None


def test_api_and_pages(pay, api, browse, now, duty):
    with time_machine.travel(now + timedelta(minutes=40), tick=False):
        call = api("driver.xhedu")
        form = {"kind": "PARKING", "amount": "15.5", "idempotency_key": "phone-pay-1"}
        for _ in range(2):
            answer = call("POST", f"/duties/{duty}/expenses", data={**form, "photo": (io.BytesIO(PNG), "receipt.png")})
            assert (answer.status_code, answer.json["amount"]) == (201, "15.50"), answer.json
        assert [one["kind"] for one in call("GET", f"/duties/{duty}/expenses").json] == ["PARKING"]
        assert api("driver2.xhedu")("POST", f"/duties/{duty}/expenses", data=form).status_code == 404
        assert call("POST", f"/duties/{duty}/expenses", data={**form, "kind": "BRIBE"}).status_code == 422
        assert call("GET", "/expenses").status_code == 403

        client = browse("driver.xhedu")
        page = client.get(f"/duty/{duty}").get_data(as_text=True)
        assert "15.50" in page
        assert "登记费用" in page
        wrong = client.submit(f"/duty/{duty}/expenses", kind="TOLL", amount="9999", idempotency_key="form-pay-1")
        assert wrong.status_code == 422
        assert "单笔费用不能超过 2,000 元" in wrong.get_data(as_text=True)
        for key in ("form-pay-1", "form-pay-2"):
            assert (
                client.submit(f"/duty/{duty}/expenses", kind="TOLL", amount="20", idempotency_key=key).status_code
                == 302
            )
        assert "疑似重复" in client.get(f"/duty/{duty}").get_data(as_text=True)

        manager = api("fleet_manager.xihu")
        found = manager("GET", "/expenses?twins=true")
        assert (found.headers["X-Total-Count"], found.json[0]["amount"]) == ("1", "20.00")
        assert (
            manager("POST", f"/expenses/{found.json[0]['id']}/void", json={"reason": "重复登记"}).json["void_reason"]
            == "重复登记"
        )
        assert manager("GET", "/expenses?twins=true").json == []
        listed = browse("fleet_manager.xihu").get("/expenses").get_data(as_text=True)
        assert all(words in listed for words in ("浙A10001", "停车费", "凭证", "无凭证", "已作废"))
        assert browse("applicant.xhedu").get("/expenses").status_code == 403
        assert api("fleet_manager.binjiang")("GET", "/expenses").json == []
