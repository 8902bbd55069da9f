"""From positions on the wire to the auditor's files: trips matched with orders, clues answered and decided, exports."""

import csv
import io
import shutil
import subprocess
import time
from datetime import datetime, timedelta
from itertools import zip_longest
from urllib.parse import urlencode

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from fleetapp.duty.rules import DutyAction
from fleetapp.findings import jobs as findings_jobs
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.rules import Stop
from fleetapp.places.roads import load_roads
from fleetapp.trips import jobs as trips_jobs
from fleetapp.trips.models import Trip
from fleetapp.vehicles.models import Vehicle
from tests import serving
from tests.walks import steps

MORNING = datetime.fromisoformat("2025-11-19T09:00:00+08:00")
"""A Wednesday."""
EVENING = MORNING + timedelta(hours=12)
OUT, BACK = MORNING - timedelta(minutes=5), MORNING + timedelta(hours=2, minutes=40)
YARD = (120.1260, 30.2640)
EAST = Stop("杭州东站", 30.293549, 120.208203)
SEAT = Stop("西湖区人民政府", 30.261755, 120.125436)
WITH_ORDER, WITHOUT_ORDER, WITHOUT_TERMINAL = "浙A10001", "浙AD00002", "浙A10003"


@pytest.fixture(scope="module")
def day(url, city, logs):
    """A day of two cars through the real gateway: one on its order, one without; returns the order's number."""
    with serving.connected(url) as database:
        serving.furnish(database, MORNING)
    roads = load_roads()
    number, duty_id = steps.dispatched(
        city, start=MORNING, end=MORNING + timedelta(hours=3), stops=[SEAT, EAST], plate=WITH_ORDER
    )
    steps.report(city, duty_id, DutyAction.ACCEPT, MORNING - timedelta(hours=1))
    steps.report(city, duty_id, DutyAction.CHECK_OUT, OUT, odometer_m=10_000_000)
    steps.report(city, duty_id, DutyAction.ARRIVE, MORNING + timedelta(hours=1))
    to_east = steps.driven(
        roads, [YARD, (EAST.lon, EAST.lat), YARD], MORNING, stay=timedelta(minutes=20), odometer_m=10_000_000, seed=1
    )
    assert to_east[-1].at < BACK
    odometer_m = 10_000_000 + round((to_east[-1].odometer_m or 0) - 10_000_000)
    steps.report(city, duty_id, DutyAction.CHECK_IN, BACK, odometer_m=odometer_m)
    stray = steps.driven(roads, [YARD, (120.165, 30.275), YARD], MORNING + timedelta(hours=5), stay=timedelta(minutes=15),
                         odometer_m=5_000_000, seed=2)  # fmt: skip
    with serving.gateway(url, logs) as gateway:
        for fixes, terminal in ((to_east, "13900000001"), (stray, "13900000002")):
            file = steps.as_json_lines(fixes, logs / f"{terminal}.jsonl")
            answered = steps.replayed(url, gateway, file, terminal=terminal)
            assert answered == {"sent": len(fixes), "acknowledged": len(fixes), "resent": 0}
    trips_jobs.derive(city, EVENING)
    findings_jobs.scan(city, EVENING)
    return number


def trips_of(database, plate):
    with database.transaction(SYSTEM) as session:
        found = session.scalars(
            select(Trip)
            .join(Vehicle)
            .where(Vehicle.plate == plate, Trip.superseded_at.is_(None))
            .order_by(Trip.start_at)
        ).all()
        return [
            (trip, list(trip.matches), [part.order.number if part.order else None for part in trip.matches])
            for trip in found
        ]


def test_a_drive_is_matched_with_its_order_and_every_part_of_the_score_is_kept(city, day):
    found = trips_of(city, WITH_ORDER)
    assert found
    for trip, parts, numbers in found:
        assert OUT <= trip.start_at < trip.end_at <= BACK
        assert (numbers, [part.kind for part in parts]) == ([day], ["matched"])
        scores = [getattr(parts[0], f"score_{name}") for name in ("time", "dest", "orig", "driver", "events")]
        assert all(0 <= score <= 1 for score in scores)
        assert trip.best_m == pytest.approx(trip.odometer_m, rel=0.03)


def test_deriving_and_scanning_again_changes_nothing(city, day):
    before = [trip.id for trip, _, _ in trips_of(city, WITH_ORDER)]
    done = trips_jobs.derive(city, EVENING + timedelta(minutes=1))
    assert (done["added"], done["superseded"]) == (0, 0)
    again = findings_jobs.scan(city, EVENING + timedelta(minutes=1))
    assert again.get("raised", 0) == 0
    assert [trip.id for trip, _, _ in trips_of(city, WITH_ORDER)] == before


