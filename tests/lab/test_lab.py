"""Studies over a hand-made history: the smallest fleet is known, sharing and pooling never cost more, the same seed says the same."""

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import openpyxl
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

import dispatch
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.lab import bridge, service, words
from fleetapp.lab.bridge import Day
from fleetapp.lab.models import LabStudy
from fleetapp.lab.rules import StudyKind
from fleetapp.orders.models import OrderStop, TravelOrder
from tests import world

OFFICE = "vehicle_office.city"
FIRST = date(2026, 11, 9)
HOURS = ((8, 10), (8, 10), (9, 11), (14, 16))
"""Of Xihu's four sedans a day three overlap: three vehicles serve all, two serve three of four."""
PLACES = ((120.1260, 30.2640), (120.1290, 30.2300))


@pytest.fixture
def past(database):
    """Four working days of Xihu with four sedans each, one order a day of Binjiang that its own suv cannot serve."""
    people = {unit: world.actor(database, f"applicant.{unit}") for unit in ("xhedu", "bjwater")}
    with database.transaction(SYSTEM) as session:
        for day in range(4):
            for number, (start_h, end_h) in enumerate((*HOURS, (8, 10))):
                unit = "bjwater" if number == len(HOURS) else "xhedu"
                start = clock.start_of(FIRST + timedelta(days=day)) + timedelta(hours=start_h)
                order = TravelOrder(
                    org_id=people[unit].org_id, number=f"YC-{day}-{number}", kind="ordinary", purpose="meeting", reason="开会",
                    applicant_id=people[unit].user_id, passengers="同事", passenger_count=2, contact="0571-85000000", body="sedan", start_at=start,
                    end_at=start + timedelta(hours=end_h - start_h), state="SUBMITTED", supplementary=False, created_at=start - timedelta(days=1),
                )  # fmt: skip
                session.add(order)
                session.flush()
                for position, (lon, lat) in enumerate(PLACES):
                    session.add(OrderStop(order_id=order.id, position=position, name=f"地点{position}", point=f"SRID=4326;POINT({lon} {lat})",
                                          tolerance_m=300))  # fmt: skip
                session.flush()
                order.state = "RETURNED"
    return database


def study(database, kind, now, username=OFFICE, **given):
    """Ask for a study and make it; returns it as it came out."""
    actor = world.actor(database, username)
    usual = {"org_id": actor.org_id, "start_on": FIRST, "end_on": FIRST + timedelta(days=6), "days": 4, "seed": 1, "share": Decimal("0.98"),
             "years": 3, "budget": Decimal(2_000_000), "bought_share": Decimal("0.3")}  # fmt: skip
    with database.transaction(actor) as session:
        asked = service.ask(session, kind=kind, **(usual | given), actor=actor, now=now)
    assert service.work(database, now=now) == 1
    with database.transaction(actor) as session:
        return service.get_study(session, study_id=asked.id, actor=actor)


def test_the_smallest_fleet_of_a_known_history(past, now):
    made = study(past, StudyKind.RIGHT_SIZE, now)
    assert made.state == "DONE", made.failure
    rows = {(row["group"]["zh"], row["group"]["body"]): row for row in made.result["rows"]}
    assert {key: (row["now"], row["need"], row["low"], row["high"]) for key, row in rows.items()} == {
        ("西湖区", "sedan"): (2, 3, 3, 3), ("滨江区", "sedan"): (0, 1, 1, 1),
    }  # fmt: skip
    assert rows["西湖区", "sedan"]["share_now"] == pytest.approx(3 / 4)
    assert made.result["curve"]["shares"] == pytest.approx([0.0, 0.5, 0.75, 1.0])
    assert made.result["days"] == [f"2026-11-{day:02}" for day in (9, 10, 11, 12)]
    again = study(past, StudyKind.RIGHT_SIZE, now)
    assert (again.result, again.digest) == (made.result, made.digest)
    lower = study(past, StudyKind.RIGHT_SIZE, now, share=Decimal("0.75"))
    assert lower.result["facts"]["need"] == 2 + 1
    assert lower.digest != made.digest
    assert "还缺 2 辆" in words.conclusion(made)


