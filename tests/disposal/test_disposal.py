"""The way out of the fleet: steps, money, the quota's place given back once, refused by service, API and database."""

from datetime import date
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.acquisitions import queries as acquisitions
from fleetapp.acquisitions.models import Indicator
from fleetapp.acquisitions.rules import IndicatorKind
from fleetapp.disposal import rules, service
from fleetapp.disposal.rules import DisposalAction, DisposalState, Mode
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.vehicles import service as vehicles
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import VehicleState
from tests import world
from tests.acquisitions.conftest import Chain
from tests.serving import furnish

PLATE = "浙A10001"
UNIT, OFFICE, LEADER, FINANCE = "unit_admin.xhedu", "vehicle_office.city", "leader.city", "finance.city"
DEAL = {"deal_on": date(2026, 11, 18), "deal_price": Decimal("21000.00"), "buyer": "竞得单位"}
PAPERS = {
    "certificate_no": "ZX-1",
    "deregistered_on": date(2026, 11, 18),
    "marking_removed": True,
    "cards_cancelled": True,
    "insurance_ended": True,
}
REMITTANCE = {"allowed_fees": Decimal("1000.00"), "remitted_on": date(2026, 11, 18), "receipt_no": "FS-1"}


# ---- rules ------------------------------------------------------------------------------------------------------------


def step(state, action, mode):
    try:
        return rules.next_state(state, action, mode)
    except RuleBroken:
        return None


@given(st.sampled_from(list(Mode)), st.lists(st.sampled_from(list(DisposalAction)), max_size=14))
def test_nothing_is_archived_before_approval_and_no_sale_before_its_proceeds(mode, actions):
    state, seen = DisposalState.REQUESTED, []
    for action in actions:
        after = step(state, action, mode)
        if after is None:
            continue
        seen.append(action)
        state = after
    if state is DisposalState.ARCHIVED:
        assert DisposalAction.APPROVE in seen
        wanted = (
            [DisposalAction.HAND_OVER]
            if mode is Mode.TRANSFER
            else [DisposalAction.DEAL, DisposalAction.REMIT, DisposalAction.DEREGISTER]
        )
        assert [action for action in seen if action in wanted] == wanted


def test_every_living_state_has_a_way_out_and_closed_ones_have_none():
    for mode in Mode:
        for state in DisposalState:
            ways = [action for action in DisposalAction if step(state, action, mode)]
            reachable = mode is not Mode.TRANSFER or state not in {
                DisposalState.DEALT,
                DisposalState.REMITTED,
                DisposalState.DEREGISTERED,
            }
            assert bool(ways) is (state in rules.LIVING) or not reachable


@pytest.mark.parametrize(
    ("mode", "registered_on", "approval", "young"),
    [
        (Mode.AUCTION, date(2018, 11, 18), None, True),
        (Mode.AUCTION, date(2018, 11, 17), None, False),
        (Mode.SCRAP, date(2022, 1, 1), None, True),
        (Mode.SCRAP, date(2022, 1, 1), "特批1号", False),
        (Mode.TRANSFER, date(2025, 1, 1), None, False),
    ],
)
def test_a_car_not_beyond_its_age_needs_a_special_approval(mode, registered_on, approval, young):
    def check():
        rules.check_age(
            mode=mode,
            registered_on=registered_on,
            on=date(2026, 11, 18),
            min_years=Decimal(8),
            special_approval=approval,
        )

    if young:
        with pytest.raises(RuleBroken):
            check()
    else:
        check()


@pytest.mark.parametrize(
    ("mode", "reserve", "price", "licence", "code"),
    [
        (Mode.AUCTION, "20000", "20000", None, None),
        (Mode.AUCTION, "20000", "19999.99", None, "disposal.below_reserve"),
        (Mode.AUCTION, None, "20000", None, "disposal.below_reserve"),
        (Mode.SCRAP, None, "800", None, "disposal.licence_needed"),
        (Mode.SCRAP, None, "800", "浙拆1号", None),
        (Mode.BUYBACK, None, "0", None, None),
    ],
)
def test_a_deal(mode, reserve, price, licence, code):
    given = {
        "mode": mode,
        "reserve_price": reserve and Decimal(reserve),
        "deal_price": Decimal(price),
        "licence_no": licence,
    }
    if code is None:
        rules.check_deal(**given)
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_deal(**given)
    assert broken.value.code == code


