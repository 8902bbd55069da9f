"""Register, edit, states, terminals, odometer: permission next to refusal, on the real database."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import StaleDataError

from fleetapp.accounts.queries import get_org_by_code
from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.vehicles import bridge, queries, service
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, Category, Energy, VehicleState
from tests import world

FACTS = {
    "plate": "浙A·77777", "vin": world.with_check_digit("LSVAA11Z5M2777777"), "category": Category.YJBZ, "body": Body.SEDAN,
    "energy": Energy.PETROL, "seats": 5, "model": "示例", "registered_on": date(2023, 5, 1),
}  # fmt: skip
PLATE = "浙A10001"  # held by xhedu, terminal 13900000001


@pytest.fixture
def register(database, acting, now):
    """Register as a username for an organisation code; each call is one transaction."""

    def run(username="fleet_manager.xihu", org="330106-EDU", **facts):
        actor = acting(username)
        with database.transaction(actor) as session:
            org_id = get_org_by_code(session, code=org).id
            return service.register(session, org_id=org_id, **FACTS | facts, actor=actor, now=now)

    return run


@pytest.fixture
def on_vehicle(database, acting, now):
    """Call a service function on the world's vehicle of a plate, as a username, in one transaction."""

    def run(function, username="fleet_manager.xihu", plate=PLATE, at=now, **arguments):
        with database.transaction(SYSTEM) as session:
            vehicle_id = session.scalar(select(Vehicle.id).where(Vehicle.plate == plate))
        actor = acting(username)
        with database.transaction(actor) as session:
            return function(session, vehicle_id=vehicle_id, actor=actor, now=at, **arguments)

    return run


def entries(database, action):
    with database.transaction(SYSTEM) as session:
        return session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.seq)).all()


def test_a_fleet_manager_registers_a_vehicle_with_its_terminal(database, register):
    vehicle = register(terminal_phone="013955555555")
    assert (vehicle.plate, vehicle.state, vehicle.version) == ("浙A77777", "IN_SERVICE", 1)
    with database.transaction(SYSTEM) as session:
        binding = queries.open_binding(session, vehicle_id=vehicle.id)
        assert bridge.phones(session, [binding.terminal_id]) == {binding.terminal_id: "13955555555"}
    (entry,) = entries(database, "vehicles.registered")
    assert (entry.subject_id, entry.data["plate"]) == (str(vehicle.id), "浙A77777")


@pytest.mark.parametrize(
    ("username", "org"),
    [("fleet_manager.xihu", "330108"), ("dispatcher.xihu", "330106-EDU"), ("auditor.city", "330106-EDU"),
     ("applicant.xhedu", "330106-EDU"), ("fleet_manager.binjiang", "330106-EDU")],
)  # fmt: skip
def test_wrong_role_or_wrong_district_may_not_register(register, username, org):
    with pytest.raises(NotAllowed):
        register(username, org)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"plate": "浙A1"}, "vehicles.plate_form"),
        ({"plate": "浙AD12345"}, "vehicles.plate_energy"),
        ({"vin": "LSVAA11Z0M2777778"}, "vehicles.vin_check"),
        ({"seats": 12}, "vehicles.seats"),
        ({"range_km": 300}, "vehicles.range_odd"),
        ({"terminal_phone": "12"}, "vehicles.terminal_form"),
    ],
)
def test_facts_that_do_not_fit_are_refused_and_nothing_is_kept(database, register, facts, code):
    with pytest.raises(RuleBroken) as refused:
        register(**facts)
    assert refused.value.code == code
    assert entries(database, "vehicles.registered") == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"plate": PLATE}, "vehicles.plate_taken"),
        ({"vin": world.with_check_digit("LSVAA11Z5M2000001")}, "vehicles.vin_taken"),
        ({"terminal_phone": "13900000001"}, "vehicles.terminal_elsewhere"),
    ],
)
def test_a_plate_vin_or_terminal_in_use_is_refused_by_the_database(register, facts, code):
    with pytest.raises(Conflict) as refused:
        register(**facts)
    assert refused.value.code == code


