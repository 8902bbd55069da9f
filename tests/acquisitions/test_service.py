"""No budget without an indicator, no indicator without a place, no price above the cap, nobody decides an own application."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.acquisitions import jobs, purchase, queries, service
from fleetapp.acquisitions.rules import IndicatorAction, IndicatorKind, IndicatorState
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, Category, Energy
from tests import world
from tests.acquisitions.conftest import APPROVER, REVIEWER

VIN = world.with_check_digit("LSVAA11Z5M2009001")


def refused(code, function, *args, **given):
    with pytest.raises((RuleBroken, NotAllowed, Conflict)) as broken:
        function(*args, **given)
    assert broken.value.code == code


def as_app(database, username, statement, **values):
    """Run raw SQL as the application's own role."""
    with database.transaction(world.actor(database, username)) as session:
        return session.execute(text(statement), values)


def places(chain, category=Category.YJBZ):
    who = world.actor(chain.database, REVIEWER)
    with chain.database.transaction(who) as session:
        found = queries.matrix(session, actor=who, on=date(2026, 11, 18))
        return {org.code: row[category.value] for org, row in found.items() if category.value in row}["330106-EDU"]


def test_the_quota_is_a_ledger_with_history(chain):
    """The unit holds two cars of the class."""
    chain.quota(3, on=date(2026, 1, 1))
    chain.quota(-1, on=date(2026, 7, 1))
    who = world.actor(chain.database, REVIEWER)
    with chain.database.transaction(who) as session:
        org_id = world.actor(chain.database, "unit_admin.xhedu").org_id
        days = {day: queries.quota_on(session, org_id=org_id, category=Category.YJBZ, on=day)
                for day in (date(2025, 12, 31), date(2026, 6, 30), date(2026, 7, 1))}  # fmt: skip
    assert list(days.values()) == [0, 3, 2]
    found = places(chain)
    assert (found.quota, found.in_service, found.reserved, found.free) == (2, 2, 0, 0)
    refused("acquisitions.quota_negative", chain.quota, -3, on=date(2026, 3, 1))
    refused("acquisitions.quota_zero", chain.quota, 0)


def test_places_move_between_units_and_only_the_vehicle_office_moves_them(chain, acting, now):
    chain.quota(3)
    who = world.actor(chain.database, REVIEWER)
    both = {
        code: world.actor(chain.database, f"unit_admin.{unit}").org_id
        for code, unit in (("edu", "xhedu"), ("health", "xhhealth"))
    }
    given = {"category": Category.YJBZ, "effective_on": date(2026, 6, 1), "document_no": "杭编〔2026〕9号", "now": now}
    with chain.database.transaction(who) as session:
        service.move_quota(session, from_org_id=both["edu"], to_org_id=both["health"], number=2, actor=who, **given)
        assert queries.quota_on(session, org_id=both["edu"], category=Category.YJBZ, on=date(2026, 6, 1)) == 1
        assert queries.quota_on(session, org_id=both["health"], category=Category.YJBZ, on=date(2026, 6, 1)) == 2
    with chain.database.transaction(who) as session:
        refused(
            "acquisitions.same_unit",
            service.move_quota,
            session,
            from_org_id=1,
            to_org_id=1,
            number=1,
            actor=who,
            **given,
        )
    for username in ("unit_admin.xhedu", "finance.city", "auditor.city", "leader.city"):
        other = world.actor(chain.database, username)
        with chain.database.transaction(other) as session, pytest.raises(NotAllowed):
            service.change_quota(session, org_id=both["edu"], category=Category.YJBZ, delta=1, effective_on=now.date(),
                                 document_no="x1", actor=other, now=now)  # fmt: skip


