"""Public frames with the values their sources assert and an independent decode of them; optional data, not ours."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from telematics.protocols.jt808 import (
    BadPiece,
    FrameError,
    FrameSplitter,
    Message,
    Reassembly,
    decode_frame,
    encode_frame,
    escape,
    unescape,
)
from telematics.protocols.jt808_body import (
    Answer,
    Authentication,
    Batch,
    Location,
    Registration,
    RegistrationAnswer,
    parse_body,
    parse_location,
)
from telematics.protocols.jt808_command import encode_command
from telematics.protocols.jt808_report import Parameters, parse_driver_card, parse_parameters, parse_resend

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "jt808_vectors.jsonl"
pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not VECTORS.exists(), reason="optional JT/T 808 vectors (../shared/data) are not there"),
]
ALL = [json.loads(line) for line in VECTORS.read_text("utf-8").splitlines() if line] if VECTORS.exists() else []
COMPUTED = {vector["id"]: vector["computed"] for vector in ALL if vector["kind"] == "frame" and "computed" in vector}

# Names the sources use for the same field, with the factor from our unit to theirs.
LOCATION_NAMES = {
    "at": ("GPSTime", "DateTime"),
    "alarm": ("AlarmFlag", "AlarmSign"),
    "status": ("StatusFlag", "StatusSign"),
    "lat": ("Lat", "Latitude"),
    "lon": ("Lng", "Longitude"),
    "speed_kmh": ("Speed",),
    "direction_deg": ("Direction",),
    "altitude_m": ("Altitude",),
}
FACTOR = {"lat": 1e6, "lon": 1e6, "speed_kmh": 10}
# Where we differ from a source on purpose.
DIFFERS = {
    ("gojt808-046", "altitude_m"): "read as unsigned there, signed here, as the standard's below-sea-level value needs",
    ("gojt808-046", "lon"): "the source ignores the west bit",
}


def vectors(kind: str) -> list:
    return [pytest.param(vector, id=vector["id"]) for vector in ALL if vector["kind"] == kind]


def is_sound(computed: dict) -> bool:
    return bool(computed.get("checksum_ok") and computed.get("body_len_matches"))


@pytest.mark.parametrize("vector", vectors("frame"))
def test_frame_is_decoded_as_computed_or_refused(vector):
    frame, computed = bytes.fromhex(vector["hex"]), vector.get("computed", {})
    if not is_sound(computed):
        with pytest.raises(FrameError):
            decode_frame(frame)
        assert vector["asserted"].get("accept") is not True
        return
    message = decode_frame(frame)
    assert vector["asserted"].get("accept") is not False
    assert f"{message.msg_id:04x}" == computed["msg_id"]
    assert (message.phone, message.phone_raw.hex()) == (computed["phone"], computed["phone_bcd"])
    assert (message.serial, len(message.body)) == (computed["serial"], computed["body_len_header"])
    assert (message.version == "2019") == computed["version_flag"]
    assert message.protocol_version == computed.get("protocol_version", 0)
    assert message.encrypted == bool(computed["encrypt"])
    expected = (computed["packet_total"], computed["packet_no"]) if computed["subpacket"] else None
    assert message.sub_package == expected
    unescaped_check = vector["id"] == "gojt808-069"  # read all the same, but never sent by us
    if not (message.sub_package or message.encrypted or unescaped_check):
        assert encode_frame(message.msg_id, message.body, like=message, serial=message.serial) == frame


def same_location(fix, expected: dict) -> None:
    names = ("alarm", "status", "acc", "fixed", "lat", "lon", "altitude_m", "speed_kmh")
    assert {name: getattr(fix, name) for name in names} == {name: expected[name] for name in names}
    assert fix.direction_deg == expected["direction"]
    assert fix.at == datetime.fromisoformat(expected["time_utc"])
    named = {"mileage_km": "odometer_km", "fuel_l": "fuel_l", "recorder_speed_kmh": "recorder_speed_kmh"}
    named |= {"signal": "signal", "satellites": "satellites", "alarm_event_id": "manual_alarm_id"}
    named |= {"ext_signal": "vehicle_signal_bits", "io_status": "io_bits"}
    for theirs, ours in named.items():
        assert fix.items.get(ours) == expected["std_items"].get(theirs)
    assert fix.items.get("truncated") == expected.get("extra_tail_hex")


def is_plain(computed: dict) -> bool:
    return is_sound(computed) and not computed["subpacket"] and not computed["encrypt"]


@pytest.mark.parametrize("vector", [p for p in vectors("frame") if is_plain(COMPUTED.get(p.id, {}))])
def test_body_is_decoded_as_computed(vector):
    computed, message = vector["computed"], decode_frame(bytes.fromhex(vector["hex"]))
    body = parse_body(message)
    if isinstance(body, Location):
        same_location(body.fix, computed["location"])
        assert body.serial == computed.get("reply_serial")
    elif isinstance(body, Batch):
        assert (body.declared, body.skipped) == (computed["count"], ())
        for fix, expected in zip(body.fixes, computed["locations"], strict=True):
            same_location(fix, expected)
    elif isinstance(body, Registration):
        names = ("province", "city", "manufacturer", "model", "terminal_id", "plate")
        assert {name: getattr(body, name) for name in names} == {name: computed[name] for name in names}
        assert (body.layout, body.plate_colour) == (computed["register_layout"], computed["plate_color"])
    elif isinstance(body, Authentication):
        assert (body.code, body.imei, body.software) == tuple(
            computed.get(name, "") for name in ("auth_code", "imei", "software")
        )
    elif isinstance(body, Answer):
        assert (body.serial, f"{body.msg_id:04x}") == (computed["reply_serial"], computed["reply_id"])
        assert body.result == computed["result"]
    elif isinstance(body, RegistrationAnswer):
        assert (body.serial, body.result) == (computed["reply_serial"], computed["result"])
        assert body.code == computed.get("auth_code", "")


def asserted_location(values: dict, prefix: str = "", index: int | None = None) -> dict:
    """Fields of one location a source asserts, under our names; a bit expression in text is left out."""
    found = {}
    for ours, names in LOCATION_NAMES.items():
        for name in names:
            value = values.get(prefix + name)
            value = value[index] if isinstance(value, list) and index is not None else value
            if isinstance(value, int) or (ours == "at" and isinstance(value, str)):
                found[ours] = value
    return found


def same_as_asserted(vector_id: str, fix, expected: dict) -> int:
    compared = 0
    for name, value in expected.items():
        if (vector_id, name) in DIFFERS:
            continue
        ours = fix.at + timedelta(hours=8) if name == "at" else getattr(fix, name) * FACTOR.get(name, 1)
        assert (f"{ours:%Y-%m-%d %H:%M:%S}" if name == "at" else round(ours)) == value, name
        compared += 1
    return compared


def test_locations_are_what_their_sources_assert():
    compared = 0
    for vector in ALL:
        asserted, data = vector["asserted"], bytes.fromhex(vector["hex"])
        if vector["kind"] == "body" and vector.get("body_type") == "JT808_0x0200" and len(data) >= 28:
            compared += same_as_asserted(vector["id"], parse_location(data), asserted_location(asserted))
        if not is_plain(COMPUTED.get(vector["id"], {})):
            continue
        body = parse_body(decode_frame(data))
        if isinstance(body, Location):
            for prefix in ("", "Position.", "JT808_0x0200."):
                compared += same_as_asserted(vector["id"], body.fix, asserted_location(asserted, prefix))
        if isinstance(body, Batch):
            for number, fix in enumerate(body.fixes):
                compared += same_as_asserted(vector["id"], fix, asserted_location(asserted, index=number))
                expected = asserted_location(asserted, f"Positions[{number}].")
                compared += same_as_asserted(vector["id"], fix, expected)
    assert compared > 150


@pytest.mark.parametrize("vector", vectors("stream"))
def test_stream_gives_the_asserted_frames(vector):
    asserted, splitter = vector["asserted"], FrameSplitter()
    found = splitter.feed(bytes.fromhex(vector["hex"]))
    frames = [piece.raw.hex() for piece in found if isinstance(piece, Message)]
    bad = [piece for piece in found if isinstance(piece, BadPiece)]
    assert frames[: len(asserted["frames"])] == asserted["frames"]
    assert bool(bad) == bool(asserted["error"])
    # The source gives up after a bad frame; we go on and find the sound one behind it.
    assert len(frames) == len(asserted["frames"]) + (vector["id"] == "gojt808-057")
    if not bad and asserted["pending_bytes"]:
        assert len(splitter.pending) == asserted["pending_bytes"] - 1  # without the flag


@pytest.mark.parametrize("vector", vectors("unescape"))
def test_unescape_gives_the_asserted_bytes(vector):
    data = bytes.fromhex(vector["hex"])
    expected = vector["asserted"]["result_hex"]
    if expected is None:
        with pytest.raises(FrameError):
            decode_frame(data)
    else:
        assert unescape(data[1:-1]).hex() == expected


@pytest.mark.parametrize("vector", vectors("escape"))
def test_escape_gives_the_asserted_bytes(vector):
    assert b"\x7e%b\x7e" % escape(bytes.fromhex(vector["hex"])) == bytes.fromhex(vector["asserted"]["result_hex"])


def test_sub_packages_of_a_real_terminal_are_joined():
    joined, pieces = (bytes.fromhex(vector["hex"]) for vector in ALL if vector["kind"] == "subpacket_stream")
    reassembly = Reassembly()
    whole = [
        message
        for piece in FrameSplitter().feed(pieces)
        if isinstance(piece, Message) and (message := reassembly.add(piece, now=datetime(2026, 1, 1, tzinfo=UTC)))
    ]
    assert [message.body for message in whole] == [joined]


def by_id(name: str) -> dict:
    return next(vector for vector in ALL if vector["id"] == name)


def test_parameters_of_a_real_terminal_are_all_read():
    for vector in ALL:
        if vector.get("computed", {}).get("msg_id") == "0104" and is_plain(vector["computed"]):
            found = parse_body(decode_frame(bytes.fromhex(vector["hex"])))
            assert isinstance(found, Parameters)
            assert len(found.parameters) == found.declared > 0
    asserted = by_id("gojt808-028")["asserted"]
    found = parse_parameters(b"\0\0" + decode_frame(bytes.fromhex(by_id("gojt808-028")["hex"])).body, "2013")
    assert [int(key, 16) for key in found.parameters] == sorted(asserted["ID"], key=asserted["ID"].index)
    values = [value for value in found.parameters.values() if not isinstance(value, dict)]
    assert values[:7] == asserted["Value"][:7]


def test_driver_cards_are_what_their_sources_assert():
    names = {"DriverUserName": "name", "QualificationCode": "licence", "LicenseIssuing": "agency"}
    names |= {"CertificateExpiresDate": "valid_until", "DriverIdentityCard": "id_card"}
    compared = 0
    for vector in ALL:
        asserted = vector["asserted"]
        if vector.get("body_type") != "JT808_0x0702" or vector["id"] == "smallchi-124":  # the latter is no body
            continue
        card = parse_driver_card(bytes.fromhex(vector["hex"]), "2019" if "2019" in vector["name"] else "2013")
        for theirs, ours in names.items():
            if theirs in asserted:
                assert getattr(card, ours) == asserted[theirs], vector["id"]
                compared += 1
        if "IC_Card_PlugDateTime" in asserted:
            assert f"{card.at + timedelta(hours=8):%Y-%m-%d %H:%M:%S}" == asserted["IC_Card_PlugDateTime"]
            compared += 1
    assert compared >= 20


def test_commands_are_the_bytes_of_their_sources():
    tracking = decode_frame(bytes.fromhex(by_id("gojt808-047")["hex"])).body
    assert encode_command("track", {"interval_s": 5, "duration_s": 600}, "2013").body == tracking
    text = decode_frame(bytes.fromhex(by_id("gojt808-042")["hex"])).body
    given = {"text": text[1:].decode("gbk"), "display": False}
    assert encode_command("text", given, "2013").body == text
    assert parse_resend(bytes.fromhex(by_id("smallchi-020")["hex"]), "2019").indexes == (0x0102, 0x0203)
