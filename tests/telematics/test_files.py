import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import gpxpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.files import TrackFileError, load_track, parse_track, read_track
from telematics.gpx import write_gpx
from telematics.model import Fix, Rejection
from telematics.protocols.jt808 import encode_frame, header_form
from telematics.protocols.jt808_body import encode_batch, encode_location

BEIJING = ZoneInfo("Asia/Shanghai")
NOON = datetime(2024, 3, 5, 4, tzinfo=UTC)
ROWS = [
    Fix(NOON, 30.2741, 120.1551, speed_kmh=36.0, direction_deg=90, altitude_m=12, acc=True, odometer_m=53_000_100),
    Fix(
        NOON + timedelta(seconds=15),
        30.2742,
        120.1567,
        speed_kmh=0.0,
        direction_deg=0,
        acc=False,
        odometer_m=53_000_200,
    ),
]


def as_json(fix: Fix) -> str:
    return json.dumps(
        {
            "at": fix.at.isoformat(),
            "lat": fix.lat,
            "lon": fix.lon,
            "speed_kmh": fix.speed_kmh,
            "direction_deg": fix.direction_deg,
            "altitude_m": fix.altitude_m,
            "acc": fix.acc,
            "odometer_km": fix.odometer_m / 1000,
        }
    )


def as_csv(fix: Fix) -> str:
    acc = str(fix.acc).lower()
    altitude = "" if fix.altitude_m is None else fix.altitude_m
    return f"{fix.at:%Y-%m-%dT%H:%M:%SZ},{fix.lat},{fix.lon},{fix.speed_kmh},{fix.direction_deg},{altitude},{acc},{fix.odometer_m / 1000}"


CSV_HEADER = "at,lat,lon,speed_kmh,direction_deg,altitude_m,acc,odometer_km"
FILES = {
    "csv": "\n".join([CSV_HEADER, *map(as_csv, ROWS)]),
    "csv with semicolons, names quoted and capitals": "\r\n".join(
        ['"Time";"Latitude";"Lng"', *(f"{fix.at.isoformat()};{fix.lat};{fix.lon}" for fix in ROWS)]
    ),
    "json lines": "\n\n".join(map(as_json, ROWS)) + "\n",
    "json array": f"[{','.join(map(as_json, ROWS))}]",
    "gpx": write_gpx(ROWS),
    "frames": "\n".join(
        f"0x{encode_frame(0x0200, encode_location(fix), like=header_form('13800000001'), serial=1).hex()}"
        for fix in ROWS
    ),
    "batch frame": encode_frame(0x0704, encode_batch(ROWS), like=header_form("13800000001"), serial=1).hex(" ").upper(),
}


@pytest.mark.parametrize("form", FILES)
def test_every_format_is_told_by_its_content_and_gives_the_same_places(tmp_path, form):
    path = tmp_path / "upload.bin"
    path.write_bytes(b"\xef\xbb\xbf" + FILES[form].encode())
    fixes = read_track(path)
    assert [(fix.at, fix.lat, fix.lon) for fix in fixes] == [(fix.at, fix.lat, fix.lon) for fix in ROWS]


@pytest.mark.parametrize("form", ["csv", "json lines", "json array"])
def test_rows_carry_every_field(form):
    track = parse_track(FILES[form].encode())
    assert [replace(fix, source="jt808") for fix in track.fixes] == ROWS
    assert {fix.source for fix in track.fixes} == {track.format}
    assert track.bad_rows == ()


def test_frames_carry_speed_ignition_and_odometer():
    fixes = parse_track(FILES["frames"].encode()).fixes
    assert [(fix.speed_kmh, fix.acc, fix.odometer_m) for fix in fixes] == [
        (fix.speed_kmh, fix.acc, fix.odometer_m) for fix in ROWS
    ]


# -- times


@pytest.mark.parametrize("form", ["csv", "json lines"])
def test_a_time_without_zone_is_refused_unless_the_zone_is_named(form):
    text = FILES[form].replace("+00:00", "").replace("Z,", ",")
    with pytest.raises(TrackFileError, match="no zone"):
        parse_track(text.encode())
    assert [fix.at for fix in parse_track(text.encode(), zone=BEIJING).fixes] == [
        fix.at - timedelta(hours=8) for fix in ROWS
    ]