def test_quota_entries_and_budgets_are_never_changed(chain):
    chain.quota(9)
    chain.budget(chain.approved())
    for statement in ("UPDATE quota_entry SET delta = 9", "DELETE FROM quota_entry", "UPDATE budget_line SET amount = 1", "DELETE FROM budget_line",
                      "DELETE FROM indicator", "UPDATE indicator_event SET note = 'x'", "TRUNCATE quota_entry"):  # fmt: skip
        with pytest.raises((ProgrammingError, IntegrityError)):
            as_app(chain.database, REVIEWER, statement)


# ---- INV-02: the quota identity ---------------------------------------------------------------------------------------


def test_without_a_free_place_nothing_is_approved_through_service_or_sql(chain):
    chain.quota(3)
    first, second = chain.reviewed(), None
    assert chain.step(first, IndicatorAction.APPROVE, APPROVER) == "APPROVED"
    second = chain.apply()
    chain.step(second, IndicatorAction.SUBMIT, "unit_admin.xhedu")
    refused("acquisitions.blocked_quota", chain.step, second, IndicatorAction.REVIEW, REVIEWER)
    approve = "UPDATE indicator SET state = 'APPROVED', decided_by = :who, decided_at = now() WHERE id = :id"
    with pytest.raises(Conflict) as broken:
        as_app(chain.database, APPROVER, approve, id=second, who=world.user_id(chain.database, APPROVER))
    assert broken.value.code == "acquisitions.no_quota"
    found = places(chain)
    assert (found.quota, found.in_service, found.reserved, found.free) == (3, 2, 1, 0)


def test_a_place_is_given_back_once_when_an_indicator_is_cancelled_or_expires(chain, now):
    chain.quota(4)
    cancelled, expired = chain.approved(), chain.approved()
    assert places(chain).free == 0
    chain.step(cancelled, IndicatorAction.CANCEL, REVIEWER, "不再需要该车辆")
    assert places(chain).free == 1
    refused("kit.wrong_state", chain.step, cancelled, IndicatorAction.CANCEL, REVIEWER, "不再需要该车辆")
    assert jobs.expire(chain.database, now) == {"expired": 0}
    next_year = now.replace(year=2027, month=1, day=2)
    assert jobs.expire(chain.database, next_year) == {"expired": 1}
    assert jobs.expire(chain.database, next_year) == {"expired": 0}
    assert places(chain).free == 2
    with pytest.raises((ProgrammingError, IntegrityError)):
        as_app(chain.database, REVIEWER, "UPDATE indicator SET state = 'APPROVED' WHERE id = :id", id=expired)


def test_a_renewal_needs_no_extra_place_and_its_old_car_gives_one_only_once(chain):
    chain.quota(2)
    old = chain.car("浙A10001", registered_on=date(2016, 3, 1))
    made = chain.approved(kind=IndicatorKind.RENEWAL, old_vehicle_id=old)
    found = places(chain)
    assert (found.quota, found.in_service, found.reserved, found.committed, found.free) == (2, 2, 1, 1, 0)
    refused("acquisitions.old_vehicle_taken", chain.apply, kind=IndicatorKind.RENEWAL, old_vehicle_id=old)
    chain.step(made, IndicatorAction.CANCEL, REVIEWER, "旧车继续使用")
    assert places(chain).free == 0
    assert chain.apply(kind=IndicatorKind.RENEWAL, old_vehicle_id=old)


# ---- INV-11, INV-08, INV-12: who and why --------------------------------------------------------------------------------