@pytest.fixture
def retire(database, on_vehicle):
    """Retire the vehicle as its disposal does, with the case that the database asks for."""

    def retired():
        with database.transaction(SYSTEM) as session:
            session.execute(text(
                "INSERT INTO disposal_case (org_id, number, vehicle_id, mode, state, reason, applicant_id, decided_by, appraised_value,"
                " deal_price, allowed_fees, remitted, receipt_no, certificate_no, marking_removed, cards_cancelled, insurance_ended, created_at, version)"
                " SELECT v.org_id, 'CZ-1', v.id, 'auction', 'DEREGISTERED', 'x', u.a, u.b, 1, 1, 0, 1, 'x', 'x', true, true, true, now(), 1"
                " FROM vehicle v, (SELECT min(id) AS a, max(id) AS b FROM user_account) u WHERE v.plate = :plate"), {"plate": PLATE})  # fmt: skip
        on_vehicle(service.move, to=VehicleState.DISPOSING, reason="拍卖处置")
        on_vehicle(service.move, to=VehicleState.RETIRED, reason="拍卖处置")

    return retired


def test_a_retired_vehicle_frees_its_plate_and_terminal(retire, register):
    retire()
    assert register(plate=PLATE, terminal_phone="13900000001").plate == PLATE


def test_parking_out_of_reach_cannot_be_chosen(database, register):
    with database.transaction(SYSTEM) as session:
        foreign = session.scalar(
            text("SELECT p.id FROM parking_area p JOIN organisation o ON o.id = p.org_id WHERE o.code = '330108'")
        )
    with pytest.raises(NotFound):
        register(parking_id=foreign)


def test_an_edit_keeps_before_and_after_and_the_same_again_changes_nothing(database, on_vehicle):
    assert on_vehicle(service.edit, changes={"model": "新车型", "seats": 5}).version == 2
    assert on_vehicle(service.edit, changes={"model": "新车型"}).version == 2
    (entry,) = entries(database, "vehicles.edited")
    assert entry.data["changed"] == {"model": ["示例车型", "新车型"]}


def test_an_edit_must_fit_together_with_what_stays(on_vehicle):
    with pytest.raises(RuleBroken, match=r"vehicles\.plate_energy"):
        on_vehicle(service.edit, changes={"energy": Energy.BEV, "range_km": 400})
    vehicle = on_vehicle(service.edit, changes={"energy": Energy.BEV, "range_km": 400, "plate": "浙ad88888"})
    assert (vehicle.plate, vehicle.energy) == ("浙AD88888", "bev")


def test_an_edit_of_an_older_version_is_refused(on_vehicle):
    on_vehicle(service.edit, changes={"model": "甲"})
    with pytest.raises(Conflict, match=r"kit\.changed_meanwhile"):
        on_vehicle(service.edit, changes={"model": "乙"}, version=1)


def test_two_edits_at_once_do_not_overwrite_each_other(live_database):
    def load(session):
        return session.scalars(select(Vehicle).where(Vehicle.plate == PLATE)).one()

    def edit_while_another_does():
        with live_database.transaction(SYSTEM) as slow:
            vehicle = load(slow)
            with live_database.transaction(SYSTEM) as fast:
                load(fast).model = "甲"
            vehicle.model = "乙"

    with pytest.raises(StaleDataError):
        edit_while_another_does()
    with live_database.transaction(SYSTEM) as session:
        assert load(session).model == "甲"


@pytest.mark.parametrize("username", ["fleet_manager.binjiang", "driver.xhedu", "applicant.xhedu"])
def test_out_of_reach_a_vehicle_does_not_exist(on_vehicle, username):
    with pytest.raises(NotFound):
        on_vehicle(service.edit, username, changes={"model": "甲"})


@pytest.mark.parametrize("username", ["dispatcher.xihu", "auditor.city", "leader.city"])
def test_readers_do_not_write(on_vehicle, username):
    with pytest.raises(NotAllowed, match=r"kit\.not_allowed"):
        on_vehicle(service.edit, username, changes={"model": "甲"})


def test_states_follow_the_table_with_a_reason_in_the_log(database, on_vehicle, retire):
    on_vehicle(service.change_state, to=VehicleState.SEALED, reason=" 国庆封存 ")
    with pytest.raises(RuleBroken, match=r"vehicles\.state_move"):
        on_vehicle(service.change_state, to=VehicleState.SEALED, reason="国庆封存")
    retire()
    for function, arguments in ((service.change_state, {"to": VehicleState.IN_SERVICE, "reason": "恢复使用"}),
                                (service.edit, {"changes": {"model": "甲"}}), (service.bind_terminal, {"phone": "13977777777"})):  # fmt: skip
        with pytest.raises(NotAllowed, match=r"kit\.wrong_state"):
            on_vehicle(function, **arguments)
    assert [entry.data["reason"] for entry in entries(database, "vehicles.state_changed")] == [
        "国庆封存",
        "拍卖处置",
        "拍卖处置",
    ]


