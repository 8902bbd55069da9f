"""What a new figure would change: counted before it is saved, the same as what is there afterwards, and without a trace."""

import tomllib
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text

from fleetapp import wiring
from fleetapp.accounts.queries import get_org_by_code
from fleetapp.acquisitions import service as acquisitions
from fleetapp.acquisitions.rules import IndicatorKind, Step
from fleetapp.audit.models import AuditEntry
from fleetapp.findings import rules as finding_rules
from fleetapp.findings.models import Finding
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.orders.models import TravelOrder
from fleetapp.policies import preview, queries, service
from fleetapp.policies.models import PolicyValue
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, Category, Energy
from tests import world
from tests.policies.conftest import CITY, DISTRICT

AGES = {"浙A10001": date(2016, 1, 1), "浙AD00002": date(2018, 1, 1), "浙A10003": date(2016, 6, 1), "浙A10004": date(2005, 1, 1),
        "浙A10005": date(2017, 6, 1)}  # fmt: skip


@pytest.fixture
def business(database, loaded, now):
    """Old cars, an application under way, orders and clues; returns ids by what they are."""
    ids = {}
    with database.transaction(SYSTEM) as session:
        for plate, on in AGES.items():
            car = session.scalars(select(Vehicle).where(Vehicle.plate == plate)).one()
            car.registered_on = on
            ids[plate] = car.id
        unit = get_org_by_code(session, code="330106-EDU")
        applicant = world.actor(database, "applicant.xhedu").user_id
        for minutes in (40, 50, 90):
            start_at = now + timedelta(minutes=minutes)
            session.add(TravelOrder(
                org_id=unit.id, number=f"YC-{minutes}", kind="ordinary", purpose="meeting", reason="会议", applicant_id=applicant, passengers="甲",
                passenger_count=1, contact="", body="sedan", start_at=start_at, end_at=start_at + timedelta(hours=1), state="SUBMITTED",
                supplementary=False, created_at=now,
            ))  # fmt: skip
        for number, (rule, facts) in enumerate([
            ("A-01", {"distance_m": 3000.0}), ("A-01", {"distance_m": 800.0}), ("A-01", {"distance_m": 400.0, "from_m": 10, "farthest_m": 70}),
            ("A-03", {"late_min": 75}), ("B-01", {"distance_m": 1500.0}), ("E-01", {"distance_m": 600.0, "farthest_m": 90}),
        ]):  # fmt: skip
            session.add(Finding(
                org_id=unit.id, number=f"XS-{number}", dedupe_key=f"k{number}", rule=rule, rule_version="1", vehicle_id=ids["浙A10001"],
                start_at=now - timedelta(days=3), end_at=now - timedelta(days=3, hours=-1), severity="orange", state="DETECTED", confidence=1.0,
                facts=facts, params={}, evidence_for=[], evidence_against=[], detected_at=now, due_at=now,
            ))  # fmt: skip
    applying = world.actor(database, "unit_admin.xhedu")
    wish = {"category": Category.YJBZ, "body": Body.SEDAN, "energy": Energy.BEV, "step": Step.NORMAL, "justification": "车况老旧",
            "fiscal_year": 2026}  # fmt: skip
    with database.transaction(applying) as session:
        ids["new"] = acquisitions.apply(
            session, kind=IndicatorKind.NEW, max_price=Decimal(175000), **wish, actor=applying, now=now
        ).id
        ids["petrol"] = acquisitions.apply(
            session, kind=IndicatorKind.NEW, max_price=Decimal(90000), max_displacement_ml=1598, fuel_reason="山区",
            **wish | {"energy": Energy.PETROL}, actor=applying, now=now,
        ).id  # fmt: skip
        ids["renewal"] = acquisitions.apply(session, kind=IndicatorKind.RENEWAL, max_price=Decimal(150000), old_vehicle_id=ids["浙AD00002"],
                                            **wish, actor=applying, now=now).id  # fmt: skip
    return ids


@pytest.fixture
def look(database, acting, row, now):
    """Preview a row as somebody."""

    def do(who=CITY, /, *args, **given):
        wanted, me = row(*args, **given), acting(who)
        with database.transaction(me) as session:
            return preview.preview(session, **wanted | {"scope": service.Scope(wanted["scope"])}, actor=me, now=now)

    return do


