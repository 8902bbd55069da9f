"""Events from the plan to the summary, and what nobody gets past, the database included."""

import io
import re
import uuid
from datetime import date, timedelta
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.occasions import jobs, queries, rules, service, summary
from fleetapp.occasions.models import OccasionEvent
from fleetapp.occasions.rules import OccasionAction, Served
from fleetapp.orders import queries as orders
from fleetapp.orders import service as order_service
from fleetapp.orders.models import Occasion
from fleetapp.orders.rules import OrderKind
from fleetapp.planning import queries as planning
from fleetapp.planning import service as planning_service
from fleetapp.planning.models import Hold

HOUR = timedelta(hours=1)


# ---- rules ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(OccasionAction), max_size=4))
def test_an_event_never_comes_back(actions):
    state = "PLANNED"
    for action in actions:
        try:
            after = rules.next_state(state, action)
        except RuleBroken:
            continue
        assert state in rules.OPEN
        state = after
    assert state in {"PLANNED", "ACTIVE", "DONE", "CANCELLED"}


def test_days_gaps_and_figures():
    start = clock.start_of(date(2026, 11, 19)) + 8 * HOUR
    assert rules.days_of(start, start + 16 * HOUR) == [date(2026, 11, 19)]
    days = rules.days_of(start, start + 34 * HOUR)
    assert days == [date(2026, 11, 19), date(2026, 11, 20)]
    assert rules.gaps(days, [1, 2], {(1, days[0]), (2, days[1]), (3, days[0])}) == 2
    orders_ = [
        Served("RETURNED", 3, 7, 1, 1, 30_000), Served("CLOSED", 2, 7, 1, 1, 30_000), Served("RETURNED", 1, 8, 2, 1, None),
        Served("CANCELLED", 9, None, None, None, None), Served("DISPATCHED", 4, 9, 3, 2, None),
    ]  # fmt: skip
    found = rules.summary(orders_, kept=4, costs=[Decimal("12.50"), Decimal(3)])
    assert (found.orders, found.served, found.dropped, found.passengers) == (5, 3, 1, 6)
    assert (found.vehicles_kept, found.vehicles_used, found.drivers_used) == (4, 2, 1)
    assert (found.metres, found.cost) == (30_000, Decimal("15.50"))
    assert rules.summary([], kept=0, costs=[]).cost is None


def test_an_event_has_a_time_ahead(run, acting, now):
    where = {"org_id": acting("dispatcher.xihu").org_id, "name": "x"}
    for code, start, end in (("reversed", 5, 5), ("over", -5, -1), ("too_long", 1, 24 * 61)):
        with pytest.raises(RuleBroken, match=code):
            run(service.create, **where, start_at=now + start * HOUR, end_at=now + end * HOUR)
    for who in ("leader.city", "applicant.xhedu", "dispatcher.binjiang"):
        with pytest.raises(NotAllowed):
            run(service.create, who, **where, start_at=now + HOUR, end_at=now + 2 * HOUR)


# ---- keeping --------------------------------------------------------------------------------------------------------


def test_a_block_is_kept_whole_or_not_at_all(event, ordered, assign, run, known, database):
    assign(ordered(ours=False))  # 浙A10001 with driver.xhedu
    wanted = {"occasion_id": event.id, "vehicle_ids": [known["浙A10001"], known["浙AD00002"]]}
    with pytest.raises(Conflict, match="clash") as refused:
        run(service.reserve, **wanted, driver_ids=[known["driver2.xhedu"]])
    assert refused.value.params == {"names": "浙A10001"}
    with database.transaction(SYSTEM) as session:
        assert session.scalars(select(Hold)).all() == []
    with pytest.raises(RuleBroken, match="none_chosen"):
        run(service.reserve, occasion_id=event.id)
    with pytest.raises(NotFound):
        run(service.reserve, occasion_id=event.id, vehicle_ids=[known["浙A10005"]])
    with pytest.raises(NotAllowed):
        run(service.reserve, "leader.city", occasion_id=event.id, vehicle_ids=[known["浙AD00002"]])
    made = run(
        service.reserve, occasion_id=event.id, vehicle_ids=[known["浙AD00002"]], driver_ids=[known["driver2.xhedu"]]
    )
    assert len(made) == 2
    with pytest.raises(Conflict, match="clash"):
        run(service.reserve, occasion_id=event.id, vehicle_ids=[known["浙AD00002"]])
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET state = 'MAINTENANCE' WHERE plate = '浙A10003'"))
    with pytest.raises(RuleBroken, match="not_ready"):
        run(service.reserve, occasion_id=event.id, vehicle_ids=[known["浙A10003"]])