def test_sharing_and_pooling_never_cost_more(past, now):
    shared = study(past, StudyKind.SHARING, now)
    assert shared.state == "DONE", shared.failure
    without, with_it = shared.result["rows"]
    assert with_it["cost"] < without["cost"], "the city's hybrid is free while Xihu and Binjiang lack a sedan"
    assert with_it["served"] > without["served"]
    assert all(day["with"] <= day["without"] for day in shared.result["per_day"])
    pooled = study(past, StudyKind.POOLING, now)
    assert all(day["with"] <= day["without"] for day in pooled.result["per_day"])
    assert "一年约" in words.conclusion(shared)
    xihu = world.actor(past, "dispatcher.xihu").org_id
    alone = study(past, StudyKind.SHARING, now, org_id=xihu)
    assert (alone.state, alone.failure["code"]) == ("FAILED", "lab.one_pool")


def test_rent_or_own_and_the_path_to_new_energy(past, now):
    rent = study(past, StudyKind.RENT, now)
    row = next(row for row in rent.result["rows"] if row["group"]["zh"] == "西湖区")
    assert Decimal(row["cost_best"]) <= min(Decimal(row["cost_now"]), Decimal(row["cost_rent"]))
    assert row["best"] == 3, "each of three cars drives every day"
    assert rent.result["facts"]["own_year"] == pytest.approx(150_000 / 8 + 5_000)
    nev = study(past, StudyKind.NEV, now)
    assert [Decimal(row["budget"]) for row in nev.result["rows"]] == [1_000_000, 2_000_000, 3_000_000]
    assert [len(row["path"]) for row in nev.result["rows"]] == [4, 4, 4]
    assert nev.asked["figures"]["plan.stock_share"]["value"] == "0.4"


def test_a_plan_under_narrower_rules_stands_where_it_is_cheaper(now):
    places = (dispatch.Place("yard", 30.26, 120.12), dispatch.Place("there", 30.23, 120.13))
    request = dispatch.Request(id="1", stops=(dispatch.Stop("yard"), dispatch.Stop("there"), dispatch.Stop("yard")), earliest_s=3600, latest_s=3600,
                               duration_s=7200, passengers=2, vehicle_class="sedan", purpose="meeting", owner_org="a")  # fmt: skip
    car = dispatch.Vehicle(
        id="1", yard="yard", owner_org="a", vehicle_class="sedan", seats=4, available=(dispatch.Span(0, 86_400),)
    )
    instance = dispatch.Instance(
        datetime(2026, 11, 9, tzinfo=UTC), dispatch.estimate_travel(places), (request,), (car,)
    )
    day = Day(instance, dispatch.Params())
    found = bridge.solved(day, seed=1)
    assert (found.served, found.unserved) == (1, 0)
    assert bridge.solved(bridge.with_lending(day, ["a", "b"]), seed=1, known=found.plan).cost_fen <= found.cost_fen
    cheap = dispatch.Plan((), {}, (), 0)
    with pytest.raises(AssertionError, match="breaks"):
        bridge.solved(day, seed=1, known=cheap)


