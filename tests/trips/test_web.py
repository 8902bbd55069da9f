"""Pages and API of trips: by scope, by role, with filters; a track is never read silently."""

import pytest
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.trips import jobs
from tests.trips.conftest import ORDERED, STRAY


@pytest.fixture
def derived(furnished, journey, stray, now):
    jobs.derive(furnished, now)
    return journey[0]


def reads(database):
    with database.transaction(SYSTEM) as session:
        return session.scalar(text("SELECT count(*) FROM audit_entry WHERE action = 'tracking.viewed'"))


def test_lists_are_narrowed_by_scope_and_filters(derived, api):
    period = "start_on=2026-11-17&end_on=2026-11-17"
    auditor = api("auditor.city")
    everything = auditor("GET", f"/trips?{period}").json
    assert {trip["plate"] for trip in everything} == {ORDERED, STRAY}
    assert auditor("GET", f"/trips?{period}").headers["X-Total-Count"] == str(len(everything))
    unmatched = auditor("GET", f"/trips?{period}&kind=unmatched").json
    assert {trip["plate"] for trip in unmatched} == {STRAY}
    assert {trip["plate"] for trip in auditor("GET", f"/trips?{period}&plate=a10001").json} == {ORDERED}
    assert auditor("GET", "/trips?start_on=2026-11-16&end_on=2026-11-16").json == []
    assert api("auditor.binjiang")("GET", f"/trips?{period}").json == []
    assert api("applicant.xhedu")("GET", "/trips").status_code == 403
    assert auditor("GET", "/trips?kind=odd").status_code == 422


def test_reading_one_trip_or_its_gpx_is_logged_and_refused_outside(derived, api, database):
    auditor = api("auditor.city")
    trip = auditor("GET", "/trips?start_on=2026-11-17&end_on=2026-11-17&plate=A10001").json[0]
    before = reads(database)
    one = auditor("GET", f"/trips/{trip['id']}?purpose=专项审计").json
    assert one["id"] == trip["id"]
    gpx = auditor("GET", f"/trips/{trip['id']}.gpx?purpose=专项审计")
    assert (gpx.status_code, gpx.mimetype) == (200, "application/gpx+xml")
    assert gpx.data.count(b"<trkpt") > 20
    assert reads(database) == before + 2
    assert "专项审计" in gpx.get_data(as_text=True), "the file says who took it and why"
    assert auditor("GET", f"/trips/{trip['id']}.gpx").status_code == 422, "a track leaves with a stated purpose only"
    for path in (f"/trips/{trip['id']}", f"/trips/{trip['id']}.gpx?purpose=专项审计"):
        assert api("auditor.binjiang")("GET", path).status_code == 404
    assert reads(database) == before + 2


def test_the_page_shows_the_reckoning_and_the_way_to_the_order(derived, browse, api):
    trip = api("auditor.city")("GET", "/trips?start_on=2026-11-17&end_on=2026-11-17&plate=A10001").json[0]
    client = browse("auditor.city")
    page = client.get(f"/trips/{trip['id']}").get_data(as_text=True)
    assert derived in page
    assert "data-features=" in page
    listing = client.get("/trips?start_on=2026-11-17&end_on=2026-11-17").get_data(as_text=True)
    assert f"/trips/{trip['id']}" in listing
    assert client.get("/trips/999999").status_code == 404
    assert browse("driver.xhedu").get("/trips").status_code == 403
