"""Applying for oneself and for a colleague, weekly, twice at once; favourites and papers."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from fleetapp.applications import queries, rules, service
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, Invalid, NotAllowed, NotFound, RuleBroken
from fleetapp.notices.models import Notice
from fleetapp.orders import queries as orders
from fleetapp.orders import service as order_service
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderKind, Purpose, Stop
from fleetapp.workdays import service as workdays
from tests import world

PDF = b"%PDF-1.7 made for this test"


@pytest.fixture
def as_user(database, acting, now):
    """Run a function of the service as a username."""

    def run(function, username="applicant.xhedu", at=now, **more):
        actor = acting(username)
        with database.transaction(actor) as session:
            return function(session, actor=actor, now=at, **more)

    return run


def test_how_far_it_goes_is_kept_with_the_order(apply):
    near = apply()
    assert (near.area, near.round_trip) == ("urban", True)
    assert 6_000 < near.route_m < 20_000
    far = apply(
        stops=[Stop("西湖区教育局", 30.264, 120.126), Stop("上海", 31.23, 121.47)],
        round_trip=False,
        overlap_reason="分两组",
    )
    assert far.area == "beyond"
    assert far.route_m > 100_000


def test_a_colleague_of_the_unit_is_applied_for_and_told_and_neither_of_both_approves(
    apply, database, acting, step, now
):
    colleague, filer = world.user_id(database, "approver.xhedu"), acting("applicant.xhedu")
    order = apply(applicant_id=colleague)
    assert (order.applicant_id, order.filed_by_id) == (colleague, filer.user_id)
    approver = acting("approver.xhedu")
    with database.transaction(approver) as session:
        told = session.scalars(select(Notice).where(Notice.user_id == colleague)).all()
        assert [(notice.code, notice.params["number"]) for notice in told] == [
            ("orders.notice.filed_for", order.number)
        ]
        assert session.scalars(orders.inbox(approver, at=now)).all() == []
    with pytest.raises(NotAllowed, match="own_row"):
        step(order_service.approve, "approver.xhedu", order.id)
    with database.transaction(SYSTEM) as session:
        session.execute(text("INSERT INTO role_grant (user_id, role, org_id) SELECT id, 'approver', org_id FROM user_account"
                             " WHERE username = 'applicant.xhedu'"))  # fmt: skip
    with pytest.raises(NotAllowed, match="own_row"):
        step(order_service.approve, "applicant.xhedu", order.id)
    filer = acting("applicant.xhedu")
    with database.transaction(filer) as session:
        assert session.scalars(orders.inbox(filer, at=now)).all() == []
    with pytest.raises(IntegrityError, match="no_self_approval"), database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE travel_order SET approver_id = filed_by_id WHERE id = :id"), {"id": order.id})
    assert step(order_service.withdraw, "applicant.xhedu", order.id) == "WITHDRAWN", "who filed it may take it back"


def test_nobody_is_applied_for_from_another_unit_or_without_the_permission(apply, database):
    with pytest.raises(RuleBroken, match="no_colleague"):
        apply(applicant_id=world.user_id(database, "applicant.xhhealth"))
    with pytest.raises(NotAllowed):
        apply("driver.xhedu", applicant_id=world.user_id(database, "applicant.xhedu"), kind=OrderKind.SERVICE,
              purpose=Purpose.FUEL)  # fmt: skip
    with pytest.raises(NotAllowed):
        apply("approver.xhedu")


def test_drivers_and_fleet_managers_make_service_orders_for_a_vehicle(apply):
    upkeep = {"kind": OrderKind.SERVICE, "purpose": Purpose.CHARGE, "passengers": "", "passenger_count": 0}
    order = apply("driver.xhedu", **upkeep, wanted_plate="浙ad00002")
    assert order.wanted_vehicle_id is not None
    assert apply("fleet_manager.xihu", **upkeep).org_id != order.org_id
    for changes, code in [
        ({**upkeep, "wanted_plate": "浙A10005"}, "plate_unknown"),
        ({"wanted_plate": "浙A10001"}, "plate_for_service"),
    ]:
        with pytest.raises(RuleBroken, match=code):
            apply(**changes, overlap_reason="x")
    with pytest.raises(NotAllowed):
        apply("driver.xhedu")
    with pytest.raises(NotAllowed):
        apply("auditor.city", **upkeep)


def test_a_person_is_in_one_journey_at_a_time_unless_a_reason_says_why(apply, database, now):
    first = apply(passengers="教研员甲、教研员乙")
    with pytest.raises(RuleBroken, match="overlap") as refused:
        apply(passengers="教研员丙", passenger_count=1)
    assert refused.value.params == {"numbers": first.number}
    with pytest.raises(RuleBroken, match="passenger_twice") as refused:
        apply("unit_admin.xhedu", passengers="教研员乙 、教研员丁")
    assert refused.value.params == {"names": "教研员乙"}
    again = apply(overlap_reason="两个会场接力")
    with database.transaction(SYSTEM) as session:
        noted = orders.get_order(session, order_id=again.id, actor=SYSTEM).events
        assert [event.note for event in noted] == ["两个会场接力"]
    apply(start_at=now + timedelta(hours=7), end_at=now + timedelta(hours=8))
    assert apply(request_key="k", overlap_reason="x").id == apply(request_key="k").id


def test_a_weekly_series_skips_holidays_and_is_all_or_nothing(as_user, database, application, now):
    with database.transaction(SYSTEM) as session:
        workdays.load_year(session, year=2026, actor=SYSTEM, now=now)
        workdays.load_year(session, year=2025, actor=SYSTEM, now=now)
    weekly = {**application(), "weekdays": [2, 3], "until": date(2026, 12, 3), "request_key": "s"}
    made = as_user(service.apply_weekly, **weekly)
    assert [f"{order.start_at:%m-%d %H}" for order in made] == [
        "11-18 05",
        "11-19 05",
        "11-25 05",
        "11-26 05",
        "12-02 05",
        "12-03 05",
    ]
    assert {order.series for order in made} == {"s"}
    assert [order.id for order in as_user(service.apply_weekly, **weekly)] == [order.id for order in made], "sent twice"
    with pytest.raises(Invalid) as refused:
        as_user(service.apply_weekly, **{**weekly, "weekdays": [2, 4], "request_key": "t"})
    faults = refused.value.fields["series"]
    assert [(fault["on"], fault["code"]) for fault in faults] == [
        ("2026-11-18", "applications.passenger_twice"), ("2026-11-25", "applications.passenger_twice"), ("2026-12-02", "applications.passenger_twice")]  # fmt: skip
    with database.transaction(SYSTEM) as session:
        assert session.scalars(select(TravelOrder.id).where(TravelOrder.series == "t")).all() == []
    with pytest.raises(RuleBroken, match="series_long"):
        as_user(
            service.apply_weekly,
            **{**weekly, "weekdays": [0, 1, 2, 3, 4], "until": date(2027, 3, 1), "request_key": "u"},
        )


def test_the_rest_of_a_series_ends_and_what_has_begun_stays(as_user, application, step, database, now):
    made = as_user(service.apply_weekly, **application(), weekdays=[2], until=date(2026, 12, 2), request_key="s")
    step(order_service.approve, "approver.xhedu", made[1].id)
    later = made[0].start_at + timedelta(hours=1)
    with pytest.raises(RuleBroken, match="reason_needed"):
        as_user(service.cancel_series, series="s", reason=" ", at=later)
    ended = as_user(service.cancel_series, series="s", reason="课题结束", at=later)
    assert [(order.id, order.state) for order in ended] == [(made[1].id, "CANCELLED"), (made[2].id, "WITHDRAWN")]
    assert as_user(service.cancel_series, series="s", reason="课题结束", at=later) == []
    assert as_user(service.cancel_series, "applicant.xhhealth", series="s", reason="x") == []


def test_favourites_are_their_owners_alone(as_user, apply, database, acting):
    content = rules.content_of(apply(luggage="图板", pooling_ok=True))
    assert (content["start"], content["end"], content["luggage"]) == ("13:00", "16:00", "图板")
    kept = as_user(service.save_favourite, name="国宾馆", content=content)
    assert as_user(service.save_favourite, name="国宾馆", content={**content, "reason": "新"}).id == kept.id
    other = as_user(service.save_favourite, name="别的", content=content)
    with pytest.raises(Conflict, match="name_taken"):
        as_user(service.rename_favourite, favourite_id=other.id, name="国宾馆")
    assert as_user(service.rename_favourite, favourite_id=other.id, name="会场").name == "会场"
    for function, more in [
        (service.rename_favourite, {"name": "x"}),
        (service.delete_favourite, {}),
        (service.use_favourite, {}),
    ]:
        with pytest.raises(NotFound):
            as_user(function, "unit_admin.xhedu", favourite_id=kept.id, **more)
    with pytest.raises(NotAllowed):
        as_user(service.save_favourite, "auditor.city", name="x", content=content)
    admin = acting("unit_admin.xhedu")
    with database.transaction(admin) as session:
        assert session.scalar(text("SELECT count(*) FROM favourite_trip")) == 0
        assert session.execute(text("DELETE FROM favourite_trip")).rowcount == 0
    as_user(service.delete_favourite, favourite_id=other.id)
    applicant = acting("applicant.xhedu")
    with database.transaction(applicant) as session:
        assert [trip.name for trip in queries.favourites(session, actor=applicant)] == ["国宾馆"]
    for n in range(rules.MOST_FAVOURITES - 1):
        as_user(service.save_favourite, name=f"第 {n}", content=content)
    with pytest.raises(RuleBroken, match="favourites_full"):
        as_user(service.save_favourite, name="太多", content=content)


def test_papers_are_seen_with_their_order(as_user, apply, browse, database, acting):
    order = apply()
    paper = as_user(service.attach, order_id=order.id, label="invitation", name="邀请函.pdf", content=PDF)
    for changes, error in [
        ({"label": "photo"}, "label"),
        ({"content": b"MZ"}, "disguised"),
        ({"name": "x.exe"}, "kind"),
    ]:
        with pytest.raises(RuleBroken, match=error):
            as_user(
                service.attach, **{"order_id": order.id, "label": "notice", "name": "x.pdf", "content": PDF, **changes}
            )
    with pytest.raises(NotFound):
        as_user(service.attach, "applicant.bjwater", order_id=order.id, label="notice", name="x.pdf", content=PDF)
    with pytest.raises(NotAllowed):
        as_user(service.attach, "approver.xhedu", order_id=order.id, label="notice", name="x.pdf", content=PDF)
    path = f"/orders/{order.id}/papers/{paper.id}"
    for username, status in [
        ("approver.xhedu", 200),
        ("applicant.xhedu", 200),
        ("applicant.bjwater", 404),
        ("applicant.xhhealth", 404),
    ]:
        answer = browse(username).get(path)
        assert answer.status_code == status
    assert browse("approver.xhedu").get(path).data == PDF
    other = apply(overlap_reason="x")
    assert browse("applicant.xhedu").get(f"/orders/{other.id}/papers/{paper.id}").status_code == 404
