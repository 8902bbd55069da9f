"""Papers with period or exemption; no service before they are there; no journey beyond their end."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.planning import service as planning
from fleetapp.vehicles import papers, queries, rules, service
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import DocumentKind, VehicleState
from tests import world
from tests.serving import furnish
from tests.trips.conftest import EAST, SEAT
from tests.walks import steps

TODAY = date(2026, 11, 18)
YEAR = {"valid_from": date(2026, 1, 1), "valid_to": date(2027, 1, 1)}
K = DocumentKind
WHOLE = (
    (K.REGISTRATION, {"number": "R1", "valid_from": date(2026, 1, 1)}), (K.COMPULSORY_INSURANCE, {"number": "P1", **YEAR}),
    (K.INSPECTION, {"exempt_reason": "新车六年内免上线检测", "valid_from": date(2026, 1, 1)}), (K.MARKING, {"number": "M1", "valid_from": date(2026, 1, 1)}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given", "code"),
    [
        (K.REGISTRATION, {"number": "R1"}, None),
        (K.REGISTRATION, {}, "vehicles.document_content"),
        (K.MARKING, {"number": "M1", "exempt_reason": "涉密用车"}, "vehicles.document_content"),
        (K.MARKING, {"exempt_reason": "涉密用车"}, None),
        (K.REGISTRATION, {"exempt_reason": "不需要登记"}, "vehicles.document_exempt"),
        (K.COMPULSORY_INSURANCE, {"exempt_reason": "不需要保险"}, "vehicles.document_exempt"),
        (K.TERMINAL, {"number": "T1"}, "vehicles.document_exempt"),
        (K.TERMINAL, {"exempt_reason": "涉密用车"}, None),
        (K.COMPULSORY_INSURANCE, {"number": "P1"}, "vehicles.document_period"),
        (K.COMPULSORY_INSURANCE, {"number": "P1", "valid_to": TODAY}, "vehicles.document_period"),
        (K.COMPULSORY_INSURANCE, {"number": "P1", "valid_to": TODAY + timedelta(days=1)}, None),
    ],
)
def test_what_a_paper_says(kind, given, code):
    paper = {"number": None, "exempt_reason": None, "valid_from": TODAY, "valid_to": None} | given
    if code is None:
        rules.check_document(kind, **paper)
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_document(kind, **paper)
    assert broken.value.code == code


@pytest.fixture
def car_id(database):
    """A car of a unit of Xihu."""
    with database.transaction(SYSTEM) as session:
        return session.scalars(select(Vehicle.id).where(Vehicle.plate == "浙A10001")).one()


@pytest.fixture
def add(database, car_id, now):
    def added(kind, username="fleet_manager.xihu", **given):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            return papers.add(session, vehicle_id=car_id, kind=kind, actor=who, now=now, **given).id

    return added


def to_service(database, car_id, now):
    who = world.actor(database, "fleet_manager.xihu")
    with database.transaction(who) as session:
        return service.change_state(
            session, vehicle_id=car_id, to=VehicleState.IN_SERVICE, reason="投入使用", actor=who, now=now
        )


def test_a_new_vehicle_goes_into_service_when_nothing_is_missing(database, car_id, add, now):
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET state = 'PREPARING' WHERE id = :id"), {"id": car_id})
    for number, (kind, given) in enumerate(WHOLE):
        with pytest.raises(RuleBroken) as broken:
            to_service(database, car_id, now)
        assert broken.value.params["missing"] == ", ".join(kind.value for kind, _ in WHOLE[number:])
        with (
            pytest.raises(Conflict) as refused,
            database.transaction(world.actor(database, "fleet_manager.xihu")) as session,
        ):
            session.execute(text("UPDATE vehicle SET state = 'IN_SERVICE' WHERE id = :id"), {"id": car_id})
        assert refused.value.code == "vehicles.not_ready_now"
        add(kind, **given)
    assert to_service(database, car_id, now).state == VehicleState.IN_SERVICE


def test_without_terminal_or_parking_an_exemption_with_its_reason_is_needed(database, car_id, add, now):
    with database.transaction(SYSTEM) as session:
        session.execute(
            text("UPDATE vehicle SET state = 'PREPARING', parking_id = NULL WHERE id = :id"), {"id": car_id}
        )
    for kind, given in WHOLE:
        add(kind, **given)
    with pytest.raises(RuleBroken) as broken:
        to_service(database, car_id, now)
    assert broken.value.params["missing"] == "parking"
    add(K.PARKING, exempt_reason="轮班停放，另有登记", valid_from=TODAY)
    assert to_service(database, car_id, now).state == VehicleState.IN_SERVICE


def test_a_paper_is_made_void_once_and_never_changed(database, car_id, add, now):
    made = add(K.MARKING, number="M1", valid_from=TODAY)
    who = world.actor(database, "fleet_manager.xihu")
    with database.transaction(who) as session:
        papers.void(session, vehicle_id=car_id, document_id=made, reason="编号抄错", actor=who, now=now)
        assert "marking" not in queries.kinds_in_force(session, vehicle_id=car_id, on=TODAY)
    with database.transaction(who) as session, pytest.raises(RuleBroken):
        papers.void(session, vehicle_id=car_id, document_id=made, reason="编号抄错", actor=who, now=now)
    other = add(K.ETC, number="E1", valid_from=TODAY)
    for statement in (
        "UPDATE vehicle_document SET number = 'X' WHERE id = :id",
        "DELETE FROM vehicle_document WHERE id = :id",
    ):
        with (
            pytest.raises(Exception, match="on record|permission denied|superseded"),
            database.transaction(who) as session,
        ):
            session.execute(text(statement), {"id": other})
    for username in ("auditor.xihu", "unit_admin.xhedu", "dispatcher.xihu"):
        with pytest.raises(NotAllowed):
            add(K.ETC, username, number="E2", valid_from=TODAY)


@pytest.mark.parametrize(("last_day", "sent"), [(date(2026, 11, 19), False), (date(2026, 11, 20), True)])
def test_no_journey_beyond_the_insurance_by_service_or_sql(database, car_id, add, now, last_day, sent):
    """The order ends on the 19th; the paper's first day without it is given."""
    furnish(database, now)
    add(K.COMPULSORY_INSURANCE, number="P1", valid_from=date(2026, 1, 1), valid_to=last_day)
    start = now + timedelta(days=1)
    order = steps.asked(database, start=start, end=start + timedelta(hours=2), stops=[SEAT, EAST], approve=True)
    who = world.actor(database, "dispatcher.xihu")
    with database.transaction(SYSTEM) as session:
        driver_id = session.execute(
            text("SELECT d.id FROM driver d JOIN user_account u ON u.id = d.user_id WHERE u.username = 'driver.xhedu'")
        ).scalar_one()

    def assign():
        with database.transaction(who) as session:
            return planning.assign(
                session, order_id=order.id, vehicle_id=car_id, driver_id=driver_id, actor=who, now=now
            )

    if sent:
        assert assign().vehicle_id == car_id
        return
    with pytest.raises(RuleBroken) as broken:
        assign()
    assert "papers_ended" in str(broken.value)
    insert = ("INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at)"
              " SELECT v.org_id, v.org_id, :order, v.id, :driver, 1, tstzrange(now(), now() + interval '1 hour'), 'ACTIVE', now()"
              " FROM vehicle v WHERE v.id = :id")  # fmt: skip
    with pytest.raises((IntegrityError, Conflict)) as refused, database.transaction(who) as session:
        session.execute(text(insert), {"order": order.id, "driver": driver_id, "id": car_id})
    assert getattr(refused.value, "code", "") == "planning.papers_ended"


