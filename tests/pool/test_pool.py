"""Figures of the shared pool: use by holder and user, unmet demand, savings; a recall's effect; pages and workbook."""

import io
from datetime import timedelta
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from fleetapp.audit.models import AuditEntry
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed
from fleetapp.orders import queries as orders
from fleetapp.orders import service as order_service
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderAction
from fleetapp.planning import service as planning
from fleetapp.pool import figures, jobs, queries, rules
from fleetapp.pool import service as pool
from fleetapp.pool.rules import Unmet, Use
from fleetapp.sharing import fallback, service
from fleetapp.sharing.rules import FallbackKind, FallbackReason
from fleetapp.vehicles.models import Vehicle
from tests.planning.conftest import approve_one
from tests.sharing.conftest import DAY, approved, asked, do, known, lent, org

__all__ = ["approved", "asked", "do", "known", "lent", "org"]
HOUR = timedelta(hours=1)
DISTRICTS = ["/1/4/", "/1/5/"]
PATHS = ["/1/2/", "/1/3/", "/1/4/", "/1/4/6/", "/1/5/8/"]
USES = st.builds(
    Use,
    st.sampled_from(PATHS),
    st.sampled_from(PATHS),
    st.floats(0, 99),
    st.floats(0, 99),
    st.integers(0, 9).map(Decimal),
)


@given(st.lists(USES, max_size=30), st.lists(st.sampled_from(PATHS), max_size=30))
def test_what_is_lent_is_borrowed_and_vehicles_stay_with_their_holders(uses, vehicles):
    found = rules.balances(uses, vehicles, districts=DISTRICTS, paths=["/1/", *DISTRICTS])
    hours = sum(use.hours for use in uses)
    assert sum(one.hours_held for one in found) == pytest.approx(hours)
    assert sum(one.hours_used for one in found) == pytest.approx(hours)
    assert sum(one.hours_lent for one in found) == pytest.approx(sum(one.hours_borrowed for one in found))
    assert {one.path: one.vehicles for one in found} == {
        "/1/": sum(path in {"/1/2/", "/1/3/"} for path in vehicles),
        "/1/4/": sum(path.startswith("/1/4/") for path in vehicles), "/1/5/": vehicles.count("/1/5/8/"),
    }  # fmt: skip
    served = rules.saved(uses, districts=DISTRICTS)
    assert served["within"].orders + served["across"].orders == sum(use.holder_path != use.user_path for use in uses)


@pytest.mark.parametrize(
    ("free", "total", "colour"), [(0, 0, "none"), (0, 3, "empty"), (1, 4, "few"), (1, 3, "some"), (3, 3, "some")]
)
def test_the_colour_of_a_cell(free, total, colour):
    assert rules.heat(free, total) == colour


def driven(database, order_id, now):
    """Let an order's vehicle go and come back."""
    with database.transaction(SYSTEM) as session:
        order = orders.hold_order(session, order_id=order_id)
        for action in (OrderAction.ACCEPT, OrderAction.CHECK_OUT, OrderAction.CHECK_IN):
            order_service.advance(session, order=order, action=action, actor=SYSTEM, now=now)


def over(database, acting, by, now):
    actor = acting(by)
    on = clock.local_date(now)
    with database.transaction(actor) as session:
        return figures.over(session, actor=actor, start_on=on, end_on=on + 3 * DAY, now=now + 2 * DAY)


def test_use_is_booked_at_the_user_and_the_vehicle_stays_with_its_holder(
    database, acting, approved, do, known, org, now
):
    order_id = approved(start_h=4, end_h=7)
    do(
        planning.assign,
        "dispatcher.city",
        order_id=order_id,
        vehicle_id=known["浙AF00006"],
        driver_id=known["driver.fleet"],
    )
    driven(database, order_id, now)
    found = over(database, acting, "dispatcher.city", now)
    city, xihu = (
        found.balances[0],
        next(one for one in found.balances if one.path == acting("dispatcher.xihu").org_path),
    )
    assert (city.hours_held, city.hours_lent, city.hours_used, city.vehicles) == (3, 3, 0, 2)
    assert (xihu.hours_held, xihu.hours_used, xihu.hours_borrowed, xihu.vehicles) == (0, 3, 3, 3)
    assert (found.saved["across"].orders, found.saved["across"].rental, found.saved["within"].orders) == (
        1,
        Decimal(450),
        0,
    )
    assert 5 < found.saved["across"].km < 15
    mine = over(database, acting, "dispatcher.binjiang", now)
    assert [one.path for one in mine.balances] == [acting("dispatcher.binjiang").org_path]
    assert mine.balances[0].hours_used == 0, "another district's journeys are none of theirs"