def test_proceeds_are_the_price_less_the_fees():
    assert rules.proceeds(Decimal("21000.00"), Decimal("1000.10")) == Decimal("19999.90")
    for price, fees in product([Decimal(100)], [Decimal("100.01"), Decimal("-0.01")]):
        with pytest.raises(RuleBroken):
            rules.proceeds(price, fees)


# ---- service and database -----------------------------------------------------------------------------------------------


@pytest.fixture
def car_id(database, now):
    furnish(database, now)
    with database.transaction(SYSTEM) as session:
        car = session.scalars(select(Vehicle).where(Vehicle.plate == PLATE)).one()
        car.registered_on = date(2016, 3, 1)
        return car.id


@pytest.fixture
def take(database, now):
    """Take a step as somebody."""

    def taken(username, function, **given):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            return function(session, actor=who, now=now, **given)

    return taken


@pytest.fixture
def approved(car_id, take):
    """A case of an auction, approved."""
    case = take(UNIT, service.ask, vehicle_id=car_id, mode=Mode.AUCTION, reason="车辆老旧已更新")
    take(
        OFFICE,
        service.appraise,
        case_id=case.id,
        appraised_value=Decimal("20000.00"),
        appraiser="评估机构",
        reserve_price=Decimal("20000.00"),
    )
    take(LEADER, service.decide, case_id=case.id, approve=True, note="同意", approval_no="杭机管处〔2026〕1号")
    return case.id


def refused(code, function, *args, **given):
    with pytest.raises((RuleBroken, NotAllowed, Conflict)) as broken:
        function(*args, **given)
    assert broken.value.code == code


def vehicle_of(database, car_id):
    with database.transaction(SYSTEM) as session:
        session.expire_all()
        return session.get(Vehicle, car_id)


def held(database):
    """Return how many of the unit's cars take a place of the quota."""
    with database.transaction(SYSTEM) as session:
        found = acquisitions.matrix(session, actor=SYSTEM, on=date(2026, 11, 18))
        return {org.code: row["YJBZ"].in_service for org, row in found.items() if "YJBZ" in row}


def free(database, code):
    with database.transaction(SYSTEM) as session:
        found = acquisitions.matrix(session, actor=SYSTEM, on=date(2026, 11, 18))
        return next(row["YJBZ"].free for org, row in found.items() if org.code == code)


def test_from_the_request_to_the_archive_and_the_place_is_free_exactly_once(database, car_id, approved, take):
    assert vehicle_of(database, car_id).state == VehicleState.DISPOSING
    assert held(database)["330106-EDU"] == 2
    refused("disposal.wrong_step", take, OFFICE, service.hand_over, case_id=approved)
    refused(
        "disposal.below_reserve", take, OFFICE, service.deal, case_id=approved, **(DEAL | {"deal_price": Decimal(1)})
    )
    take(OFFICE, service.deal, case_id=approved, **DEAL)
    refused(
        "disposal.fees",
        take,
        FINANCE,
        service.remit,
        case_id=approved,
        **(REMITTANCE | {"allowed_fees": Decimal(30000)}),
    )
    assert take(FINANCE, service.remit, case_id=approved, **REMITTANCE).remitted == Decimal("20000.00")
    refused(
        "disposal.checklist",
        take,
        OFFICE,
        service.deregister,
        case_id=approved,
        **(PAPERS | {"insurance_ended": False}),
    )
    take(OFFICE, service.deregister, case_id=approved, **PAPERS)
    assert vehicle_of(database, car_id).state == VehicleState.RETIRED
    assert held(database)["330106-EDU"] == 1
    archived = take(OFFICE, service.archive, case_id=approved)
    assert len(archived.archive_sha256) == 64
    assert held(database)["330106-EDU"] == 1
    with pytest.raises(NotAllowed):
        take(OFFICE, service.archive, case_id=approved)
    refused("disposal.vehicle_state", take, UNIT, service.ask, vehicle_id=car_id, mode=Mode.SCRAP, reason="再次处置")
    with database.transaction(SYSTEM) as session:
        steps = session.scalars(text("SELECT action FROM disposal_event ORDER BY id")).all()
        still_fitted = session.scalar(
            select(TerminalBinding).where(TerminalBinding.vehicle_id == car_id, text("upper_inf(during)"))
        )
    assert steps == ["requested", "appraised", "approved", "dealt", "remitted", "deregistered", "archived"]
    assert still_fitted is None