def test_the_page_and_the_api_take_papers_with_their_scan(database, car_id, browse, api):
    import io

    client = browse("fleet_manager.xihu")
    form = {
        "kind": "marking",
        "number": "M-77",
        "valid_from": "2026-01-01",
        "scan": (io.BytesIO(b"%PDF-1.7\n%x"), "标识.pdf"),
    }
    answer = client.post(
        f"/vehicles/{car_id}/documents", data={"csrf_token": client.csrf, **form}, content_type="multipart/form-data"
    )
    assert answer.status_code == 302
    page = client.get(f"/vehicles/{car_id}").get_data(as_text=True)
    assert "M-77" in page
    assert "/attachments/" in page
    wrong = client.post(
        f"/vehicles/{car_id}/documents",
        data={"csrf_token": client.csrf, "kind": "registration", "valid_from": "2026-01-01"},
    )
    assert wrong.status_code == 422
    call = api("fleet_manager.xihu")
    made = call(
        "POST", f"/vehicles/{car_id}/documents", json={"kind": "etc", "number": "E1", "valid_from": "2026-01-01"}
    )
    assert made.status_code == 201
    gone = call("POST", f"/vehicles/{car_id}/documents/{made.json['id']}/void", json={"reason": "已办理注销"})
    assert gone.json["void_reason"] == "已办理注销"
    assert [row["kind"] for row in api("auditor.xihu")("GET", f"/vehicles/{car_id}/documents").json] == [
        "etc",
        "marking",
    ]
    assert (
        api("auditor.xihu")(
            "POST", f"/vehicles/{car_id}/documents", json={"kind": "etc", "number": "E1", "valid_from": "2026-01-01"}
        ).status_code
        == 403
    )
    assert api("auditor.binjiang")("GET", f"/vehicles/{car_id}/documents").status_code == 404