def test_a_kept_car_serves_orders_of_its_event_only(block, ordered, assign, database, acting, now):
    ours, foreign = ordered(), ordered(ours=False)
    with pytest.raises(Conflict, match="kept_for_other"):
        assign(foreign)
    assert assign(ours)
    dispatcher = acting("dispatcher.xihu")
    with database.transaction(dispatcher) as session:
        order = orders.get_order(session, order_id=foreign, actor=dispatcher)
        options, cars, ready = planning_service.candidates(session, order=order, actor=dispatcher, now=now)
        why = {cars[option.vehicle_id].plate: option.fault for option in options}
        assert (why["浙AD00002"].code, why["浙A10003"] and why["浙A10003"].code) == (
            "kept_occasion",
            "driver_missing",
        )
        assert ready == []


def test_the_roster_shows_its_gaps_and_takes_kept_people_only(event, block, run, known, database):
    days = rules.days_of(event.start_at, event.end_at)
    mine = {"occasion_id": event.id, "vehicle_id": known["浙A10001"], "from_on": days[0], "to_on": days[1]}
    made = run(service.roster, **mine, driver_id=known["driver.xhedu"])
    assert [shift.on for shift in made] == days
    assert run(service.roster, **mine, driver_id=known["driver.xhedu"]) == [], "the same again made another shift"
    other = mine | {"vehicle_id": known["浙AD00002"]}
    with pytest.raises(Conflict, match="driver_elsewhere"):
        run(service.roster, **other, driver_id=known["driver.xhedu"])
    with pytest.raises(RuleBroken, match="not_kept"):
        run(service.roster, **mine, driver_id=known["driver.fleet"])
    with pytest.raises(RuleBroken, match="outside"):
        run(service.roster, **(mine | {"to_on": days[1] + timedelta(days=1)}), driver_id=known["driver2.xhedu"])
    run(service.roster, **(mine | {"to_on": days[0]}), driver_id=known["driver2.xhedu"])
    with database.transaction(SYSTEM) as session:
        found = {(row.vehicle_id, row.on): row.driver_id for row in queries.shifts(session, occasion_id=event.id)}
    assert found == {
        (known["浙A10001"], days[0]): known["driver2.xhedu"],
        (known["浙A10001"], days[1]): known["driver.xhedu"],
    }
    driver2 = next(hold.id for hold in block if hold.driver_id == known["driver2.xhedu"])
    run(service.give_back, occasion_id=event.id, hold_ids=[driver2])
    with database.transaction(SYSTEM) as session:
        assert [row.on for row in queries.shifts(session, occasion_id=event.id)] == [days[1]]
        assert len(queries.holds(session, occasion_id=event.id)) == 3


# ---- the way of an event --------------------------------------------------------------------------------------------


def test_an_event_starts_and_ends_with_its_time_and_gives_everything_back(event, block, database, now):
    assert jobs.move_due(database, now) == 0
    assert jobs.move_due(database, event.start_at) == 1
    assert jobs.move_due(database, event.end_at + HOUR) == 1
    assert jobs.move_due(database, event.end_at + 2 * HOUR) == 0
    with database.transaction(SYSTEM) as session:
        assert session.get_one(Occasion, event.id, populate_existing=True).state == "DONE"
        assert queries.holds(session, occasion_id=event.id) == []
        done = session.scalars(select(OccasionEvent.action).order_by(OccasionEvent.id)).all()
    assert done == ["planned", "reserved", "started", "finished"]