def test_bad_inputs_rights_and_ends(past, now):
    for wrong, code in (
        ({"days": 2}, "sample_size"),
        ({"end_on": date(2027, 1, 1)}, "period_ahead"),
        ({"share": Decimal(2)}, "share"),
    ):
        with pytest.raises(RuleBroken, match=f"lab.{code}"):
            study(past, StudyKind.RIGHT_SIZE, now, **wrong)
    for username in ("leader.city", "finance.city", "dispatcher.city"):
        with pytest.raises(NotAllowed):
            study(past, StudyKind.RIGHT_SIZE, now, username)
    empty = study(past, StudyKind.RIGHT_SIZE, now, start_on=date(2026, 1, 1), end_on=date(2026, 1, 9))
    assert (empty.state, empty.failure["code"]) == ("FAILED", "lab.no_history")
    actor = world.actor(past, OFFICE)
    with past.transaction(actor) as session:
        with pytest.raises(RuleBroken, match=r"lab\.over"):
            service.cancel(session, study_id=empty.id, actor=actor, now=now)
        waits = service.ask(session, kind=StudyKind.NEV, org_id=actor.org_id, start_on=FIRST, end_on=FIRST, days=3, seed=1, share=Decimal(1), years=1,
                            budget=Decimal(1), bought_share=Decimal(0), actor=actor, now=now)  # fmt: skip
        service.cancel(session, study_id=waits.id, actor=actor, now=now)
    assert service.work(past, now=now) == 0
    for statement in (
        "UPDATE lab_study SET state = 'RUNNING', failure = NULL, ended_at = NULL",
        "DELETE FROM lab_study",
    ):
        with pytest.raises((IntegrityError, ProgrammingError)), past.transaction(actor) as session:
            session.execute(text(statement))


def test_a_study_that_is_given_up_stops_at_its_next_step(past, now, monkeypatch):
    actor = world.actor(past, OFFICE)

    def gone(study_id):
        with past.transaction(actor) as session:
            service.cancel(session, study_id=study_id, actor=actor, now=now)

    original = bridge.curve_of_day

    def curve_of_day(*args, **kwargs):
        with past.transaction(SYSTEM) as session:
            running = session.scalar(select(LabStudy.id).where(LabStudy.state == "RUNNING"))
        if running is not None:
            gone(running)
        return original(*args, **kwargs)

    monkeypatch.setattr(bridge, "curve_of_day", curve_of_day)
    given_up = study(past, StudyKind.RIGHT_SIZE, now)
    assert (given_up.state, given_up.result) == ("CANCELLED", None)


def test_pages_report_and_api(past, now, browse, api):
    made = study(past, StudyKind.RIGHT_SIZE, now)
    office, leader = browse(OFFICE), browse("leader.city")
    shown = leader.get(f"/lab/{made.id}").get_data(as_text=True)
    assert made.digest in shown
    assert "2026-11-09" in shown
    assert shown.count("data-chart") == 2
    assert "新的研究" not in leader.get("/lab").get_data(as_text=True)
    report = leader.get(f"/lab/{made.id}/file")
    book = openpyxl.load_workbook(io.BytesIO(report.data))
    assert [sheet.title for sheet in book] == ["假设与来源", "结果", "抽样日"]
    assert [row[4] for row in book["结果"].iter_rows(min_row=2, values_only=True)] == [3, 1]
    form = {
        "kind": "sharing",
        "org_id": made.org_id,
        "start_on": "2026-11-09",
        "end_on": "2026-11-12",
        "days": "3",
        "seed": "1",
        "share_percent": "98",
    }
    assert "应为 3 至 60 天" in office.submit("/lab", **(form | {"days": "1"})).get_data(as_text=True)
    asked = office.submit("/lab", **form)
    assert asked.status_code == 303
    waiting = office.get(asked.headers["Location"]).get_data(as_text=True)
    assert "排队中" in waiting
    assert office.get(f"{asked.headers['Location']}/file").status_code == 404
    assert leader.submit(f"{asked.headers['Location']}/cancel").status_code == 403
    assert office.submit(f"{asked.headers['Location']}/cancel").status_code == 303
    assert browse("auditor.binjiang").get(f"/lab/{made.id}").status_code == 404
    assert browse("driver.xhedu").get("/lab").status_code == 403
    listed = api("auditor.city")("GET", "/lab/studies")
    assert [one["state"] for one in listed.json] == ["CANCELLED", "DONE"]
    body = {"kind": "nev", "org_id": made.org_id, "start_on": "2026-11-09", "end_on": "2026-11-12"}
    assert api("auditor.city")("POST", "/lab/studies", json=body).status_code == 403
    assert api(OFFICE)("POST", "/lab/studies", json=body | {"kind": "magic"}).status_code == 422
    assert api(OFFICE)("POST", "/lab/studies", json=body).status_code == 201
