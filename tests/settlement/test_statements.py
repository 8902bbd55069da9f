"""From the issue on the 1st to the payment: each side its own steps, every order settled once, every total the sum of its lines."""

import io
import threading
from datetime import date, timedelta
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.kit.errors import FleetError, NotAllowed, NotFound, RuleBroken
from fleetapp.notices.models import Notice
from fleetapp.orders.models import OrderEvent, TravelOrder
from fleetapp.settlement import jobs, queries, rules, service, sheet
from fleetapp.settlement.models import Adjustment, Charge, ChargeGap, Statement, StatementDispute, StatementEvent
from fleetapp.settlement.rules import StatementAction, StatementState
from fleetapp.wiring import CONSTRAINT_ERRORS
from tests import world
from tests.settlement.conftest import NOVEMBER, OCTOBER, SEDAN, drive

PAYER, HOLDER, OTHER = "unit_admin.cityedu", "fleet_manager.city", "unit_admin.bjwater"


def test_every_state_is_reached_and_only_the_paid_one_is_an_end():
    reached = {StatementState.DRAFT, *rules.TRANSITIONS.values()}
    left = {state for state, _ in rules.TRANSITIONS}
    assert reached == set(StatementState)
    assert set(StatementState) - left == {StatementState.PAID}


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_a_month_is_over_on_the_first_of_the_next(on):
    month = rules.month_of(on)
    after = rules.month_after(month)
    assert month <= on < after
    assert after.day == 1
    rules.check_issue(period=month, today=after)
    with pytest.raises(RuleBroken, match="month_runs"):
        rules.check_issue(period=month, today=after - timedelta(days=1))


def whole(session, statement_id, actor=SYSTEM):
    return queries.get_statement(session, statement_id=statement_id, actor=actor)


def test_the_first_of_the_month_issues_what_is_over_with_numbers_without_gaps_and_tells_the_payer(database, drove):
    for day, unit in enumerate(("cityedu", "bjwater")):
        drove(unit=unit, day=day)
    drove(at=NOVEMBER, unit="xhhealth", plate=SEDAN)
    jobs.charge(database, NOVEMBER + timedelta(days=1))
    assert jobs.issue(database, NOVEMBER - timedelta(days=1)) == 0
    assert jobs.issue(database, NOVEMBER + timedelta(days=1)) == 2
    assert jobs.issue(database, NOVEMBER + timedelta(days=1)) == 0
    with database.transaction(SYSTEM) as session:
        rows = session.execute(select(Statement.number, Statement.state).order_by(Statement.number)).all()
        assert rows == [
            ("330100-FLEET-JS-2026-0001", "ISSUED"),
            ("330100-FLEET-JS-2026-0002", "ISSUED"),
            (None, "DRAFT"),
        ]
        told = session.scalars(select(Notice.user_id).where(Notice.code == "settlement.notice.issued")).all()
        assert world.user_id(database, PAYER) in told


def test_both_sides_to_the_payment(database, session_as, acting, issued):
    statement_id = issued()
    with session_as(PAYER) as session:
        charges = queries.charges_of(session, statement_id=statement_id)
        service.dispute(
            session, statement_id=statement_id, reasons={charges[0].id: "里程多计"}, actor=acting(PAYER), now=NOVEMBER
        )
        with pytest.raises(RuleBroken, match="wrong_step"):
            service.confirm(session, statement_id=statement_id, actor=acting(PAYER), now=NOVEMBER)
        waiting = queries.open_disputes(session, statement_id=statement_id)[0].id
    with session_as(HOLDER) as session:
        with pytest.raises(RuleBroken, match="adjust_below"):
            service.answer(
                session,
                statement_id=statement_id,
                dispute_id=waiting,
                answer="太多",
                amount=Decimal(-9999),
                actor=acting(HOLDER),
                now=NOVEMBER,
            )
        answered = service.answer(session, statement_id=statement_id, dispute_id=waiting, answer="按实际里程核减", amount=Decimal("-22.00"),
                                  actor=acting(HOLDER), now=NOVEMBER)  # fmt: skip
        assert (answered.state, answered.edition, answered.total) == ("ISSUED", 2, Decimal("462.00"))
        assert answered.number.endswith("-0001")
    with session_as(PAYER) as session:
        done = service.confirm(session, statement_id=statement_id, actor=acting(PAYER), now=NOVEMBER)
        assert (
            service.confirm(session, statement_id=statement_id, actor=acting(PAYER), now=NOVEMBER).confirmed_at
            == done.confirmed_at
        )
        states = session.scalars(
            select(TravelOrder.state).where(
                TravelOrder.id.in_(queries.charged_orders(session, statement_id=statement_id))
            )
        ).all()
        assert states == ["SETTLED", "SETTLED"]
    with session_as(HOLDER) as session:
        paid = {"voucher_no": "PZ-7", "paid_on": date(2026, 11, 1)}
        for _ in range(2):
            assert (
                service.pay(session, statement_id=statement_id, **paid, actor=acting(HOLDER), now=NOVEMBER).state
                == "PAID"
            )
        made = sheet.of(session, whole(session, statement_id))
        assert made.sum("amount") == made.statement.total == sum(made.by_item.values()) + made.corrected
        steps = [event.action for event in queries.events(session, statement_id=statement_id)]
    assert steps == ["issued", "disputed", "answered", "confirmed", "paid"]
    assert jobs.close(database, NOVEMBER) == 2