def test_a_young_car_is_not_renewed_without_special_approval_nor_for_a_promotion(chain):
    chain.quota(2)
    young = chain.car("浙A10001", registered_on=date(2020, 1, 1))
    made = chain.apply(kind=IndicatorKind.RENEWAL, old_vehicle_id=young)
    chain.step(made, IndicatorAction.SUBMIT, "unit_admin.xhedu")
    refused("acquisitions.blocked_age", chain.step, made, IndicatorAction.REVIEW, REVIEWER)
    chain.step(made, IndicatorAction.RETURN, REVIEWER, "请补充特批文件")
    who = world.actor(chain.database, "unit_admin.xhedu")
    wish = {"kind": IndicatorKind.RENEWAL, "category": Category.YJBZ, "body": Body.SEDAN, "energy": Energy.BEV, "step": service.Step.NORMAL,
            "max_price": Decimal(180000), "max_displacement_ml": None, "fuel_reason": None, "leader_fixed": False, "old_vehicle_id": young}  # fmt: skip
    for reason, approval, code in (
        ("因局领导晋升", "特批1号", "acquisitions.blocked_promotion"),
        ("发动机无法修复", "特批1号", None),
    ):
        with chain.database.transaction(who) as session:
            service.edit(
                session,
                indicator_id=made,
                justification=reason,
                special_approval=approval,
                actor=who,
                now=chain.now,
                **wish,
            )
        chain.step(made, IndicatorAction.SUBMIT, "unit_admin.xhedu")
        if code:
            refused(code, chain.step, made, IndicatorAction.REVIEW, REVIEWER)
            chain.step(made, IndicatorAction.RETURN, REVIEWER, "理由不成立")
        else:
            assert chain.step(made, IndicatorAction.REVIEW, REVIEWER) == "REVIEWED"


def test_an_offroad_car_for_a_leader_is_refused_by_service_and_database(chain):
    chain.quota(5)
    refused("acquisitions.offroad", chain.apply, body=Body.OFFROAD, leader_fixed=True)
    made = chain.apply(body=Body.OFFROAD)
    with pytest.raises(IntegrityError, match="ck_indicator_offroad"):
        as_app(chain.database, "unit_admin.xhedu", "UPDATE indicator SET leader_fixed = true WHERE id = :id", id=made)


def test_nobody_decides_an_own_application_nor_approves_what_they_reviewed(chain):
    chain.quota(5)
    made = chain.reviewed()
    refused("acquisitions.reviewer_approves", chain.step, made, IndicatorAction.APPROVE, REVIEWER)
    for username in ("unit_admin.xhedu", "finance.city", "auditor.city", "fleet_manager.city"):
        with pytest.raises(NotAllowed):
            chain.step(made, IndicatorAction.APPROVE, username)
    with pytest.raises((NotAllowed, NotFound)):
        chain.step(made, IndicatorAction.APPROVE, "unit_admin.bjwater")
    applicant = world.user_id(chain.database, "unit_admin.xhedu")
    with pytest.raises(Conflict) as broken:
        as_app(chain.database, "unit_admin.xhedu",
               "UPDATE indicator SET state = 'APPROVED', decided_by = :who, decided_at = now() WHERE id = :id", id=made, who=applicant)  # fmt: skip
    assert broken.value.code == "kit.own_row"


def test_what_was_submitted_is_frozen_and_every_step_is_logged(chain):
    chain.quota(5)
    made = chain.approved()
    who = world.actor(chain.database, "unit_admin.xhedu")
    with chain.database.transaction(who) as session, pytest.raises(NotAllowed):
        service.edit(session, indicator_id=made, actor=who, now=chain.now)
    with pytest.raises((ProgrammingError, IntegrityError), match="frozen"):
        as_app(chain.database, "unit_admin.xhedu", "UPDATE indicator SET max_price = 1 WHERE id = :id", id=made)
    with chain.database.transaction(SYSTEM) as session:
        events = session.scalars(
            text("SELECT action FROM indicator_event WHERE indicator_id = :id ORDER BY id"), {"id": made}
        ).all()
        logged = session.scalars(
            text("SELECT action FROM audit_entry WHERE subject_type = 'indicator' ORDER BY seq")
        ).all()
    assert events == ["created", "submitted", "reviewed", "approved"]
    assert logged == [f"indicators.{event}" for event in events]


# ---- INV-01: budget after indicator -------------------------------------------------------------------------------------


