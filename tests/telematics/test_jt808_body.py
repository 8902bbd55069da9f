"""Message bodies, each rule by a body made by hand."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.model import Fix
from telematics.protocols.jt808 import decode_frame, encode_frame, header_form
from telematics.protocols.jt808_body import (
    Answer,
    Authentication,
    Batch,
    BodyError,
    Location,
    Plain,
    Registration,
    RegistrationAnswer,
    ServerTime,
    encode_answer,
    encode_authentication,
    encode_batch,
    encode_location,
    encode_registration,
    encode_registration_answer,
    encode_server_time,
    fixes_of,
    parse_body,
    parse_location,
)


def location(
    *,
    alarm=0,
    status=3,
    lat=30_274_085,
    lon=120_155_070,
    altitude=12,
    speed=456,
    direction=271,
    time="260302093005",
    items="",
) -> bytes:
    base = f"{alarm:08x}{status:08x}{lat:08x}{lon:08x}{altitude & 0xFFFF:04x}{speed:04x}{direction:04x}{time}"
    return bytes.fromhex(base + items)


def received(msg_id: int, body: bytes, version: str = "2013"):
    return parse_body(decode_frame(encode_frame(msg_id, body, like=header_form("13812345678", version), serial=7)))


# -- location


def test_location_is_converted_to_degrees_kmh_and_utc():
    assert parse_location(location()) == Fix(
        at=datetime(2026, 3, 2, 1, 30, 5, tzinfo=UTC),
        lat=30.274085,
        lon=120.15507,
        speed_kmh=45.6,
        direction_deg=271,
        altitude_m=12,
        acc=True,
        fixed=True,
        status=3,
    )


@pytest.mark.parametrize(
    ("status", "acc", "fixed", "lat", "lon"),
    [
        (0b0000, False, False, 30.274085, 120.15507),
        (0b0001, True, False, 30.274085, 120.15507),
        (0b0010, False, True, 30.274085, 120.15507),
        (0b0110, False, True, -30.274085, 120.15507),
        (0b1010, False, True, 30.274085, -120.15507),
        (0b1110, False, True, -30.274085, -120.15507),
    ],
)
def test_status_bits_give_ignition_fix_and_hemisphere(status, acc, fixed, lat, lon):
    fix = parse_location(location(status=status))
    assert (fix.acc, fix.fixed, fix.lat, fix.lon, fix.status) == (acc, fixed, lat, lon, status)


def test_twos_complement_coordinates_are_negative_with_and_without_the_hemisphere_bits():
    for status in (0b0011, 0b1111):
        fix = parse_location(location(status=status, lat=0xFF4580F2, lon=0xF81B0EE4))
        assert (fix.lat, fix.lon) == (-12.222222, -132.444444)


def test_impossible_coordinates_are_returned_as_they_are():
    fix = parse_location(location(lat=119_552_894, lon=0xFFFFFFFF))
    assert (fix.lat, fix.lon) == (119.552894, 4294.967295)


def test_altitude_may_be_negative():
    assert parse_location(location(altitude=-5)).altitude_m == -5


def test_alarm_bits_are_kept():
    assert parse_location(location(alarm=0x80000001)).alarm == 0x80000001


@pytest.mark.parametrize(
    "time", ["000000000000", "261302093005", "260230093005", "260302243005", "26030a093005", "ffffffffffff"]
)
def test_time_that_is_no_date_is_refused_with_its_digits(time):
    with pytest.raises(BodyError, match=f"time field {time} is not a date and time"):
        parse_location(location(time=time))


def test_first_hours_of_the_year_belong_to_the_old_year_in_utc():
    assert parse_location(location(time="260101013000")).at == datetime(2025, 12, 31, 17, 30, tzinfo=UTC)


def test_short_location_is_refused():
    with pytest.raises(BodyError, match="27 bytes, at least 28"):
        parse_location(location()[:-1])


def test_odometer_item_becomes_metres():
    fix = parse_location(location(items="0104 000024c7"))
    assert (fix.odometer_m, fix.items) == (941_500, {"odometer_km": 941.5})


# -- location, encoded

fixes = st.builds(
    Fix,
    at=st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),  # noqa: DTZ001
    lat=st.integers(-90_000_000, 90_000_000).map(lambda value: value / 1e6),
    lon=st.integers(-180_000_000, 180_000_000).map(lambda value: value / 1e6),
    speed_kmh=st.integers(0, 0xFFFF).map(lambda value: value / 10),
    direction_deg=st.integers(0, 359),
    altitude_m=st.integers(-0x8000, 0x7FFF),
    acc=st.booleans(),
    fixed=st.booleans(),
    odometer_m=st.none() | st.integers(0, 2**32 - 1).map(lambda value: value * 100),
    alarm=st.integers(0, 2**32 - 1),
)


@settings(max_examples=60, deadline=None)
@given(fixes)
def test_location_survives_a_round_trip(fix):
    again = parse_location(encode_location(fix))
    assert replace(again, status=0, items={}) == fix


def test_encoded_location_keeps_other_status_bits_and_is_byte_exact():
    body = location(status=0x00040403, items="0104000024c7 310105 e1020304")
    assert encode_location(parse_location(body)) == body


def test_unknown_ignition_and_missing_values_are_sent_as_zero():
    fix = Fix(at=datetime(2026, 3, 2, tzinfo=UTC), lat=30.0, lon=120.0)
    again = parse_location(encode_location(fix))
    assert (again.acc, again.speed_kmh, again.direction_deg, again.altitude_m) == (False, 0.0, 0, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lat": 90.1}, "not on earth"),
        ({"lon": -180.1}, "not on earth"),
        ({"speed_kmh": 6553.6}, "does not fit"),
        ({"altitude_m": 40_000}, "does not fit"),
        ({"at": datetime(1999, 12, 31, 15, tzinfo=UTC)}, "year 1999"),
    ],
)
def test_value_that_no_field_can_hold_is_refused(change, reason):
    fix = Fix(at=datetime(2026, 3, 2, tzinfo=UTC), lat=30.0, lon=120.0)
    with pytest.raises(BodyError, match=reason):
        encode_location(replace(fix, **change))


# -- batch


def item(body: bytes) -> bytes:
    return len(body).to_bytes(2) + body


def test_batch_keeps_what_parses_and_counts_the_rest():
    good = [location(time="260302093005"), location(time="260302093505")]
    body = bytes.fromhex("000401") + item(good[0]) + item(b"short") + item(location(time="0" * 12)) + item(good[1])
    batch = received(0x0704, body)
    assert isinstance(batch, Batch)
    assert (batch.declared, batch.blind, batch.bodies) == (4, True, tuple(good))
    assert [fix.blind for fix in batch.fixes] == [True, True]
    assert [reason.split(":")[0] for reason in batch.skipped] == ["item 2", "item 3"]


def test_normal_batch_is_not_blind():
    assert [fix.blind for fix in received(0x0704, bytes.fromhex("000100") + item(location())).fixes] == [False]


@pytest.mark.parametrize("tail", [b"\x00", b"\x00\x1c", b"\x00\x1c\x00", b"\xff\xff"])
def test_batch_item_over_the_end_is_counted_and_the_earlier_ones_stay(tail):
    batch = received(0x0704, bytes.fromhex("000200") + item(location()) + tail)
    assert len(batch.fixes) == 1
    assert batch.skipped == ("item 2: its length runs over the end of the body",)


@settings(max_examples=30, deadline=None)
@given(st.lists(fixes, max_size=10), st.booleans())
def test_batch_survives_a_round_trip(sent, blind):
    batch = received(0x0704, encode_batch(sent, blind=blind))
    assert [replace(fix, status=0, items={}) for fix in batch.fixes] == [replace(fix, blind=blind) for fix in sent]


# -- the other bodies

REGISTRATION = Registration("2013", 33, 100, "HZGPS", "GX-100", "0000001", 1, "浙A12345")


@pytest.mark.parametrize(
    ("layout", "size"), [("2011", 4 + 20 + 1 + 8), ("2013", 4 + 32 + 1 + 8), ("2019", 4 + 71 + 1 + 8)]
)
def test_registration_has_the_widths_of_its_edition(layout, size):
    registration = replace(REGISTRATION, layout=layout)
    body = encode_registration(registration)
    assert len(body) == size
    assert received(0x0100, body, "2019" if layout == "2019" else "2013") == registration


def test_registration_texts_lose_padding_on_both_sides():
    body = (
        bytes.fromhex("00210064") + b"\0\0\0AB" + b"GX-1   \0" + b"7\0\0\0\0\0\0" + b"\x01" + "浙A12345\0".encode("gbk")
    )
    registration = received(0x0100, body)
    assert registration.layout == "2011"
    assert (registration.manufacturer, registration.model, registration.terminal_id) == ("AB", "GX-1", "7")
    assert registration.plate == "浙A12345"


def test_registration_of_a_vehicle_without_plate_carries_its_vin():
    registration = replace(REGISTRATION, plate_colour=0, plate="", vin="LSVAA49J132047371")
    assert received(0x0100, encode_registration(registration)) == registration


def test_text_that_is_not_gbk_is_shown_with_marks_and_without_zeros():
    body = encode_registration(REGISTRATION)[:-8] + b"\xff\xffA\0B"
    assert received(0x0100, body).plate.endswith("AB")


@pytest.mark.parametrize(
    ("registration", "reason"),
    [
        (replace(REGISTRATION, manufacturer="TOOLONG"), "longer than the 5 bytes"),
        (replace(REGISTRATION, plate="浙A\U0001f697"), "GBK"),
    ],
)
def test_registration_that_does_not_fit_is_refused(registration, reason):
    with pytest.raises(BodyError, match=reason):
        encode_registration(registration)


def test_authentication_is_the_whole_body_in_2013_and_three_fields_in_2019():
    full = Authentication("code-1", "123456789012345", "v2.0")
    assert received(0x0102, encode_authentication(full, "2013")) == Authentication("code-1")
    assert received(0x0102, encode_authentication(full, "2019"), "2019") == full
    assert received(0x0102, b"\x04code", "2019") == Authentication("code")


@pytest.mark.parametrize(
    ("msg_id", "body", "version"),
    [
        (0x0100, bytes(24), "2013"),
        (0x0100, bytes(75), "2019"),
        (0x0102, b"", "2019"),
        (0x0102, b"\x05code", "2019"),
        (0x0001, bytes(4), "2013"),
        (0x8100, bytes(2), "2013"),
        (0x8004, bytes(5), "2019"),
        (0x0200, bytes(27), "2013"),
        (0x0201, bytes(29), "2013"),
        (0x0704, bytes(2), "2013"),
    ],
)
def test_body_shorter_than_its_fields_is_refused(msg_id, body, version):
    with pytest.raises(BodyError, match="are needed"):
        received(msg_id, body, version)


def test_answers_round_trip_and_ignore_appended_bytes():
    body = encode_answer(serial=0xFFFF, msg_id=0x0200, result=0)
    for msg_id in (0x0001, 0x8001):
        assert received(msg_id, body + b"\0\0") == Answer(0xFFFF, 0x0200, 0)
    assert received(0x8100, encode_registration_answer(serial=3, result=0, code="abc")) == RegistrationAnswer(
        3, 0, "abc"
    )


def test_refused_registration_gives_no_code_away():
    assert received(0x8100, encode_registration_answer(serial=3, result=4, code="abc")) == RegistrationAnswer(3, 4, "")


def test_server_time_is_utc():
    at = datetime(2026, 3, 2, 9, 30, 5, tzinfo=UTC)
    body = encode_server_time(at.astimezone(None))
    assert body.hex() == "260302093005"
    assert received(0x8004, body, "2019") == ServerTime(at)


def test_location_answers_name_the_message_they_answer():
    for msg_id in (0x0201, 0x0500):
        answer = received(msg_id, b"\x30\x39" + location())
        assert answer == Location(parse_location(location()), 0x3039)


def test_heartbeat_with_vendor_bytes_and_unknown_messages_are_no_error():
    assert received(0x0002, b"\x01\x02") == Plain(known=True)
    assert received(0x0003, b"") == received(0x0004, b"", "2019") == Plain(known=True)
    assert received(0x0F01, b"\x01") == Plain(known=False)


def test_fixes_of_gives_positions_and_nothing_for_other_messages():
    def fixes_in(msg_id: int, body: bytes) -> list[Fix]:
        return fixes_of(decode_frame(encode_frame(msg_id, body, like=header_form("1"), serial=0)))

    fix = parse_location(location())
    assert fixes_in(0x0200, location()) == [fix]
    assert fixes_in(0x0704, bytes.fromhex("000200") + item(location()) * 2) == [fix, fix]
    assert fixes_in(0x0002, b"") == []


def test_encrypted_body_and_single_piece_are_refused():
    message = decode_frame(encode_frame(0x0200, location(), like=header_form("1"), serial=0))
    with pytest.raises(BodyError, match="encrypted"):
        parse_body(replace(message, encrypted=True))
    with pytest.raises(BodyError, match="sub-package 1 of 2"):
        parse_body(replace(message, sub_package=(2, 1)))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([0x0001, 0x0002, 0x0100, 0x0102, 0x0200, 0x0201, 0x0704, 0x8004, 0x8100]),
    st.binary(max_size=120),
    st.sampled_from(["2013", "2019"]),
)
def test_any_body_is_read_or_refused_as_a_bad_body(msg_id, body, version):
    with contextlib.suppress(BodyError):
        received(msg_id, body, version)


def test_terminal_clock_is_eight_hours_ahead_of_utc():
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)  # no summer time
    assert encode_location(Fix(at=at, lat=0, lon=0))[22:28].hex() == f"{at + timedelta(hours=8):%y%m%d%H%M%S}"
