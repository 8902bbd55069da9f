import json
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from telematics.cli import main
from telematics.gcj02 import wgs84_to_gcj02
from telematics.gpx import write_gpx
from tests.telematics.driving import HOME, MORNING, Second, drive, park, reported

BEIJING = ZoneInfo("Asia/Shanghai")
ROUTE = [(0.0, 0.0), (3000.0, 0.0), (3000.0, 4000.0)]


@pytest.fixture(scope="module")
def fixes():
    home = Second(MORNING, *ROUTE[0], 0.0, 0.0)
    seconds = [home, *park(home, 1200)]
    seconds += drive(ROUTE, start_at=seconds[-1].at)[1:]
    return reported(seconds + park(seconds[-1], 1200), odometer_start_m=1_000_000)


@pytest.fixture
def csv_file(tmp_path, fixes):
    path = tmp_path / "track.csv"
    rows = [f"{fix.at.isoformat()},{fix.lat},{fix.lon},{fix.speed_kmh},{fix.odometer_m / 1000}" for fix in fixes]
    rows.insert(10, "2024-03-05T00:32:30Z,0,0,0,1000")
    rows.insert(20, ",30,120,0,1000")
    rows.append("2199-01-01T00:00:00Z,30.27,120.15,0,1007")
    path.write_text("\n".join(["at,lat,lon,speed_kmh,odometer_km", *rows]))
    return path