def test_a_correction_after_both_agreed_goes_on_the_next_statement(session_as, acting, issued):
    statement_id = issued()
    with session_as(HOLDER) as session:
        charge_id = queries.charges_of(session, statement_id=statement_id)[0].id
        given = {
            "statement_id": statement_id,
            "charge_id": charge_id,
            "reason": "漏收停车费",
            "actor": acting(HOLDER),
            "now": NOVEMBER,
        }
        with pytest.raises(RuleBroken, match="adjust_open"):
            service.adjust(session, **given, amount=Decimal(12))
    with session_as(PAYER) as session:
        before = service.confirm(session, statement_id=statement_id, actor=acting(PAYER), now=NOVEMBER).total
    with session_as(HOLDER) as session:
        made = service.adjust(session, **given, amount=Decimal(12))
        later = whole(session, made.statement_id)
        assert (later.period, later.state, later.total, made.number) == (date(2026, 11, 1), "DRAFT", 12, "TZ2026-00001")
        assert whole(session, statement_id).total == before


def test_who_may_not(session_as, acting, issued, database):
    statement_id = issued()
    for name, function, more, error in (
        (HOLDER, service.confirm, {}, NotAllowed),
        ("approver.cityedu", service.confirm, {}, NotFound),
        ("finance.city", service.confirm, {}, NotAllowed),
        (OTHER, service.confirm, {}, NotFound),
        (PAYER, service.pay, {"voucher_no": "PZ-1", "paid_on": date(2026, 11, 1)}, NotAllowed),
        (PAYER, service.answer, {"dispute_id": 1, "answer": "同意", "amount": Decimal(0)}, NotAllowed),
        ("auditor.city", service.dispute, {"reasons": {1: "理由"}}, NotAllowed),
    ):
        with session_as(name) as session, pytest.raises(error):
            function(session, statement_id=statement_id, **more, actor=acting(name), now=NOVEMBER)
    for name in (OTHER, "unit_admin.xhedu"):
        with session_as(name) as session:
            for table in (Statement, Charge, StatementEvent, StatementDispute, Adjustment, ChargeGap):
                assert session.scalar(select(func.count(table.id))) == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from([*StatementAction, "charge", "adjust", "close", "month"]),
        st.integers(0, 3),
        st.integers(-300, 300),
    ),
    max_size=14,
)


