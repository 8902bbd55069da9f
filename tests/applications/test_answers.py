"""What the form says of the pool: the same as planning would, and nothing of other people's matters."""

from datetime import timedelta

import pytest
from sqlalchemy import event, text

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import list_districts, orgs_visible_to
from fleetapp.applications import answers, bridge
from fleetapp.applications.rules import Trip
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.spans import Span
from fleetapp.orders.rules import OrderKind, Purpose, Stop
from fleetapp.planning import holds
from fleetapp.planning.models import HoldCause
from fleetapp.sharing import rules as sharing
from fleetapp.vehicles.rules import Body
from tests.planning.conftest import EAST, LAKE, ORIGIN

EVENT = text(
    "INSERT INTO occasion (org_id, number, name, start_at, end_at, state, note, created_by, created_at)"
    " VALUES (:org, 'HD-1', '博览会', :start, :end, 'PLANNED', '', :user, :start) RETURNING id"
)


@pytest.fixture
def ask(database, acting, now):
    """Ask the form as a username; hours count from now."""

    def run(username="applicant.xhedu", start_h=4, end_h=7, **changes):
        actor = acting(username)
        trip = Trip(**{"kind": OrderKind.ORDINARY, "body": Body.SEDAN, "people": 2, "start_at": now + timedelta(hours=start_h),
                       "end_at": now + timedelta(hours=end_h), "stops": (ORIGIN, LAKE), **changes})  # fmt: skip
        with database.transaction(actor) as session:
            return answers.answer(session, trip=trip, actor=actor, now=now)

    return run


def test_the_pool_is_that_of_planning(database):
    """Both ways to say who lends to whom agree on every pair of organisations."""
    with database.transaction(SYSTEM) as session:
        orgs = session.scalars(orgs_visible_to(SYSTEM)).all()
        districts = [district.path for district in list_districts(session)]
        for unit in orgs:
            given = set(session.scalars(text("SELECT fleet_pool(:unit)"), {"unit": unit.id}))
            expected = {
                holder.id for holder in orgs
                if sharing.lends(holder_path=holder.path, holder_is_operator=holder.kind == "operator",
                                        unit_path=unit.path, districts=districts)
            }  # fmt: skip
            assert given == expected, unit.name_zh


def test_only_the_own_unit_is_answered_for(database, acting):
    applicant = acting("applicant.xhedu")
    with database.transaction(applicant) as session:
        other = session.query(Organisation).filter_by(code="330108-WATER").one()
        assert session.scalars(text("SELECT fleet_pool(:unit)"), {"unit": other.id}).all() == []
        free = text(
            "SELECT fitting FROM fleet_free_vehicles(:u, tstzrange(now(), now() + '1 h'), ARRAY['suv'], 1, '1 h')"
        )
        assert session.scalar(free, {"u": other.id}) == 0


def test_vehicles_taken_or_kept_are_not_free_and_the_first_gap_is_offered(
    database, acting, approved, assign, known, now, ask
):
    assert bridge.bodies_for("sedan") == {"sedan", "suv", "mpv", "offroad"}
    assert (ask().free.fitting, ask().free.free) == (4, 4)
    assert ask(body=Body.MINIBUS, people=12).free.free == 1
    assign(approved())
    assert ask().free.free == 3
    assert ask(start_h=8, end_h=9).free.free == 4
    manager = acting("fleet_manager.city")
    span = Span(now + timedelta(hours=3), now + timedelta(hours=10))
    with database.transaction(SYSTEM) as session:
        event_id = session.scalar(
            EVENT, {"org": manager.org_id, "user": manager.user_id, "start": span.start, "end": span.end}
        )
        for plate in ("浙AD00002", "浙A10003", "浙AF00006"):
            holds.hold(session, org_id=manager.org_id, span=span, cause=HoldCause.OCCASION, cause_id=event_id, vehicle_ids=[known[plate]], driver_ids=[],
                       actor=manager, now=now)  # fmt: skip
    found = ask()
    assert (found.free.fitting, found.free.free) == (4, 0)
    assert found.earliest_at == now + timedelta(hours=7, minutes=30), (
        "7 h + 15 min after one order, 15 min before the next"
    )
    assert ask(people=30).free.fitting == 0


def test_company_tells_unit_time_and_savings_and_only_of_those_who_agree(submit, ask, now):
    near = Stop("学院路", 30.2660, 120.1280)
    window = {
        "start_at": now + timedelta(hours=4, minutes=30),
        "end_at": now + timedelta(hours=6),
        "stops": [near, LAKE],
    }
    submit("applicant.xhhealth", pooling_ok=False, **window)
    submit("applicant.bjwater", pooling_ok=True, **window)
    submit("applicant.xhhealth", pooling_ok=True, **{**window, "start_at": now + timedelta(hours=5)})
    submit("applicant.xhhealth", pooling_ok=True, **{**window, "stops": [near, EAST]})
    submit("applicant.xhhealth", pooling_ok=True, passenger_count=4, **window)
    submit("applicant.xhhealth", pooling_ok=True, kind=OrderKind.CONFIDENTIAL, purpose=Purpose.DOCUMENTS, **window)
    assert ask().company == []
    submit("applicant.xhhealth", pooling_ok=True, **window)
    [found] = ask().company
    assert (found.partner.name_zh, found.partner.start_at) == ("西湖区卫生健康局", window["start_at"])
    assert found.saved_m > 3_000
    assert ask("applicant.xhhealth").company == [], "one's own order is no company"


def test_the_page_and_the_api_answer_alike(browse, api, submit):
    submit("applicant.xhhealth", reason="不公开的事由")
    start = {"start_at": "2099-03-02T09:00", "end_at": "2099-03-02T11:00", "passenger_count": "2"}
    call = api("applicant.xhedu")
    stops = "stop=30.264,120.126&stop=30.23,120.129"
    answer = call("GET", f"/orders/answer?{'&'.join(f'{k}={v}' for k, v in start.items())}&{stops}")
    assert answer.status_code == 200, answer.json
    assert (answer.json["free"], answer.json["area"]) == (4, "urban")
    assert [hint["code"] for hint in answer.json["hints"]] == ["calendar_unknown", "subsidy_area"]
    page = browse("applicant.xhedu").get("/orders/answer", query_string={
        **start, "stop_lat": ["30.264", "30.23", ""], "stop_lon": ["120.126", "120.129", ""]}).get_data(as_text=True)  # fmt: skip
    assert 'data-free="4"' in page
    assert "优先公共交通" in page
    assert "不公开的事由" not in page
    assert "填写时间和地点后" in browse("applicant.xhedu").get("/orders/answer?start_at=soon").get_data(as_text=True)
    assert "填写时间和地点后" in browse("applicant.xhedu").get("/orders/answer").get_data(as_text=True)
    assert call("GET", f"/orders/answer?start_at=2099-03-02T09:00&end_at=2099-03-02T08:00&{stops}").status_code == 422
    assert api("auditor.city")("GET", f"/orders/answer?{stops}").status_code == 403
    assert browse("auditor.city").get("/orders/answer").status_code == 403


def test_an_answer_takes_a_few_statements(database, ask):
    counted = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: counted.append(args[2]))
    ask()
    assert sum("fleet_free_vehicles" in statement or "fleet_partners" in statement for statement in counted) == 2
    assert len(counted) < 40
