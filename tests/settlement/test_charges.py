"""Every confirmed journey is charged once: by the book of its approval, free with one's own car, or it waits with a reason."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from fleetapp.findings.models import Finding
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.orders import service as orders
from fleetapp.orders.models import OrderEvent, TravelOrder
from fleetapp.orders.rules import OrderAction
from fleetapp.pricing import preview
from fleetapp.pricing import service as pricing
from fleetapp.pricing.models import PriceBook
from fleetapp.pricing.rules import Rate, Share, Terms, Use
from fleetapp.settlement import charging, jobs, queries, rules
from fleetapp.settlement.models import Charge, ChargeGap, ChargeLine, Statement
from fleetapp.settlement.rules import Journey, Rider
from fleetapp.vehicles.rules import Body
from tests import world
from tests.settlement.conftest import MINIBUS, NOVEMBER, OCTOBER, OWN, SEDAN, confirm

FINANCE, OFFICE, PAYER = "finance.city", "vehicle_office.city", "unit_admin.cityedu"
RATE = Rate(
    Decimal(220),
    50,
    Decimal(380),
    100,
    Decimal("2.20"),
    Decimal(20),
    120,
    Decimal(80),
    Decimal(150),
    Decimal(220),
    Decimal(650),
)


def state_of(database, order_id):
    with database.transaction(SYSTEM) as session:
        return session.get(TravelOrder, order_id).state


def test_anothers_car_is_charged_by_kilometres_and_toll_into_the_months_draft(database, charged):
    one = charged(km=60, toll="18.50")
    assert (one.kind, one.distance_m, one.distance_source, one.amount) == (
        "paid",
        60_000,
        "confirmed",
        Decimal("260.50"),
    )
    with database.transaction(SYSTEM) as session:
        lines = {
            line.item: line.amount for line in session.scalars(select(ChargeLine).where(ChargeLine.charge_id == one.id))
        }
        statement = session.get(Statement, one.statement_id)
    assert lines == {"base_half": 220, "km": 22, "toll": Decimal("18.50")}
    assert (statement.period, statement.state, statement.total, statement.number) == (
        date(2026, 10, 1),
        "DRAFT",
        one.amount,
        None,
    )
    assert state_of(database, one.order_id) == "MILEAGE_CONFIRMED"


def test_ones_own_car_is_free_and_settled_at_once_and_closed(database, charged):
    one = charged(unit="xhedu", plate=OWN)
    assert (one.kind, one.amount, one.statement_id) == ("own", 0, None)
    assert state_of(database, one.order_id) == "SETTLED"
    assert jobs.close(database, NOVEMBER) == 1
    assert state_of(database, one.order_id) == "CLOSED"


def test_charging_again_changes_nothing(database, charged):
    one = charged()
    jobs.charge(database, NOVEMBER)
    with database.transaction(SYSTEM) as session:
        again = charging.charge(session, order_id=one.order_id, districts=[], actor=SYSTEM, now=NOVEMBER)
        assert (again.id, session.scalar(select(func.count(Charge.id)))) == (one.id, 1)
        assert session.get(Statement, one.statement_id).total == one.amount


def test_use_across_levels_is_capped_and_within_one_level_is_not(charged):
    across = charged(unit="xhedu", plate=SEDAN, km=400, hours=9)
    within = charged(unit="cityedu", plate=SEDAN, km=400, hours=9, day=1)
    assert (across.cross_level, across.amount) == (True, Decimal("422.00"))  # 650 × 0.65, rounded down
    assert (within.cross_level, within.amount) == (False, Decimal("1040.00"))


def test_what_was_confirmed_counts_and_without_an_odometer_too(charged):
    one = charged(km=None)
    assert (one.distance_source, one.distance_m) == ("confirmed", 31_400)


def test_a_journey_that_began_late_in_an_issued_month_goes_on_the_next_statement(database, issued, charged):
    statement_id = issued()
    late = charged(day=5)
    with database.transaction(SYSTEM) as session:
        assert session.get(Statement, late.statement_id).period == date(2026, 11, 1)
        assert late.statement_id != statement_id


def test_a_later_book_does_not_move_the_price_of_an_approved_order(database, acting, charged, session_as):
    first = OCTOBER - timedelta(days=2)
    with session_as(FINANCE) as session:
        old = session.scalars(select(PriceBook)).one()
        draft = pricing.draft(session, org_id=old.org_id, title="涨价", source="测试文件", valid_from=clock.local_date(first) + timedelta(days=2),
                              terms=Terms(), rates={Body.SEDAN: Rate(Decimal(500), 50, Decimal(900), *(getattr(RATE, name) for name in list(Rate.__dataclass_fields__)[3:]))},
                              actor=acting(FINANCE), now=first)  # fmt: skip
    with session_as(OFFICE) as session:
        pricing.publish(session, book_id=draft.id, actor=acting(OFFICE), now=first)
    before = charged(approved_at=OCTOBER - timedelta(hours=20))
    after = charged(approved_at=OCTOBER + timedelta(hours=2), day=1)
    assert (before.book_id, before.amount) == (old.id, 242)
    assert (after.book_id, after.amount) == (draft.id, 522)


def test_a_gap_of_the_book_waits_with_its_reason_until_the_book_has_a_price(database, session_as, acting, drove):
    order_id = drove(approved_at=OCTOBER - timedelta(days=2000))
    jobs.charge(database, NOVEMBER)
    with session_as(FINANCE) as session:
        waiting = session.scalars(queries.gaps(acting(FINANCE))).all()
        assert [(gap.order_id, gap.code) for gap in waiting] == [(order_id, "pricing.gap.no_book")]
    with session_as("finance.city") as session:
        assert queries.gap_of(session, order_id=order_id).closed_at is None
    with session_as("unit_admin.bjwater") as session:
        assert session.scalars(select(ChargeGap)).all() == []
    assert state_of(database, order_id) == "MILEAGE_CONFIRMED"


def test_an_outsourced_journey_is_settled_at_the_bill_it_was_confirmed_with(database, charged, browse):
    one = charged(plate=None)
    assert (one.kind, one.amount, one.statement_id, one.holder_org_id) == ("outsourced", Decimal("420.00"), None, None)
    assert state_of(database, one.order_id) == "SETTLED"
    jobs.charge(database, NOVEMBER)
    assert "按账单结算" in browse(PAYER).get(f"/orders/{one.order_id}/settlement").get_data(as_text=True)


def test_a_shared_journey_is_split_and_its_holder_pays_nothing():
    use = Use(OCTOBER, OCTOBER + timedelta(hours=3), 90_000, toll=Decimal("10.01"))
    riders = (Rider(1, 10, Share(30_000, 2)), Rider(2, 20, Share(60_000, 1)), Rider(3, 30, Share(20_000, 3)))
    fees = rules.shares_of(Journey(30, use, riders), RATE, Terms(), cross_level=set(), holidays=())
    whole = Decimal("318.01")  # 220, 40 km at 2.20, toll
    assert [fees[number].total for number in (1, 2, 3)] == [Decimal("106.01"), Decimal("106.00"), 0]
    alone = rules.shares_of(Journey(99, use, riders), RATE, Terms(), cross_level=set(), holidays=())
    assert sum(fee.total for fee in alone.values()) == whole
    capped = rules.shares_of(
        Journey(99, use, riders), RATE, Terms(cap_share=Decimal("0.1")), cross_level={1}, holidays=()
    )
    assert capped[1].total < alone[1].total
    assert capped[2] == alone[2]


def test_a_shared_journey_waits_for_all_its_orders_and_is_charged_whole(database, drove, session_as, acting):
    first = drove(km=90, toll="10.01")
    second = drove(unit="bjwater", km=90, beside=first, state="RETURNED")
    jobs.charge(database, NOVEMBER)
    with session_as(FINANCE) as session:
        assert queries.gap_of(session, order_id=first).code == "settlement.gap.waits"
    with database.transaction(SYSTEM) as session:
        confirm(session, session.get(TravelOrder, second), km=90)
    jobs.charge(database, NOVEMBER)
    with database.transaction(SYSTEM) as session:
        charges = {one.order_id: one for one in session.scalars(select(Charge))}
        assert {one.part for one in charges.values()} == {Decimal("0.5")}
        assert (charges[first].cross_level, charges[second].cross_level) == (False, True)
        assert charges[first].amount == Decimal("159.01")  # half of 220 + 40 × 2.20 + 10.01, the odd fen with the first
        assert charges[second].amount <= Decimal("159.01")
        assert charges[first].statement_id != charges[second].statement_id


def test_paid_journeys_are_what_a_new_book_is_tried_on(session_as, acting, charged):
    one, own = charged(toll="18.50"), charged(unit="xhedu", plate=OWN, day=1)
    with session_as(FINANCE) as session:
        found = queries.past(session, actor=acting(FINANCE), start=OCTOBER, end=NOVEMBER)
        assert [(past.body, past.use.distance_m, past.use.toll) for past in found] == [
            ("sedan", one.distance_m, Decimal("18.50"))
        ]
        draft = pricing.copy(session, book_id=one.book_id, actor=acting(FINANCE), now=NOVEMBER)
        effect = preview.effect(session, book=draft, actor=acting(FINANCE), today=clock.local_date(NOVEMBER))
        assert (effect["sedan"].before, effect["sedan"].after) == (one.amount, one.amount)
        assert queries.spent_in(session, org_id=one.org_id, month=date(2026, 10, 1)) == one.amount
    assert own.amount == 0


def test_an_order_with_an_open_red_clue_stays_until_it_is_decided(database, charged):
    one = charged(unit="xhedu", plate=OWN)
    with database.transaction(SYSTEM) as session:
        clue = Finding(org_id=one.org_id, number="XS-T-1", dedupe_key="t1", rule="A-01", rule_version="1", vehicle_id=one.vehicle_id, order_id=one.order_id,
                       start_at=OCTOBER, end_at=NOVEMBER, severity="red", state="DETECTED", confidence=1, facts={}, params={}, evidence_for=[],
                       evidence_against=[], detected_at=NOVEMBER, due_at=NOVEMBER)  # fmt: skip
        session.add(clue)
    assert jobs.close(database, NOVEMBER) == 0
    assert state_of(database, one.order_id) == "SETTLED"
    with database.transaction(SYSTEM) as session:
        session.get(Finding, clue.id).state = "WITHDRAWN"
    assert jobs.close(database, NOVEMBER) == 1


# ---- INV-20: settled twice, or before it is confirmed -----------------------------------------------------------------


def settle(database, order_id):
    with database.transaction(SYSTEM) as session:
        order = session.get(TravelOrder, order_id)
        orders.advance(session, order=order, action=OrderAction.SETTLE, actor=SYSTEM, now=NOVEMBER)


def test_the_service_settles_neither_an_unconfirmed_order_nor_one_whose_statement_is_not_agreed(
    database, drove, charged
):
    unconfirmed, one = drove(state="RETURNED"), charged(day=1)
    with pytest.raises(RuleBroken, match="wrong_step"):
        settle(database, unconfirmed)
    with pytest.raises(Conflict, match="settled_once"):
        settle(database, one.order_id)


REFUSED = r"settled_once|unconfirmed|charged_already|permission denied|superseded|are not its amount|step_now|sum_now|adjust_below_now|row_first"
CHARGE = (
    "INSERT INTO charge (org_id, holder_org_id, order_id, kind, start_at, end_at, distance_m, distance_source, wait_min, cross_level, part, amount,"
    " created_at) SELECT org_id, org_id, id, 'own', start_at, end_at, 0, 'planned', 0, false, 1, 0, now() FROM travel_order WHERE id = "
)
ADJUSTMENT = "INSERT INTO adjustment (number, charge_id, statement_id, amount, reason, made_at) SELECT 'TZ-X', id, statement_id, -9999, 'test', now() FROM charge"


def run(database, statement, **ids):
    with database.transaction(SYSTEM) as session:
        session.execute(text(statement), ids)
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE travel_order SET state = 'SETTLED' WHERE id = :unconfirmed",
        "UPDATE travel_order SET state = 'SETTLED' WHERE id = :charged",
        "UPDATE travel_order SET state = 'CLOSED' WHERE id = :charged",
        "UPDATE travel_order SET state = 'MILEAGE_CONFIRMED' WHERE id = :own",
        CHARGE + ":unconfirmed",
        CHARGE + ":charged",
        "UPDATE charge SET amount = 1 WHERE order_id = :charged",
        "DELETE FROM charge WHERE order_id = :charged",
        "UPDATE charge_line SET amount = 1",
        "INSERT INTO charge_line (charge_id, item, quantity, price, amount) SELECT id, 'night', 1, 1, 1 FROM charge WHERE order_id = :charged",
        "UPDATE statement SET state = 'CONFIRMED', confirmed_at = now()",
        "UPDATE statement SET state = 'ISSUED', number = 'X-1', edition = 1, total = total + 1",
        ADJUSTMENT + " WHERE order_id = :charged",
        "DELETE FROM statement",
    ],
)  # fmt: skip
def test_the_database_refuses(database, drove, charged, statement):
    unconfirmed, own, one = drove(state="RETURNED"), charged(unit="xhedu", plate=OWN), charged(day=1)
    with pytest.raises((DatabaseError, Conflict), match=REFUSED):
        run(database, statement, unconfirmed=unconfirmed, charged=one.order_id, own=own.order_id)


def test_only_the_system_charges_and_closes(database, session_as, acting, drove):
    order_id = drove(plate=MINIBUS)
    with session_as(FINANCE) as session:
        with pytest.raises(NotAllowed):
            charging.charge(session, order_id=order_id, districts=[], actor=acting(FINANCE), now=NOVEMBER)
        with pytest.raises(NotAllowed):
            charging.close_next(session, after_id=0, actor=acting(FINANCE), now=NOVEMBER)
        assert session.scalars(select(OrderEvent).where(OrderEvent.order_id == order_id)).all() == []
    assert world.actor(database, FINANCE).user_id is not None