def test_an_event_is_cancelled_when_nobody_waits_for_it(event, block, ordered, run, acting, database, now):
    order_id = ordered()
    with pytest.raises(RuleBroken, match="orders_live"):
        run(service.step, occasion_id=event.id, action=OccasionAction.CANCEL)
    applicant = acting("applicant.xhedu")
    with database.transaction(applicant) as session:
        order_service.cancel(session, order_id=order_id, reason="活动取消", actor=applicant, now=now)
    for _ in range(2):
        assert run(service.step, occasion_id=event.id, action=OccasionAction.CANCEL).state == "CANCELLED"
    with pytest.raises(RuleBroken, match="wrong_step"):
        run(service.step, occasion_id=event.id, action=OccasionAction.START)
    with pytest.raises(RuleBroken, match="closed"):
        run(service.reserve, occasion_id=event.id, vehicle_ids=[block[0].vehicle_id])


def test_applicants_are_offered_the_open_events_above_them(event, run, acting, database, now):
    def offered(username, at=now):
        who = acting(username)
        with database.transaction(who) as session:
            return [row.name for row in orders.occasions_open(session, actor=who, at=at)]

    assert offered("applicant.xhedu") == offered("applicant.xhhealth") == ["西湖论坛"]
    assert offered("applicant.bjwater") == offered("applicant.xhedu", at=event.end_at) == []
    run(service.step, occasion_id=event.id, action=OccasionAction.CANCEL)
    assert offered("applicant.xhedu") == []


def test_the_summary_counts_what_was_driven(event, block, ordered, assign, acting, database, now):
    first, _second = assign(ordered()), ordered(unit="xhhealth", start_h=4, end_h=6)
    driver = acting("driver.xhedu")
    for action, at, odometer_m in (
        (DutyAction.ACCEPT, event.start_at, None), (DutyAction.CHECK_OUT, event.start_at + HOUR, 10_000_000),
        (DutyAction.CHECK_IN, event.start_at + 3 * HOUR, 10_024_000),
    ):  # fmt: skip
        with database.transaction(driver) as session:
            duty.report(session, assignment_id=first, action=action, idempotency_key=uuid.uuid4().hex, actor=driver, now=at,
                        odometer_m=odometer_m)  # fmt: skip
    office, file = acting("vehicle_office.city"), io.BytesIO()
    with database.transaction(office) as session:
        found = summary.account(session, occasion=session.get_one(Occasion, event.id), actor=office)
        assert (found.figures.orders, found.figures.served, found.figures.metres) == (2, 1, 24_000)
        assert (found.figures.vehicles_kept, found.figures.vehicles_used, found.figures.cost) == (2, 1, None)
        made = summary.export(
            session, occasion_id=event.id, reason="活动总结", file=file, say=lambda key: key, actor=office, now=now
        )
        assert (made.rows, made.kind, made.reason) == (2, "occasion", "活动总结")
    sheet = openpyxl.load_workbook(file).worksheets[1]
    assert [row[6] for row in sheet.iter_rows(values_only=True)] == ["occasions.col.plate", "浙A10001", None]
    for who in ("dispatcher.xihu", "leader.city"):
        with pytest.raises(NotAllowed), database.transaction(acting(who)) as session:
            summary.export(
                session, occasion_id=event.id, reason="活动总结", file=file, say=str, actor=acting(who), now=now
            )


# ---- the database ---------------------------------------------------------------------------------------------------

SPAN = "(SELECT tstzrange(start_at, end_at) FROM occasion LIMIT 1)"
NEW_HOLD = f"""INSERT INTO hold (org_id, vehicle_id, during, cause, cause_id, held_at)
    SELECT org_id, id, {SPAN}, 'occasion', :e, now() FROM vehicle WHERE plate = :plate"""


SAME = "org_id, kind, purpose, reason, applicant_id, passengers, passenger_count, contact, body, start_at, end_at, supplementary"
KEPT = "created_at, filed_by_id, pooling_ok, round_trip, luggage, version"
ORDER_OF_EVENT = f"""INSERT INTO travel_order ({SAME}, {KEPT}, number, state, occasion_id)
    SELECT {SAME}, {KEPT}, number || 'x', 'SUBMITTED', :e FROM travel_order WHERE id = :o"""