def test_who_asked_does_not_decide_and_others_have_no_say(database, car_id, take):
    case = take("fleet_manager.xihu", service.ask, vehicle_id=car_id, mode=Mode.SCRAP, reason="检验不合格")
    take(OFFICE, service.appraise, case_id=case.id, appraised_value=Decimal(800), appraiser="评估机构")
    for username in (UNIT, FINANCE, "auditor.city", "fleet_manager.city"):
        with pytest.raises(NotAllowed):
            take(username, service.decide, case_id=case.id, approve=True, note="同意", approval_no="x1")
    with pytest.raises((NotAllowed, NotFound)):
        take("unit_admin.bjwater", service.withdraw, case_id=case.id, note="不处置了")
    asker = world.user_id(database, "fleet_manager.xihu")
    with (
        pytest.raises((IntegrityError, Conflict)),
        database.transaction(world.actor(database, "fleet_manager.xihu")) as session,
    ):
        session.execute(
            text("UPDATE disposal_case SET state = 'APPROVED', decided_by = :who WHERE id = :id"),
            {"who": asker, "id": case.id},
        )
    refused("disposal.there", take, UNIT, service.ask, vehicle_id=car_id, mode=Mode.AUCTION, reason="同时拍卖")
    assert take(LEADER, service.decide, case_id=case.id, approve=False, note="继续使用").state == "REJECTED"
    assert take(UNIT, service.ask, vehicle_id=car_id, mode=Mode.AUCTION, reason="改为拍卖").state == "REQUESTED"


def test_no_vehicle_is_retired_by_hand_nor_by_sql(database, car_id, approved, take, now):
    with database.transaction(SYSTEM) as session:
        other = session.scalars(select(Vehicle.id).where(Vehicle.plate == "浙AD00002")).one()
    for to in (VehicleState.RETIRED, VehicleState.DISPOSING):
        refused(
            "vehicles.by_disposal",
            take,
            "fleet_manager.xihu",
            vehicles.change_state,
            vehicle_id=other,
            to=to,
            reason="不用了",
        )
    refused(
        "vehicles.by_disposal",
        take,
        "fleet_manager.xihu",
        vehicles.change_state,
        vehicle_id=car_id,
        to=VehicleState.IN_SERVICE,
        reason="继续用",
    )
    moved = text(
        "UPDATE vehicle SET org_id = (SELECT id FROM organisation WHERE code = '330106-HEALTH') WHERE id = :id"
    )
    with pytest.raises(Conflict) as broken, database.transaction(SYSTEM) as session:
        session.execute(moved, {"id": other})
    assert broken.value.code == "acquisitions.moved_without"
    for vehicle_id in (car_id, other):
        with (
            pytest.raises(Conflict) as broken,
            database.transaction(world.actor(database, "fleet_manager.xihu")) as session,
        ):
            session.execute(text("UPDATE vehicle SET state = 'RETIRED' WHERE id = :id"), {"id": vehicle_id})
        assert broken.value.code == "vehicles.by_disposal"


def test_the_database_refuses_an_archive_without_remitted_proceeds(database, approved, take):
    take(OFFICE, service.deal, case_id=approved, **DEAL)
    who = world.actor(database, OFFICE)
    for statement in (
        "UPDATE disposal_case SET state = 'ARCHIVED', archive_sha256 = 'x' WHERE id = :id",
        "UPDATE disposal_case SET state = 'REMITTED', allowed_fees = 0, remitted = 1, receipt_no = 'x' WHERE id = :id",
        "UPDATE disposal_case SET state = 'REMITTED', allowed_fees = 0, remitted = 21000 WHERE id = :id",
    ):
        with pytest.raises(IntegrityError), database.transaction(who) as session:
            session.execute(text(statement), {"id": approved})
    take(FINANCE, service.remit, case_id=approved, **REMITTANCE)
    with pytest.raises(IntegrityError), database.transaction(who) as session:
        session.execute(text("UPDATE disposal_case SET state = 'DEREGISTERED' WHERE id = :id"), {"id": approved})
    for statement in (
        "DELETE FROM disposal_case",
        "UPDATE disposal_event SET note = 'x'",
        "UPDATE disposal_case SET appraised_value = 1",
    ):
        with pytest.raises((IntegrityError, ProgrammingError)), database.transaction(who) as session:
            session.execute(text(statement))