@pytest.fixture
def counted(database, acting, now):
    """Count anew what a code catches on the first day of a row."""

    def do(who, code, on=date(2026, 12, 1)):
        me = acting(who)
        with database.transaction(me) as session:
            return preview.measures(session, code=code, on=on, actor=me, now=now)

    return do


CHANGES = [
    # code, value, unit, what comes and what goes by measure
    ("renewal.min_years", "10", "year", [((), ("浙AD00002", "浙A10005")), (("renewal",), ())]),
    ("renewal.min_years", "11", "year", [((), ("浙A10001", "浙A10003", "浙A10005", "浙AD00002")), (("renewal",), ())]),
    ("cap.nev_sedan.price_cny", "160000", "CNY", [(("new",), ())]),
    ("cap.YJBZ.normal.displacement_ml", "1500", "mL", [(("petrol",), ())]),
    ("cap.YJBZ.normal.seats", "1", "seat", [(("new", "petrol", "renewal"), ())]),
    ("nev.acquisition_share", "0.60", "share", [((), ())]),
    ("idle.max_trips", "6", "count", [((), ())]),
    ("scrap.minibus.max_years", "18", "year", [((), ())]),
    ("order.lead_min", "60", "min", [(2, 0)]),
    ("order.lead_min", "45", "min", [(1, 0)]),
    ("A-01.min_km", "0.4", "km", [(0, 0)]),
    ("match.matched", "0.7", "share", []),
    ("insurance.compulsory.limit_cny", "200000", "CNY", []),
]


@pytest.mark.parametrize(("code", "value", "unit", "expected"), CHANGES)
@pytest.mark.parametrize("org", [None, "330106"])
def test_a_preview_is_what_is_counted_after_saving(business, look, enter, counted, org, code, value, unit, expected):
    if code.startswith("insurance"):
        org, place = None, {"scope": "national"}
    else:
        place = {}
    who = DISTRICT if org else CITY
    before = counted(who, code)
    found = look(who, code, value, unit, org, **place)
    assert counted(who, code) == before
    enter(who, code, value, unit, org, **place)
    after = counted(who, code)
    assert [change.before for change in found.changes] == [len(one.orgs) for one in before]
    assert [change.after for change in found.changes] == [len(one.orgs) for one in after]
    for change, was, becomes in zip(found.changes, before, after, strict=True):
        assert set(change.gained) == becomes.orgs.keys() - was.orgs.keys()
        assert set(change.lost) == was.orgs.keys() - becomes.orgs.keys()
        in_units = sum(unit.after - unit.before for unit in change.units)
        assert in_units == change.after - change.before
    if org is None:
        for change, (gained, lost) in zip(found.changes, expected, strict=True):
            if isinstance(gained, int):
                assert (len(change.gained), len(change.lost)) == (gained, lost)
            else:
                assert set(change.gained) == {business[name] for name in gained}
                assert set(change.lost) == {business[name] for name in lost}


@pytest.mark.parametrize(
    ("code", "value", "unit", "lost"),
    [("A-01.min_km", "1", "km", 1), ("A-01.min_km", "5", "km", 2), ("A-03.late_min", "90", "min", 1), ("B-01.min_km", "2", "km", 1), ("E-01.buffer_m", "100", "m", 1)],
)  # fmt: skip
def test_a_looser_threshold_tells_how_many_clues_would_not_have_been_raised(
    business, look, enter, counted, code, value, unit, lost
):
    found = look(CITY, code, value, unit)
    [change] = found.changes
    assert (change.gained, len(change.lost), change.measure.blind) == ((), lost, True)
    enter(CITY, code, value, unit)
    assert len(counted(CITY, code)[0].orgs) == change.after


def test_a_preview_names_units_and_leaves_no_trace(business, look, database, org_ids):
    def trace():
        with database.transaction(SYSTEM) as session:
            return (session.scalar(select(func.count()).select_from(PolicyValue)), session.scalar(select(func.count()).select_from(AuditEntry)),
                    session.execute(text("SELECT id, valid_to FROM policy_value WHERE code LIKE 'renewal%'")).all())  # fmt: skip

    before = trace()
    found = look(DISTRICT, "renewal.min_years", "11", "year", "330106")
    assert trace() == before
    assert [(unit.org.code, unit.before, unit.after) for unit in found.changes[0].units] == [
        ("330106-EDU", 2, 0), ("330106-HEALTH", 1, 0),
    ]  # fmt: skip
    assert (found.row.value, found.replaces, found.above.value, found.on) == (11, None, 8, date(2026, 12, 1))
    whole = look(CITY, "order.lead_min", "60", "min")
    assert (whole.replaces.value, whole.replaces.source[:5]) == (30, "各地公务用")