@given(STEPS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_sums_hold_and_no_order_is_settled_twice(database, steps):
    connection = database.engine
    point = connection.begin_nested()
    made = [drive(database, day=day, toll="7.35" if day else None) for day in range(3)]
    payer, holder = world.actor(database, PAYER), world.actor(database, HOLDER)
    jobs.charge(database, NOVEMBER)
    for step, pick, fen in steps:
        with database.transaction(SYSTEM) as session:
            ids = session.scalars(select(Statement.id).order_by(Statement.id)).all()
        chosen = ids[pick % len(ids)]
        try:
            _try(database, step, chosen, pick, Decimal(fen) / 10, payer=payer, holder=holder, made=made)
        except FleetError:
            continue
    with database.transaction(SYSTEM) as session:
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        session.execute(text("SET CONSTRAINTS ALL DEFERRED"))
        for statement in session.scalars(select(Statement)):
            found = sheet.of(session, statement)
            assert statement.total == found.sum("amount") == queries.sum_of(session, statement_id=statement.id)
            assert statement.total >= 0
        for order_id in made:
            charges = session.scalars(select(Charge).where(Charge.order_id == order_id)).all()
            assert len(charges) <= 1
            settled = session.scalar(
                select(func.count(OrderEvent.id)).where(OrderEvent.order_id == order_id, OrderEvent.action == "settle")
            )
            agreed = bool(charges) and session.get(Statement, charges[0].statement_id).state in rules.FINAL
            assert settled == int(agreed)
    point.rollback()


def _try(database, step, statement_id, pick, amount, *, payer, holder, made):
    by_payer = step in {StatementAction.CONFIRM, StatementAction.DISPUTE}
    with database.transaction(payer if by_payer else holder) as session:
        at = {"statement_id": statement_id, "actor": payer if by_payer else holder, "now": NOVEMBER}
        charges = queries.charges_of(session, statement_id=statement_id)
        match step:
            case StatementAction.ISSUE:
                service.issue(session, **at)
            case StatementAction.DISPUTE:
                service.dispute(session, reasons={charges[pick % len(charges)].id: "不符"} if charges else {}, **at)
            case StatementAction.ANSWER:
                waiting = queries.open_disputes(session, statement_id=statement_id)
                service.answer(session, dispute_id=waiting[0].id if waiting else 0, answer="核定", amount=amount, **at)
            case StatementAction.CONFIRM:
                service.confirm(session, **at)
            case StatementAction.PAY:
                service.pay(session, voucher_no="PZ-1", paid_on=date(2026, 11, 1), **at)
            case "adjust":
                service.adjust(
                    session,
                    charge_id=charges[pick % len(charges)].id if charges else 0,
                    amount=amount,
                    reason="更正",
                    **at,
                )
    if step == "charge":
        made.append(drive(database, day=len(made)))
        jobs.charge(database, NOVEMBER)
    elif step == "close":
        jobs.close(database, NOVEMBER)
    elif step == "month":
        jobs.issue(database, NOVEMBER)


def test_two_confirm_at_once_and_every_order_is_settled_once(live_database, live_database_url):
    for day in range(3):
        drive(live_database, day=day)
    jobs.charge(live_database, NOVEMBER)
    jobs.issue(live_database, NOVEMBER)
    with live_database.transaction(SYSTEM) as session:
        statement_id = session.scalars(select(Statement.id)).one()
    payer, gate, failures = world.actor(live_database, PAYER), threading.Barrier(2), []

    def go():
        engine = make_engine(live_database_url)
        gate.wait()
        try:
            with Database(engine, CONSTRAINT_ERRORS).transaction(payer) as session:
                service.confirm(session, statement_id=statement_id, actor=payer, now=NOVEMBER)
        except FleetError as error:
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    with live_database.transaction(SYSTEM) as session:
        assert session.scalar(select(func.count(OrderEvent.id)).where(OrderEvent.action == "settle")) == 3
        assert session.scalar(select(func.count(StatementEvent.id)).where(StatementEvent.action == "confirmed")) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE statement SET total = total + 1",
        "UPDATE statement SET state = 'ISSUED', confirmed_at = NULL, confirmed_by = NULL",
        "UPDATE statement SET state = 'PAID', paid_at = now(), voucher_no = 'X', total = 0",
        "UPDATE statement SET payee_org_id = org_id + 1",
        "UPDATE statement_event SET note = 'x'",
        "DELETE FROM statement_event",
        "UPDATE travel_order SET state = 'MILEAGE_CONFIRMED' WHERE state = 'SETTLED'",
        "INSERT INTO adjustment (number, charge_id, statement_id, amount, reason, made_at) SELECT 'TZ-X', id, statement_id, 5, 'test', now() FROM charge",
        "INSERT INTO statement_dispute (statement_id, charge_id, reason, raised_at) SELECT statement_id, id, 'late', now() FROM charge",
    ],
)
def test_an_agreed_statement_is_frozen_in_the_database(database, session_as, acting, issued, statement):
    statement_id = issued(1)
    with session_as(PAYER) as session:
        service.confirm(session, statement_id=statement_id, actor=acting(PAYER), now=NOVEMBER)
    with pytest.raises(
        Exception,
        match=r"agreed|frozen|settled once|settled_once|takes no|statement_closed|step_now|superseded|permission denied|does not change",
    ) as caught:
        _run(database, statement)
    assert "syntax" not in str(caught.value)


