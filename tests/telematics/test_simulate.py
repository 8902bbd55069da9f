from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import psycopg
import pytest

from telematics.files import TrackFileError
from telematics.geo import distance_m
from telematics.gpx import write_gpx
from telematics.protocols.jt808 import BadPiece, FrameSplitter, encode_frame, header_form
from telematics.simulator.chaos import spoilt
from telematics.simulator.ledger import Ledger, LedgerError, compare, read_ledger
from telematics.simulator.roads import CENTRE, MadeRoad, RecordedRoad, read_tracks
from tests.telematics.running import add_terminal, fix, run_command, serving

AT = datetime(2024, 5, 20, 1, 0, tzinfo=UTC)


def test_a_made_road_is_smooth_near_hangzhou_and_the_same_for_the_same_seed():
    road, again = MadeRoad(Random(7)), MadeRoad(Random(7))
    places = [road.advance(1.0) for _ in range(7200)]
    assert places == [again.advance(1.0) for _ in range(7200)]
    assert all(distance_m(place.lat, place.lon, *CENTRE) < 20_000 for place in places)
    for one, other in pairwise(places):
        assert distance_m(one.lat, one.lon, other.lat, other.lon) == pytest.approx(other.speed_kmh / 3.6, abs=0.2)
        assert abs(other.speed_kmh - one.speed_kmh) <= 5.0
    assert max(place.speed_kmh for place in places) == 80.0
    assert places[-1].odometer_m == pytest.approx(sum(place.speed_kmh / 3.6 for place in places))


def test_a_recorded_road_is_followed_between_its_positions_and_begins_anew(tmp_path):
    (tmp_path / "one.gpx").write_text(write_gpx([fix(0), fix(10), fix(20)]), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no track", encoding="utf-8")
    [track] = read_tracks(tmp_path)
    road = RecordedRoad(track, Random(1))
    places = [road.advance(1.0) for _ in range(60)]
    assert all(30.25 <= place.lat <= 30.2502 for place in places)
    assert sum(later.lat < earlier.lat for earlier, later in pairwise(places)) == 3
    assert {place.direction_deg for place in places} == {0}


def test_a_folder_without_tracks_is_refused(tmp_path):
    with pytest.raises(TrackFileError, match="holds no track file"):
        read_tracks(tmp_path)


def test_spoilt_frames_are_never_taken_for_messages():
    rng = Random(3)
    frame = encode_frame(2, b"\x7d\x7e" * 9, like=header_form("13900000000"), serial=7)
    for _ in range(500):
        found = FrameSplitter().feed(spoilt(frame, rng))
        assert all(isinstance(piece, BadPiece) for piece in found)


def test_a_ledger_finds_what_was_acknowledged_and_is_not_stored(gps_dsn, tmp_path):
    _, phone = add_terminal(gps_dsn)
    path = tmp_path / "ledger"
    with Ledger(path) as ledger:
        for event in ("sent", "acknowledged"):
            ledger.note(event, (phone, AT, 5))
    assert list(read_ledger(path)) == [(event, phone, AT.isoformat(), 5) for event in ("sent", "acknowledged")]
    with psycopg.connect(gps_dsn) as conn:
        found = compare(path, conn)
    assert (found.sent, found.acknowledged, found.stored, found.missing) == (1, 1, 0, 1)
    assert found.examples == (f"{phone} 2024-05-20T01:00:00+00:00",)


def test_a_torn_last_line_is_forgiven_and_any_other_refused(tmp_path):
    path = tmp_path / "ledger"
    path.write_text('["sent", "1", "2024-05-20T01:00:00+00:00", 5]\n["se', encoding="utf-8")
    assert len(list(read_ledger(path))) == 1
    path.write_text("no line\n", encoding="utf-8")
    with pytest.raises(LedgerError, match="line 1"):
        list(read_ledger(path))


@pytest.mark.parametrize("chaos", [[], ["--chaos"]])
def test_simulated_terminals_get_every_position_acknowledged_and_stored(gps_dsn, tmp_path, chaos):
    path = tmp_path / "ledger"
    with serving(gps_dsn) as process:
        load = ["--terminals", "20", "--rate", "4", "--seconds", "5", "--timeout", "2"]
        first = "17000000000" if chaos else "17100000000"
        status, counts, errors = run_command(
            "simulate",
            "--port",
            str(process.port),
            *load,
            "--first",
            first,
            "--database",
            gps_dsn,
            "--ledger",
            str(path),
            *chaos,
        )
        status_check, found, _ = run_command("simulate", "--check", str(path), "--database", gps_dsn)
    assert (status, errors) == (0, "")
    assert (counts["waiting"], counts["forgotten"]) == (0, 0)
    assert (status_check, found["missing"]) == (0, 0)
    # A vehicle that stands reports one and the same position four times a second.
    assert 200 < found["sent"] == found["acknowledged"] == found["stored"] <= counts["acknowledged"]
    assert (counts["connections"] > 20) == bool(chaos)


def test_without_a_gateway_positions_are_kept_up_to_the_memory_and_counted(tmp_path):
    path = tmp_path / "ledger"
    arguments = ["--terminals", "2", "--rate", "20", "--seconds", "1", "--patience", "1", "--memory", "5"]
    status, counts, _ = run_command("simulate", "--port", "1", *arguments, "--ledger", str(path))
    assert status == 1
    assert (counts["waiting"], counts["acknowledged"], counts["connections"]) == (10, 0, 0)
    assert counts["forgotten"] == counts["made"] - 10
    assert path.read_text(encoding="utf-8") == ""


def test_the_check_needs_a_database(tmp_path):
    status, printed, errors = run_command("simulate", "--check", str(tmp_path / "absent"))
    assert (status, printed, errors) == (2, {}, "No database: give --database.\n")
