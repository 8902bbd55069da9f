"""Live positions by scope, playback with a logged purpose, uploads, terminals."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text

from fleetapp.kit.actor import SYSTEM
from fleetapp.tracking import bridge
from fleetapp.tracking.rules import LiveState, live_state
from fleetapp.vehicles.models import Vehicle
from telematics.model import Fix


@pytest.fixture
def heard(database, now):
    """Positions of a vehicle of Xihu (moving) and one of Binjiang (parked)."""
    with database.transaction(SYSTEM) as session:
        ids = dict(session.execute(text("SELECT phone, id FROM gps_terminal")).all())
        fixes = [
            (
                ids["13900000001"],
                Fix(at=now - timedelta(seconds=30 * k), lat=30.26 + k / 1000, lon=120.12, speed_kmh=42.0, acc=True),
            )
            for k in range(5)
        ]
        fixes.append(
            (ids["13900000005"], Fix(at=now - timedelta(minutes=2), lat=30.20, lon=120.20, speed_kmh=0.0, acc=False))
        )
        bridge.save_fixes(session, fixes=fixes, now=now, peer="test")


@pytest.fixture(autouse=True)
def at_nine(now):
    with time_machine.travel(now, tick=False):
        yield


def vehicle_id(database, plate="浙A10001"):
    with database.transaction(SYSTEM) as session:
        return session.scalar(select(Vehicle.id).where(Vehicle.plate == plate))


@pytest.mark.parametrize(
    ("silent_min", "speed_kmh", "state"),
    [(0, 42, LiveState.MOVING), (0, 4.9, LiveState.PARKED), (4, 42, LiveState.PARKED), (30, 42, LiveState.PARKED), (31, 0, LiveState.OFFLINE)],
)  # fmt: skip
def test_a_last_position_says_moving_parked_or_offline(now, silent_min, speed_kmh, state):
    at = now - timedelta(minutes=silent_min)
    assert live_state(at=at, received_at=at, speed_kmh=speed_kmh, now=now) == state


def test_everybody_sees_the_cars_of_their_own_sub_tree(api, heard):
    def plates(username):
        return {row["plate"] for row in api(username)("GET", "/positions").json["positions"]}

    assert plates("dispatcher.city") == {"浙A10001", "浙A10005"}
    assert plates("dispatcher.xihu") == {"浙A10001"}
    assert plates("auditor.binjiang") == {"浙A10005"}
    assert api("applicant.xhedu")("GET", "/positions").status_code == 403


def test_only_what_came_in_since_then_is_sent_again(api, heard, now):
    call = api("dispatcher.city")
    first = call("GET", "/positions").json
    assert {row["state"] for row in first["positions"]} == {"moving", "parked"}
    later = (now + timedelta(seconds=1)).isoformat()
    assert call("GET", "/positions", query_string={"since": later}).json["positions"] == []


def test_a_restricted_vehicle_is_on_no_map(api, heard, database):
    with database.transaction(SYSTEM) as session:
        session.scalars(select(Vehicle).where(Vehicle.plate == "浙A10001")).one().secrecy = "restricted"
    assert {row["plate"] for row in api("dispatcher.city")("GET", "/positions").json["positions"]} == {"浙A10005"}
    window = {"start": "2026-11-18T00:00:00+08:00", "end": "2026-11-19T00:00:00+08:00", "purpose": "核实线索"}
    assert api("auditor.city")("GET", f"/vehicles/{vehicle_id(database)}/track", query_string=window).status_code == 404


def test_reading_a_track_needs_a_purpose_and_is_logged(api, heard, database):
    call = api("auditor.city")
    window = {"start": "2026-11-18T00:00:00+08:00", "end": "2026-11-19T00:00:00+08:00"}
    path = f"/vehicles/{vehicle_id(database)}/track"
    assert call("GET", path, query_string=window).status_code == 422
    fixes = call("GET", path, query_string={**window, "purpose": "核实 11 月 18 日行程"}).json
    assert len(fixes) == 5
    with database.transaction(SYSTEM) as session:
        entry = session.execute(
            text("SELECT data FROM audit_entry WHERE action = 'tracking.viewed' ORDER BY seq DESC LIMIT 1")
        ).scalar()
    assert entry["purpose"] == "核实 11 月 18 日行程"
    assert entry["fixes"] == 5
    assert api("auditor.binjiang")("GET", path, query_string={**window, "purpose": "核实"}).status_code == 404


GPX = """<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="30.2600" lon="120.1300"><time>2026-11-17T01:00:00Z</time></trkpt>
<trkpt lat="30.2610" lon="120.1310"><time>2026-11-17T01:00:30Z</time></trkpt>
{extra}</trkseg></trk></gpx>"""


def upload(client, vehicle, body, name="drive.gpx"):
    from io import BytesIO

    return client.post(
        "/tracking/upload",
        data={"csrf_token": client.csrf, "vehicle_id": vehicle, "file": (BytesIO(body.encode()), name)},
    )


def test_an_uploaded_gpx_is_stored_once(browse, database):
    client = browse("fleet_manager.xihu")
    vehicle = vehicle_id(database)
    assert "新入库 2 点" in upload(client, vehicle, GPX.format(extra="")).get_data(as_text=True)
    assert "新入库 0 点，已存在 2 点" in upload(client, vehicle, GPX.format(extra="")).get_data(as_text=True)
    with database.transaction(SYSTEM) as session:
        assert session.scalar(text("SELECT count(*) FROM gps_fix WHERE source = 'gpx'")) == 2


def test_points_without_time_are_listed_and_a_file_without_any_is_refused(browse, database):
    client = browse("fleet_manager.xihu")
    vehicle = vehicle_id(database)
    page = upload(client, vehicle, GPX.format(extra='<trkpt lat="30.27" lon="120.13"/>')).get_data(as_text=True)
    assert "拒收 1 点" in page
    assert "no_time" in page
    nothing = '<gpx version="1.1" creator="t"><trk><trkseg><trkpt lat="30" lon="120"/></trkseg></trk></gpx>'
    assert upload(client, vehicle, nothing).status_code == 422
    assert upload(client, vehicle, "hello").status_code == 422
    assert upload(client, vehicle_id(database, "浙A10005"), GPX.format(extra="")).status_code == 404


def test_a_phone_gets_its_token_once_and_only_its_hash_is_kept(api, database):
    call = api("fleet_manager.xihu")
    made = call("POST", "/terminals", json={"phone": "phone-17", "kind": "phone"})
    assert made.status_code == 201, made.json
    assert len(made.json["token"]) >= 20
    with database.transaction(SYSTEM) as session:
        kept = session.execute(text("SELECT token_sha256 FROM gps_terminal WHERE phone = 'phone-17'")).scalar()
    assert kept != made.json["token"]
    assert call("POST", "/terminals", json={"phone": "phone-17", "kind": "phone"}).status_code == 409
    assert api("dispatcher.city")("POST", "/terminals", json={"phone": "x123"}).status_code == 403


def test_the_pages_open(browse, heard, database):
    client = browse("fleet_manager.xihu")
    for path in ("/live", "/terminals", "/tracking/upload", f"/vehicles/{vehicle_id(database)}/track"):
        assert client.get(path).status_code == 200, path
    assert client.get("/map/roads.json").json["features"]
    assert browse("applicant.xhedu").get("/live").status_code == 403
