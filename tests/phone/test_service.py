"""What a phone sends is applied once or refused in words, whatever happens to the network and the clock."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from fleetapp.attachments.models import Attachment
from fleetapp.duty import queries as duties
from fleetapp.duty.models import DutyEvent, TripExpense
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, Invalid, NotAllowed, NotFound
from fleetapp.notices.models import Notice
from fleetapp.phone import queries, service
from fleetapp.phone.models import PhoneAction, PhonePosition, VehicleCode
from fleetapp.phone.rules import Kind, Part
from fleetapp.upkeep.models import VehicleIncident, WorkOrder
from tests.phone.conftest import GOOD, KEYS, START_KM

JPEG = b"\xff\xd8\xff" + b"0" * 50


def count(database, table, *where):
    with database.transaction(SYSTEM) as session:
        return session.scalar(select(func.count()).select_from(table).where(*where))


def order_state(database, acting, dispatched):
    with database.transaction(acting("driver.xhedu")) as session:
        return duties.get_duty(session, assignment_id=dispatched, actor=acting("driver.xhedu")).order.state


def test_a_whole_day_of_the_phone(phone, ready, database, acting, dispatched, now):
    out = phone(
        Kind.CHECK_OUT, {"odometer_km": "10,000.5", "level_percent": 80}, minutes=60, photos=[("dash.jpg", JPEG)]
    )
    assert out.outcome == "APPLIED"
    assert phone(Kind.BOARD, minutes=62).outcome == "APPLIED"
    assert phone(Kind.ARRIVE, minutes=90, lat=30.29, lon=120.21).outcome == "APPLIED"
    assert (
        phone(Kind.EXPENSE, {"kind": "TOLL", "amount": "12.50"}, minutes=95, photos=[("toll.jpg", JPEG + b"1")]).outcome
        == "APPLIED"
    )
    assert phone(Kind.CHECK_IN, {"odometer_km": START_KM + 40}, minutes=200).outcome == "APPLIED"
    assert order_state(database, acting, dispatched) == "RETURNED"
    labels = select(Attachment.subject_type, Attachment.label).order_by(Attachment.id)
    with database.transaction(SYSTEM) as session:
        assert [tuple(row) for row in session.execute(labels)] == [("duty_event", "odometer"), ("trip_expense", "TOLL")]
        assert session.scalars(select(DutyEvent.odometer_m).where(DutyEvent.action == "CHECK_OUT")).one() == 10_000_500
    with database.transaction(acting("driver.xhedu")) as session:
        [task] = queries.tasks(session, actor=acting("driver.xhedu"), now=now + timedelta(minutes=201))
        driven = queries.hours_today(session, actor=acting("driver.xhedu"), now=now + timedelta(minutes=210))
    assert {Kind.SCAN, Kind.WALK_ROUND, Kind.BOARD} <= task.done
    assert driven.driven_s == 140 * 60


def test_the_same_key_gets_the_same_answer_and_another_content_is_refused(phone, database):
    first = phone(Kind.ACCEPT, key="phone-0001")
    again = phone(Kind.ACCEPT, key="phone-0001", minutes=30)
    assert (again.id, again.received_at) == (first.id, first.received_at)
    with pytest.raises(Conflict, match="key_reused"):
        phone(Kind.SCAN, {"code": "ABCDEFGH"}, key="phone-0001")
    with pytest.raises(Conflict, match="key_reused"):
        phone(Kind.ACCEPT, {"note": "other"}, key="phone-0001")
    assert count(database, DutyEvent) == 1


def test_a_refusal_is_kept_with_its_answer_and_leaves_nothing_behind(phone, ready, database):
    bad = {"odometer_km": START_KM - 1}
    refused = phone(Kind.CHECK_OUT, bad, key="phone-low1", photos=[("dash.jpg", JPEG)])
    assert (refused.outcome, refused.code, refused.params) == ("REFUSED", "duty.odometer_back", {"last_km": "10000.0"})
    assert phone(Kind.CHECK_OUT, bad, key="phone-low1", photos=[("dash.jpg", JPEG)]).id == refused.id
    assert count(database, Attachment) == 0
    assert phone(Kind.CHECK_OUT, {"odometer_km": START_KM}, key="phone-low2").outcome == "APPLIED"


def test_an_action_that_waited_keeps_its_own_time_by_the_servers_clock(phone, now):
    made = phone(Kind.ACCEPT, minutes=10, late=300, skew=-45)
    assert made.at == now + timedelta(minutes=10)
    assert made.received_at == now + timedelta(minutes=310)
    assert made.tapped_at == now + timedelta(minutes=10 - 45)
    assert [one["code"] for one in made.remarks] == ["clock_skew"]
    late = phone(Kind.SCAN, {"code": "ABCDEFGH"}, minutes=10, late=48 * 60 + 1)
    assert late.outcome == "REFUSED"


def test_a_step_two_days_old_is_refused_in_words(phone):
    assert phone(Kind.ACCEPT, late=48 * 60 + 1).code == "duty.time_long_ago"


def test_no_check_out_without_the_vehicles_own_code_and_a_walk_round(phone, issued):
    phone(Kind.ACCEPT)
    out = {"odometer_km": START_KM}
    assert phone(Kind.CHECK_OUT, out, key="phone-out1").code == "phone.walk_first"
    assert phone(Kind.SCAN, {"code": "ABCDEFGH"}).code == "phone.no_code"
    old, other = issued(), issued("浙AD00002")
    assert phone(Kind.CHECK_OUT, out, key="phone-out2").code == "phone.scan_first"
    newest = issued()
    wrong = {
        "phone.code_void": old.text, "phone.code_other": other.text, "phone.code_wrong": other.manual, "phone.code_forged": newest.text[:-4] + "AAAA",
        "phone.code_unknown_key": newest.text.replace(KEYS.public[0].key_id, "abcdef"),
    }  # fmt: skip
    for number, (code, text_) in enumerate(wrong.items()):
        assert phone(Kind.SCAN, {"code": text_}, key=f"phone-scan{number}").code == code
    assert (
        phone(Kind.SCAN, {"code": f" {newest.manual[:4].lower()}-{newest.manual[4:]} "}, key="phone-typed").outcome
        == "APPLIED"
    )
    assert phone(Kind.WALK_ROUND, GOOD).outcome == "APPLIED"
    assert phone(Kind.CHECK_OUT, out, key="phone-out3").outcome == "APPLIED"


def test_a_scan_is_compared_with_time_licence_and_place(phone, issued, database):
    code = {"code": issued().text}
    assert phone(Kind.SCAN, code, key="phone-scan0").code == "kit.wrong_state"
    phone(Kind.ACCEPT)
    assert phone(Kind.SCAN, code, minutes=-61, key="phone-scan1").code == "phone.scan_early"
    assert phone(Kind.SCAN, code, minutes=240, key="phone-scan2").code == "phone.scan_late"
    far = phone(Kind.SCAN, code, key="phone-scan3", lat=30.30, lon=120.20, accuracy_m=20)
    assert (far.outcome, [one["code"] for one in far.remarks]) == ("APPLIED", ["far"])
    near = phone(Kind.SCAN, code, key="phone-scan4", lat=30.2640, lon=120.1260)
    assert (near.outcome, near.remarks) == ("APPLIED", [])
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE driver SET licence_valid_to = :on"), {"on": date(2026, 11, 17)})
    assert phone(Kind.SCAN, code, key="phone-scan5").code == "drivers.licence_expired"


def test_a_defect_becomes_one_work_order_with_its_photographs(phone, issued, database):
    phone(Kind.ACCEPT)
    walk = {
        "good": [part.value for part in Part if part is not Part.TYRES],
        "defects": [{"part": "tyres", "note": "左前胎鼓包"}],
    }
    for _ in range(2):
        made = phone(Kind.WALK_ROUND, walk, key="phone-walk", photos=[("tyre.jpg", JPEG)])
    assert made.remarks[0]["code"] == "work_order"
    with database.transaction(SYSTEM) as session:
        [order] = session.scalars(select(WorkOrder))
        assert "左前胎鼓包" in order.fault
        assert session.scalars(select(Attachment.subject_id)).all() == [order.id]
    assert phone(Kind.WALK_ROUND, {"good": ["tyres"]}, key="phone-walk2").code == "phone.walk_incomplete"


def test_help_and_accidents_reach_people_once_and_urgently(phone, database, acting):
    for _ in range(2):
        assert phone(Kind.SOS, duty=None, key="phone-sos1", lat=30.2, lon=120.1, accuracy_m=9).outcome == "APPLIED"
    assert (
        phone(Kind.ACCIDENT, {"place": "文一路", "account": "追尾"}, key="phone-acc1", photos=[("a.jpg", JPEG)]).outcome
        == "APPLIED"
    )
    with database.transaction(SYSTEM) as session:
        told = session.scalars(select(Notice).where(Notice.code.startswith("phone.notice."))).all()
        assert {(one.code, one.urgent) for one in told} == {("phone.notice.sos", True), ("phone.notice.accident", True)}
        assert acting("dispatcher.xihu").user_id in {one.user_id for one in told if one.code == "phone.notice.sos"}
        assert "30.20000, 120.10000" in next(one.params["where"] for one in told if one.code == "phone.notice.sos")
        assert len(told) == len({(one.user_id, one.key) for one in told})
        assert session.scalars(select(WorkOrder.kind)).all() == ["accident"]
        record = session.scalars(select(VehicleIncident)).one()
        assert (record.kind, record.state, record.place, record.liability) == ("accident", "OPEN", "文一路", "pending")
        assert "追尾" in record.account


def test_leave_goes_to_the_managers_and_has_to_lie_ahead(phone, database):
    leave = {"from_on": "2026-11-20", "until_on": "2026-11-21", "reason": "家中有事"}
    assert phone(Kind.LEAVE, leave, duty=None).outcome == "APPLIED"
    assert count(database, Notice, Notice.code == "drivers.notice.leave_asked") >= 1
    assert (
        phone(Kind.LEAVE, leave | {"until_on": "2026-11-19"}, duty=None, key="phone-leave2").code == "phone.leave_days"
    )
    assert (
        phone(Kind.LEAVE, leave | {"from_on": "2026-11-17"}, duty=None, key="phone-leave3").code == "phone.leave_days"
    )


def test_nobody_else_acts_on_a_duty(phone, database):
    assert phone(Kind.ACCEPT, username="driver2.xhedu", key="phone-other").code == "kit.not_found"
    with pytest.raises(NotAllowed):
        phone(Kind.ACCEPT, username="dispatcher.xihu", key="phone-desk1")
    phone(Kind.ACCEPT, key="phone-mine1")
    with pytest.raises(Conflict, match="phone.key_taken"):
        phone(Kind.ACCEPT, username="driver.bjwater", key="phone-mine1")
    assert count(database, PhoneAction, PhoneAction.key == "phone-mine1") == 1


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (Kind.CHECK_OUT, {"odometer_km": "abc"}, "odometer_km"),
        (Kind.CHECK_OUT, {"odometer_km": -1}, "odometer_km"),
        (Kind.SCAN, {}, "code"),
        (Kind.EXPENSE, {"kind": "BRIBE", "amount": 1}, "kind"),
        (Kind.SOS, {"unknown": 1}, "unknown"),
    ],
)
def test_a_body_of_the_wrong_form_is_refused_by_field(phone, kind, body, field):
    with pytest.raises(Invalid) as refused:
        phone(kind, body)
    assert list(refused.value.fields["body"]) == [field]


def test_positions_are_taken_on_a_journey_under_way_only(phone, ready, database, acting, dispatched, now):
    who = acting("driver.xhedu")

    def send(minutes, username="driver.xhedu"):
        with database.transaction(acting(username)) as session:
            at = now + timedelta(minutes=minutes)
            return service.add_positions(session, assignment_id=dispatched, positions=[{"at": at, "lat": 30.2, "lon": 120.1}],
                                         sent_at=at, actor=acting(username), now=at)  # fmt: skip

    with pytest.raises(Conflict, match="no_journey"):
        send(50)
    phone(Kind.CHECK_OUT, {"odometer_km": START_KM}, minutes=60)
    assert [send(70), send(70)] == [1, 1]
    assert count(database, PhonePosition) == 1
    with pytest.raises(NotFound):
        send(71, "driver2.xhedu")
    phone(Kind.CHECK_IN, {"odometer_km": START_KM}, minutes=90)
    with pytest.raises(Conflict, match="no_journey"):
        send(100)
    row = PhonePosition(
        org_id=who.org_id, assignment_id=dispatched, user_id=who.user_id, at=now, received_at=now, lat=1, lon=1
    )
    with pytest.raises(Conflict, match="no_journey"), database.transaction(who) as session:
        session.add(row)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE phone_action SET code = 'x'", "DELETE FROM phone_action", "UPDATE vehicle_code SET serial = 9"],
)
def test_what_is_on_record_stays(phone, issued, session_as, statement):
    phone(Kind.ACCEPT)
    issued()
    with pytest.raises(DBAPIError, match="permission denied"), session_as("driver.xhedu") as session:
        session.execute(text(statement))


def test_codes_are_issued_by_whoever_keeps_the_vehicle_and_count_on(issued, database, acting):
    first, second = issued(), issued()
    assert [first.serial, second.serial] == [1, 2]
    for username, error in (("fleet_manager.binjiang", NotFound), ("dispatcher.xihu", NotAllowed)):
        who = acting(username)
        with pytest.raises(error), database.transaction(who) as session:
            service.issue(session, vehicle_ids=[first.vehicle_id], keys=KEYS, actor=who, now=first.issued_at)
    row = VehicleCode(
        org_id=first.org_id, vehicle_id=first.vehicle_id, serial=9, text="x", manual="y", issued_at=first.issued_at
    )
    with pytest.raises(Conflict, match="issued_now"), database.transaction(acting("fleet_manager.xihu")) as session:
        session.add(row)


TAPS = st.lists(
    st.tuples(
        st.sampled_from([Kind.ACCEPT, Kind.WALK_ROUND, Kind.CHECK_OUT, Kind.BOARD, Kind.ARRIVE, Kind.EXPENSE, Kind.CHECK_IN]),
        st.integers(-3, 30), st.lists(st.integers(0, 9), max_size=2), st.integers(-90, 90),
    ),
    min_size=1, max_size=10,
)  # fmt: skip
EFFECT = {
    Kind.ACCEPT: DutyEvent,
    Kind.CHECK_OUT: DutyEvent,
    Kind.ARRIVE: DutyEvent,
    Kind.CHECK_IN: DutyEvent,
    Kind.EXPENSE: TripExpense,
}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TAPS)
def test_no_queue_loses_an_action_or_applies_one_twice(phone, database, taps):
    """Any taps in any order, sent any number of times in between by a wrong clock: one answer per key, one effect per applied key."""
    answers: dict[int, tuple[str, str | None]] = {}
    undo = database.engine.begin_nested()

    def send(number):
        kind, km, _, skew = taps[number]
        body = {
            Kind.WALK_ROUND: GOOD, Kind.CHECK_OUT: {"odometer_km": START_KM + km}, Kind.CHECK_IN: {"odometer_km": START_KM + km},
            Kind.EXPENSE: {"kind": "TOLL", "amount": str(abs(km) + 1)},
        }.get(kind, {})  # fmt: skip
        return phone(kind, body, minutes=number, late=20 - number, skew=skew, key=f"queue-{number}-key")

    for number, (_, _, repeats, _) in enumerate(taps):
        for again in [number, *(one for one in repeats if one <= number)]:
            made = send(again)
            assert answers.setdefault(again, (made.outcome, made.code)) == (made.outcome, made.code)
    assert count(database, PhoneAction) == len(taps)
    for table in (DutyEvent, TripExpense):
        applied = [n for n, (outcome, _) in answers.items() if outcome == "APPLIED" and EFFECT.get(taps[n][0]) is table]
        assert count(database, table) == len(applied)
    undo.rollback()