def test_a_drive_without_order_is_a_clue_that_one_explains_and_another_decides(calls, day, tmp_path):
    admin, auditor = calls("unit_admin.xhedu"), calls("auditor.city")
    open_clues = auditor("GET", "/findings?state=NOTIFIED").json
    [clue] = [row for row in open_clues if row["rule"] == "A-01"]
    assert clue["number"].startswith("XS20251119-")
    path = f"/findings/{clue['id']}"
    detail = auditor("GET", path).json
    assert detail["evidence_for"]
    assert detail["evidence_against"]

    decision = {"outcome": "PROCEDURAL", "note": "补办手续，提醒单位"}
    case, manager = f"/cases/{clue['case_id']}", calls("fleet_manager.xihu")
    auditor("POST", f"{case}/review", decision, status=403)
    calls("driver.xhedu")("POST", f"{case}/explain", {"text": "与本人无关"}, status=404)
    explained = admin("POST", f"{case}/explain", {"text": "临时送材料，未及时申请"}).json
    assert explained["state"] == "EXPLAINED"
    opinion = {"text": "已核对，情况属实", "agrees": True}
    admin("POST", f"{case}/verify", opinion, status=403)
    auditor("POST", f"{case}/review", decision, status=403)
    assert manager("POST", f"{case}/verify", opinion).json["state"] == "UNIT_VERIFIED"
    admin("POST", f"{case}/review", decision, status=403)
    assert auditor("POST", f"{case}/review", decision).json["state"] == "PROCEDURAL"

    asked = {"start_on": "2025-11-19", "end_on": "2025-11-19", "reason": "年度专项审计", "format": "csv"}
    exported = auditor("POST", "/exports/compliance", asked).body.decode("utf-8-sig")
    clues = [row["疑似线索"] for row in csv.DictReader(io.StringIO(exported)) if row["车牌号"] == WITHOUT_ORDER]
    assert any("A-01" in clue_words and "程序" in clue_words for clue_words in clues)

    pdf = auditor("POST", f"{path}/case-file", {"reason": "年度专项审计"})
    assert pdf.headers["Content-Type"] == "application/pdf"
    if shutil.which("pdftotext"):
        file = tmp_path / "case.pdf"
        file.write_bytes(pdf.body)
        text = subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, text=True, check=True).stdout
        for word in (clue["number"], "疑似", WITHOUT_ORDER, "临时送材料，未及时申请"):
            assert word in text


def trips_of_book(body: bytes) -> list[dict[str, str]]:
    """Return the rows below the heads of the sheet of trips, as text."""
    book = load_workbook(io.BytesIO(body), read_only=True)
    for sheet in book.worksheets:
        lines = [["" if cell is None else str(cell) for cell in line] for line in sheet.iter_rows(values_only=True)]
        for position, heads in enumerate(lines):
            if heads[:3] == ["序号", "日期", "车牌号"]:
                # Empty cells at the end of a row are not in the file.
                return [dict(zip_longest(heads, line, fillvalue="")) for line in lines[position + 1 :]]
    raise AssertionError(f"no sheet of trips in {book.sheetnames}")


def test_the_export_tells_the_same_in_both_formats(calls, day):
    auditor = calls("auditor.city")
    asked = {"start_on": "2025-11-19", "end_on": "2025-11-19", "reason": "年度专项审计"}
    auditor("POST", "/exports/compliance", asked | {"format": "csv", "reason": " "}, status=422)
    as_csv = auditor("POST", "/exports/compliance", asked | {"format": "csv"}).body
    assert as_csv.startswith(b"\xef\xbb\xbf")
    in_csv = list(csv.DictReader(io.StringIO(as_csv.decode("utf-8-sig"))))
    in_book = trips_of_book(auditor("POST", "/exports/compliance", asked | {"format": "xlsx"}).body)
    same = ("序号", "车牌号", "派车单号", "用车单号", "疑似线索")
    assert [[row[head] for head in same] for row in in_csv] == [[row[head] for head in same] for row in in_book]
    with_order = [row for row in in_csv if row["车牌号"] == WITH_ORDER]
    assert {row["用车单号"] for row in with_order} == {day}
    assert all(row["派车单号"].startswith("330106-EDU-2025-") for row in with_order)
    without_order = [row for row in in_csv if row["车牌号"] == WITHOUT_ORDER]
    assert without_order
    assert all(row["用车单号"] == "" for row in without_order)
    assert any("A-01" in row["疑似线索"] for row in without_order)
    assert calls("auditor.binjiang")("GET", "/trips").json == []


def test_a_phone_gives_the_position_of_its_car(url, calls, logs):
    manager = calls("fleet_manager.xihu")
    phone = {"phone": "xh-phone-1", "kind": "phone", "speed_unit": "ms"}
    token = manager("POST", "/terminals", phone, status=201).json["token"]
    [car] = [car for car in manager("GET", "/vehicles").json if car["plate"] == WITHOUT_TERMINAL]
    manager("POST", f"/vehicles/{car['id']}/terminal", {"phone": None}, status=204)
    manager("POST", f"/vehicles/{car['id']}/terminal", {"phone": "xh-phone-1"}, status=204)
    said = {
        "id": "xh-phone-1",
        "lat": "30.270000",
        "lon": "120.120000",
        "speed": "10",
        "timestamp": str(int(time.time())),
    }
    with serving.gateway(url, logs) as gateway:
        base = f"http://127.0.0.1:{gateway.phone_port}"
        assert serving.exchange(base, "GET", f"/?{urlencode(said | {'token': 'guessed'})}", None, {}).status == 403
        assert serving.exchange(base, "GET", f"/?{urlencode(said | {'token': token})}", None, {}).status == 200
    seen = calls("dispatcher.xihu")("GET", "/positions").json
    [watched] = [one["vehicle_id"] for one in seen["vehicles"] if one["plate"] == WITHOUT_TERMINAL]
    [position] = [position for position in seen["positions"] if position["vehicle_id"] == watched]
    assert (position["lat"], position["lon"], position["speed_kmh"]) == (30.27, 120.12, 36.0)
    elsewhere = calls("dispatcher.binjiang")("GET", "/positions").json
    assert WITHOUT_TERMINAL not in [one["plate"] for one in elsewhere["vehicles"]]
    assert watched not in [position["vehicle_id"] for position in elsewhere["positions"]]