def test_another_terminal_ends_the_period_of_the_first(database, on_vehicle, now):
    first = on_vehicle(service.bind_terminal, phone="13966666666")
    again = on_vehicle(service.bind_terminal, phone="013966666666", at=now + timedelta(hours=1))
    assert again.id == first.id
    on_vehicle(service.unbind_terminal, at=now + timedelta(hours=2))
    on_vehicle(service.unbind_terminal, at=now + timedelta(hours=3))
    with database.transaction(SYSTEM) as session:
        newest, oldest = queries.binding_history(session, vehicle_id=first.vehicle_id)
        assert (oldest.during.upper, newest.during.lower, newest.during.upper) == (now, now, now + timedelta(hours=2))
        inside = queries.bindings(session, start=now, end=now + timedelta(hours=1), vehicle_ids=[first.vehicle_id])
        assert [binding.id for binding in inside] == [newest.id]
    assert len(entries(database, "vehicles.terminal_bound")) == 1
    assert len(entries(database, "vehicles.terminal_unbound")) == 1


def test_a_terminal_moves_only_after_it_was_taken_out(on_vehicle, now):
    with pytest.raises(Conflict, match=r"vehicles\.terminal_elsewhere"):
        on_vehicle(service.bind_terminal, phone="13900000002")
    on_vehicle(service.unbind_terminal, plate="浙AD00002")
    assert on_vehicle(service.bind_terminal, phone="13900000002", at=now + timedelta(minutes=1)).id


def test_a_terminal_cannot_be_fitted_before_the_present_one(on_vehicle, now):
    on_vehicle(service.bind_terminal, phone="13966666666")
    with pytest.raises(RuleBroken, match=r"vehicles\.binding_later"):
        on_vehicle(service.bind_terminal, phone="13966666667", at=now - timedelta(days=1))


def test_the_odometer_goes_forward_only(database, on_vehicle):
    assert on_vehicle(service.advance_odometer, "driver.xhedu", odometer_m=10_050_000).odometer_m == 10_050_000
    on_vehicle(service.advance_odometer, "driver.xhedu", odometer_m=10_050_000)
    with pytest.raises(RuleBroken) as refused:
        on_vehicle(service.advance_odometer, "driver.xhedu", odometer_m=10_049_999)
    assert (refused.value.code, refused.value.params) == ("vehicles.odometer_back", {"last_km": 10_050})
    assert len(entries(database, "vehicles.odometer_advanced")) == 1
    with pytest.raises(NotFound):
        on_vehicle(service.advance_odometer, "driver.bjwater", odometer_m=10_060_000)


def test_the_database_itself_refuses_to_turn_an_odometer_back_or_delete_a_vehicle(live_database_url):
    import psycopg

    with psycopg.connect(live_database_url) as owner:
        with pytest.raises(psycopg.errors.CheckViolation, match="cannot go back"):
            owner.execute("UPDATE vehicle SET odometer_m = 1 WHERE plate = %s", (PLATE,))
        owner.rollback()
        with pytest.raises(psycopg.errors.RestrictViolation, match="superseded"):
            owner.execute("DELETE FROM vehicle WHERE plate = %s", (PLATE,))


def test_the_application_role_may_not_delete_a_vehicle(database):
    with pytest.raises(DBAPIError, match="permission denied"), database.transaction(SYSTEM) as session:
        session.execute(text("DELETE FROM vehicle"))


def test_lists_are_narrowed_by_scope_text_and_filters(session_as, acting):
    def plates(session, actor, **filters):
        return [row.plate for row in session.scalars(queries.filtered(queries.visible_to(actor), **filters))]

    with session_as("dispatcher.xihu") as session:
        me = acting("dispatcher.xihu")
        assert plates(session, me) == ["浙A10001", "浙A10003", "浙AD00002"]
        assert plates(session, me, q="ad0") == ["浙AD00002"]
        assert plates(session, me, q="HEALTH") == ["浙A10003"]
        assert plates(session, me, energy="petrol", category="YJBZ") == ["浙A10001", "浙A10003"]
        assert plates(session, me, q="%") == []
        unit = get_org_by_code(session, code="330106-EDU")
        assert plates(session, me, org_path=unit.path) == ["浙A10001", "浙AD00002"]
        counts = queries.count_by_state(session, queries.visible_to(me))
        assert counts == dict.fromkeys(VehicleState, 0) | {VehicleState.IN_SERVICE: 3}
    with session_as("applicant.xhedu") as session:
        assert plates(session, acting("applicant.xhedu")) == []
