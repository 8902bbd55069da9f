"""Phone positions: the four payload shapes, their units, and what is wrong with one point or with the whole request."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.model import Fix
from telematics.protocols.osmand import RequestError, parse_request

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
SECONDS = int(AT.timestamp())
CHINA = timezone(timedelta(hours=8))

POINT = {"id": "phone-1", "lat": "30.274085", "lon": "120.15507", "timestamp": str(SECONDS)}
LOCATION = {
    "timestamp": "2026-03-02T01:00:00.250Z",
    "uuid": "u-1",
    "coords": {"latitude": 30.27, "longitude": 120.15, "accuracy": 4.5, "speed": 10, "heading": 91.6, "altitude": 12.4},
    "is_moving": True,
    "odometer": 1234.5,
    "event": "motionchange",
    "battery": {"level": 0.55, "is_charging": False},
    "activity": {"type": "in_vehicle"},
    "extras": {"note": "a"},
}


def parse(query="", body=b"", **options):
    return parse_request(query, body, received_at=NOW, **options)


def of_point(**changes) -> Fix:
    (fix,) = parse(urlencode(POINT | changes)).fixes
    return fix


def of_location(**changes):
    body = {"device_id": "phone-9", "location": LOCATION | changes}
    return parse("", json.dumps(body).encode())


# -- shapes


def test_shape_a_query_of_osmand():
    query = urlencode(
        {
            "id": "phone-1",
            "lat": "30.274085",
            "lon": "120.15507",
            "timestamp": str(SECONDS * 1000 + 500),
            "hdop": "6.5",
            "altitude": "12.6",
            "speed": "10",
            "bearing": "359.6",
            "token": "secret",
        }
    )
    report = parse(query, speed_unit="ms")
    assert (report.device_id, report.token, report.bad, report.heartbeats) == ("phone-1", "secret", (), 0)
    assert report.fixes == (
        Fix(
            at=AT + timedelta(milliseconds=500),
            lat=30.274085,
            lon=120.15507,
            speed_kmh=36.0,
            direction_deg=0,
            altitude_m=13,
            accuracy_m=6.5,
            source="osmand",
        ),
    )


def test_shape_b_form_of_the_traccar_client():
    body = urlencode(
        POINT | {"speed": "10.00", "accuracy": "8", "hdop": "1", "batt": "55", "charge": "true", "plate": "x"}
    )
    report = parse("token=secret", body.encode())
    (fix,) = report.fixes
    assert (report.device_id, report.token) == ("phone-1", "secret")
    assert (fix.at, fix.speed_kmh, fix.accuracy_m) == (AT, 18.52, 8.0)
    assert fix.items == {"battery_percent": 55.0, "charging": True, "plate": "x"}


def test_shape_c_array_of_flat_objects():
    points = [{**POINT, "lat": 30.2 + i / 10, "lon": 120.1, "timestamp": SECONDS + i} for i in range(3)]
    report = parse("", json.dumps(points).encode())
    assert [(fix.lat, fix.at) for fix in report.fixes] == [(30.2 + i / 10, AT + timedelta(seconds=i)) for i in range(3)]
    assert report.device_id == "phone-1"
    assert parse("", json.dumps(points[0]).encode()).fixes == report.fixes[:1]


def test_shape_d_object_of_traccar_client_9_is_always_metres_per_second():
    report = of_location()
    assert report.device_id == "phone-9"
    assert [replace(fix, items={}) for fix in report.fixes] == [
        Fix(
            at=AT + timedelta(milliseconds=250),
            lat=30.27,
            lon=120.15,
            speed_kmh=36.0,
            direction_deg=92,
            altitude_m=12,
            accuracy_m=4.5,
            source="osmand",
        )
    ]
    assert report.fixes[0].items == {
        "uuid": "u-1",
        "is_moving": True,
        "event": "motionchange",
        "extras": {"note": "a"},
        "activity": "in_vehicle",
        "phone_odometer_m": 1234.5,
        "battery_percent": 55.0,
        "charging": False,
    }


def test_shape_d_with_several_locations():
    locations = [LOCATION, LOCATION | {"timestamp": "2026-03-02T01:01:00Z"}]
    report = parse("", json.dumps({"device_id": "phone-9", "location": locations}).encode())
    assert [fix.at.minute for fix in report.fixes] == [0, 1]


def test_minus_one_means_unknown():
    coords = LOCATION["coords"] | {"speed": -1, "heading": -1}
    (fix,) = of_location(coords=coords, battery={"level": -1}).fixes
    assert (fix.speed_kmh, fix.direction_deg, "battery_percent" in fix.items) == (None, None, False)


def test_phone_odometer_is_never_the_vehicle_odometer():
    assert of_location().fixes[0].odometer_m is None


@pytest.mark.parametrize(("unit", "speed_kmh"), [("knots", 37.04), ("ms", 72.0), ("kmh", 20.0)])
def test_speed_unit_is_the_callers_knowledge(unit, speed_kmh):
    (fix,) = parse(urlencode(POINT | {"speed": "20"}), speed_unit=unit).fixes
    assert fix.speed_kmh == pytest.approx(speed_kmh)


def test_location_may_be_one_parameter():
    (fix,) = parse(urlencode({"deviceid": "p", "location": "30.1,120.2", "timestamp": SECONDS})).fixes
    assert (fix.lat, fix.lon) == (30.1, 120.2)


def test_mock_and_invalid_positions_say_so():
    assert (of_point().mock, of_point().fixed) == (False, True)
    assert (of_point(mock="true").mock, of_point(valid="0").fixed) == (True, False)
    assert of_location(mock=True).fixes[0].mock


# -- time


@pytest.mark.parametrize(
    "timestamp",
    [
        str(SECONDS),
        str(SECONDS * 1000),
        f"{SECONDS}.0",
        "2026-03-02T01:00:00Z",
        "2026-03-02T09:00:00+08:00",
        "2026-03-02 09:00:00+0800",
    ],
)
def test_every_written_form_is_the_same_moment(timestamp):
    assert of_point(timestamp=timestamp).at == AT


def test_time_without_zone_needs_a_configured_zone():
    query = urlencode(POINT | {"timestamp": "2026-03-02 09:00:00"})
    report = parse(query)
    assert (report.fixes, report.bad[0].reason) == ((), "timestamp 2026-03-02 09:00:00 names no time zone")
    assert parse(query, zone=CHINA).fixes[0].at == AT


def test_point_without_time_gets_the_receipt_time_and_says_so():
    (fix,) = parse("id=p&lat=30&lon=120").fixes
    assert (fix.at, fix.items) == (NOW, {"at_from": "receipt"})


# -- heartbeats and bad points


def test_no_coordinates_is_a_heartbeat_and_no_position_is_made_up():
    assert parse("id=p&batt=50").heartbeats == 1
    assert parse("id=p&lat=&lon=").heartbeats == 1
    report = of_location(coords=None, event="heartbeat")
    assert (report.fixes, report.bad, report.heartbeats) == ((), (), 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lat": "abc"}, "lat abc is not a number"),
        ({"lat": "nan"}, "lat nan is not a number"),
        ({"lon": "inf"}, "lon inf is not a number"),
        ({"lat": ""}, "lat is missing"),
        ({"lat": "90.1"}, "lat 90.1 is out of range"),
        ({"lon": "-180.1"}, "lon -180.1 is out of range"),
        ({"timestamp": "yesterday"}, "timestamp yesterday is not a time"),
        ({"timestamp": "1e30"}, "timestamp 1e30 is out of range"),
        ({"timestamp": "9" * 400}, f"timestamp {'9' * 60} is not a time"),
    ],
)
def test_bad_point_is_told_from_a_wrong_request(changes, reason):
    report = parse(urlencode(POINT | changes | {"token": "secret"}))
    assert (report.device_id, report.fixes, [bad.reason for bad in report.bad]) == ("phone-1", (), [reason])
    assert "secret" not in report.bad[0].raw
    assert json.loads(report.bad[0].raw)["id"] == "phone-1"


def test_one_bad_point_of_an_array_costs_no_other():
    points = [POINT, POINT | {"lat": "x"}, POINT | {"timestamp": SECONDS + 1}]
    report = parse("", json.dumps(points).encode())
    assert (len(report.fixes), len(report.bad)) == (2, 1)


@pytest.mark.parametrize("value", ["nan", "fast", "-5", "1e9"])
def test_unreadable_extras_cost_only_themselves(value):
    fix = of_point(speed=value, altitude=value, accuracy=value)
    assert (fix.lat, fix.speed_kmh, fix.accuracy_m) == (30.274085, None, None)


# -- wrong requests


@pytest.mark.parametrize(
    ("query", "body", "reason"),
    [
        ("", b"", "names no device"),
        ("lat=30&lon=120", b"", "names no device"),
        ("id=", b"", "names no device"),
        ("id=%00", b"", "names no device"),
        ("", b"<xml/>", "names no device"),
        ("id=a&deviceid=b", b"", "more than one device"),
        ("", b'[{"id": "a"}, {"id": "b"}]', "more than one device"),
        ("id=p", b"{", "cannot be read as JSON"),
        ("id=p", b"[\xff]", "cannot be read as JSON"),
        ("id=p", b"[]", "must be a position"),
        ("id=p", b"[1]", "must be a position"),
        ("id=p", b"[" * 100_000, "nested too deeply"),
        ("&".join(f"k{i}=1" for i in range(300)), b"", "more than 200 parameters"),
        ("id=p", b"[" + b"{}," * 10_001 + b"{}]", "more than 10000 points"),
    ],
)
def test_wrong_request_is_refused(query, body, reason):
    with pytest.raises(RequestError, match=reason):
        parse(query, body)


def test_device_of_the_query_counts_for_a_json_body():
    report = parse("id=7&token=t", b'{"id": 7, "lat": 30, "lon": 120, "timestamp": 1772413200}')
    assert (report.device_id, report.token, len(report.fixes)) == ("7", "t", 1)


# -- anything


def test_values_are_safe_for_a_database():
    body = json.dumps(
        {"id": "p\0", "lat": 30, "lon": 120, "timestamp": SECONDS, "a\0": "x\0\ud800", "n": [math.nan, {"k\0": "\0"}]}
    )
    report = parse("", body.encode())
    assert report.device_id == "p"
    assert report.fixes[0].items == {"a": "x?", "n": [None, {"k": ""}]}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    [*POINT, "location", "speed", "bearing", "altitude", "accuracy", "batt", "charge", "mock", "valid", "x"]
)
coords = st.fixed_dictionaries({}, optional={"latitude": json_values, "longitude": json_values, "speed": json_values})
locations = st.fixed_dictionaries(
    {}, optional={"coords": coords | json_values, "timestamp": json_values, "battery": json_values}
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(keys, json_values, max_size=8), st.none() | locations)
def test_any_json_is_read_or_refused(point, location):
    """Whatever comes out can be written as JSON without NaN and has a position on earth."""
    content = {**point, "id": "p"} if location is None else {"id": "p", "location": location}
    report = parse("", json.dumps([content]).encode())
    for fix in report.fixes:
        assert abs(fix.lat) <= 90
        assert abs(fix.lon) <= 180
        json.dumps(fix.items, allow_nan=False).encode()
    assert len(report.fixes) + len(report.bad) + report.heartbeats >= (location is not None)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.binary(max_size=60))
def test_any_request_is_read_or_refused(query, body):
    try:
        report = parse(query, body)
    except RequestError as error:
        reason = str(error)
    else:
        reason = report.device_id
    assert reason