def test_a_budget_follows_an_approved_indicator_and_stays_within_it(chain):
    chain.quota(5)
    reviewed = chain.reviewed()
    refused("acquisitions.budget_indicator", chain.budget, reviewed)
    insert = ("INSERT INTO budget_line (org_id, indicator_id, fiscal_year, amount, document_no, created_at)"
              " SELECT org_id, id, :year, :amount, 'x', now() FROM indicator WHERE id = :id")  # fmt: skip
    with pytest.raises(IntegrityError, match="without an approved indicator"):
        as_app(chain.database, "finance.city", insert, id=reviewed, year=2026, amount=1)
    chain.step(reviewed, IndicatorAction.APPROVE, APPROVER)
    refused("acquisitions.budget_beyond", chain.budget, reviewed, "180000.01")
    for year, amount in ((2027, 1), (2026, 180001)):
        with pytest.raises(IntegrityError, match="beyond indicator"):
            as_app(chain.database, "finance.city", insert, id=reviewed, year=year, amount=amount)
    with pytest.raises(NotAllowed):
        chain.budget(reviewed, username=REVIEWER)
    chain.budget(reviewed)
    refused("acquisitions.budget_there", chain.budget, reviewed)


# ---- INV-03, 04, 05, 06: from purchase to registration ---------------------------------------------------------------------


@pytest.fixture
def buying(chain):
    """An approved indicator with its budget and an opened purchase; gives (take a stage, purchase id)."""
    chain.quota(5)
    indicator_id = chain.approved(max_price=Decimal("170000.00"))
    chain.budget(indicator_id, "165000.00")
    who = world.actor(chain.database, REVIEWER)

    def take(function, **given):
        with chain.database.transaction(who) as session:
            return function(session, actor=who, now=chain.now, **given)

    made = take(
        purchase.open_purchase, indicator_id=indicator_id, model="示例轿车", domestic=True, displacement_ml=None
    )
    return take, made.id


CONTRACT = {
    "contract_no": "HT-1",
    "contract_on": date(2026, 11, 10),
    "price": Decimal("165000.00"),
    "supplier": "定点供应商",
}


def test_the_whole_way_ends_in_a_vehicle_that_is_not_in_service_yet(chain, buying):
    take, procurement_id = buying
    second = world.user_id(chain.database, "fleet_manager.city")
    take(purchase.contract, procurement_id=procurement_id, **CONTRACT)
    refused(
        "vehicles.vin_check",
        take,
        purchase.deliver,
        procurement_id=procurement_id,
        vin="LSVAA11Z6M2009001",
        engine_no=None,
    )
    take(purchase.deliver, procurement_id=procurement_id, vin=VIN, engine_no="E1")
    other = world.with_check_digit("LSVAA11Z5M2009002")
    seen = {"procurement_id": procurement_id, "vin": VIN, "second_acceptor_id": second, "no_extras": True}
    refused("acquisitions.vin_differs", take, purchase.accept, **(seen | {"vin": other}))
    refused(
        "acquisitions.one_acceptor",
        take,
        purchase.accept,
        **(seen | {"second_acceptor_id": world.user_id(chain.database, REVIEWER)}),
    )
    refused("acquisitions.extras", take, purchase.accept, **(seen | {"no_extras": False}))
    take(purchase.accept, **seen)
    papers = {"procurement_id": procurement_id, "plate": "浙AD90001", "registered_on": date(2026, 11, 17), "owner_name": "西湖区教育局",
              "seats": 5, "range_km": 420}  # fmt: skip
    refused("acquisitions.owner", take, purchase.register, **(papers | {"owner_name": "某某商贸有限公司"}))
    refused("vehicles.plate_energy", take, purchase.register, **(papers | {"plate": "浙A90001"}))
    vehicle = take(purchase.register, **papers)
    assert (vehicle.state, vehicle.price_ex_tax, vehicle.engine_no) == ("PREPARING", Decimal("165000.00"), "E1")
    found = places(chain)
    assert (found.in_service, found.reserved, found.free) == (3, 0, 2)
    with chain.database.transaction(SYSTEM) as session:
        [state] = session.scalars(text("SELECT state FROM indicator WHERE vehicle_id = :id"), {"id": vehicle.id})
    assert state == IndicatorState.USED
    refused("acquisitions.wrong_step", take, purchase.cancel, procurement_id=procurement_id, note="太晚了吧")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"price": Decimal("165000.01")}, "acquisitions.over_indicator"),
        ({"price": Decimal("180000.01")}, "acquisitions.over_price"),
        ({"contract_on": date(2026, 11, 19)}, "acquisitions.contract_later"),
    ],
)
def test_a_contract_beyond_indicator_budget_cap_or_today_is_refused(buying, given, code):
    take, procurement_id = buying
    refused(code, take, purchase.contract, procurement_id=procurement_id, **(CONTRACT | given))