def refused_by(database, statement, **values):
    """Return the constraint by which the database refuses a statement of the system."""
    with pytest.raises((Conflict, DBAPIError)) as refused, database.transaction(SYSTEM) as session:
        session.execute(text(statement), values)
    error = refused.value.__cause__ if isinstance(refused.value, Conflict) else refused.value
    return error.orig.diag.constraint_name or str(error.orig)


def test_the_database_itself_keeps_what_is_kept(event, block, ordered, assign, database):
    assert refused_by(database, NEW_HOLD, e=event.id, plate="浙A10001") == "ex_hold_vehicle"
    made = assign(ordered())  # of the event: stands
    foreign = ordered(ours=False, start_h=5, end_h=6)
    book = """INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at)
        SELECT a.org_id, a.order_org_id, o.id, a.vehicle_id, a.driver_id, a.slip_id, tstzrange(o.start_at, o.end_at), 'ACTIVE', now()
        FROM assignment a, travel_order o WHERE a.id = :a AND o.id = :o"""
    assert refused_by(database, book, a=made, o=foreign) == "ck_assignment_hold"
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE hold SET released_at = now()"))
        session.execute(text(book), {"a": made, "o": foreign})
    assert (
        refused_by(database, "UPDATE hold SET released_at = NULL WHERE id = :h", h=block[0].id) == "ck_hold_assignment"
    )
    assert re.search("refused|permission denied", refused_by(database, "DELETE FROM hold"))


def test_the_database_lets_no_event_keep_after_its_end_and_no_roster_take_strangers(event, block, known, database):
    assert (
        refused_by(database, "UPDATE occasion SET state = 'CANCELLED' WHERE id = :e", e=event.id)
        == "ck_occasion_released"
    )
    assert "cannot go" in refused_by(database, "UPDATE occasion SET name = 'x' WHERE id = :e", e=event.id)
    assert "cannot go" in refused_by(database, "UPDATE occasion SET state = 'DONE' WHERE id = :e", e=event.id)
    shift = """INSERT INTO occasion_shift (org_id, occasion_id, vehicle_id, driver_id, "on", made_at)
        SELECT org_id, :e, :v, id, '2026-11-19', now() FROM driver WHERE id = :d"""
    stranger = {"e": event.id, "v": known["浙A10001"], "d": known["driver.fleet"]}
    assert refused_by(database, shift, **stranger) == "ck_occasion_shift_kept"
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE hold SET released_at = now()"))
        session.execute(text("UPDATE occasion SET state = 'CANCELLED'"))
    assert refused_by(database, NEW_HOLD, e=event.id, plate="浙A10003") == "ck_hold_occasion"


def test_no_order_names_an_event_that_is_over_or_of_others(event, run, database, ordered):
    with pytest.raises(RuleBroken, match="occasion_kind"):
        ordered(kind=OrderKind.ORDINARY)
    with pytest.raises(RuleBroken, match="occasion_over"):
        ordered(unit="bjwater")
    order_id = ordered(ours=False, unit="bjwater")
    assert refused_by(database, ORDER_OF_EVENT, e=event.id, o=order_id) == "ck_travel_order_occasion"
    run(service.step, occasion_id=event.id, action=OccasionAction.CANCEL)
    with pytest.raises(RuleBroken, match="occasion_over"):
        ordered()
    order_id = ordered(ours=False)
    assert refused_by(database, ORDER_OF_EVENT, e=event.id, o=order_id) == "ck_travel_order_occasion"


def test_the_planner_leaves_what_is_kept_alone(block, ordered, database, acting, now):
    ours = ordered()
    dispatcher = acting("dispatcher.xihu")
    with database.transaction(dispatcher) as session:
        order = orders.get_order(session, order_id=ours, actor=dispatcher)
        cars = [hold.vehicle_id for hold in block if hold.vehicle_id]
        span = planning.Span(order.start_at, order.end_at)
        taken, _ = planning.busy(session, span=span, vehicle_ids=cars, driver_ids=())
        free, _ = planning.busy(session, span=span, vehicle_ids=cars, driver_ids=(), order=order)
    assert (set(taken), free) == (set(cars), {})
