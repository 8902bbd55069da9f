"""Live positions by scope, playback with a logged purpose, uploads, terminals."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from fleetapp.kit.actor import SYSTEM
from fleetapp.tracking import bridge
from fleetapp.tracking.rules import LiveState, live_state
from fleetapp.vehicles.models import Vehicle
from telematics.model import Fix
from telematics.packed import unpack


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


def test_a_restricted_vehicle_has_no_track(api, heard, database):
    with database.transaction(SYSTEM) as session:
        session.scalars(select(Vehicle).where(Vehicle.plate == "浙A10001")).one().secrecy = "restricted"
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
        assert sum(unpack(rest)[11] == "gpx" for rest in session.scalars(text("SELECT rest FROM gps_fix"))) == 2


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


def as_role(database, role, query):
    with database.transaction(SYSTEM) as session:
        session.execute(text(f"SET LOCAL ROLE {role}"))
        found = session.execute(text(query))
        rows = found.all() if found.returns_rows else []
        session.execute(text("SET LOCAL ROLE fleet_app"))
    return rows


FORWARDED = "SELECT plate, colour FROM gps_upstream_vehicles()"


def test_only_normal_vehicles_in_use_go_to_a_superior_platform(database):
    before = dict(as_role(database, "fleet_gateway", FORWARDED))
    assert {"浙A10001", "浙A10005"} <= set(before)
    for secrecy in ("restricted", "secret"):
        with database.transaction(SYSTEM) as session:
            session.scalars(select(Vehicle).where(Vehicle.plate == "浙A10001")).one().secrecy = secrecy
        assert set(before) - set(dict(as_role(database, "fleet_gateway", FORWARDED))) == {"浙A10001"}


@pytest.mark.parametrize(
    ("energy", "seats", "colour"), [("bev", 5, 5), ("hev", 5, 1), ("diesel", 10, 2), ("phev", 20, 5)]
)
def test_colour_of_a_plate_follows_from_energy_and_seats(database, energy, seats, colour):
    with database.transaction(SYSTEM) as session:
        vehicle = session.scalars(select(Vehicle).where(Vehicle.plate == "浙A10001")).one()
        vehicle.energy, vehicle.seats = energy, seats
    assert dict(as_role(database, "fleet_gateway", FORWARDED))["浙A10001"] == colour


def test_application_may_not_ask_what_is_forwarded_nor_read_the_queue(database):
    for query in (
        FORWARDED,
        "SELECT * FROM gps_upstream_queue",
        "DELETE FROM gps_upstream",
        "SELECT * FROM gps_upstream_sent",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"):
            as_role(database, "fleet_app", query)


def test_uploaded_positions_are_queued_for_every_superior_platform(database, now):
    for name in ("province", "city"):
        as_role(database, "NONE", f"INSERT INTO gps_upstream (name, since) VALUES ('{name}', '2026-11-18 09:00+08')")
    with database.transaction(SYSTEM) as session:
        terminal = session.scalar(text("SELECT id FROM gps_terminal WHERE phone = '13900000001'"))
        good = Fix(at=now - timedelta(minutes=9), lat=30.26, lon=120.12)
        fixes = [
            good,
            replace(good, mock=True, lat=30.27),
            replace(good, lat=95.0),
            replace(good, at=now + timedelta(hours=1)),
        ]
        for _ in range(2):  # the second time nothing is new
            bridge.save_fixes(session, fixes=[(terminal, fix) for fix in fixes], now=now, peer="test")
    queued = as_role(
        database, "NONE", "SELECT u.name, q.at FROM gps_upstream_queue q JOIN gps_upstream u ON u.id = q.upstream_id"
    )
    assert sorted(queued) == [("city", good.at), ("province", good.at)]
