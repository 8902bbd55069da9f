import json
from datetime import datetime, timedelta

import pytest

from telematics.cli import main
from telematics.gpx import write_gpx
from tests.telematics.driving import MORNING, Second, drive, park, reported

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