def test_a_named_zone_does_not_touch_times_that_have_one():
    assert [fix.at for fix in parse_track(FILES["csv"].encode(), zone=BEIJING).fixes] == [fix.at for fix in ROWS]


def test_gpx_times_without_zone_are_utc_as_its_specification_says_unless_a_zone_is_named():
    text = FILES["gpx"].replace("Z</time>", "</time>")
    assert parse_track(text.encode()).fixes[0].at == NOON
    assert parse_track(text.encode(), zone=BEIJING).fixes[0].at == NOON - timedelta(hours=8)


# -- bad rows


def test_a_bad_row_costs_itself_and_is_named_by_its_line():
    good = as_json(ROWS[0])
    lines = [
        good,
        "{not json",
        "[1, 2]",
        '{"lat": 30, "lon": 120}',
        '{"at": "2024-03-05T12:00:00", "lat": 30, "lon": 120}',
        '{"at": "yesterday", "lat": 30, "lon": 120}',
        '{"at": 1709611200, "lat": 30, "lon": 120}',
        '{"at": "0001-01-01T00:00:00+08:00", "lat": 30, "lon": 120}',
        '{"at": "2024-03-05T04:00:00Z", "lon": 120}',
        '{"at": "2024-03-05T04:00:00Z", "lat": "north", "lon": 120}',
        '{"at": "2024-03-05T04:00:00Z", "lat": NaN, "lon": 120}',
        '{"at": "2024-03-05T04:00:00Z", "lat": true, "lon": 120}',
        '{"at": "2024-03-05T04:00:00Z", "lat": 30, "lon": 120, "acc": "perhaps"}',
    ]
    track = parse_track("\n".join(lines).encode())
    assert len(track.fixes) == 1
    unreadable = Rejection.UNREADABLE
    assert [(row.line, row.reason) for row in track.bad_rows] == [
        (2, unreadable),
        (3, unreadable),
        (4, Rejection.NO_TIME),
        (5, Rejection.NO_ZONE),
        *((line, unreadable) for line in range(6, 14)),
    ]
    assert "lat 'north' is not a number" in [row.detail for row in track.bad_rows]


def test_csv_rows_with_missing_or_extra_values_are_named_by_their_line():
    track = parse_track(f"{FILES['csv']}\n\n1,2\n{as_csv(ROWS[0])},more\n".encode())
    assert len(track.fixes) == 2
    assert [row.line for row in track.bad_rows] == [5, 6]


def test_csv_saved_in_gbk_is_read():
    text = FILES["csv"].replace("odometer_km", "odometer_km,备注").replace("\n2024", "\n2024")
    rows = text.splitlines()
    text = "\n".join([rows[0], *(f"{row},西湖区" for row in rows[1:])])
    assert len(parse_track(text.encode("gb18030")).fixes) == 2


def test_bad_frames_are_named_and_the_next_is_still_read():
    good = FILES["frames"].splitlines()[0]
    broken = good[:-4] + "007e"
    heartbeat = encode_frame(0x0002, b"", like=header_form("13800000001"), serial=2).hex()
    unreadable_body = encode_frame(0x0200, b"\0" * 10, like=header_form("13800000001"), serial=3).hex()
    track = parse_track("\n".join([good, broken, "", heartbeat, "zz", good[:-2], unreadable_body, good]).encode())
    assert len(track.fixes) == 2
    assert {row.line for row in track.bad_rows} == {2, 5, 6, 7}
    assert "checksum" in track.bad_rows[0].detail


GPX = '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{}</trkseg></trk></gpx>'
POINT = '<trkpt lat="{}" lon="120"><!-- comment --><time>{}</time><speed>10</speed><hdop>1.5</hdop><sat>9</sat></trkpt>'