def test_the_database_refuses_a_price_above_an_expired_indicator_and_a_foreign_car(chain, buying):
    take, procurement_id = buying
    sign = "UPDATE procurement SET state = 'CONTRACTED', contract_no = 'X', contract_on = :on, price = :price WHERE id = :id"
    for on, price, words in ((date(2026, 11, 10), 165001, "above indicator"), (date(2027, 1, 1), 165000, "expired")):
        with pytest.raises(IntegrityError, match=words):
            as_app(chain.database, REVIEWER, sign, id=procurement_id, on=on, price=price)
    with pytest.raises(IntegrityError, match="ck_procurement_domestic"):
        as_app(chain.database, REVIEWER, "UPDATE procurement SET domestic = false WHERE id = :id", id=procurement_id)
    take(purchase.contract, procurement_id=procurement_id, **CONTRACT)
    with pytest.raises((ProgrammingError, IntegrityError), match="signed"):
        as_app(chain.database, REVIEWER, "UPDATE procurement SET price = 1 WHERE id = :id", id=procurement_id)


def test_a_purchase_needs_its_budget_a_domestic_model_and_the_displacement(chain):
    chain.quota(6)
    who = world.actor(chain.database, REVIEWER)
    made = chain.approved(energy=Energy.PETROL, max_displacement_ml=1598, fuel_reason="山区救援")

    def open_it(**given):
        with chain.database.transaction(who) as session:
            return purchase.open_purchase(session, **({"indicator_id": made, "model": "示例轿车", "domestic": True, "displacement_ml": 1600,
                                                       "actor": who, "now": chain.now} | given))  # fmt: skip

    refused("acquisitions.budget_first", open_it)
    chain.budget(made)
    refused("acquisitions.foreign", open_it, domestic=False)
    refused("acquisitions.over_displacement", open_it, displacement_ml=1601)
    refused("acquisitions.over_displacement", open_it, displacement_ml=None)
    refused("acquisitions.expired", open_it, now=chain.now + timedelta(days=60))
    assert open_it().state == "OPEN"
    refused("acquisitions.purchase_there", open_it)
    refused("acquisitions.purchase_open", chain.step, made, IndicatorAction.CANCEL, REVIEWER, "改为调剂解决")


def test_a_plate_of_an_active_vehicle_is_not_registered_again(chain, buying):
    take, procurement_id = buying
    take(purchase.contract, procurement_id=procurement_id, **CONTRACT)
    take(purchase.deliver, procurement_id=procurement_id, vin=VIN, engine_no=None)
    take(
        purchase.accept,
        procurement_id=procurement_id,
        vin=VIN,
        second_acceptor_id=world.user_id(chain.database, "fleet_manager.city"),
        no_extras=True,
    )
    papers = {
        "procurement_id": procurement_id,
        "registered_on": date(2026, 11, 17),
        "owner_name": "西湖区教育局",
        "seats": 5,
        "range_km": 400,
    }
    refused("vehicles.plate_taken", take, purchase.register, plate="浙AD00002", **papers)
    with chain.database.transaction(SYSTEM) as session:
        assert session.query(Vehicle).filter_by(vin=VIN).count() == 0