def _run(database, statement):
    with database.transaction(SYSTEM) as session:
        session.execute(text(statement))


def test_through_the_api(api, issued):
    statement_id = issued()
    payer, holder, other = api(PAYER), api(HOLDER), api(OTHER)
    path = f"/statements/{statement_id}"
    assert [row["id"] for row in payer("GET", "/statements?state=ISSUED").json] == [statement_id]
    assert other("GET", path).status_code == 404
    assert api("applicant.cityedu")("GET", "/statements").status_code == 403
    charge_id = payer("GET", path).json["charges"][0]["id"]
    assert holder("POST", f"{path}/confirmation", json={}).status_code == 403
    assert (
        payer("POST", f"{path}/dispute", json={"lines": [{"charge_id": 999_999, "reason": "不符"}]}).status_code == 422
    )
    assert (
        payer("POST", f"{path}/dispute", json={"lines": [{"charge_id": charge_id, "reason": "不符"}]}).json["state"]
        == "DISPUTED"
    )
    dispute = holder("GET", path).json["disputes"][0]
    assert (
        holder("POST", f"{path}/answer", json={"dispute_id": dispute["id"], "answer": "维持", "amount": "0"}).json[
            "edition"
        ]
        == 2
    )
    assert payer("POST", f"{path}/confirmation", json={}).json["state"] == "CONFIRMED"
    assert (
        holder("POST", f"{path}/adjustments", json={"charge_id": charge_id, "amount": "5", "reason": "更正"}).json[
            "number"
        ]
        == "TZ2026-00001"
    )
    assert (
        holder("POST", f"{path}/payment", json={"voucher_no": "PZ-1", "paid_on": "2026-11-01"}).json["state"] == "PAID"
    )


def test_pages_from_the_dispute_to_the_file(database, browse, issued, drove):
    statement_id = issued(toll="18.50")
    drove(approved_at=OCTOBER - timedelta(days=2000), day=-5)
    jobs.charge(database, NOVEMBER)
    payer, holder = browse(PAYER), browse(HOLDER)
    path = f"/statements/{statement_id}"
    page = payer.get(path).get_data(as_text=True)
    assert "确认结算单" in page
    reason = page.split('name="reason-')[1].split('"')[0]
    assert "至少" in payer.submit(f"{path}/dispute").get_data(as_text=True)
    assert payer.submit(f"{path}/dispute", **{f"reason-{reason}": "里程多计"}).status_code == 302
    page = holder.get(path).get_data(as_text=True)
    assert "里程多计" in page
    dispute_id = page.split('name="dispute_id" value="')[1].split('"')[0]
    assert holder.submit(f"{path}/answer", dispute_id=dispute_id, answer="核减", amount="-10.10").status_code == 302
    assert payer.submit(f"{path}/confirm").status_code == 302
    assert holder.submit(f"{path}/pay", voucher_no="PZ-1", paid_on="2099-01-01").status_code == 422
    assert payer.submit(f"{path}/xlsx").status_code == 422
    answer = payer.submit(f"{path}/xlsx", reason="每月归档")
    assert "_%E7%BB%93%E7%AE%97%E5%8D%95_2026-10_v2.xlsx" in answer.headers["Content-Disposition"]
    made = openpyxl.load_workbook(io.BytesIO(answer.data)).worksheets[0]
    table = [[cell.value for cell in row] for row in made.iter_rows(min_row=4, max_row=8)]
    assert table[0][0] == "序号"
    assert table[1][0] == "合计"
    assert [row[0] for row in table[2:]] == [1, 2, 3]
    with database.transaction(SYSTEM) as session:
        total = whole(session, statement_id).total
        logged = session.scalars(select(AuditEntry).where(AuditEntry.action == "settlement.exported")).all()
    assert Decimal(str(table[1][9])) == total == sum(Decimal(str(row[9])) for row in table[2:])
    assert logged[-1].data["reason"] == "每月归档"
    pdf = payer.submit(f"{path}/pdf", reason="每月归档")
    assert pdf.data.startswith(b"%PDF")
    assert "待处理用车" in payer.get("/statements").get_data(as_text=True)
    assert "没有生效的价目表" in payer.get("/statements/gaps").get_data(as_text=True)
    assert browse(OTHER).get(path).status_code == 404
    assert browse("applicant.cityedu").get("/statements").status_code == 403