def test_unmet_demand_has_three_ways(database, acting, approved, do, now):
    waiting, lapsed, outsourced, served = (approved(body="sedan") for _ in range(4))
    with database.transaction(SYSTEM) as session:
        order = orders.hold_order(session, order_id=lapsed)
        order_service.advance(session, order=order, action=OrderAction.LAPSE, actor=SYSTEM, now=now, note="无车可派")
    do(fallback.outsource, "dispatcher.xihu", order_id=outsourced, kind=FallbackKind.RENTAL, reason=FallbackReason.NONE_FREE, price=Decimal(300),
       provider="定点租赁公司")  # fmt: skip
    found = over(database, acting, "dispatcher.xihu", now)
    assert {one.order.id: one.how for one in found.missed} == {
        waiting: Unmet.WAITING, lapsed: Unmet.LAPSED, outsourced: Unmet.OUTSOURCED, served: Unmet.WAITING,
    }  # fmt: skip
    path = acting("dispatcher.xihu").org_path
    assert found.missed_at(path, "sedan") == {"waiting": 2, "lapsed": 1, "outsourced": 1}
    assert over(database, acting, "dispatcher.binjiang", now).missed == []


def test_a_free_vehicle_is_neither_lent_nor_on_an_order(database, acting, approved, lent, do, known, now):
    actor = acting("dispatcher.city")

    def sedans():
        with database.transaction(actor) as session:
            found = queries.levels(session, actor=actor)
            matrix = queries.free(session, actor=actor, on=clock.local_date(now), found=found)
            return {path: (row["sedan"].free, row["sedan"].total) for path, row in matrix.items() if row["sedan"].total}

    city, xihu = acting("dispatcher.city").org_path, acting("dispatcher.xihu").org_path
    assert sedans() == {city: (1, 1), xihu: (2, 2)}
    lent(start_at=now + HOUR, end_at=now + 4 * HOUR)
    do(
        planning.assign,
        "dispatcher.xihu",
        order_id=approved(),
        vehicle_id=known["浙A10001"],
        driver_id=known["driver.xhedu"],
    )
    assert sedans() == {city: (0, 1), xihu: (1, 2)}


def test_a_recall_shows_and_takes_the_journeys_beyond_it(database, acting, approved, do, known, org, lent, now):
    loan = lent(start_at=now + 26 * HOUR, end_at=now + 60 * HOUR)
    early, late = approved(start_h=28, end_h=30), approved(start_h=52, end_h=54)
    for order_id in (early, late):
        do(
            planning.assign,
            "dispatcher.xihu",
            order_id=order_id,
            vehicle_id=known["浙AF00006"],
            driver_id=known["driver.fleet"],
        )
    city = acting("dispatcher.city")
    with database.transaction(city) as session:
        found = session.merge(loan)
        assert [row.order_id for row in queries.touched(session, loan=found, from_at=now + 40 * HOUR)] == [late]
    assert jobs.release_lost(database, now) == 0
    do(service.recall, "dispatcher.city", loan_id=loan.id, at=now + 40 * HOUR, reason="本级有抢险任务")
    assert jobs.release_lost(database, now) == 1
    with database.transaction(SYSTEM) as session:
        states = {order_id: session.get_one(TravelOrder, order_id).state for order_id in (early, late)}
    assert states == {early: "DISPATCHED", late: "APPROVED"}
    with pytest.raises(NotAllowed):
        do(pool.release_next, "dispatcher.city")