def test_a_preview_tells_what_stands_in_the_scopes_below(business, look, enter, database, browse, row):
    enter(DISTRICT, "renewal.min_years", "10", "year", "330106")
    enter(CITY, "renewal.min_years", "6", "year", "330106-EDU", may_relax=True)
    found = look(CITY, "renewal.min_years", "11", "year")
    assert [(one.row.org.code, one.row.value, one.before, one.after) for one in found.below] == [
        ("330106", 10, 10, 11), ("330106-EDU", 6, 6, 6),
    ]  # fmt: skip
    assert [one.row.org.code for one in look(DISTRICT, "renewal.min_years", "12", "year", "330106", valid_from=date(2026, 12, 5)).below] == [
        "330106-EDU"
    ]  # fmt: skip
    form = {
        key: str(value)
        for key, value in row("renewal.min_years", "11", "year").items()
        if value is not None and key != "code"
    }
    page = browse(CITY).submit("/policies/renewal.min_years/new", **form).get_data(as_text=True)
    assert page.count(">改变<") == 1
    enter(CITY, "renewal.min_years", "11", "year")
    with database.transaction(SYSTEM) as session:
        paths = [one.row.org.path for one in found.below]
        assert queries.by_org(session, "renewal.min_years", on=found.on, org_paths=paths) == dict(
            zip(paths, (one.after for one in found.below), strict=True)
        )


def test_a_preview_refuses_what_saving_refuses(business, look):
    with pytest.raises(NotAllowed):
        look(DISTRICT, "renewal.min_years", "9", "year")
    with pytest.raises(RuleBroken, match=r"policies\.looser"):
        look(DISTRICT, "renewal.min_years", "7", "year", "330106")


def test_a_district_counts_its_own_part_only(business, look):
    assert {unit.org.code for unit in look(CITY, "renewal.min_years", "11", "year").changes[0].units} == {
        "330106-EDU", "330106-HEALTH", "330108-WATER",
    }  # fmt: skip
    assert {unit.org.code for unit in look(DISTRICT, "renewal.min_years", "11", "year", "330106").changes[0].units} == {
        "330106-EDU", "330106-HEALTH",
    }  # fmt: skip


def test_the_api_previews_and_a_figure_without_a_count_says_so(business, api, browse, row):
    given = {key: str(value) for key, value in row("renewal.min_years", "10", "year").items() if value is not None}
    found = api(CITY)("POST", "/policies/preview", json=given)
    assert found.status_code == 200, found.get_data(as_text=True)
    [age, young] = found.json["changes"]
    assert (age["effect"], len(age["lost"]), age["gained"]) == ("vehicles.effect_renewable", 2, [])
    assert young["gained"] == [business["renewal"]]
    assert (found.json["replaces"], found.json["above"]["value"]) == (None, "8.0000")
    client = browse(CITY)
    form = {
        key: str(value)
        for key, value in row("match.matched", "0.7", "share").items()
        if value is not None and key != "code"
    }
    assert "不影响在库数据的即时统计" in client.submit("/policies/match.matched/new", **form).get_data(as_text=True)
    page = client.submit(
        "/policies/renewal.min_years/new", **{name: value for name, value in given.items() if name != "code"}
    )
    shown = page.get_data(as_text=True)
    assert "超过更新年限的车辆" in shown
    assert "西湖区教育局" in shown
    assert "减少 2" in shown


def test_every_registered_effect_belongs_to_a_figure_of_the_file():
    codes = tomllib.loads(service.POLICY_FILE.read_text(encoding="utf-8"))
    assert wiring.policy_preview.EFFECTS
    for start in preview.EFFECTS:
        assert any(code.startswith(start) for code in codes), start
    assert set(finding_rules.COMPARES) <= codes.keys()
