"""The catalogue page, replays and records of others: pages with their permissions and refusals."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from fleetapp.accounts.models import Organisation
from fleetapp.findings import external, rerun
from fleetapp.findings.models import Finding
from fleetapp.findings.rule_models import ExternalRecord, RecordKind, RuleRun, VehicleDay
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.trips.models import Trip
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.findings.steps import clues
from tests.findings.test_service import derive_and_scan
from tests.trips.conftest import STRAY


@pytest.fixture
def scanned(furnished, journey, stray, now):
    derive_and_scan(furnished, now)
    return furnished


def count(database, table):
    with database.transaction(SYSTEM) as session:
        return session.scalar(select(func.count()).select_from(table))


def org(session, name):
    return session.scalars(select(Organisation).where(Organisation.path == name)).one()


def test_the_catalogue_shows_figures_with_source_and_what_is_not_active(scanned, browse):
    page = browse("auditor.city").get("/supervision/rulebook").get_data(as_text=True)
    assert "A-01.min_km" in page
    assert "D-02" in page
    assert "钥匙柜记录" in page
    assert "本系统缺省值" in page
    assert browse("driver.xhedu").get("/supervision/rulebook").status_code == 403


def test_a_replay_shows_the_difference_and_touches_no_clue(scanned, now, browse):
    before = count(scanned, Finding)
    today = clock.local_date(now)
    who = world.actor(scanned, "auditor.city")
    with scanned.transaction(who) as session:
        top = org(session, "/1/")
        run = rerun.run(session, org=top, start_on=today - timedelta(days=2), end_on=today, changes={"A-01.min_km": 900.0, "A-01.leave_buffer_m": 900_000.0},
                        only=["A-01"], actor=who, now=now)  # fmt: skip
        run_id, result = run.id, run.result
    assert result["by_rule"]["A-01"] == {"before": 1, "after": 0}
    assert result["counts"] == {"new": 0, "gone": 1, "recoloured": 0}
    assert result["gone"][0]["plate"] == STRAY
    assert count(scanned, Finding) == before
    page = browse("auditor.city").get(f"/supervision/reruns/{run_id}").get_data(as_text=True)
    assert STRAY in page
    assert browse("auditor.binjiang").get(f"/supervision/reruns/{run_id}").status_code == 404
    assert browse("unit_admin.xhedu").get("/supervision/reruns").status_code == 403


def test_a_replay_of_the_future_of_no_figure_or_elsewhere_is_refused(scanned, now):
    today = clock.local_date(now)
    for given in ({"A-01.no_such": "1"}, {"A-01.min_km": "many"}, {"A-01.min_km": "-1"}):
        with pytest.raises(RuleBroken):
            rerun.check_changes(given)
    who = world.actor(scanned, "auditor.binjiang")
    with scanned.transaction(who) as session, pytest.raises(NotAllowed):
        rerun.run(
            session,
            org=org(session, "/1/"),
            start_on=today - timedelta(days=2),
            end_on=today,
            changes={},
            actor=who,
            now=now,
        )
    city = world.actor(scanned, "auditor.city")
    with scanned.transaction(city) as session, pytest.raises(RuleBroken):
        rerun.run(
            session,
            org=org(session, "/1/"),
            start_on=today,
            end_on=today + timedelta(days=3),
            changes={},
            actor=city,
            now=now,
        )
    assert count(scanned, RuleRun) == 0


def test_days_are_kept_and_made_anew_not_twice(scanned, now):
    kept = count(scanned, VehicleDay)
    assert kept > 0
    derive_and_scan(scanned, now + timedelta(minutes=1))
    assert count(scanned, VehicleDay) == kept


CSV = "plate,at,place,lon,lat\n{plate},{at},湖滨停车场,120.40,30.40\n"


def test_a_record_of_a_car_park_where_the_track_is_not_is_a_clue(scanned, stray, now, browse):
    at = clock.local(now - timedelta(hours=26)).strftime("%Y-%m-%d %H:%M:%S")
    data = CSV.format(plate=STRAY, at=at).encode()
    who = world.actor(scanned, "auditor.city")
    with scanned.transaction(who) as session:
        top = org(session, "/1/")
        first = external.import_records(
            session, org_id=top.id, org_path=top.path, kind=RecordKind.PARKING, data=data, actor=who, now=now
        )
    with scanned.transaction(who) as session:
        again = external.import_records(
            session, org_id=top.id, org_path="/1/", kind=RecordKind.PARKING, data=data, actor=who, now=now
        )
    assert (first, again) == ((1, 0), (0, 1))
    other = world.actor(scanned, "unit_admin.xhedu")
    with scanned.transaction(other) as session, pytest.raises(NotAllowed):
        external.import_records(
            session, org_id=top.id, org_path="/1/", kind=RecordKind.TOLL, data=data, actor=other, now=now
        )
    page = browse("auditor.city").get("/supervision/records").get_data(as_text=True)
    assert "湖滨停车场" in page
    assert 'value="complaint"' in page


def test_a_complaint_where_the_track_was_becomes_a_case_and_one_where_it_was_not_does_not(furnished, stray, now):
    """Only plate, time and place of it are taken."""
    derive_and_scan(furnished, now)
    with furnished.transaction(SYSTEM) as session:
        end = func.ST_EndPoint(Trip.path)
        query = select(Trip.end_at, func.ST_Y(end), func.ST_X(end)).join(Trip.vehicle).where(Vehicle.plate == STRAY)
        at, lat, lon = session.execute(query.order_by(Trip.id.desc()).limit(1)).one()
    rows = [f"{STRAY},{at.isoformat()},西湖边,{lon},{lat}", f"{STRAY},{at.isoformat()},别处,{lon + 0.1},{lat}"]
    who = world.actor(furnished, "auditor.city")
    with furnished.transaction(who) as session:
        top = org(session, "/1/")
        external.import_records(session, org_id=top.id, org_path="/1/", kind=RecordKind.COMPLAINT, actor=who, now=now,
                                data="\n".join(["plate,at,place,lon,lat", *rows]).encode())  # fmt: skip
    derive_and_scan(furnished, now + timedelta(minutes=5))
    told = [one for one in clues(furnished) if one.rule == "J-09"]
    assert [(one.severity, one.facts["end_place"]) for one in told] == [("orange", "西湖边")]


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", CSV.format(plate="浙A1", at="yesterday"), CSV.format(plate="", at="2026-11-01 08:00:00")]
)
def test_a_file_that_is_not_understood_is_refused_whole(furnished, now, text):
    who = world.actor(furnished, "auditor.city")
    with furnished.transaction(who) as session, pytest.raises(RuleBroken):
        external.import_records(
            session, org_id=1, org_path="/1/", kind=RecordKind.TOLL, data=text.encode(), actor=who, now=now
        )
    assert count(furnished, ExternalRecord) == 0