def test_the_pages_forms_and_the_workbook(browse, database, known, org):
    order_id = approve_one(database, clock.now(), start_h=28, end_h=31)
    xihu, city = browse("dispatcher.xihu"), browse("dispatcher.city")
    manager = browse("unit_admin.bjwater")
    for path in ("/pool", "/pool/offers", "/pool/requests", "/pool/loans", "/pool/requests/new"):
        assert xihu.get(path).status_code == 200, path
    assert xihu.get("/pool/offers/new").status_code == 403
    assert browse("applicant.xhedu").get("/pool").status_code == 403
    wrong = manager.submit("/pool/offers/new", org_id=org("bjwater"), valid_from="2026-11-01", weekdays="1")
    assert (wrong.status_code, "二选一" in wrong.text) == (422, True)
    made = manager.submit(
        "/pool/offers/new", org_id=org("bjwater"), body="suv", valid_from="2026-11-01", weekdays=["1", "2"]
    )
    assert made.status_code == 302
    assert "周一、周二" in xihu.get("/pool/offers").text

    card = xihu.get(f"/orders/{order_id}/sharing").text
    assert f"/pool/requests/new?order_id={order_id}" in card
    asked = xihu.submit(
        "/pool/requests/new", to_org_id=org("city"), order_id=order_id, with_driver="true", reason="区内车辆均有任务"
    )
    assert asked.status_code == 302, asked.text
    page = city.get(asked.location)
    assert "浙AF00006" in page.text
    assert "剩余" in page.text
    assert city.submit(f"{asked.location}/decline", note="").status_code == 422
    done = city.submit(f"{asked.location}/accept", vehicle_id=known["浙AF00006"], driver_id=known["driver.fleet"])
    assert done.status_code == 302, done.text
    assert "借用" in (assign := xihu.get(f"/orders/{order_id}/assign").text)
    assert "浙AF00006" in assign
    with database.transaction(SYSTEM) as session:
        loan_id = session.scalar(select(service.ShareLoan.id))
    assert "编制仍在此单位" in xihu.get(f"/pool/loans/{loan_id}").text
    assert browse("dispatcher.binjiang").get(f"/pool/loans/{loan_id}").status_code == 404
    assert xihu.submit(f"/pool/loans/{loan_id}/call_off", reason="行程取消").status_code == 302

    dear = xihu.submit(
        f"/orders/{order_id}/outsource", kind="rental", reason="none_free", provider="定点租赁公司", price="9999"
    )
    assert (dear.status_code, "450.00" in dear.text) == (422, True)
    assert (
        xihu.submit(f"/orders/{order_id}/outsource", kind="public_transport", reason="none_free", price="8").status_code
        == 302
    )
    assert "公共交通" in xihu.get(f"/orders/{order_id}/sharing").text
    assert "改用社会出行" in xihu.get(f"/pool?last_on={clock.local_date(clock.now()) + 3 * DAY}").text

    today = clock.local_date(clock.now())
    days = {"start_on": today.isoformat(), "last_on": (today + 3 * DAY).isoformat()}
    assert xihu.submit("/pool", **days, reason="").status_code == 422
    file = xihu.submit("/pool", **days, reason="区级共享情况通报")
    book = openpyxl.load_workbook(io.BytesIO(file.data))
    assert [len(list(sheet.rows)) for sheet in book] == [2, 3, 2]
    with database.transaction(SYSTEM) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "pool.exported")).one()
        assert entry.data["sha256"] == file.headers["X-Content-SHA256"]
        assert session.scalar(select(Vehicle.org_id).where(Vehicle.plate == "浙AF00006")) == org("fleet")
    assert browse("unit_admin.xhedu").submit("/pool", **days, reason="情况通报").status_code == 403


def test_the_figures_by_the_api(api):
    found = api("dispatcher.city")("GET", "/pool")
    assert found.status_code == 200, found.json
    assert sum(one["vehicles"] for one in found.json["balances"]) == 6
    assert found.json["saved"]["across"] == {"orders": 0, "km": 0.0, "rental": "0"}
    assert api("applicant.xhedu")("GET", "/pool").status_code == 403