def run(capsys, *args: object) -> tuple[int, str, str]:
    status = main(["segment", *map(str, args)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_trips_stops_and_rejected_are_printed_as_json(capsys, csv_file):
    status, out, err = run(capsys, csv_file)
    report = json.loads(out)
    assert (status, err) == (0, "")
    (trip,) = report["trips"]
    assert set(trip["distance_m"]) == {"gps", "odometer", "speed", "best"}
    assert trip["distance_m"]["best"] == pytest.approx(7000, rel=0.02)
    assert trip["distance_m"]["odometer"] == pytest.approx(7000, abs=150)
    assert trip["start"].endswith("Z")
    started_at = datetime.fromisoformat(trip["start"])
    assert abs(started_at - (MORNING + timedelta(minutes=20))) <= timedelta(seconds=30)
    assert trip["points"] > 30
    assert len(report["stops"]) == 2
    assert report["gaps"] == []
    assert report["rejected"] == [
        {"at": "2024-03-05T00:32:30Z", "reason": "zero_position"},
        {"at": "2199-01-01T00:00:00Z", "reason": "future"},
        {"at": None, "reason": "no_time", "line": 22, "detail": "no time"},
    ]


def test_a_gpx_file_gives_the_same_trip(capsys, tmp_path, fixes, csv_file):
    path = tmp_path / "track.gpx"
    path.write_text(write_gpx(fixes))
    (by_gpx,), (by_csv,) = (json.loads(run(capsys, file)[1])["trips"] for file in (path, csv_file))
    assert (by_gpx["start"], by_gpx["end"]) == (by_csv["start"], by_csv["end"])
    assert by_gpx["distance_m"]["gps"] == by_csv["distance_m"]["gps"]
    assert by_gpx["distance_m"]["odometer"] is None


def test_a_boundary_cuts_and_takes_the_zone_of_the_file(capsys, csv_file):
    """08:54 in Hangzhou is four minutes into the trip."""
    for args in (
        ["--boundary", "2024-03-05T00:54:00Z"],
        ["--zone", "Asia/Shanghai", "--boundary", "2024-03-05T08:54:00"],
    ):
        report = json.loads(run(capsys, csv_file, *args)[1])
        assert [trip["start"] for trip in report["trips"]][1] == "2024-03-05T00:54:00Z"


def test_times_without_zone_need_the_option(capsys, tmp_path):
    path = tmp_path / "naive.csv"
    path.write_text("at,lat,lon\n2024-03-05T08:30:00,30.27,120.15\n")
    status, out, err = run(capsys, path)
    assert (status, out) == (2, "")
    assert "no zone" in err
    status, out, _ = run(capsys, path, "--zone", "Asia/Shanghai")
    assert status == 0
    assert json.loads(out)["trips"] == []


@pytest.mark.parametrize(
    "args",
    [
        ["absent.csv"],
        [__file__],
        [__file__, "--zone", "Mars/Olympus"],
        [__file__, "--zone", "../etc"],
        [__file__, "--boundary", "noon"],
        [__file__, "--boundary", "2024-03-05T08:30:00"],
    ],
)
def test_bad_input_is_one_sentence_on_stderr_and_status_two(capsys, args):
    status, out, err = run(capsys, *args)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.endswith(".\n")


def km(out: str) -> list[float]:
    return [round(trip["distance_m"]["best"] / 1000, 1) for trip in json.loads(out)["trips"]]


def rows(fixes, **change) -> list[dict]:
    return [
        {"dataTime": fix.at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S"), "latitude": fix.lat, "longitude": fix.lon,
         "speed": fix.speed_kmh} | change
        for fix in fixes
    ]  # fmt: skip


def test_a_platforms_document_with_one_array_of_positions_is_read(capsys, tmp_path, fixes, csv_file):
    path = tmp_path / "day.json"
    path.write_text(json.dumps({"mileage": 7.0, "days": [1], "traceDataList": rows(fixes)}, indent=1))
    status, out, err = run(capsys, path, "--zone", "Asia/Shanghai")
    assert (status, err) == (0, "")
    assert km(out) == km(run(capsys, csv_file)[1]) == [7.0]
    status, _, err = run(capsys, path)
    assert status == 2
    assert "时间没有时区" in err
    assert "no zone" in err


def test_a_speed_without_unit_is_in_the_unit_named(capsys, tmp_path, fixes):
    path = tmp_path / "knots.json"
    slow = [row | {"speed": row["speed"] / 1.852} for row in rows(fixes)]
    path.write_text(json.dumps(slow))
    for unit, fastest in (("knots", 50.0), ("kmh", 27.0), ("ms", 97.2)):
        (trip,) = json.loads(run(capsys, path, "--zone", "Asia/Shanghai", "--speed-unit", unit)[1])["trips"]
        assert trip["max_speed_kmh"] == pytest.approx(fastest, abs=0.1)


def test_positions_of_several_terminals_are_refused_until_one_is_named(capsys, tmp_path, fixes):
    path = tmp_path / "two.jsonl"
    other = [replace(fix, lat=fix.lat + 0.5) for fix in fixes[: len(fixes) // 2]]
    path.write_text("\n".join(map(json.dumps, rows(fixes, imei="A1") + rows(other, imei=7))))
    zone = ("--zone", "Asia/Shanghai")
    status, out, err = run(capsys, path, *zone)
    assert (status, out) == (2, "")
    assert "混有 2 台终端的定位（A1, 7）" in err
    assert "2 terminals (A1, 7)" in err
    assert km(run(capsys, path, *zone, "--terminal", "A1")[1]) == [7.0]
    assert km(run(capsys, path, *zone, "--terminal", "7")[1]) != [7.0]
    assert run(capsys, path, *zone, "--terminal", "B")[0] == 2


def test_positions_of_a_chinese_map_are_brought_to_wgs84(capsys, tmp_path, fixes):
    path = tmp_path / "map.csv"
    shifted = [(fix.at.isoformat(), *wgs84_to_gcj02(fix.lat, fix.lon)) for fix in fixes]
    path.write_text("\n".join(["at,lat,lon", *(f"{at},{lat},{lon}" for at, lat, lon in shifted)]))
    (plain,), (converted,) = (
        json.loads(run(capsys, path, *more)[1])["stops"][:1] for more in ((), ("--datum", "gcj02"))
    )
    assert converted["lat"] == pytest.approx(HOME[0], abs=2e-5)
    assert plain["lat"] - HOME[0] == pytest.approx(wgs84_to_gcj02(*HOME)[0] - HOME[0], abs=2e-5)
    assert abs(plain["lat"] - HOME[0]) > 1e-3


@pytest.mark.parametrize("content", ["", " \n", "at,lat\n", "[]", "{}", "[1, 2", "at,lat,lon\n"])
def test_a_file_with_nothing_in_it_is_refused_in_both_languages(capsys, tmp_path, content):
    path = tmp_path / "nothing"
    path.write_text(content)
    status, out, err = run(capsys, path)
    assert (status, out) == (2, "")
    assert " / " in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [
        (lambda fixes: fixes[:1], {}),
        (lambda fixes: [replace(fix, at=fixes[0].at) for fix in fixes], {"duplicate", "jump"}),
        (lambda fixes: fixes[::-1], {}),
        (lambda fixes: fixes[::20], {}),
    ],
    ids=["one fix", "all of one second", "backwards", "every five minutes"],
)
def test_odd_tracks_are_answered(capsys, tmp_path, fixes, chosen, rejected):
    path = tmp_path / "odd.csv"
    lines = [f"{fix.at.isoformat()},{fix.lat},{fix.lon},{fix.speed_kmh},{fix.odometer_m}" for fix in chosen(fixes)]
    path.write_text("\n".join(["time,lat,lon,speed_kmh,odometer_m", *lines]))
    status, out, err = run(capsys, path)
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert {one["reason"] for one in report["rejected"]} == set(rejected)
    assert km(out) == ([pytest.approx(7.0, abs=0.2)] if len(lines) > 1 and not rejected else [])
