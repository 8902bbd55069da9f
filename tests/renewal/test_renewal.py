"""Shares by year, and a plan from the registry to the page."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.renewal import chart, queries, rules, service
from fleetapp.renewal.rules import Held
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.serving import furnish

OFFICE = "vehicle_office.city"
ASKED = {"years": 3, "budget": Decimal(2_000_000), "stock_share": Decimal("0.4"), "bought_share": Decimal("0.3")}


def test_shares_count_what_was_held_at_the_end_of_each_year():
    held = [
        Held("petrol", date(2015, 5, 1), date(2025, 6, 1)), Held("bev", date(2025, 6, 2), None), Held("phev", date(2024, 1, 1), None),
        Held("hev", date(2020, 12, 31), None), Held("bev", date(2026, 11, 19), None),
    ]  # fmt: skip
    found = {one.year: one for one in rules.shares(held, first_year=2019, today=date(2026, 11, 18))}
    assert [(one.stock, one.stock_nev, one.bought, one.bought_nev) for one in found.values()] == [
        (1, 0, 0, 0), (2, 0, 1, 0), (2, 0, 0, 0), (2, 0, 0, 0), (2, 0, 0, 0), (3, 1, 1, 1), (3, 2, 1, 1), (3, 2, 0, 0),
    ]  # fmt: skip
    assert found[2025].stock_share == pytest.approx(2 / 3)
    assert found[2026].bought_share is None
    assert rules.shares([], first_year=2026, today=date(2026, 1, 1))[0].stock_share is None


def test_the_chart_rises_with_the_share_and_is_empty_without_years():
    found = rules.shares(
        [Held("bev", date(2025, 1, 1), None), Held("petrol", date(2020, 1, 1), None)],
        first_year=2024,
        today=date(2026, 1, 1),
    )
    drawn = chart.path(found, [{"year": 2026, "share": 0.5}, {"year": 2027, "share": 1.0}], 0.4)
    heights = {point["share"]: point["y"] for point in drawn["points"]}
    assert heights[1.0] < heights[0.5] < heights[0.0]
    assert heights[0.5] < drawn["target"] < heights[0.0]
    assert [year for _, year in drawn["years"]] == [2024, 2025, 2026, 2027]
    assert chart.path([], [], 0.4)["years"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"years": 0},
        {"years": 11},
        {"budget": Decimal(-1)},
        {"stock_share": Decimal("1.1")},
        {"bought_share": Decimal("-0.1")},
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(RuleBroken):
        rules.check_asked(**(ASKED | wrong))


@pytest.fixture
def old_fleet(database, now):
    """The world's cars, two of them beyond their last age."""
    furnish(database, now)
    with database.transaction(SYSTEM) as session:
        for plate, year in (("浙A10001", 2010), ("浙A10003", 2012), ("浙A10005", 2017)):
            session.scalars(select(Vehicle).where(Vehicle.plate == plate)).one().registered_on = date(year, 3, 1)
    return database


def plan(database, username, now, **given):
    who = world.actor(database, username)
    return service.plan(database, org_id=given.pop("org_id", who.org_id), actor=who, now=now, **(ASKED | given))


def test_a_plan_renews_what_must_go_within_budget_and_targets(old_fleet, now):
    run = plan(old_fleet, OFFICE, now)
    found = run.result
    assert found["fleet"] == 6
    assert found["shortfalls"] == []
    assert {"浙A10001"} <= {car["plate"] for car in found["cars"] if car["year"] == 2027}
    assert all(year["spent_cny"] <= 2_000_000 for year in found["years"])
    assert found["path"][-1]["share"] >= 0.4
    assert found["bound_cny"] <= found["cost_cny"]
    with old_fleet.transaction(world.actor(old_fleet, OFFICE)) as session:
        assert session.scalar(text("SELECT count(*) FROM audit_entry WHERE action = 'renewal.planned'")) == 1


def test_targets_that_cannot_hold_are_named(old_fleet, now):
    found = plan(old_fleet, OFFICE, now, stock_share=Decimal(1)).result
    assert [one["what"] for one in found["shortfalls"]] == ["stock"]
    poor = plan(old_fleet, OFFICE, now, budget=Decimal(0)).result
    assert "budget" in {one["what"] for one in poor["shortfalls"]}


def test_charging_places_limit_a_plan_and_more_are_built_where_it_pays(old_fleet, now):
    free = plan(old_fleet, OFFICE, now, stock_share=Decimal("0.5"), bought_share=Decimal(1)).result
    bound = plan(old_fleet, OFFICE, now, stock_share=Decimal("0.5"), bought_share=Decimal(1), charging_places=0).result
    plugged = [car for car in bound["cars"] if car["energy"] != "petrol"]
    assert plugged
    assert free["new_chargers"] == 0
    assert bound["new_chargers"] >= len(plugged)
    assert bound["cost_cny"] >= free["cost_cny"] + 30_000 * len(plugged) - 1


def test_who_may_plan_and_for_whom(old_fleet, now):
    for username in ("leader.city", "finance.city", "auditor.city", "fleet_manager.city"):
        with pytest.raises(NotAllowed):
            plan(old_fleet, username, now)
    district = world.actor(old_fleet, "dispatcher.xihu").org_id
    assert plan(old_fleet, OFFICE, now, org_id=district).result["fleet"] == 3
    auditor = world.actor(old_fleet, "auditor.xihu")
    with old_fleet.transaction(auditor) as session:
        assert [run.org_id for run in session.scalars(queries.visible_to(auditor))] == [district]
    other = world.actor(old_fleet, "auditor.binjiang")
    with old_fleet.transaction(other) as session:
        assert session.scalars(queries.visible_to(other)).all() == []
    for statement in ("UPDATE renewal_run SET gap = 0", "DELETE FROM renewal_run"):
        with (
            pytest.raises((IntegrityError, ProgrammingError)),
            old_fleet.transaction(world.actor(old_fleet, OFFICE)) as session,
        ):
            session.execute(text(statement))


def test_the_pages_and_the_api(old_fleet, browse, api):
    client = browse(OFFICE)
    page = client.get("/renewal").get_data(as_text=True)
    assert '<svg class="renewal-chart"' in page
    org_id = world.actor(old_fleet, OFFICE).org_id
    form = {"org_id": org_id, "years": "3", "budget_wan": "200", "stock_percent": "40", "bought_percent": "30"}
    assert client.submit("/renewal", **(form | {"years": "99"})).status_code == 422
    made = client.submit("/renewal", charging_places="", **form)
    assert made.status_code == 302
    shown = client.get(made.headers["Location"]).get_data(as_text=True)
    assert "浙A10001" in shown
    assert browse("leader.city").get(made.headers["Location"]).status_code == 200
    assert browse("leader.city").submit("/renewal", **form).status_code == 403
    assert browse("auditor.binjiang").get(made.headers["Location"]).status_code == 404
    assert browse("driver.xhedu").get("/renewal").status_code == 403
    path = api("auditor.city")("GET", "/renewal/path").json
    assert path[-1]["stock"] == 6
    assert path[-1]["stock_nev"] == 2
    body = {"org_id": org_id, "budget": "2000000", "stock_share": "0.4", "bought_share": "0.3"}
    run = api(OFFICE)("POST", "/renewal/plans", json=body)
    assert run.status_code == 201, run.json
    assert api("finance.city")("GET", f"/renewal/plans/{run.json['id']}").json["result"]["fleet"] == 6
    assert api("finance.city")("POST", "/renewal/plans", json=body).status_code == 403