def test_a_transferred_vehicle_serves_its_new_unit_with_its_terminal_and_the_past_stays(database, car_id, take, now):
    health = world.actor(database, "unit_admin.xhhealth")
    refused("disposal.receiver", take, UNIT, service.ask, vehicle_id=car_id, mode=Mode.TRANSFER, reason="闲置调剂")
    case = take(
        UNIT, service.ask, vehicle_id=car_id, mode=Mode.TRANSFER, reason="闲置调剂", receiver_org_id=health.org_id
    )
    take(OFFICE, service.appraise, case_id=case.id, appraised_value=Decimal(0), appraiser="单位自评")
    take(LEADER, service.decide, case_id=case.id, approve=True, note="同意", approval_no="调1号")
    refused("disposal.wrong_step", take, OFFICE, service.deal, case_id=case.id, **DEAL)
    refused("acquisitions.transfer_indicator", take, OFFICE, service.hand_over, case_id=case.id)
    chain = Chain(database, now)
    chain.quota(3, unit="330106-HEALTH")
    indicator_id = chain.approved(
        username="unit_admin.xhhealth", kind=IndicatorKind.TRANSFER, justification="调入闲置车辆"
    )
    refused("acquisitions.budget_transfer", chain.budget, indicator_id)
    before = free(database, "330106-HEALTH")
    take(OFFICE, service.hand_over, case_id=case.id)
    assert free(database, "330106-HEALTH") == before
    with database.transaction(SYSTEM) as session:
        spent = session.get(Indicator, indicator_id)
        assert (spent.state, spent.vehicle_id) == ("USED", car_id)
    car = vehicle_of(database, car_id)
    assert (car.org_id, car.state) == (health.org_id, VehicleState.IN_SERVICE)
    with database.transaction(SYSTEM) as session:
        bindings = session.scalars(
            select(TerminalBinding).where(TerminalBinding.vehicle_id == car_id).order_by(TerminalBinding.id)
        ).all()
    assert [(one.org_id, one.during.upper) for one in bindings] == [
        (world.actor(database, UNIT).org_id, now),
        (health.org_id, None),
    ]
    assert held(database)["330106-HEALTH"] == 2
    assert held(database)["330106-EDU"] == 1


def test_a_case_through_the_pages_and_the_api(database, car_id, browse, api):
    unit, office, leader = browse(UNIT), browse(OFFICE), browse(LEADER)
    assert f"/disposal/new/{car_id}" in unit.get(f"/vehicles/{car_id}").get_data(as_text=True)
    bad = unit.submit(f"/disposal/new/{car_id}", vehicle_id=car_id, mode="transfer", reason="闲置调剂")
    assert bad.status_code == 422
    made = unit.submit(f"/disposal/new/{car_id}", vehicle_id=car_id, mode="auction", reason="车辆老旧已更新")
    assert made.status_code == 302
    path = made.headers["Location"]
    assert office.submit(f"{path}/appraise", appraised_value="20000", appraiser="评估机构").status_code == 422
    assert (
        office.submit(
            f"{path}/appraise", appraised_value="20000", appraiser="评估机构", reserve_price="20000"
        ).status_code
        == 302
    )
    assert unit.submit(f"{path}/approve", note="同意", approval_no="x1").status_code == 403
    assert leader.submit(f"{path}/approve", note="同意", approval_no="杭1号").status_code == 302
    assert "登记成交" in office.get(path).get_data(as_text=True)
    assert "登记成交" not in browse("auditor.city").get(path).get_data(as_text=True)
    case_id = int(path.rsplit("/", 1)[1])
    call = api(OFFICE)
    assert (
        call(
            "POST",
            f"/disposals/{case_id}/deal",
            json={"deal_on": "2026-11-18", "deal_price": "21000", "buyer": "竞得单位"},
        ).json["state"]
        == "DEALT"
    )
    assert call("POST", f"/disposals/{case_id}/archive", json={}).status_code == 403
    assert [row["id"] for row in call("GET", "/disposals?state=DEALT").json] == [case_id]
    assert api("auditor.binjiang")("GET", f"/disposals/{case_id}").status_code == 404
    assert browse("driver.xhedu").get("/disposal").status_code == 403
    assert PLATE in office.get("/disposal?q=A10001").get_data(as_text=True)