def test_gpx_points_without_time_or_place_are_refused_one_by_one():
    points = [
        POINT.format(30, "2024-03-05T04:00:00Z"),
        '<trkpt lat="30" lon="120"/>',
        POINT.format("x", "2024-03-05T04:00:00Z"),
        POINT.format(30, "  "),
    ]
    track = parse_track(GPX.format("".join(points)).encode())
    assert track.format == "gpx"
    assert [(row.line, row.reason) for row in track.bad_rows] == [
        (2, Rejection.NO_TIME),
        (3, Rejection.UNREADABLE),
        (4, Rejection.NO_TIME),
    ]
    (fix,) = track.fixes
    assert fix.speed_kmh == 36.0
    assert fix.items == {"hdop": 1.5, "satellites": 9.0}


# -- files that cannot be used


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"PK\x03\x04\x00\x00", "binary"),
        (b"Dear colleague,\nplease find", "no known format"),
        (b"lat,lon\n30,120\n", "lacks the column at"),
        (b"at,lat,lon\n", "no usable position"),
        (b'at,lat,lon\n"2024', "no usable position"),
        (b"[{]", "not a JSON array"),
        (b"{}\n", "line 1: no time"),
        (b"<gpx><trk>", "not well-formed"),
        (b"<html/>", "not GPX"),
        (b"<gpx/>", "no usable position"),
        (b'<?xml version="1.0" encoding="no-such"?><gpx/>', "not well-formed"),
        (GPX.format('<trkpt lat="30" lon="120"/>' * 3).encode(), "no time"),
        (b'<!DOCTYPE gpx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><gpx>&b;</gpx>', "entities"),
        (b'<!DOCTYPE gpx SYSTEM "file:///etc/passwd"><gpx/>', "document type"),
        (b"at,lat,lon\n" + b"x" * 200_000 + b",1,2\n", "field larger"),
        (b"7e00007e", "bytes are too short"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_in_one_sentence(content, says):
    with pytest.raises(TrackFileError, match=says) as caught:
        parse_track(content, name="upload")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_missing_and_oversized_files_are_refused(tmp_path):
    with pytest.raises(TrackFileError, match="Cannot open"):
        load_track(tmp_path / "absent.csv")
    with pytest.raises(TrackFileError, match="Cannot open"):
        load_track(tmp_path)
    big: Path = tmp_path / "big.csv"
    big.write_text(FILES["csv"])
    with pytest.raises(TrackFileError, match="larger than 100 bytes"):
        load_track(big, max_bytes=100)
    assert load_track(big, max_bytes=big.stat().st_size).format == "csv"


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@settings(max_examples=60)
def test_no_content_raises_anything_but_a_sentence(content):
    with suppress(TrackFileError):
        assert parse_track(content).fixes


@given(st.sampled_from([FILES["csv"], FILES["json lines"], FILES["gpx"], FILES["frames"]]), st.data())
@settings(max_examples=60)
def test_damaged_files_never_raise_anything_but_a_sentence(text, data):
    at = data.draw(st.integers(0, len(text) - 1))
    damage = data.draw(st.text(max_size=4))
    with suppress(TrackFileError):
        assert parse_track((text[:at] + damage + text[at + 3 :]).encode()).fixes


# -- writing GPX


def test_gpx_written_is_gpx_one_one_with_a_segment_per_silence():
    later = replace(ROWS[0], at=NOON + timedelta(hours=1), speed_kmh=None, direction_deg=None)
    document = write_gpx([*ROWS, later], name="浙A·00001")
    parsed = gpxpy.parse(document)
    assert parsed.version == "1.1"
    assert [len(segment.points) for segment in parsed.tracks[0].segments] == [2, 1]
    assert parsed.tracks[0].name == "浙A·00001"


def test_gpx_round_trip_keeps_time_place_speed_and_direction():
    for fix, again in zip(ROWS, parse_track(write_gpx(ROWS).encode()).fixes, strict=True):
        assert (again.at, again.lat, again.lon) == (fix.at, fix.lat, fix.lon)
        assert again.speed_kmh == pytest.approx(fix.speed_kmh, abs=0.01)
        assert (again.direction_deg, again.altitude_m) == (fix.direction_deg, fix.altitude_m)


def test_gpx_of_nothing_is_an_empty_track():
    assert gpxpy.parse(write_gpx([])).get_points_no() == 0
